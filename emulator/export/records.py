"""Which destinations a change of a profile goes to, and the record that each of them gets. Pure functions.

Sources: "Amazon Kinesis connection" (samples), "Profile export behavior for different destination types" (what
determines an export and what it contains). Adobe's example of an added identity is of a profile "who had already
qualified": a new identity and a written attribute count for members of a mapped audience only, so that others are never
exported and a profile that has left gets one more record. The partition key is ours, since Adobe states none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Literal, NamedTuple

import orjson

from emulator.segments.memberships import Membership, Memberships, Segment
from emulator.state.destinations import Destination
from emulator.state.identities import Named, identity_map, pick

Dialect = Literal["realized/exited", "realized/existing/exited"]
MAX_KEY_CHARACTERS = 256  # of Kinesis
_ALWAYS_EXPORTED = ("segmentMembership", "identityMap")


class ProfileState(NamedTuple):
    """A profile as it is now.

    Attributes:
        entity: Its attributes.
        identities: All its identities.
        memberships: Its memberships by the id of the segment.
    """

    entity: Mapping[str, Any]
    identities: Sequence[Named]
    memberships: Memberships


class Change(NamedTuple):
    """What happened to a profile.

    Attributes:
        segments: Ids of the segments that it has entered or left.
        identity_added: It has a new identity, its own or that of a profile merged with it.
        written: The fragment that was written, with the same values or others.
        before: The attributes before the change, of each profile that was merged.
    """

    segments: Collection[str]
    identity_added: bool = False
    written: Mapping[str, Any] = {}
    before: Sequence[Mapping[str, Any]] = ()


class Export(NamedTuple):
    """A record on its way to a destination."""

    org_id: str
    flow_id: str
    partition_key: str
    data: bytes


def exports(
    destinations: Iterable[Destination],
    segments: Mapping[str, Segment],
    profile: ProfileState,
    change: Change,
    key: Named,
    dialect: Dialect,
) -> list[Export]:
    """Return the records that a change of a profile causes.

    Args:
        destinations: The enabled destinations of its organisation.
        segments: The segments of its organisation by their ids.
        profile: The profile after the change.
        change: What happened.
        key: The identity that its partition key is made of.
        dialect: The statuses of memberships.
    """
    return [
        Export(
            destination.org_id,
            destination.flow_id,
            partition_key(key),
            orjson.dumps(exported(destination, segments, profile, change.segments, dialect)),
        )
        for destination in destinations
        if concerns(destination, profile, change)
    ]


def concerns(destination: Destination, profile: ProfileState, change: Change) -> bool:
    """Return whether a change of a profile goes to a destination."""
    if not destination.audiences.keys().isdisjoint(change.segments):
        return True
    if not any(_belongs(profile.memberships.get(each)) for each in destination.audiences):
        return False
    return change.identity_added or any(
        _value(change.written, path) is not None
        or any(_value(before, path) != _value(profile.entity, path) for before in change.before)
        for path in _attributes(destination)
    )


def exported(
    destination: Destination,
    segments: Mapping[str, Segment],
    profile: ProfileState,
    changed: Collection[str],
    dialect: Dialect,
) -> dict[str, Any]:
    """Return the record of a profile for a destination.

    Args:
        destination: The destination.
        segments: The segments of its organisation by their ids.
        profile: The profile.
        changed: Ids of the segments that it has just entered or left.
        dialect: The statuses of memberships.
    """
    policies = {segments[each].merge_policy_id for each in destination.audiences if each in segments}
    memberships = {
        segment_id: _membership(destination, segments[segment_id], found, segment_id in changed, dialect)
        for segment_id, found in profile.memberships.items()
        if segment_id in segments
        and (
            (segment_id in destination.audiences and segment_id in changed)
            or (_belongs(found) and segments[segment_id].merge_policy_id in policies)
        )
    }
    return {
        **pick(profile.entity, _attributes(destination)),
        "segmentMembership": {"ups": memberships},
        "identityMap": identity_map(profile.identities),
    }


def partition_key(identity: Named) -> str:
    """Return the partition key of a profile: its key identity, hashed if Kinesis would refuse it."""
    if len(identity.value) <= MAX_KEY_CHARACTERS:
        return identity.value
    return hashlib.sha256(identity.value.encode()).hexdigest()


def _membership(
    destination: Destination, segment: Segment, membership: Membership, changed: bool, dialect: Dialect
) -> dict[str, Any]:
    status: str | None = membership.status
    if status == "realized" and not changed and dialect == "realized/existing/exited":
        status = "existing"
    shown: dict[str, Any] = {"lastQualificationTime": _iso(membership.since_ms), "status": status}
    mapped = destination.audiences.get(segment.id)
    if destination.include_names or destination.include_timestamps:  # Adobe's samples have no names without times
        shown.update({"createdAt": segment.created_ms, "updatedAt": segment.updated_ms})
        if mapped is not None:
            times = {"mappingCreatedAt": mapped.created_s * 1000, "mappingUpdatedAt": mapped.updated_s * 1000}
            shown.update({**times, **({"name": segment.name} if destination.include_names else {})})
    return shown


def _belongs(membership: Membership | None) -> bool:
    return membership is not None and membership.status == "realized"


def _attributes(destination: Destination) -> list[str]:
    """Return the mapped attributes; memberships and identities are exported in any case."""
    return [each for each in destination.attributes if each.partition(".")[0] not in _ALWAYS_EXPORTED]


def _value(entity: Mapping[str, Any], path: str) -> Any:
    value: Any = entity
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _iso(epoch_ms: float) -> str:
    return datetime.fromtimestamp(epoch_ms // 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
