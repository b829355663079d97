"""A file of events, a line of JSON each, checked line by line against a schema, in memory that does not grow."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from aep.streaming import Destination
from aep.xdm.rules import XdmRules
from aep.xdm.schema import ResolvedSchema
from transforms.prepare import Preparation, Prepared, Refusal
from transforms.record import Record
from transforms.routes import Route
from transforms.unpack import unpacked

MAX_LINE_BYTES = 16 * 2**20
"""A longer line is not read: it cannot be a record, of which a request to Platform holds 1 MB."""


class Line(NamedTuple):
    """A line that was checked.

    Attributes:
      number: from 1.
      refusal: what is wrong with it, None when it is valid.
      body: what a pipeline would post of a valid one; None where that is nothing.
    """

    number: int
    refusal: Refusal | None
    body: bytes | None = None


class Source(NamedTuple):
    """Where lines come from.

    Attributes:
      lines: what to read them from.
      file: the file itself, whose position tells how far it was read; None for the standard input.
      size: bytes of the file; None when nobody knows.
    """

    lines: BinaryIO
    file: BinaryIO | None
    size: int | None


@contextmanager
def open_lines(path: Path | None) -> Iterator[Source]:
    """Open a file of lines, decompressed if its ending says so, or the standard input for None.

    Raises:
      DamagedFileError: a read has come to where a compressed file is cut off or damaged.
    """
    if path is None:
        yield Source(sys.stdin.buffer, None, None)
        return
    with path.open("rb") as file:
        yield Source(unpacked(file, str(path)), file, path.stat().st_size or None)


def check_lines(file: BinaryIO, prepare: Preparation) -> Iterator[Line]:
    """Check every line as a pipeline does with a record's value; an empty one is no record either."""
    number = 0
    while value := file.readline(MAX_LINE_BYTES):
        number += 1
        if len(value) == MAX_LINE_BYTES and not value.endswith(b"\n"):
            while (more := file.readline(MAX_LINE_BYTES)) and not more.endswith(b"\n"):
                pass
            message = f"the line is longer than {MAX_LINE_BYTES:,} bytes"
            yield Line(number, Refusal("parse", "", "too_large", message))
        else:
            yield check_value(value.rstrip(b"\r\n"), number, prepare)


def check_value(value: bytes, number: int, prepare: Preparation) -> Line:
    """The record of a line, as a pipeline would refuse or post it."""
    outcome = prepare("", 0, Record(number, -1, None, (), value))
    if isinstance(outcome, Refusal):
        return Line(number, outcome)
    return Line(number, None, outcome.body if isinstance(outcome, Prepared) else None)


def preparation_of(schema: ResolvedSchema, rules: XdmRules) -> Preparation:
    """What a pipeline does with records of a schema on a route that only checks them."""
    return Preparation((Route("", ("",), Destination("", schema_id=schema.id), schema),), rules)
