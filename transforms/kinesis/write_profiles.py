"""WriteProfiles: exported profiles to a Kafka topic or to files of JSON lines."""

from __future__ import annotations

from dataclasses import dataclass

import apache_beam as beam
import orjson

from transforms.kinesis.exported_profiles import MEMBERSHIP
from transforms.kinesis.record import ARRIVAL, SEQUENCE_NUMBER, SHARD
from transforms.records.chunk import Chunk
from transforms.records.record import Message, Record
from transforms.sinks.base import Sinks, write_to_all
from transforms.worker import metrics

# They are written once this many bytes are waiting, and at the end of the bundle.
_WAITING_BYTES = 8_000_000


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
        return chunks | beam.ParDo(_Write(self._sinks))


class _Write(beam.DoFn):
    def __init__(self, sinks: Sinks):
        self._sinks = sinks

    def start_bundle(self) -> None:
        self._waiting: list[ProfileEntry] = []
        self._bytes = 0

    def process(self, element: Chunk) -> None:
        for record, body in zip(element.records, element.bodies, strict=True):
            self._waiting.append(ProfileEntry(record, body))
            self._bytes += len(body)
        if self._bytes >= _WAITING_BYTES:
            self._write()

    def finish_bundle(self) -> None:
        if self._waiting:
            self._write()

    def _write(self) -> None:
        write_to_all(self._sinks, self._waiting)
        metrics.count(metrics.ACCEPTED, len(self._waiting))
        self.start_bundle()
