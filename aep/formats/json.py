"""Read a record's JSON so that nothing is silently changed or lost.

orjson is fast but takes the last of two equal keys, and makes floats of integers beyond 64 bits. Two cheap
checks of the bytes find the records where that might have happened; only those are parsed again exactly.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

_BOM = b"\xef\xbb\xbf"
_MAX_KEY = 20

# orjson writes a float of 1e16 or more with an exponent ("e+30", formerly "e30"), and a lost integer is one.
_EXPONENT = orjson.dumps(1e30)[1:-2]
_LARGE_FLOAT = re.compile(rb"[0-9]e\+?[0-9]{2}")


class ParsedObject(NamedTuple):
    """A JSON object: `entity`, and `data`, its canonical serialisation."""

    entity: dict[str, Any]
    data: bytes


class ParseFailure(NamedTuple):
    """Why a value is not a JSON object that can be carried unchanged.

    Attributes:
        code: `empty`, `json`, `type`, `too_deep`, `integer_range` or `duplicate_key`; or that of another format.
        message: What is wrong and at which byte; quotes no values.
        pointer: JSON pointer to the value that is wrong, where the format tells; "" for the whole record.
    """

    code: str
    message: str
    pointer: str = ""


def parse_object(value: bytes | None) -> ParsedObject | ParseFailure:
    """Parse one JSON object. Never raises.

    Args:
        value: UTF-8 bytes of a record's value; None, a Kafka tombstone, counts as empty.
    """
    if not value:
        return ParseFailure("empty", "the value is empty")
    entity = load_object(value)
    return entity if isinstance(entity, ParseFailure) else write_exactly(entity, value)


def parse_objects(values: Sequence[bytes | None]) -> tuple[list[dict[str, Any]], list[bytes]] | None:
    """Parse JSON objects together: the entity and the data that `parse_object` makes of each.

    A call for each of them would take a third of the time that they take.

    Returns:
        None if one of them is not an object that can be carried unchanged: each has to be parsed by itself then.
    """
    entities = load_objects(values)
    if entities is None:
        return None
    data: list[bytes] = []
    try:
        for value, written in zip(values, map(orjson.dumps, entities), strict=True):
            if written == value:
                data.append(value)
            elif value and not _may_have_lost(value, written):
                data.append(written)
            else:
                return None
    except TypeError:
        return None
    return entities, data


def load_objects(values: Sequence[bytes | None]) -> list[dict[str, Any]] | None:
    """Parse JSON objects together as `load_object` does each; None if one of them is not an object."""
    try:
        entities = list(map(orjson.loads, values))  # type: ignore[arg-type]
    except orjson.JSONDecodeError:
        return None
    return entities if set(map(type, entities)) <= {dict} else None


def load_object(value: bytes) -> dict[str, Any] | ParseFailure:
    """Return the object as JSON readers commonly see it: the last of equal keys, a float for a long integer.

    For a value whose bytes are passed on; what is made of the object goes through `write_exactly` first.
    """
    try:
        entity = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        return _syntax_failure(value, error)
    return entity if isinstance(entity, dict) else ParseFailure("type", f"expected a JSON object, got {_kind(entity)}")


def write_exactly(entity: dict[str, Any], value: bytes) -> ParsedObject | ParseFailure:
    """Return a loaded object with its canonical serialisation, or what of its value the object has lost."""
    try:
        data = orjson.dumps(entity)
    except TypeError as error:
        if "recursion" in str(error).lower():
            return _TOO_DEEP
        return ParseFailure("json", f"cannot be written as JSON: {error}")
    # Bytes that come back the same have lost nothing; compact JSON mostly does.
    same = data == value
    if not same and _may_have_lost(value, data):
        failure = _read_exactly(value)
        if failure is not None:
            return failure
    # What orjson writes takes several times its length in memory (orjson 3.13), which tells where records wait.
    return ParsedObject(entity, value if same else data)


_MAX_DEPTH = 254  # orjson's own limit for what it writes
_TOO_DEEP = ParseFailure("too_deep", f"objects and arrays are nested too deeply, more than {_MAX_DEPTH} levels")
_BRACKETS = re.compile(rb"[\[\]{}]")
_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')


def _may_have_lost(value: bytes, data: bytes) -> bool:
    """Return whether the record has to be read exactly to know that nothing is lost in its serialisation."""
    return _may_hold_lost_integer(data) or _may_hold_duplicate_key(value, data)


def _may_hold_lost_integer(data: bytes) -> bool:
    """Look for a large float in the serialised record; an integer that became a float is at least 9.2e18."""
    # One byte is found many times faster than several, and mostly it is not there.
    return _EXPONENT[-1:] in data and _EXPONENT in data and _LARGE_FLOAT.search(data) is not None


def _may_hold_duplicate_key(value: bytes, data: bytes) -> bool:
    """Compare the colons before and after: a lost member is a lost colon, unless some were written escaped."""
    if value.count(b":") != data.count(b":"):
        return True
    return b"\\" in value and (b"\\u003a" in value or b"\\u003A" in value)


class _InexactError(ValueError):
    def __init__(self, failure: ParseFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def _read_exactly(value: bytes) -> ParseFailure | None:
    """Read valid JSON with the slow parser, which reports every member and digit."""
    if _is_too_deep(value):  # how deep the parser goes depends on the version of Python
        return _TOO_DEEP
    try:
        json.loads(value, parse_int=_integer, object_pairs_hook=_members)
    except _InexactError as error:
        return error.failure
    except RecursionError:
        return _TOO_DEEP
    return None


def _is_too_deep(value: bytes) -> bool:
    """Return whether valid JSON is nested more deeply than orjson writes, also in a member that it has lost."""
    if value.count(b"[") + value.count(b"{") <= _MAX_DEPTH:
        return False
    depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", value)):
        depth += 1 if bracket in b"[{" else -1
        if depth > _MAX_DEPTH:
            return True
    return False


def _integer(digits: str) -> int:
    # 20 characters hold every 64-bit integer; longer ones Python would refuse to convert in the end.
    if len(digits) <= 20:
        number = int(digits)
        if -(2**63) <= number < 2**64:
            return number
    raise _InexactError(ParseFailure("integer_range", f"an integer of {len(digits)} characters exceeds 64 bits"))


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                name = key if len(key) <= _MAX_KEY else key[: _MAX_KEY - 3] + "..."
                raise _InexactError(ParseFailure("duplicate_key", f"the key {name!r} occurs twice in one object"))
            seen.add(key)
    return members


def _syntax_failure(value: bytes, error: orjson.JSONDecodeError) -> ParseFailure:
    if value.isspace():
        return ParseFailure("empty", "the value is only white space")
    if value.startswith(_BOM):
        return ParseFailure("json", "starts with a byte order mark (EF BB BF); write plain UTF-8")
    if value.startswith((b"\xff\xfe", b"\xfe\xff")):
        return ParseFailure("json", "starts with a byte order mark of UTF-16; write UTF-8")
    if value[0] == 0 and len(value) > 5:
        schema_id = int.from_bytes(value[1:5], "big")
        return ParseFailure(
            "json",
            f"looks like Confluent Avro/JSON-Schema wire format (a zero byte, then schema id {schema_id}), "
            "not plain JSON",
        )
    try:
        text = value.decode()
    except UnicodeDecodeError as invalid:
        return ParseFailure("json", f"not UTF-8 at byte {invalid.start}")
    if "depth limit" in error.msg:
        return _TOO_DEEP
    at = len(text[: error.pos].encode())  # orjson counts characters
    return ParseFailure("json", f"not JSON at byte {at}: {error.msg}")


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return "an array"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, bool):
        return "true or false"
    return "null" if value is None else "a number"
