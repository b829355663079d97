"""Ways to break a good sample, each with the code that a pipeline should dead-letter it with."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import orjson

Stage = Literal["parse", "validate"]


class BrokenKind(NamedTuple):
    """One way to break a record.

    Attributes:
        name: Its name.
        stage: The step that finds it.
        code: The code it is dead-lettered with under default rules.
        make: Turns the JSON of a good record into the broken value.
        events: Whether events can be broken so.
        profiles: Whether profiles can be.
    """

    name: str
    stage: Stage
    code: str
    make: Callable[[bytes], bytes]
    events: bool = True
    profiles: bool = True


def _edit(change: Callable[[dict[str, Any]], None]) -> Callable[[bytes], bytes]:
    def make(value: bytes) -> bytes:
        record = orjson.loads(value)
        change(record)
        return orjson.dumps(record)

    return make


def _drop(name: str) -> Callable[[bytes], bytes]:
    return _edit(lambda record: record.pop(name))


def _set(name: str, wrong: Any) -> Callable[[bytes], bytes]:
    return _edit(lambda record: record.update({name: wrong}))


def _set_loyalty(name: str, wrong: Any) -> Callable[[bytes], bytes]:
    return _edit(lambda record: record["_acme"]["loyalty"].update({name: wrong}))


def _append(json: bytes) -> Callable[[bytes], bytes]:
    """Add members at the end of the record, as they are."""
    return lambda value: value[:-1] + b"," + json + b"}"


def _set_identity(namespace: str, member: str, wrong: Any) -> Callable[[bytes], bytes]:
    return _edit(lambda record: record["identityMap"][namespace][0].update({member: wrong}))


_KINDS = (
    # Not JSON, or JSON that cannot be carried unchanged.
    BrokenKind("truncated_json", "parse", "json", lambda value: value[: len(value) // 2]),
    BrokenKind("invalid_utf8", "parse", "json", lambda value: value.replace(b"ACME-", b"ACME\xff", 1)),
    BrokenKind("byte_order_mark", "parse", "json", lambda value: b"\xef\xbb\xbf" + value),
    BrokenKind("nan", "parse", "json", _append(b'"ratio":NaN')),
    BrokenKind("confluent_header", "parse", "json", lambda value: b"\x00\x00\x00\x00\x2a" + value),
    BrokenKind("duplicate_key", "parse", "duplicate_key", _append(b'"_id":"other"')),
    BrokenKind("huge_integer", "parse", "integer_range", _append(b'"total":123456789012345678901234567890')),
    BrokenKind("too_deep", "parse", "too_deep", _append(b'"deep":' + b"[" * 300 + b"]" * 300)),
    BrokenKind("not_an_object", "parse", "type", lambda value: b"[" + value + b"]"),
    BrokenKind("empty", "parse", "empty", lambda value: b""),
    # JSON, but not XDM of its schema.
    BrokenKind("wrong_type", "validate", "type", _set_loyalty("memberId", 15367038)),
    BrokenKind("numeric_id", "validate", "type", _set("_id", 15367038)),
    BrokenKind("null_value", "validate", "type", _set_loyalty("memberId", None)),
    BrokenKind("missing_id", "validate", "required", _drop("_id"), profiles=False),
    BrokenKind("missing_timestamp", "validate", "required", _drop("timestamp"), profiles=False),
    BrokenKind("missing_loyalty", "validate", "required", _set("_acme", {}), events=False),
    BrokenKind("bad_timestamp", "validate", "format", _set("timestamp", "2025-06-01 10:15:30"), profiles=False),
    BrokenKind("bad_birth_date", "validate", "format", _set("person", {"birthDate": "12/31/1980"}), events=False),
    BrokenKind("unknown_field", "validate", "additionalProperties", _set_loyalty("favouriteColour", "teal")),
    BrokenKind("wrong_tenant", "validate", "wrong_tenant", _set("_globex", {"loyalty": {"memberId": "1"}})),
    BrokenKind("enum_violation", "validate", "enum", _set_loyalty("tier", "diamond")),
    BrokenKind("bad_campaign", "validate", "pattern", _set_loyalty("campaignCode", "spring 24"), profiles=False),
    BrokenKind("integer_overflow", "validate", "maximum", _set_loyalty("pointsEarned", 2**31), profiles=False),
    # XDM of its schema, but against a rule of Experience Platform.
    BrokenKind("empty_id", "validate", "empty_id", _set("_id", "")),
    BrokenKind(
        "future_timestamp",
        "validate",
        "timestamp_future",
        _set("timestamp", "2999-01-01T00:00:00Z"),
        profiles=False,
    ),
    BrokenKind(
        "oversize_event",
        "validate",
        "too_large",
        _edit(lambda record: record["_acme"].update(receiptNote="x" * 11_000)),
        profiles=False,
    ),
    BrokenKind("empty_identity", "validate", "empty_identity", _set_identity("LoyaltyId", "id", "")),
    BrokenKind("blocked_identity", "validate", "blocked_identity", _set_identity("LoyaltyId", "id", "anonymous")),
    BrokenKind("short_ecid", "validate", "ecid", _set_identity("ECID", "id", "12345")),
    BrokenKind("huge_ecid", "validate", "ecid", _set_identity("ECID", "id", "9" * 38)),
    BrokenKind("two_primaries", "validate", "many_primary", _set_identity("ECID", "primary", True)),
)

BROKEN_KINDS: dict[str, BrokenKind] = {kind.name: kind for kind in _KINDS}
"""Every kind by its name."""
