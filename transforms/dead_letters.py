"""Dead letters: records that could not be delivered, each with its reason and its original bytes.

They are written in the bundle that read the record, by a sink fused with the step that refused it: when a sink fails,
the bundle fails and nothing is committed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import apache_beam as beam

from transforms.kafka.client import KafkaCluster
from transforms.kafka.send import send_all
from transforms.records.chunk import Headers
from transforms.records.dead_letter import DeadLetter
from transforms.sinks.files import write_to_sink
from transforms.worker import metrics, process

# A file is written once this many bytes are waiting, and at the end of the bundle.
_FILE_BYTES = 8_000_000


@dataclass(frozen=True)
class DeadLetterSinks:
    """Where dead letters go; at least one must be given.

    Attributes:
      path: a folder on any Beam filesystem, for files of JSON lines.
      topic: a Kafka topic of ``cluster``; the value is the original, the reason is in the headers.
    """

    path: str | None = None
    topic: str | None = None
    cluster: KafkaCluster | None = None

    def __post_init__(self) -> None:
        if not self.path and not self.topic:
            raise ValueError("dead letters need a place: give dead_letter_path, dead_letter_topic or both")
        if self.topic and self.cluster is None:
            raise ValueError("dead_letter_topic needs kafka_bootstrap_servers")


class WriteDeadLetters(beam.PTransform):
    """Writes dead letters to the sinks by the end of the bundle, or fails the bundle."""

    def __init__(self, sinks: DeadLetterSinks):
        super().__init__()
        self._sinks = sinks

    def expand(self, dead_letters: beam.PCollection[DeadLetter]) -> beam.PCollection[None]:
        """Adds the sink."""
        return dead_letters | beam.ParDo(_WriteDeadLetters(self._sinks))


class _WriteDeadLetters(beam.DoFn):
    def __init__(self, sinks: DeadLetterSinks):
        self._sinks = sinks

    def start_bundle(self) -> None:
        self._waiting: list[DeadLetter] = []
        self._bytes = 0

    def process(self, element: DeadLetter) -> None:
        self._waiting.append(element)
        self._bytes += _size(element)
        if self._bytes >= _FILE_BYTES:
            self._write()

    def finish_bundle(self) -> None:
        if self._waiting:
            self._write()

    def _write(self) -> None:
        waiting = self._waiting
        with process.remember_failure():
            if self._sinks.path:
                write_to_sink(self._sinks.path, [one.to_json() for one in waiting], "dead_letter_path")
            if self._sinks.topic and self._sinks.cluster:
                send_all(self._sinks.cluster, self._sinks.topic, map(_as_message, waiting))
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


def _as_message(one: DeadLetter) -> tuple[bytes | None, bytes | None, Headers]:
    return one.record.key, one.record.value, one.kafka_headers()
