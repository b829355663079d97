"""WriteProfiles: exported profiles to a Kafka topic or to files of JSON lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import apache_beam as beam
import orjson

from transforms.kinesis.exported_profiles import MEMBERSHIP
from transforms.kinesis.record import ARRIVAL, SEQUENCE_NUMBER, SHARD
from transforms.records.chunk import Chunk
from transforms.records.record import Message, Record
from transforms.sinks.base import Sinks
from transforms.sinks.write import WriteEntriesFn
from transforms.worker import metrics


@dataclass(frozen=True)
class ProfileEntry:
    """An exported profile as sinks take it.

    Attributes:
        record: As it was read, with the header of its membership.
        body: The profile as JSON.
    """

    record: Record
    body: bytes

    def to_json(self) -> bytes:
        """Return a line with the profile, and beside it what a message has in its key and headers."""
        headers = {name: (value or b"").decode() for name, value in self.record.headers}
        key = self.record.key
        return orjson.dumps(
            {
                "membership": headers[MEMBERSHIP],
                "partition_key": None if key is None else key.decode(),
                "shard": headers[SHARD],
                "sequence_number": headers[SEQUENCE_NUMBER],
                "arrival": headers[ARRIVAL],
                "profile": orjson.Fragment(self.body),
            }
        )

    def to_message(self) -> Message:
        """Return the record's own bytes under its partition key, with its headers."""
        return self.record.key, self.record.value, self.record.headers


class WriteProfiles(beam.PTransform):
    """Write exported profiles to the sinks, of which there must be one, by the end of the bundle, or fail it."""

    def __init__(self, sinks: Sinks):
        super().__init__()
        self._sinks = sinks

    def expand(self, chunks: beam.PCollection[Chunk]) -> beam.PCollection[None]:
        """Add the sink."""
        return chunks | beam.ParDo(WriteEntriesFn(self._sinks, _entries, _size, _count))


def _entries(chunk: Chunk) -> Iterator[ProfileEntry]:
    return map(ProfileEntry, chunk.records, chunk.bodies)


def _size(entry: ProfileEntry) -> int:
    return len(entry.body)


def _count(written: Sequence[ProfileEntry]) -> None:
    metrics.count(metrics.ACCEPTED, len(written))
