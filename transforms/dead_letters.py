"""Dead letters: records that could not be delivered, each with its reason and its original bytes.

They are written in the bundle that read the record, by a sink fused with the step that refused it: when a sink fails,
the bundle fails and nothing is committed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

import apache_beam as beam

from transforms.records.dead_letter import DeadLetter
from transforms.records.redacted import redacted
from transforms.sinks.base import Sinks
from transforms.sinks.write import WriteEntriesFn
from transforms.worker import examples, metrics


class WriteDeadLetters(beam.PTransform):
    """Writes dead letters to the sinks, of which there must be one, by the end of the bundle, or fails the bundle."""

    def __init__(self, sinks: Sinks):
        super().__init__()
        if not sinks:
            raise ValueError("dead letters need a sink: without one they would be lost")
        self._sinks = sinks

    def expand(self, dead_letters: beam.PCollection[DeadLetter]) -> beam.PCollection[None]:
        """Add the sink."""
        return dead_letters | beam.ParDo(WriteEntriesFn(self._sinks, _alone, _size, _count))


def _alone(one: DeadLetter) -> tuple[DeadLetter]:
    return (one,)


def _size(one: DeadLetter) -> int:
    record = one.record
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.value or b"") + len(record.key or b"") + headers + 1000


def _count(written: Sequence[DeadLetter]) -> None:
    for code, number in Counter(one.code for one in written).items():
        metrics.count(metrics.DEAD_LETTERED + code, number)
    for code, one in {one.code: one for one in reversed(written)}.items():  # the first of each
        examples.keep(code, partial(redacted, one))
    for route, number in Counter(one.route for one in written).items():
        if route:  # what was not parsed has none where fields decide
            metrics.count(metrics.dead_lettered_by(route), number)
    for (route, code), number in Counter((one.route, one.code) for one in written).items():
        metrics.count_here(f"{metrics.DEAD_LETTERS_OF}{code}/{route}", number)
