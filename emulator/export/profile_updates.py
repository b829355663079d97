"""Follow up on a change of a profile, in its transaction: evaluate its audiences and queue its exports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from emulator.export.queue import ExportQueue
from emulator.export.records import Change, Dialect, ProfileState, exports
from emulator.segments.memberships import Membership, Segment, Status, evaluate, merge
from emulator.segments.rules import event_conditions
from emulator.state.destinations import Destinations
from emulator.state.identities import Named
from emulator.state.memberships import MembershipStore
from emulator.state.profile_store import Operation, ProfileStore, Source
from emulator.state.segments import Segments

CHUNK = 20  # profiles evaluated or exported in one transaction, between which requests are served


class Before(NamedTuple):
    """A profile before a change."""

    profile_id: int
    identities: Sequence[Named]
    entity: Mapping[str, Any] | None


class Evaluated(NamedTuple):
    """What a scheduled evaluation has found."""

    profiles: int = 0
    entered: int = 0
    left: int = 0


class ProfileUpdates:
    """Stores records and events in the Profile store, then evaluates audiences and queues exports.

    Args:
        profiles: The Profile store.
        segments: The audiences.
        memberships: Who belongs to them.
        destinations: Where profiles are exported to.
        queue: What waits to be exported.
        dialect: Returns the statuses that memberships are exported with.
        clock: Seconds since the epoch.
        notify: Called when something was queued.
    """

    def __init__(
        self,
        profiles: ProfileStore,
        segments: Segments,
        memberships: MembershipStore,
        destinations: Destinations,
        queue: ExportQueue,
        dialect: Callable[[], Dialect],
        clock: Callable[[], float],
        notify: Callable[[], None],
    ) -> None:
        self._profiles = profiles
        self._segments = segments
        self._memberships = memberships
        self._destinations = destinations
        self._queue = queue
        self._dialect = dialect
        self._clock = clock
        self._notify = notify

    def take_record(
        self, source: Source, identities: Sequence[Named], entity: dict[str, Any], size: int, operation: Operation
    ) -> None:
        """Keep a record as `ProfileStore.take_record` does, then evaluate and export its profile."""
        segments = self._watching(source.org_id, identities)
        before = self._before(source.org_id, identities) if segments else []
        taken = self._profiles.take_record(source, identities, entity, size, operation)
        if segments and taken:
            self._follow_up(segments, source.org_id, identities[0], before, {} if operation == "delete" else entity)

    def take_event(
        self, source: Source, identities: Sequence[Named], entity: dict[str, Any], size: int, timestamp_ms: int
    ) -> None:
        """Keep an event as `ProfileStore.take_event` does, then evaluate and export its profile."""
        segments = self._watching(source.org_id, identities)
        before = self._before(source.org_id, identities, with_entities=False) if segments else []
        new = self._profiles.take_event(source, identities, entity, size, timestamp_ms)
        if segments:
            self._follow_up(segments, source.org_id, identities[0], before, {}, [entity] if new else ())

    def forget(self, org_id: str, identities: Sequence[Named]) -> None:
        """Delete a profile; nothing is exported."""
        if identities and (profile_id := self._profiles.profile_id(org_id, identities[0])) is not None:
            self._memberships.forget(profile_id)
        self._profiles.forget(org_id, identities)

    def evaluate_some(self, org_id: str, after: int) -> tuple[int | None, Evaluated]:
        """Evaluate all audiences of an organisation for its next profiles, over all their events.

        Returns:
            The profile to continue after, None at the end; and the counts.
        """
        segments = self._segments.ready(org_id)
        profile_ids = self._profiles.profile_ids(org_id, after=after, limit=CHUNK) if segments else []
        wants_events = any(True for segment in segments for _ in event_conditions(segment.rule))
        entered = left = 0
        for profile_id in profile_ids:
            identities = self._profiles.identities(profile_id)
            events = [each.entity for each in self._profiles.events(org_id, identities)] if wants_events else []
            for status in self._evaluate(segments, org_id, profile_id, identities, events).values():
                entered += status == "realized"
                left += status == "exited"
        return profile_ids[-1] if len(profile_ids) == CHUNK else None, Evaluated(len(profile_ids), entered, left)

    def export(self, org_id: str, flow_id: str, profile_id: int, segment_ids: Sequence[str]) -> None:
        """Queue a profile for a destination that has just been given audiences that the profile belongs to."""
        identities = self._profiles.identities(profile_id)
        memberships = self._memberships.of(profile_id)
        state = ProfileState(self._entity(org_id, identities), identities, memberships)
        change = Change(
            [each for each in segment_ids if each in memberships and memberships[each].status == "realized"]
        )
        self._export(org_id, profile_id, state, change, identities[0], flow_id)

    def _watching(self, org_id: str, identities: Sequence[Named]) -> tuple[Segment, ...]:
        """Return the audiences to evaluate; an organisation without any exports nothing."""
        return self._segments.ready(org_id) if identities else ()

    def _before(self, org_id: str, identities: Sequence[Named], *, with_entities: bool = True) -> list[Before]:
        """Return the profiles that a fragment belongs to, before it is stored; events change no attributes."""
        found = {self._profiles.profile_id(org_id, each) for each in identities}
        before = []
        for profile_id in sorted(each for each in found if each is not None):
            linked = self._profiles.identities(profile_id)
            entity = self._entity(org_id, linked) if with_entities else None
            before.append(Before(profile_id, linked, entity))
        return before

    def _follow_up(
        self,
        segments: Sequence[Segment],
        org_id: str,
        primary: Named,
        before: Sequence[Before],
        written: Mapping[str, Any],
        events: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        profile_id = self._profiles.profile_id(org_id, primary)
        if profile_id is None:  # a delete for a profile that does not exist
            return
        identities = self._profiles.identities(profile_id)
        linked = set(identities)
        before = [each for each in before if linked & set(each.identities)]  # a delete links no identities
        if len(before) > 1:
            self._memberships.save(profile_id, merge([self._memberships.of(each.profile_id) for each in before]))
            for each in before:
                if each.profile_id != profile_id:
                    self._memberships.forget(each.profile_id)
        added = any(linked - set(each.identities) for each in before) or not before
        change = Change((), added, written, [each.entity for each in before if each.entity is not None])
        arrived = [each for each in segments if each.on_arrival]
        self._evaluate(arrived, org_id, profile_id, identities, events, change, primary)

    def _evaluate(
        self,
        segments: Sequence[Segment],
        org_id: str,
        profile_id: int,
        identities: Sequence[Named],
        events: Sequence[Mapping[str, Any]],
        change: Change | None = None,
        primary: Named | None = None,
    ) -> dict[str, Status | None]:
        """Evaluate audiences for a profile and queue its exports; return the new status by audience entered or left."""
        before = self._memberships.of(profile_id)
        entity = self._entity(org_id, identities)
        changed = evaluate(segments, entity, events, before, self._clock() * 1000)
        self._memberships.save(profile_id, changed)
        statuses = {
            segment_id: new.status
            for segment_id, new in changed.items()
            if new.status != before.get(segment_id, Membership()).status
        }
        state = ProfileState(entity, identities, {**before, **changed})
        change = (change or Change(()))._replace(segments=statuses.keys())
        self._export(org_id, profile_id, state, change, primary or identities[0])
        return statuses

    def _export(
        self,
        org_id: str,
        profile_id: int,
        state: ProfileState,
        change: Change,
        primary: Named,
        flow_id: str | None = None,
    ) -> None:
        found = exports(
            (each for each in self._destinations.enabled(org_id) if flow_id in (None, each.flow_id)),
            {each.id: each for each in self._segments.ready(org_id)},
            state,
            change,
            self._memberships.key(profile_id, primary),
            self._dialect(),
        )
        if found:
            self._queue.add(found)
            self._notify()

    def _entity(self, org_id: str, identities: Sequence[Named]) -> Mapping[str, Any]:
        profile = self._profiles.profile(org_id, identities)
        return profile.entity if profile else {}
