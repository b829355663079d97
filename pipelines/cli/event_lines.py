"""A file of events, checked one by one against a schema, in memory that does not grow."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import orjson

from aep.formats.json import ParsedObject, ParseFailure, parse_object
from aep.formats.json_records import Shape, read_records
from aep.formats.unpack import unpacked
from aep.xdm.rules import XdmRules
from aep.xdm.schema import ResolvedSchema
from aep.xdm.spelling import is_message
from pipelines.cli.event_hints import Hints, hints_on
from pipelines.destinations.aep.hints import hints
from transforms.aep.inlet import AepInlet
from transforms.records.outcome import Prepared, Refusal
from transforms.records.prepare import Preparation
from transforms.records.record import Headers, Record
from transforms.records.route import Route

MAX_LINE_BYTES = 16 * 2**20
"""A longer line, or record, is not read: it cannot be a record, of which a request to Platform holds 1 MB."""


class Line(NamedTuple):
    """An event that was checked.

    Attributes:
        number: From 1, of its line, or else of itself.
        refusal: What is wrong with it, None when it is valid.
        body: What a pipeline would post of a valid one; None where that is nothing.
    """

    number: int
    refusal: Refusal | None
    body: bytes | None = None


class Source(NamedTuple):
    """Where lines come from.

    Attributes:
        lines: What to read them from.
        file: The file itself, whose position tells how far it was read; None for the standard input.
        size: Bytes of the file; None when nobody knows.
    """

    lines: BinaryIO
    file: BinaryIO | None
    size: int | None


@contextmanager
def open_lines(path: Path | None) -> Iterator[Source]:
    """Open a file of lines, decompressed if its ending says so, or the standard input for None.

    Raises:
        DamagedFileError: A read has come to where a compressed file is cut off or damaged.
    """
    if path is None:
        yield Source(sys.stdin.buffer, None, None)
        return
    with path.open("rb") as file:
        yield Source(unpacked(file, str(path)), file, path.stat().st_size or None)


class EventCheck:
    """Checks events against a schema, as a pipeline does with records whose route only checks them.

    Of a whole message the entity is checked.

    Attributes:
        hints: On what was checked so far.
        shape: How the events stand in the file.
    """

    def __init__(self, schema: ResolvedSchema, rules: XdmRules):
        destination = AepInlet("", "entity", schema.id, auth="none")
        self._route = Route("", ("",), destination, self._parse, schema)
        self._prepare = Preparation((self._route,), rules, "skip")
        self._is_message = False
        self.hints = Hints("line")
        self.shape: Shape = "lines"

    def lines(self, file: BinaryIO) -> Iterator[Line]:
        """Check every event of a file; an empty line counts as an invalid one."""
        self.shape, entries = read_records(file, MAX_LINE_BYTES)
        self.hints.place = place = "line" if self.shape == "lines" else "record"
        for number, value in entries:
            if value is None:
                message = f"the {place} is longer than {MAX_LINE_BYTES:,} bytes"
                yield Line(number, Refusal("parse", "", "too_large", message))
            else:
                yield self.value(value, number)

    def value(self, value: bytes, number: int) -> Line:
        """Return a record, as a pipeline would refuse or post it."""
        record = Record(number, -1, None, (), value)
        self._is_message = False
        outcome = self._prepare("", 0, record)
        if self._is_message:
            self.hints.add(number, [_MESSAGE])
        if isinstance(outcome, Refusal):
            self.hints.add(number, hints_on(record, self._route, outcome, hints))
            return Line(number, outcome)
        return Line(number, None, outcome.body if isinstance(outcome, Prepared) else None)

    def _parse(self, value: bytes, headers: Headers = ()) -> ParsedObject | ParseFailure:
        """Return the record, or the entity of a whole message."""
        parsed = parse_object(value)
        if b'"xdmEntity"' not in value or isinstance(parsed, ParseFailure) or not is_message(parsed.entity):
            return parsed
        self._is_message = True
        return parse_object(orjson.dumps(parsed.entity["body"]["xdmEntity"]))


_MESSAGE = (
    "this is a whole message, and its body.xdmEntity was checked: the route of such records needs `payload: message` "
    "(xdm_payload)"
)
