"""Dead letters: records that could not be delivered, each with its reason and its original bytes.

They are written in the bundle that read the record, by a sink fused with the step that refused it: when a sink fails,
the bundle fails and nothing is committed.
"""

from __future__ import annotations

from collections import Counter

import apache_beam as beam

from transforms.records.dead_letter import DeadLetter
from transforms.sinks.base import Sinks, write_to_all
from transforms.worker import metrics

# They are written once this many bytes are waiting, and at the end of the bundle.
_WAITING_BYTES = 8_000_000


class WriteDeadLetters(beam.PTransform):
    """Writes dead letters to the sinks, of which there must be one, by the end of the bundle, or fails the bundle."""

    def __init__(self, sinks: Sinks):
        super().__init__()
        if not sinks:
            raise ValueError("dead letters need a sink: without one they would be lost")
        self._sinks = sinks

    def expand(self, dead_letters: beam.PCollection[DeadLetter]) -> beam.PCollection[None]:
        """Add the sink."""
        return dead_letters | beam.ParDo(_WriteDeadLetters(self._sinks))


class _WriteDeadLetters(beam.DoFn):
    def __init__(self, sinks: Sinks):
        self._sinks = sinks

    def start_bundle(self) -> None:
        self._waiting: list[DeadLetter] = []
        self._bytes = 0

    def process(self, element: DeadLetter) -> None:
        self._waiting.append(element)
        self._bytes += _size(element)
        if self._bytes >= _WAITING_BYTES:
            self._write()

    def finish_bundle(self) -> None:
        if self._waiting:
            self._write()

    def _write(self) -> None:
        waiting = self._waiting
        write_to_all(self._sinks, waiting)
        # Only now: the account of a run that fails must not name what is nowhere to be found.
        for code, number in Counter(one.code for one in waiting).items():
            metrics.count(metrics.DEAD_LETTERED + code, number)
        for route, number in Counter(one.route for one in waiting).items():
            if route:  # what was not parsed has none where fields decide
                metrics.count(metrics.dead_lettered_by(route), number)
        self.start_bundle()


def _size(one: DeadLetter) -> int:
    record = one.record
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.value or b"") + len(record.key or b"") + headers + 1000
