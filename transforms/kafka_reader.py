"""A Kafka consumer that hands out chunks and can go back to any position. One for each shard and process."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from transforms import process
from transforms.chunks import Chunk, Record
from transforms.kafka_client import (
    KafkaCluster,
    KafkaReadError,
    Partition,
    Reset,
    committed_offsets,
    list_partitions,
    reset_position,
)
from transforms.kafka_restriction import Positions, Shard

_LOG = logging.getLogger(__name__)
_TIMEOUT_SECONDS = 15.0
_CHUNK_RECORDS = 100
_POLL_RECORDS = 500
_WARN_EVERY_SECONDS = 60.0

# What this source decides; kafka_config may not.
OWNED_PROPERTIES = {
    "group.id": "kafka_group_id",
    "enable.auto.commit": "offsets are committed when a bundle is finalised",
    "enable.auto.offset.store": "offsets are committed when a bundle is finalised",
    "auto.offset.reset": "kafka_reset",
    "enable.partition.eof": "the end of the log is watched for",
}


@dataclass(frozen=True)
class BundleLimits:
    """When a bundle ends, whichever comes first. It bounds duplicates, memory and the delay of checkpoints.

    Attributes:
      max_records, max_bytes, max_seconds: since the bundle's first record.
      linger_seconds: once the log is read to its end, how long to wait for more to fill the last batch.
      idle_seconds: how long an empty poll may block; readers that share a thread with others must not block long.
    """

    max_records: int = 50_000
    max_bytes: int = 64_000_000
    max_seconds: float = 5.0
    linger_seconds: float = 1.0
    idle_seconds: float = 1.0


@dataclass(frozen=True)
class KafkaSource:
    """What is read, and how.

    Attributes:
      id: tells the sources of one process apart.
      cluster, topics, group_id: from where; topics that start with ``^`` are regular expressions.
      reset: where to go on when records at a position are gone.
      share_group: be a member of the consumer group, which deals the partitions to its members; for local runs. Off:
        the shards read fixed partitions, for runners that keep positions themselves.
      discovery_seconds: how often to look for new topics and partitions.
      deadline: seconds since 1970 after which nothing more is read.
      limits: of a bundle.
    """

    id: str
    cluster: KafkaCluster
    topics: tuple[str, ...]
    group_id: str
    reset: Reset = "earliest"
    share_group: bool = False
    discovery_seconds: float = 60.0
    deadline: float | None = None
    limits: BundleLimits = BundleLimits()


class Step(NamedTuple):
    """What ``read_bundle`` yields: the partition is read up to ``offset``; ``chunk`` has the records, if any."""

    partition: Partition
    offset: int
    chunk: Chunk | None


class Reader:
    """Reads the partitions of a shard. ``lock`` is held for the length of a bundle."""

    def __init__(self, source: KafkaSource, shard: Shard, clock: Callable[[], float] = time.monotonic):
        self.lock = threading.Lock()
        self._source = source
        self._clock = clock
        self._positions: dict[Partition, int] = {}
        self._fresh: list[Partition] = []  # partitions whose position the restriction does not know yet
        self._start: dict[Partition, int] = {}
        self._uncommitted: dict[Partition, int] = {}
        self._commit_lock = threading.Lock()
        self._warn_at = float("-inf")
        self._consumer = Consumer(_properties(source, shard, self._on_error), logger=_LOG)
        self._assignment: _GroupAssignment | _ShardAssignment = (
            _GroupAssignment(self) if source.share_group else _ShardAssignment(self, shard)
        )

    def go_to(self, restriction: Positions) -> None:
        """Makes the next bundle start where the restriction says."""
        self._start = restriction.next
        for partition, position in list(self._positions.items()):
            wanted = restriction.next.get(partition)
            if wanted is not None and wanted != position and partition not in self._fresh:
                self._seek(partition, wanted)
        self._assignment.refresh()

    def read_bundle(self, ends: dict[Partition, int] | None) -> Iterator[Step]:
        """Yields steps until the bundle is full, the log is read to its end, or there is a reason to stop."""
        limits = self._source.limits
        asked_at = self._clock()
        first_at: float | None = None
        records = size = 0
        while not self.must_stop() and not self.is_at(ends):
            messages = self._poll(limits.idle_seconds if first_at is None else 0.02, first_at is None)
            # A rebalance may have happened in the poll.
            yield from self._take_fresh()
            for step in self._steps(messages):
                if step.chunk is not None:
                    first_at = first_at or self._clock()
                    records += len(step.chunk.records)
                    size += sum(len(record.value or b"") for record in step.chunk.records)
                self._positions[step.partition] = step.offset
                yield step
            now = self._clock()
            if first_at is None:
                if now - asked_at >= limits.idle_seconds:
                    return
            elif (
                records >= limits.max_records
                or size >= limits.max_bytes
                or now - first_at >= limits.max_seconds
                or (not messages and now - first_at >= limits.linger_seconds)
            ):
                return

    def must_stop(self) -> bool:
        """Whether nothing more should be read: the process is to end, or the time is up."""
        deadline = self._source.deadline
        return process.stop_requested.is_set() or (deadline is not None and time.time() >= deadline)

    def is_at(self, ends: dict[Partition, int] | None) -> bool:
        """Whether everything before the ends is read: by this reader, or by other members of the group."""
        if ends is None or not self._assignment.known:
            return False
        left = {one: end for one, end in ends.items() if self._positions.get(one, self._start.get(one, 0)) < end}
        if any(one in self._positions for one in left):
            return False
        return self._assignment.others_are_at(left)

    def log_end(self, partition: Partition) -> int:
        """The end of the partition's log as last heard from the broker, -1 when nothing was heard yet."""
        try:
            _, high = self._consumer.get_watermark_offsets(TopicPartition(*partition), cached=True)
        except KafkaException:
            return -1
        return int(high)

    def commit(self, positions: dict[Partition, int]) -> None:
        """Commits to the group. What cannot be committed now is tried again with the next commit.

        Not committing loses nothing: after a restart the records are read again.
        """
        with self._commit_lock:
            for partition, offset in positions.items():
                self._uncommitted[partition] = max(offset, self._uncommitted.get(partition, -1))
            mine = {one: offset for one, offset in self._uncommitted.items() if one in self._positions}
            if not mine:
                self._uncommitted.clear()
                return
            try:
                result = self._consumer.commit(offsets=_at(mine), asynchronous=False) or []
            except (KafkaException, RuntimeError) as error:
                _LOG.warning("offsets of %s could not be committed, they will be with the next: %s", self._name, error)
                return
            self._uncommitted.clear()
            for one in result:
                if one.error is not None:
                    self._uncommitted[one.topic, one.partition] = one.offset
                    _LOG.warning(
                        "offset %d of topic %s partition %d could not be committed, it will be with the next: %s",
                        *(one.offset, one.topic, one.partition, one.error.str()),
                    )

    def close(self) -> None:
        """Commits what is left to commit and leaves the group."""
        if self._uncommitted:
            self.commit({})
        self._consumer.close()

    @property
    def _name(self) -> str:
        return f"group {self._source.group_id}"

    def _poll(self, timeout: float, first: bool) -> list[Message]:
        # A poll for many returns when it has them all or the time is up; so ask for one first, then for its followers.
        messages: list[Message] = self._consumer.consume(1 if first else _POLL_RECORDS, timeout)
        if first and messages:
            messages += self._consumer.consume(_POLL_RECORDS - 1, 0)
        return messages

    def _take_fresh(self) -> Iterator[Step]:
        fresh, self._fresh = self._fresh, []
        for partition in fresh:
            if partition in self._positions:
                yield Step(partition, self._positions[partition], None)

    def _steps(self, messages: Sequence[Message]) -> Iterator[Step]:
        runs: dict[Partition, list[Record]] = {}
        ends: dict[Partition, int] = {}
        for message in messages:
            error = message.error()
            if error is None:
                partition = message.topic(), message.partition()
                run = runs.get(partition)
                if run is None:
                    run = runs[partition] = []
                run.append(
                    Record(
                        message.offset(),
                        message.timestamp()[1],
                        message.key(),
                        tuple(message.headers() or ()),
                        message.value(),
                    )
                )
            elif error.code() == KafkaError._PARTITION_EOF:
                ends[message.topic(), message.partition()] = message.offset()
            else:
                self._on_partition_error(error, message)
        for partition, run in runs.items():
            if partition not in self._positions:
                continue  # revoked between being fetched and being handed out: another member reads it
            for at in range(0, len(run), _CHUNK_RECORDS):
                records = run[at : at + _CHUNK_RECORDS]
                yield Step(partition, records[-1].offset + 1, Chunk(*partition, records))
        for partition, offset in ends.items():
            # The end of the log lies beyond the last record where transaction markers or compacted records follow it.
            if offset > self._positions.get(partition, offset):
                yield Step(partition, offset, None)

    def _on_partition_error(self, error: KafkaError, message: Message) -> None:
        partition = message.topic(), message.partition()
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            earliest, latest = self._consumer.get_watermark_offsets(TopicPartition(*partition), _TIMEOUT_SECONDS)
            position = self._positions.get(partition)
            self._seek(partition, reset_position(partition, position, earliest, latest, self._source.reset, self._name))
            self._fresh.append(partition)
        elif error.retriable() or error.code() in _PASSING:
            self._on_error(error)
        else:
            raise KafkaReadError(f"topic {partition[0]} partition {partition[1]}: {error.str()}")

    def _on_error(self, error: KafkaError) -> None:
        """Called by librdkafka for what concerns no partition; it goes on by itself unless the error is fatal."""
        if error.fatal():
            raise KafkaReadError(f"{self._name}: {error.str()}")
        if self._clock() >= self._warn_at:
            self._warn_at = self._clock() + _WARN_EVERY_SECONDS
            _LOG.warning("Kafka: %s; librdkafka keeps trying", error.str())

    def _seek(self, partition: Partition, offset: int) -> None:
        self._positions[partition] = offset
        self._consumer.seek(TopicPartition(*partition, offset))


class _ShardAssignment:
    """Fixed partitions, found by looking for them now and then."""

    def __init__(self, reader: Reader, shard: Shard):
        self._reader = reader
        self._shard = shard
        self._look_at = float("-inf")
        self.known = False

    def refresh(self) -> None:
        """Takes in the shard's partitions that exist by now."""
        reader = self._reader
        now = reader._clock()
        if now < self._look_at:
            return
        self._look_at = now + reader._source.discovery_seconds
        found = list_partitions(reader._source.cluster, reader._consumer, reader._source.topics)
        exist = {(topic, number) for topic, numbers in found.items() for number in numbers}
        # What the restriction knows is read even while a broker is slow to list it.
        mine = sorted({one for one in exist if self._shard.holds(one)} | set(reader._start))
        new = {one: reader._start.get(one) for one in mine if one not in reader._positions}
        for partition, position in new.items():
            if position is None:
                position = _beginning(reader._consumer, partition)
                _LOG.info("topic %s partition %d is new, reading it from offset %d", *partition, position)
                reader._fresh.append(partition)
            reader._positions[partition] = position
        if new:
            reader._consumer.incremental_assign(_at({one: reader._positions[one] for one in new}))
        self.known = True

    def others_are_at(self, left: dict[Partition, int]) -> bool:
        """No other reader has partitions of this shard."""
        return not left


class _GroupAssignment:
    """The partitions that the group's coordinator deals to this member."""

    def __init__(self, reader: Reader):
        self._reader = reader
        self._held: dict[Partition, int] = {}
        self._ask_at = float("-inf")
        self._first = True
        self.known = False

    def refresh(self) -> None:
        """Joins the group at the first bundle."""
        if self._first:
            self._first = False
            self._reader._consumer.subscribe(
                list(self._reader._source.topics),
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_lost,
            )

    def others_are_at(self, left: dict[Partition, int]) -> bool:
        """Whether the other members have committed up to these offsets; asked once a second."""
        if not left:
            return True
        if self._reader._clock() < self._ask_at:
            return False
        self._ask_at = self._reader._clock() + 1.0
        committed = committed_offsets(self._reader._consumer, list(left))
        return all(committed.get(one, -1) >= end for one, end in left.items())

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        reader = self._reader
        assigned = [(one.topic, one.partition) for one in partitions]
        positions = {one: self._held[one] for one in assigned if one in self._held}
        if not self.known:
            positions |= {one: reader._start[one] for one in assigned if one in reader._start}
        # A partition that comes later comes from another member, or is new.
        unknown = [one for one in assigned if one not in positions]
        committed = committed_offsets(consumer, unknown) if unknown else {}
        for one in unknown:
            positions[one] = committed.get(one, reader._start.get(one, -1))
            if positions[one] < 0:
                positions[one] = _beginning(consumer, one)
        self._held = {}
        reader._positions = positions
        reader._fresh = list(positions)
        consumer.assign(_at(positions))
        self.known = True
        _LOG.info("%s: this process reads %d partitions", reader._name, len(positions))

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        # They may come back in the same rebalance; then reading goes on without reading anything twice.
        self._held = dict(self._reader._positions)
        self._reader._positions = {}

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._held = {}
        self._reader._positions = {}
        _LOG.warning("%s: this process was taken for dead and its partitions given to others", self._reader._name)


# Librdkafka gets over these by itself.
_PASSING = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
        KafkaError._RESOLVE,
        KafkaError._MAX_POLL_EXCEEDED,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REQUEST_TIMED_OUT,
    }
)


def _properties(source: KafkaSource, shard: Shard, on_error: Callable[[KafkaError], None]) -> dict[str, object]:
    properties = source.cluster.properties()
    properties.pop("logger", None)
    return {
        # The queue of fetched messages counts towards the process's memory; on a cluster there are many readers.
        "queued.max.messages.kbytes": 32_768 if shard.of == 1 else 8_192,
        "queued.min.messages": 20_000,
        # By default a full queue is looked at again after a second, and the reader would run dry.
        "fetch.queue.backoff.ms": 20,
        # A killed process's partitions are dealt again after this long.
        "session.timeout.ms": 10_000,
        # A bundle may wait for AEP for hours; heartbeats go on meanwhile.
        "max.poll.interval.ms": 86_400_000,
        "topic.metadata.refresh.interval.ms": int(source.discovery_seconds * 1000),
        **properties,
        "group.id": source.group_id,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
        "error_cb": on_error,
    }


def _beginning(consumer: Consumer, partition: Partition) -> int:
    earliest, _ = consumer.get_watermark_offsets(TopicPartition(*partition), _TIMEOUT_SECONDS)
    return int(earliest)


def _at(offsets: dict[Partition, int]) -> list[TopicPartition]:
    return [TopicPartition(topic, number, offset) for (topic, number), offset in offsets.items()]
