"""Which audiences a profile belongs to, and what changes that. Pure.

Source: "Segment membership details" (the statuses; `existing` is left to the export, which alone has a use for it).
An event that met a rule's condition counts for ever: Adobe sets no end to the look-back of rules on a single event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from emulator.segments.evaluation import event_fits, fits
from emulator.segments.rules import Rule, event_conditions

Status = Literal["realized", "exited"]


class Segment(NamedTuple):
    """An audience, ready to be evaluated.

    Attributes:
        id: Its id.
        name: Its name.
        rule: Who belongs to it.
        merge_policy_id: Merge policy of the profiles that it is evaluated for.
        on_arrival: It is evaluated as data arrives (continuous or synchronous).
        created_ms: When it was created, in milliseconds since 1970.
        updated_ms: When it was last changed.
    """

    id: str
    name: str
    rule: Rule
    merge_policy_id: str
    on_arrival: bool
    created_ms: int
    updated_ms: int


class Membership(NamedTuple):
    """What is known of a profile and an audience.

    Attributes:
        status: None if the profile never belonged to the audience.
        since_ms: When the status began, in milliseconds since 1970, with a fraction: it may follow the mapping of the
            audience within the same millisecond.
        had_event: Whether an event of the profile has met the rule's condition on events.
    """

    status: Status | None = None
    since_ms: float = 0
    had_event: bool = False


Memberships = Mapping[str, Membership]  # by the id of the segment


def evaluate(
    segments: Iterable[Segment],
    profile: Mapping[str, Any],
    events: Sequence[Mapping[str, Any]],
    before: Memberships,
    now_ms: float,
) -> dict[str, Membership]:
    """Return the memberships of a profile that are others than before.

    Args:
        segments: The audiences to evaluate.
        profile: Its attributes.
        events: Events of the profile; those of earlier evaluations need not be among them.
        before: Its memberships until now.
        now_ms: The time, in milliseconds since 1970.
    """
    changed = {}
    for segment in segments:
        old = before.get(segment.id, Membership())
        had_event = old.had_event or any(
            event_fits(condition, profile, event) for condition in event_conditions(segment.rule) for event in events
        )
        belongs = fits(segment.rule, profile, had_event=had_event)
        new = old._replace(had_event=had_event)
        if belongs != (old.status == "realized") and (belongs or old.status is not None):
            new = Membership("realized" if belongs else "exited", now_ms, had_event)
        if new != old:
            changed[segment.id] = new
    return changed


def merge(profiles: Sequence[Memberships]) -> dict[str, Membership]:
    """Return the memberships of profiles that have become one: all that any belonged to, since the earliest time."""
    merged: dict[str, Membership] = {}
    for memberships in profiles:
        for segment_id, found in memberships.items():
            known = merged.get(segment_id)
            merged[segment_id] = found if known is None else _stronger(known, found)
    return merged


def _stronger(one: Membership, other: Membership) -> Membership:
    order = ("realized", "exited", None)
    kept = min(one, other, key=lambda each: (order.index(each.status), each.since_ms))
    return kept._replace(had_event=one.had_event or other.had_event)
