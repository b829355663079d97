"""Receipts: for each record that AEP has received, AEP's `xactionId` and where the record was read."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import apache_beam as beam
import orjson

from transforms.records.chunk import Batch
from transforms.records.dead_letter import iso_time
from transforms.records.delivery import Answer
from transforms.records.record import Message
from transforms.sinks.base import Sinks
from transforms.sinks.write import WriteEntriesFn
from transforms.worker import metrics

# The element: receipts of a batch, each a line of JSON.
Receipts = list[bytes]


def receipts_of(batch: Batch, answers: Sequence[Answer], now: float | None = None) -> Receipts:
    """Return the receipts of the records of a batch that AEP has received.

    Args:
        answers: One for each record.
        now: Seconds since 1970, the time of the receipts; None for the clock's.
    """
    at = iso_time(time.time() if now is None else now)
    return [
        orjson.dumps(
            {
                **answer.receipt,
                "route": batch.route,
                "topic": chunk.topic,
                "partition": chunk.partition,
                "offset": record.offset,
                "at": at,
            }
        )
        for (chunk, record), answer in zip(batch.origins(), answers, strict=True)
        if answer.accepted
    ]


@dataclass(frozen=True)
class _Receipt:
    """A receipt as sinks take it."""

    line: bytes

    def to_json(self) -> bytes:
        return self.line

    def to_message(self) -> Message:
        return None, self.line, ()


class WriteReceipts(beam.PTransform):
    """Writes receipts to the sinks by the end of the bundle, or fails the bundle: a receipt that is missing would say
    that a record was not received.
    """

    def __init__(self, sinks: Sinks):
        super().__init__()
        self._sinks = sinks

    def expand(self, receipts: beam.PCollection[Receipts]) -> beam.PCollection[None]:
        """Add the sink."""
        return receipts | beam.ParDo(WriteEntriesFn(self._sinks, _entries, _size, _count))


def _entries(receipts: Receipts) -> list[_Receipt]:
    return [_Receipt(line) for line in receipts]


def _size(receipt: _Receipt) -> int:
    return len(receipt.line)


def _count(written: Sequence[_Receipt]) -> None:
    metrics.count(metrics.RECEIPTS, len(written))
