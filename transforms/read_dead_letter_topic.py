"""Dead letters in a Kafka topic: reading them back from a record and its headers."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import apache_beam as beam
import orjson

from transforms.kafka.client import KafkaCluster, NamedStart
from transforms.kafka.read import ReadFromKafka, new_source_id
from transforms.kafka.reader import Reader
from transforms.kafka.restriction import PositionsTracker, deal, decode
from transforms.kafka.source import BundleLimits, KafkaSource
from transforms.kafka.start import resolve_start
from transforms.records.chunk import Chunk
from transforms.records.dead_letter import REPLAYS_HEADER, DeadLetter, damage, time_of
from transforms.records.record import UNREADABLE_HEADERS, Record
from transforms.worker import metrics

_LOG = logging.getLogger(__name__)

_CONNECT, _OURS = "__connect.errors.", "beam_aep."

# The element of a replay: a few dead letters, for the same reason that records flow in chunks.
Run = list[DeadLetter]


class ReadDeadLetterTopic(beam.PTransform):
    """Reads a dead-letter topic. What is not a dead letter is skipped, with a warning."""

    def __init__(self, read: ReadFromKafka):
        super().__init__()
        self._read = read

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection[Run]:
        return pipeline | self._read | "Headers" >> beam.Map(_letters).with_output_types(Run)


def _letters(chunk: Chunk) -> Run:
    letters = dead_letters_of(chunk)
    metrics.count(metrics.PASSED_OVER, len(chunk.records) - len(letters))
    return letters


def dead_letters_of(chunk: Chunk) -> Run:
    """Return the dead letters that the records of a dead-letter topic are; warns of the others."""
    letters: Run = []
    first = ""
    for record in chunk.records:
        try:
            letters.append(from_message(record))
        except (LookupError, ValueError, TypeError) as error:
            # Not what a header has: it may be of a record.
            why = damage(error) if isinstance(error, LookupError) else "its headers are damaged"
            place = f"topic {chunk.topic} partition {chunk.partition} offset {record.offset}"
            first = first or f"{place} is not a dead letter and is skipped: {why}"
    others = len(chunk.records) - len(letters) - 1
    if first:  # one line for many: the topic may be of another kind altogether
        _LOG.warning("%s%s", first, f"; so are {others} of those behind it" if others else "")
    return letters


def from_message(message: Record) -> DeadLetter:
    """Return the dead letter that a record of a dead-letter topic is, ours or that of a Kafka Connect sink.

    Headers of the original whose names begin as ours or Kafka Connect's do are not told from those of the reason.

    Raises:
        LookupError, ValueError, TypeError: It is none, or its headers are damaged.
    """
    if message.headers == UNREADABLE_HEADERS:
        raise ValueError("the name of a header is not UTF-8")
    said = {
        name: value.decode()
        for name, value in message.headers
        if value is not None and name.startswith((_CONNECT, _OURS))
    }
    own = tuple(header for header in message.headers if not header[0].startswith((_CONNECT, _OURS)))

    def reason(ours: str, connect: str) -> str:
        return said.get(_OURS + ours, said.get(_CONNECT + connect, ""))

    errors = orjson.loads(said.get("beam_aep.errors", "[]"))
    one = DeadLetter(
        stage=reason("stage", "stage"),
        code=reason("code", "exception.class.name"),
        message=reason("message", "exception.message"),
        topic=said["__connect.errors.topic"],
        partition=int(said["__connect.errors.partition"]),
        record=Record(
            int(said["__connect.errors.offset"]),
            int(said.get("beam_aep.timestamp", message.timestamp)),
            message.key,
            own,
            message.value,
        ),
        route=said.get("beam_aep.route", ""),
        pointer=said.get("beam_aep.pointer", ""),
        errors=errors,
        error_count=int(said.get("beam_aep.error_count", max(1, len(errors)))),
        schema=orjson.loads(said.get("beam_aep.schema", "{}")),
        attempts=int(said.get("beam_aep.attempts", 0)),
        replays=int(said.get(REPLAYS_HEADER, 0)),
        # A producer may write any timestamp, one that is not a date, too.
        at=time_of(said["beam_aep.at"]) if "beam_aep.at" in said else min(message.timestamp / 1000, time.time()),
    )
    one.check()
    return one


# To look at a topic no option says how: nothing is committed, and the look ends at the present end.
_LOOK_SECONDS = 60.0


def read_topic(cluster: KafkaCluster, topic: str, after: str | None = None) -> Iterator[DeadLetter]:
    """Yield the dead letters that the topic holds now, for a person to look at: commits nothing, joins no group.

    Args:
        cluster: Where the topic is.
        topic: Its name.
        after: A group whose committed offsets are begun at; None for the beginning of the topic.

    Raises:
        KafkaSetupError, KafkaReadError: The topic cannot be read.
    """
    source = KafkaSource(
        new_source_id(),
        cluster,
        (topic,),
        group_id=after or "beam-aep-show",
        reset="earliest",
        discovery_seconds=_LOOK_SECONDS,
        limits=BundleLimits(max_records=10_000, max_bytes=64_000_000, max_seconds=_LOOK_SECONDS, linger_seconds=1.0),
        hand_over_seconds=0.0,
        starts_at_committed=False,
        deadline=None,
    )
    begin: NamedStart = "earliest" if after is None else "committed"
    start = resolve_start(cluster, source.topics, source.group_id, begin, "earliest", stop_at_end=True)
    (shard,) = deal(start, 1)
    reader = Reader(source, shard)
    restriction = decode(shard.start)
    try:
        while not reader.is_at_ends():
            reader.go_to(restriction)
            tracker = PositionsTracker(restriction)
            for step in reader.read_bundle():
                tracker.try_claim(step.claim)
                if step.chunk is not None:
                    yield from dead_letters_of(step.chunk)
            restriction = tracker.current_restriction()
    finally:
        reader.close()
