"""A dead letter to be shown to anybody: its reason, and the shape of its record without any of its values."""

from __future__ import annotations

import re
from typing import Any

import orjson

from transforms.records.dead_letter import DeadLetter, iso_time

_MOST_FIELDS = 200  # of a record that are shown
_MOST_ITEMS = 3  # of a list
_MOST_VIOLATIONS = 10
_MOST_LEVELS = 20

# What programmers name fields. Anything else among the names of fields may be data, as the keys of a map by address.
_FIELD_NAME = re.compile(r"[@$]?[^\W\d][\w.:$/ -]{0,63}")
_INDEX = re.compile(r"\d{1,6}")

# In our words and in AEP's.
_MISSING = re.compile(r"required key \[([^\[\]]+)\] not found")
_CHECKED_BY_SCHEMA = ("validate", "shape", "ingest")

_TYPES: dict[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}


def redacted(one: DeadLetter) -> dict[str, Any]:
    """Return a dead letter with its values replaced by their types.

    Messages are left out, since they may quote a record.
    """
    record = one.record
    return {
        "stage": one.stage,
        "code": one.code,
        "pointer": _pointer(one.pointer),
        "missing": missing_key(one),
        "violations": [
            {"code": error["code"], "pointer": _pointer(error["pointer"])} for error in one.errors[:_MOST_VIOLATIONS]
        ],
        "violation_count": one.error_count,
        "route": one.route,
        "schema": one.schema.get("id", ""),
        "attempts": one.attempts,
        "at": iso_time(one.at),
        "topic": one.topic,
        "partition": one.partition,
        "offset": record.offset,
        "headers": [name for name, _ in record.headers],
        "value": shape(record.value),
    }


def missing_key(one: DeadLetter) -> str | None:
    """Return the name of a field that is missing, which is the schema's and not the record's; None where none is."""
    return missing_in(one.message, one.stage)


def missing_in(message: str, stage: str) -> str | None:
    """Return the same of the message of one violation, of a dead letter of this stage."""
    found = _MISSING.search(message) if stage in _CHECKED_BY_SCHEMA else None
    return found[1] if found else None


def shape(value: bytes | None) -> Any:
    """Return the JSON document in a record's value with each value replaced by its type; else what it is."""
    if value is None:
        return "no value"
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError:
        kind = "text that cannot be read as JSON" if _is_text(value) else "binary"
        return f"{kind}, {len(value):,} byte{'' if len(value) == 1 else 's'}"
    return _Shape().of(document)


class _Shape:
    """Counts the fields, so that a record of a megabyte has an example of a page."""

    def __init__(self) -> None:
        self._left = _MOST_FIELDS

    def of(self, found: Any, level: int = 0) -> Any:
        if level >= _MOST_LEVELS and isinstance(found, (dict, list)):
            return "object" if isinstance(found, dict) else "list"
        if isinstance(found, dict):
            fields: dict[str, Any] = {}
            for name, content in found.items():
                if self._left <= 0:
                    fields["..."] = "and more"
                    break
                self._left -= 1
                fields[_name(name)] = self.of(content, level + 1)
            return fields
        if isinstance(found, list):
            items = [self.of(item, level + 1) for item in found[:_MOST_ITEMS]]
            more = len(found) - len(items)
            return [*items, f"and {more:,} more"] if more else items
        return _TYPES[type(found)]


def _name(name: str) -> str:
    return name if _FIELD_NAME.fullmatch(name) else f"(a name of {len(name)} characters)"


def _pointer(pointer: str) -> str:
    return "/".join(part if not part or _INDEX.fullmatch(part) else _name(part) for part in pointer.split("/"))


def _is_text(value: bytes) -> bool:
    try:
        return value.decode().replace("\n", "").replace("\r", "").replace("\t", "").isprintable()
    except UnicodeDecodeError:
        return False
