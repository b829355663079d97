"""Hints for a person whose events are not in the form that was asked for: what they look like, and what to change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aep.formats.json import ParsedObject
from aep.formats.json_records import Shape
from aep.xdm.spelling import is_message, spelling_hints
from transforms.aep.inlet import as_inlet
from transforms.records.prepare import Refusal
from transforms.records.record import Record
from transforms.records.route import Route

_MAX_KINDS = 10

SHAPES: dict[Shape, str] = {
    "lines": "",
    "documents": "pretty-printed JSON, not a line for each record: records are counted, not lines",
    "array": "an array, not a line for each record: its items are counted, not lines",
}
"""What to say of how the records of a file stand in it."""


class Hints:
    """Hints on the records of a file or a topic, each once, with the first record that it is for.

    Args:
        place: What the numbers of the records are, such as `line`.
    """

    def __init__(self, place: str):
        self.place = place
        self._found: dict[str, list[int]] = {}  # the first record's number, and how many records

    def add(self, number: int, hints: list[str]) -> None:
        """Add hints on a record."""
        for hint in hints:
            if hint in self._found:
                self._found[hint][1] += 1
            elif len(self._found) < _MAX_KINDS:
                self._found[hint] = [number, 1]

    def __iter__(self) -> Iterator[str]:
        """Yield the hints, with where they come from, in the order in which they were found."""
        for hint, (first, times) in self._found.items():
            more = f" and {times - 1:,} more" if times > 1 else ""
            yield f"{self.place} {first:,}{more}: {hint}"


def hints_on(record: Record, route: Route, refusal: Refusal) -> list[str]:
    """Hints on a record that was refused; none where a mapping or a transform makes another one of it."""
    changed = route.mapping is not None or route.transform is not None
    if refusal.stage != "validate" or changed or record.value is None:
        return []
    parsed = route.parse(record.value, record.headers)
    return _hints(parsed.entity, route) if isinstance(parsed, ParsedObject) else []


def _hints(entity: dict[str, Any], route: Route) -> list[str]:
    payload = as_inlet(route.destination).payload
    if payload == "entity" and is_message(entity):
        return ["this is a whole message (header and body.xdmEntity): give its route `payload: message` (xdm_payload)"]
    if payload == "message" and not is_message(entity):
        return [
            "this is not a whole message (header and body.xdmEntity): give its route `payload: entity` (xdm_payload)"
        ]
    inner = entity["body"]["xdmEntity"] if payload == "message" else entity
    return spelling_hints(inner, route.schema.tenant if route.schema else None) if isinstance(inner, dict) else []
