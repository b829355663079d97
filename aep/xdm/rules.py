"""What Experience Platform asks of a record beyond its JSON Schema and its identities. Pure functions of the record."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from aep.xdm.harden import UnknownFields
from aep.xdm.rejection import XdmError

Nulls = Literal["reject", "prune"]
Identity = Literal["off", "required"]

DAY_SECONDS = 86_400


@dataclass(frozen=True)
class XdmRules:
    """What to ask of a record.

    Attributes:
        unknown_fields: "reject" fields that the schema does not declare, or "allow" them.
        nulls: "reject" leaves null to the schema, which refuses it; "prune" is for the step before the
            check, which calls `prune_nulls`.
        integer_ranges: Enforce the range of `meta:xdmType` where the schema gives none.
        identity: "required" wants an identity in each record, as schemas enabled for Profile do.
        primary_identity: JSON pointers of the fields that hold the primary identity; each must be filled in. Empty:
            those of the schema's descriptors (`xdm:sourceProperty`), and where it has none and an identity is
            required, `identityMap` must say which one is primary.
        namespaces: The only identity namespaces allowed, in any case of letters; empty allows all.
        max_future_seconds: How far ahead of the clock an event may be, in seconds.
        max_age_days: How old an event may be, in days; None for any age.
        max_event_bytes: Largest event, in bytes of JSON. Profile drops larger ones (Profile guardrails).
        max_record_bytes: Largest record of a class without time, such as XDM Individual Profile, in bytes.
    """

    unknown_fields: UnknownFields
    nulls: Nulls
    integer_ranges: bool
    identity: Identity
    primary_identity: tuple[str, ...]
    namespaces: tuple[str, ...]
    max_future_seconds: float
    max_age_days: float | None
    max_event_bytes: int
    max_record_bytes: int


def check_size(size: int, limit: int) -> XdmError | None:
    """Refuse what Profile would drop without a word. Both figures are bytes of the serialised entity."""
    if size <= limit:
        return None
    return XdmError("too_large", "", "", f"{size:,} bytes exceed the limit of {limit:,} bytes")


def check_id(entity: dict[str, Any]) -> XdmError | None:
    """Refuse a blank `_id`; whether there must be one is for the schema to say."""
    value = entity.get("_id")
    if isinstance(value, str) and not value.strip():
        return XdmError("empty_id", "/_id", "", "_id is empty")
    return None


def check_timestamp(
    entity: dict[str, Any], now: float, max_future_seconds: float, max_age_days: float | None
) -> XdmError | None:
    """Compare an event's `timestamp` with the clock (`now` in seconds since 1970).

    It "must occur in the past" (XDM ExperienceEvent class). One that is missing or no date-time is for the
    schema to refuse.
    """
    value = entity.get("timestamp")
    if not isinstance(value, str):
        return None
    moment = epoch_seconds(value)
    if moment is None:
        return None
    if moment > now + max_future_seconds:
        ahead = moment - now
        return XdmError("timestamp_future", "/timestamp", "", f"timestamp is {ahead:,.0f} s in the future")
    if max_age_days is not None and moment < now - max_age_days * DAY_SECONDS:
        age = (now - moment) / DAY_SECONDS
        return XdmError("timestamp_old", "/timestamp", "", f"timestamp is {age:,.1f} days old")
    return None


def epoch_seconds(text: str) -> float | None:
    """Read an XDM date-time as whole seconds since 1970; None when it is not one."""
    try:
        offset = "+00:00" if text[-1] == "Z" else text[-6:]
        return datetime.fromisoformat(text[:19] + offset).timestamp()
    except (ValueError, IndexError, OverflowError):
        return None


def prune_nulls(entity: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Leave out object members that are null, at any depth; returns the record and whether it changed.

    Platform wants the key of a missing value left out (Schema composition). A null inside an array stays,
    since leaving it out would move its neighbours, and is refused by the schema. Unchanged parts are shared
    with `entity`, which stays as it is.
    """
    pruned = _prune(entity)
    return pruned, pruned is not entity


def _prune(value: Any) -> Any:
    """Return `value` itself when it holds no null member."""
    if isinstance(value, list):
        items = [_prune(item) if isinstance(item, dict | list) else item for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    changes: dict[str, Any] = {}
    for name, member in value.items():
        if member is None:
            changes[name] = None
        elif isinstance(member, dict | list):
            pruned = _prune(member)
            if pruned is not member:
                changes[name] = pruned
    if not changes:
        return value
    return {name: member for name, member in {**value, **changes}.items() if member is not None}
