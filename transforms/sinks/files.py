"""Files of dead letters, and of receipts: JSON lines on any Beam filesystem."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone

from apache_beam.io.filesystems import FileSystems

from aep.errors import ConfigurationError
from transforms.records.dead_letter import DeadLetter, damage
from transforms.records.open_file import open_file, reason_of
from transforms.sinks.base import Entry, SinkError


@dataclass(frozen=True)
class FileSink:
    """A folder, in which all that is written at once is a file of JSON lines.

    Attributes:
        folder: On any file system of Beam's.
        option: That names it.
    """

    folder: str
    option: str

    def check(self, local: bool) -> None:
        """Write an empty file into the folder and delete it; make the folder first, on a local file system.

        Raises:
            SinkError: That is not possible.
        """
        # On a cluster a path of a local file system is the workers', and this machine's says nothing about it.
        if not local and "://" not in self.folder:
            return
        try:
            probe = FileSystems.join(self.folder, f".probe-{uuid.uuid4().hex}")
            if not FileSystems.exists(self.folder) and "://" not in self.folder:
                FileSystems.mkdirs(self.folder)
            with FileSystems.create(probe) as file:
                file.write(b"")
            FileSystems.delete([probe])
        except Exception as error:  # each file system of Beam's has errors of its own
            raise self._error(error) from error

    def needs_network(self) -> bool:
        """Return whether the folder is on another file system than this machine's."""
        return "://" in self.folder

    def write(self, entries: Sequence[Entry]) -> None:
        """Write a file, as `write_lines` does.

        Raises:
            SinkError: The folder cannot be written to.
        """
        try:
            write_lines(self.folder, (entry.to_json() for entry in entries))
        except Exception as error:  # each file system of Beam's has errors of its own
            raise self._error(error) from error

    def describe(self) -> str:
        return self.folder

    def source(self) -> str:
        """Return the folder, whose files a replay reads."""
        return self.folder

    def _error(self, error: Exception) -> SinkError:
        return SinkError(f"{self.folder} cannot be written to: {reason_of(error)}; check {self.option}")


def write_file(folder: str, dead_letters: Iterable[DeadLetter]) -> str:
    return write_lines(folder, (one.to_json() for one in dead_letters))


def write_lines(folder: str, lines: Iterable[bytes], name: str | None = None) -> str:
    """Write a file of JSON lines and return its path. A file that has its final name is whole.

    Args:
        folder: For the file.
        lines: Without their ends.
        name: Name of the file; None for a new one, made of the time.
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
    """Return the files of a folder, oldest first, or those that fit a pattern that ends with `.jsonl`."""
    (matched,) = FileSystems.match([place if place.endswith(".jsonl") else FileSystems.join(place, "*.jsonl")])
    return sorted(metadata.path for metadata in matched.metadata_list)


def read_file(path: str, damaged: Callable[[str], None] | None = None) -> Iterator[DeadLetter]:
    """Yield the dead letters of a file.

    Args:
        path: Of the file.
        damaged: Called with a sentence about each line that is none, which is then left out; None refuses such a file.

    Raises:
        ConfigurationError: A line is none, or a compressed file is damaged; names the file.
    """
    with open_file(path) as file:
        for number, line in enumerate(file.read().splitlines(), start=1):
            try:
                yield DeadLetter.from_json(line)
            except (ValueError, LookupError, TypeError) as error:
                what = f"{path}, line {number}, is not a dead letter: {damage(error)}"
                if damaged is None:
                    raise ConfigurationError(f"{what}; remove the line, or move the file away") from None
                damaged(what)


def read_files(place: str) -> Iterator[DeadLetter]:
    """Yield the dead letters of a folder or of the files that fit a pattern, oldest file first."""
    for path in list_files(place):
        yield from read_file(path)
