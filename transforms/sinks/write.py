"""The step that writes to sinks: dead letters, receipts, and what pipelines that read Kinesis put out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import apache_beam as beam

from transforms.sinks.base import Entry, Sinks, write_to_all

# Entries are written once this many bytes are waiting, and at the end of the bundle.
_WAITING_BYTES = 8_000_000

E = TypeVar("E", bound=Entry)


class WriteEntriesFn(beam.DoFn, Generic[E]):
    """Writes the entries of elements to all sinks by the end of the bundle, or fails the bundle.

    Args:
        sinks: Where to write.
        entries: Makes the entries of an element.
        size: About how many bytes an entry holds.
        count: Counts entries that are written: the account of a run that fails must not name what is nowhere to be
            found.
    """

    def __init__(
        self,
        sinks: Sinks,
        entries: Callable[[Any], Iterable[E]],
        size: Callable[[E], int],
        count: Callable[[Sequence[E]], None],
    ):
        self._sinks = sinks
        self._entries = entries
        self._size = size
        self._count = count

    def start_bundle(self) -> None:
        self._waiting: list[E] = []
        self._bytes = 0

    def process(self, element: Any) -> None:
        for entry in self._entries(element):
            self._waiting.append(entry)
            self._bytes += self._size(entry)
        if self._bytes >= _WAITING_BYTES:
            self._write()

    def finish_bundle(self) -> None:
        if self._waiting:
            self._write()

    def _write(self) -> None:
        write_to_all(self._sinks, self._waiting)
        self._count(self._waiting)
        self.start_bundle()
