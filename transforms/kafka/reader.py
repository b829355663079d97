"""A Kafka consumer that yields chunks and can return to any position; one per shard and process."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from transforms.kafka.assignment import ShardAssignment
from transforms.kafka.causes import advice
from transforms.kafka.client import KafkaReadError, Partition
from transforms.kafka.commits import Commits
from transforms.kafka.group_assignment import GroupAssignment
from transforms.kafka.offsets import Committed, log_range
from transforms.kafka.properties import make_reader_consumer
from transforms.kafka.record import record_of
from transforms.kafka.restriction import Claim, Positions, Shard, TopicClaim
from transforms.kafka.source import KafkaSource
from transforms.kafka.start import reset_position
from transforms.records.chunk import CHUNK_RECORDS, Chunk, Record
from transforms.worker import metrics, process

_LOG = logging.getLogger(__name__)
_POLL_RECORDS = 500

# A poll for many takes all of this time, so where batches may wait only a little, it waits less.
_POLL_SECONDS = 0.02
_POLLS_A_LINGER = 4

_WARN_EVERY_SECONDS = 60.0

# Blocks reading and shutdown while it runs; a leader that is late is asked again.
_RANGE_SECONDS = 2.0


class Step(NamedTuple):
    """A result of `read_bundle`: the position to claim, and the records it covers, if any."""

    claim: Claim | TopicClaim
    chunk: Chunk | None = None


class Reader:
    """Reads the partitions of a shard.

    Attributes:
        lock: Held for the length of a bundle.
        lag: As last measured; None before that.

    Raises:
        KafkaSetupError: librdkafka does not accept `kafka_config`.
    """

    def __init__(self, source: KafkaSource, shard: Shard, clock: Callable[[], float] = time.monotonic):
        self.lock = threading.Lock()
        self.lag: int | None = None
        self._source = source
        self._clock = clock
        self._cut_short = False
        self._warn_at = float("-inf")
        self._gone: dict[Partition, int] = {}  # positions that are no longer in the log
        self._refused: set[str] = set()  # topics that may not be read
        self._ask_range_at = float("-inf")
        self._consumer = make_reader_consumer(source, shard, self._on_error, self._on_commit)
        kind = GroupAssignment if source.share_group else ShardAssignment
        self._assigned = kind(self._consumer, source, shard, clock)
        self._commits = Commits(self._consumer, self._name, self._assigned.has_read)

    def go_to(self, restriction: Positions) -> None:
        """Make the next bundle start where the restriction says."""
        self._assigned.go_to(restriction, certain=not self._cut_short)

    def read_bundle(self, may_end: Callable[[], bool] | None = None) -> Iterator[Step]:
        """Yield steps until the bundle is full, the log is read to its end, or there is a reason to stop.

        Args:
            may_end: Whether a bundle in which nothing was read yet should end, for what waits for its end; None lets it
                wait for records as long as its limits say.
        """
        # Until it ends well: its caller may drop what was fetched and not yet claimed.
        self._cut_short = True
        limits = self._source.limits
        asked_at = self._clock()
        first_at: float | None = None
        records = size = 0
        poll_seconds = min(_POLL_SECONDS, limits.linger_seconds / _POLLS_A_LINGER)
        idle_seconds = limits.idle_seconds if may_end is None else min(_POLL_SECONDS, limits.idle_seconds)
        yield from self._topic_steps()
        while not self.must_stop() and not self.is_at_ends():
            # A poll for many returns when it has them all or the time is up, so wait for the first alone.
            many = min(_POLL_RECORDS, limits.max_records - records)
            messages = self._consumer.consume(*((many, poll_seconds) if first_at else (1, idle_seconds)))
            metrics.asked()
            for step in self._steps(messages):
                if step.chunk is not None:
                    first_at = first_at or self._clock()
                    records += len(step.chunk.records)
                    size += sum([len(record.value or b"") for record in step.chunk.records])
                yield step
            yield from self._topic_steps()
            now = self._clock()
            if first_at is None:
                if now - asked_at >= limits.idle_seconds or (may_end is not None and may_end()):
                    break
            elif (
                records >= limits.max_records
                or size >= limits.max_bytes
                or now - first_at >= limits.max_seconds
                or (not messages and now - first_at >= limits.linger_seconds)
            ):
                break
        self._cut_short = False

    def _step(self, partition: Partition, offset: int, records: Sequence[Record] = ()) -> Step:
        """Return the step to the offset, without records beyond the partition's end, which are left to
        the next run.
        """
        end = (self._assigned.restriction.ends or {}).get(partition, offset)
        if offset > end:
            records = [record for record in records if record.offset < end]
            offset = max(end, self._assigned.positions[partition])
        self._assigned.positions[partition] = offset
        claim = Claim(partition, offset, self.log_end(partition))
        return Step(claim, Chunk(*partition, list(records)) if records else None)

    def _topic_steps(self) -> Iterator[Step]:
        """Yield the ids of topics found.

        Raises:
            KafkaReadError: A missing topic was deleted.
        """
        for topic in self._assigned.deleted():
            if not self._may_go(topic):
                raise KafkaReadError(
                    f"topic {topic} was deleted, or may no longer be read; create it, or take it out of kafka_topics"
                )
        for claim in self._assigned.topic_claims():
            if claim.next is not None:
                self._commits.forget(claim.topic)
                self._gone = {one: at for one, at in self._gone.items() if one[0] != claim.topic}
            yield Step(claim)

    def must_stop(self) -> bool:
        """Return whether nothing more should be read: the process is to end, or the time is up."""
        deadline = self._source.deadline
        return process.stop_requested.is_set() or (deadline is not None and time.time() >= deadline)

    def is_at_ends(self) -> bool:
        """Return whether everything before the ends is read: by this reader, or by other members of the group."""
        if self._assigned.restriction.ends is None or not self._assigned.known or self._assigned.suspended:
            return False
        left = self._assigned.left()
        return self._assigned.positions.keys().isdisjoint(left) and self._assigned.others_are_at(left)

    def log_end(self, partition: Partition) -> int:
        """Return the end of the partition's log as last heard from the broker, negative when nothing was heard yet."""
        try:
            _, high = self._consumer.get_watermark_offsets(TopicPartition(*partition), cached=True)
        except KafkaException:
            return -1
        return int(high)

    def measure_lag(self) -> int | None:
        """Return how many offsets of its partitions are still to be read; None until the brokers have once told the end
        of each. Any thread may ask.
        """
        positions = dict(self._assigned.positions)  # which the bundle's thread may change meanwhile
        ends = {one: self.log_end(one) for one in positions}
        if self.lag is not None or (self._assigned.known and min(ends.values(), default=0) >= 0):
            self.lag = sum(max(0, ends[one] - at) for one, at in positions.items())
        return self.lag

    def commit(self, positions: dict[Partition, Committed]) -> None:
        """Commit to the group without waiting, see `Commits.commit`."""
        self._commits.commit(positions)

    def commit_later(self, positions: dict[Partition, Committed]) -> Callable[[], None]:
        """Return a function to call once the records before these positions are delivered."""
        return self._commits.commit_later(positions)

    def owes_commit(self) -> bool:
        """Return whether a commit has failed and must be retried, without waiting for new records."""
        return self._commits.owed()

    def awaits_commit(self) -> bool:
        """Return whether a function from `commit_later` has not been called yet."""
        return self._commits.awaited()

    def _on_commit(self, _: KafkaError | None, offsets: Sequence[TopicPartition]) -> None:
        self._commits.on_commit(offsets)

    def close(self) -> None:
        """Commit what is left to commit, wait for it, and leave the group."""
        self.commit({})
        self._assigned.close()

    @property
    def _name(self) -> str:
        return f"group {self._source.group_id}"

    def _steps(self, messages: Sequence[Message]) -> Iterator[Step]:
        positions = self._assigned.positions
        # A rebalance may have happened in the poll. What it added is claimed first, so that it is not forgotten.
        while self._assigned.fresh:
            partition = self._assigned.fresh.pop()
            yield self._step(partition, positions[partition])
        runs: dict[Partition, list[Record]] = {}
        ends: dict[Partition, int] = {}
        errors: list[Message] = []
        for message in messages:
            error = message.error()
            if error is None:
                partition = message.topic(), message.partition()
                run = runs.get(partition)
                if run is None:
                    runs[partition] = [record_of(message)]
                else:
                    run.append(record_of(message))
            elif error.code() == KafkaError._PARTITION_EOF:
                ends[message.topic(), message.partition()] = message.offset()
            else:
                errors.append(message)
        for partition, run in runs.items():
            if partition not in positions or partition[0] in self._assigned.suspended:
                continue  # revoked between being fetched and being handed out: another member reads it
            for at in range(0, len(run), CHUNK_RECORDS):
                records = run[at : at + CHUNK_RECORDS]
                yield self._step(partition, records[-1].offset + 1, records)
        for partition, offset in ends.items():
            # The end of the log lies beyond the last record where transaction markers or compacted records follow it.
            if offset > positions.get(partition, offset) and partition[0] not in self._assigned.suspended:
                yield self._step(partition, offset)
        restarted: set[str] = set()
        if any(message.error().code() in _MAYBE_ANOTHER_TOPIC for message in errors):
            self._assigned.ask_ids()
            for step in self._topic_steps():
                if isinstance(step.claim, TopicClaim) and step.claim.next is not None:
                    restarted.add(step.claim.topic)
                yield step
        for message in errors:
            if message.topic() not in restarted:  # otherwise it is about the topic before this one
                self._after_error(message)
        yield from self._resets()

    def _after_error(self, message: Message) -> None:
        error, partition = message.error(), (message.topic(), message.partition())
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            # Librdkafka has stopped to fetch from there.
            position = self._assigned.positions.get(partition)
            if position is not None:
                self._gone[partition] = position
        elif error.code() in _TOPIC_ERRORS and self._is_there(*partition):
            self._warn(f"topic {partition[0]} partition {partition[1]}: {error.str()}; it exists again")
            self._assigned.look_again()
        elif error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART and self._may_go(partition[0]):
            self._warn(f"topic {partition[0]} no longer exists")
            self._assigned.look_again()
        elif error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED and self._may_go(partition[0]):
            self._warn_of_right(error, partition[0])
        elif error.retriable() or error.code() in _PASSING:
            self._on_error(error)
        else:
            topic, number = partition
            place = self._name if topic is None else f"topic {topic} partition {number}"
            what = advice(error, "READ", self._name if topic is None else f"topic {topic}")
            raise KafkaReadError(f"{place}: {error.str()}{what or _ADVICE.get(error.code(), '')}")

    def _warn_of_right(self, error: KafkaError, topic: str) -> None:
        """Say once of a topic that a pattern has found that it may not be read; librdkafka keeps asking for it."""
        if topic not in self._refused:
            self._refused.add(topic)
            what = advice(error, "READ", f"topic {topic}")
            _LOG.warning(
                "topic %s is not read, although a pattern in kafka_topics matches it: %s%s", topic, error.str(), what
            )

    def _is_there(self, topic: str, number: int) -> bool:
        """Return whether the topic was created again by now, with or without the partition; -1 asks for the topic
        alone.
        """
        found = self._assigned.described(topic)
        held = (topic, number) in self._assigned.positions
        return found is not None and (number < 0 or not held or number in found.partitions)

    def _may_go(self, topic: str) -> bool:
        # Of those that a regular expression has found, the others are still there. What should be read to an end is
        # missed, and so is a topic that is named.
        return self._assigned.restriction.ends is None and topic not in self._source.topics

    def _resets(self) -> Iterator[Step]:
        """Continue in the partitions whose position is gone, as soon as their leaders report their range."""
        while self._gone and self._clock() >= self._ask_range_at:
            partition = next(iter(self._gone))
            position = self._gone.pop(partition)
            if position != self._assigned.positions.get(partition) or partition[0] in self._assigned.suspended:
                continue  # revoked, or moved, and then it is being fetched from again
            try:
                earliest, latest = log_range(self._consumer, partition, _RANGE_SECONDS)
            except KafkaReadError as error:
                self._gone[partition] = position  # behind the others
                self._ask_range_at = self._clock() + 1.0
                self._warn(f"{error}; it waits until they can be")
                return
            if partition[0] in self._assigned.created_again and earliest <= position <= latest:
                offset = position  # the error came late, and is about the topic before this one
            else:
                offset = reset_position(partition, position, earliest, latest, self._source.reset, self._name)
            self._assigned.move({partition: offset})
            yield self._step(partition, offset)

    def _on_error(self, error: KafkaError) -> None:
        """Handle errors that concern no partition, for librdkafka, which recovers by itself unless one is fatal."""
        if error.fatal():
            raise KafkaReadError(f"{self._name}: {error.str()}")
        self._warn(f"Kafka: {error.str()}; librdkafka keeps trying")

    def _warn(self, text: str) -> None:
        if self._clock() >= self._warn_at:
            self._warn_at = self._clock() + _WARN_EVERY_SECONDS
            _LOG.warning("%s", text)


_ADVICE = {
    KafkaError.INCONSISTENT_GROUP_PROTOCOL: "; a consumer of another kind, such as Kafka Connect's, is in this group: "
    "stop it, or choose another kafka_group_id",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "; was it deleted?",
}

# What librdkafka says of a topic that is deleted, whether it is created again or not.
_TOPIC_ERRORS = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC})

# A topic that was created again may not have the offsets and partitions of the one before it.
_MAYBE_ANOTHER_TOPIC = _TOPIC_ERRORS | {KafkaError._AUTO_OFFSET_RESET}

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
