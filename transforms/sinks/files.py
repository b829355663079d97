"""Files of dead letters, and of receipts: JSON lines on any Beam filesystem."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timezone

from apache_beam.io.filesystems import FileSystems

from aep.errors import ConfigurationError
from transforms.records.dead_letter import DeadLetter, damage
from transforms.records.open_file import open_file


class SinkError(Exception):
    """Dead letters or receipts cannot be written: where, why, and what to do."""


def write_to_sink(folder: str, lines: Sequence[bytes], option: str) -> None:
    """Writes a file of JSON lines, as ``write_lines`` does.

    Args:
      folder: for the file.
      lines: without their ends.
      option: that names the folder.

    Raises:
      SinkError: the folder cannot be written to.
    """
    try:
        write_lines(folder, lines)
    except Exception as error:  # each file system of Beam's has errors of its own
        raise SinkError(f"{folder} cannot be written to: {reason_of(error)}; check {option}") from error


def reason_of(error: Exception) -> str:
    """What a person reads of an error of a file system, of whichever kind that is."""
    return getattr(error, "strerror", None) or str(error).partition("\n")[0] or type(error).__name__


def write_file(folder: str, dead_letters: Iterable[DeadLetter]) -> str:
    """Writes a file of dead letters and returns its path."""
    return write_lines(folder, (one.to_json() for one in dead_letters))


def write_lines(folder: str, lines: Iterable[bytes], name: str | None = None) -> str:
    """Writes a file of JSON lines and returns its path. A file that has its final name is whole.

    Args:
      folder: for the file.
      lines: without their ends.
      name: of the file; None for a new one, made of the time.
    """
    name = name or f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:12]}.jsonl"
    path = FileSystems.join(folder, name)
    unfinished = FileSystems.join(folder, f".{name}.unfinished")
    try:
        with FileSystems.create(unfinished, mime_type="application/jsonl") as file:
            for line in lines:
                file.write(line + b"\n")
        FileSystems.rename([unfinished], [path])
    except Exception:
        with suppress(Exception):  # it takes the room that a full disk lacks
            FileSystems.delete([unfinished])
        raise
    return path


def list_files(place: str) -> list[str]:
    """The files of a folder, oldest first, or those that fit a pattern that ends with ``.jsonl``."""
    (matched,) = FileSystems.match([place if place.endswith(".jsonl") else FileSystems.join(place, "*.jsonl")])
    return sorted(metadata.path for metadata in matched.metadata_list)


def read_file(path: str) -> Iterator[DeadLetter]:
    """The dead letters of a file.

    Raises:
      ConfigurationError: a line is none, or a compressed file is damaged; names the file.
    """
    with open_file(path) as file:
        for number, line in enumerate(file.read().splitlines(), start=1):
            try:
                yield DeadLetter.from_json(line)
            except (ValueError, LookupError, TypeError) as error:
                raise ConfigurationError(f"{path}, line {number}, is no dead letter: {damage(error)}") from None


def read_files(place: str) -> Iterator[DeadLetter]:
    """The dead letters of a folder or of the files that fit a pattern, oldest file first."""
    for path in list_files(place):
        yield from read_file(path)
