"""Hints for events in an unexpected form: what they look like, and what to change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from aep.formats.json import ParsedObject
from aep.formats.json_records import Shape
from transforms.records.outcome import Refusal
from transforms.records.record import Record
from transforms.records.route import Route

_MAX_KINDS = 10

DestinationHints = Callable[[dict[str, Any], Route], Sequence[str]]
"""What may be wrong with a parsed record that its route refused; see `DestinationKind.hints`."""

SHAPES: dict[Shape, str] = {
    "lines": "",
    "documents": "pretty-printed JSON, not a line for each record: records are counted, not lines",
    "array": "an array, not a line for each record: its items are counted, not lines",
}
"""Descriptions of the forms in which a file has its records."""


class Hints:
    """Hints on the records of a file or a topic, each once, with the first record that it is for.

    Args:
        place: What the numbers of the records are, such as `line`.
    """

    def __init__(self, place: str):
        self.place = place
        self._found: dict[str, list[int]] = {}  # the first record's number, and how many records

    def add(self, number: int, hints: Sequence[str]) -> None:
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


def hints_on(record: Record, route: Route, refusal: Refusal, hints: DestinationHints) -> Sequence[str]:
    """Return hints on a record that was refused; none where a mapping or a transform makes another one of it.

    Args:
        record: As it was read.
        route: The one that it takes.
        refusal: Why it is not posted.
        hints: Those of the kind of destination.
    """
    changed = route.mapping is not None or route.transform is not None
    if refusal.stage != "validate" or changed or record.value is None:
        return ()
    parsed = route.parse(record.value, record.headers)
    return hints(parsed.entity, route) if isinstance(parsed, ParsedObject) else ()
