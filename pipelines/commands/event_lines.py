"""A file of events, a line of JSON each, checked line by line against a schema, in memory that does not grow."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import orjson

from aep.strict_json import ParseFailure, parse_object
from aep.xdm.rejection import Rejection, XdmError, rejection
from aep.xdm.rules import prune_nulls
from aep.xdm.validate import XdmValidator
from transforms.unpack import unpacked

MAX_LINE_BYTES = 16 * 2**20
"""A longer line is not read: it cannot be a record, of which a request to Platform holds 1 MB."""


class Line(NamedTuple):
    """A line that was checked: its number, from 1, and what is wrong with it, None when it is valid."""

    number: int
    rejection: Rejection | None


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


def check_lines(file: BinaryIO, validator: XdmValidator) -> Iterator[Line]:
    """Check every line; an empty one is no record either."""
    number = 0
    while value := file.readline(MAX_LINE_BYTES):
        number += 1
        if len(value) == MAX_LINE_BYTES and not value.endswith(b"\n"):
            while (more := file.readline(MAX_LINE_BYTES)) and not more.endswith(b"\n"):
                pass
            error = XdmError("too_large", "", "", f"the line is longer than {MAX_LINE_BYTES:,} bytes")
            yield Line(number, rejection([error]))
        else:
            yield Line(number, check_value(value.rstrip(b"\r\n"), validator))


def check_value(value: bytes, validator: XdmValidator) -> Rejection | None:
    """What a pipeline would refuse a record for, or None: its JSON first, then the schema and the rules beyond it."""
    parsed = parse_object(value)
    if isinstance(parsed, ParseFailure):
        return rejection([XdmError(parsed.code, parsed.pointer, "", parsed.message)])
    entity, data = parsed
    if validator.rules.nulls == "prune" and b"null" in data:
        entity, changed = prune_nulls(entity)
        data = orjson.dumps(entity) if changed else data
    return validator.check(entity, len(data))
