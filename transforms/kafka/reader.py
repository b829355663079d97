"""A Kafka consumer that yields chunks and can return to any position; one per shard and process."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from transforms.kafka.assignment import Assignment, ShardAssignment
from transforms.kafka.client import KafkaReadError, Partition
from transforms.kafka.commits import Commits
from transforms.kafka.group_assignment import GroupAssignment
from transforms.kafka.member import Member
from transforms.kafka.offsets import Committed, log_range
from transforms.kafka.properties import make_reader_consumer
from transforms.kafka.read_errors import MAYBE_ANOTHER_TOPIC, ReadErrors
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

# Brokers that are frozen, or cut off silently, leave connections open: no error reports them for a minute.
_SILENT_SECONDS = 15.0

# Blocks reading and shutdown while it runs; a leader that is late is asked again.
_RANGE_SECONDS = 2.0

# How long a worker that is to end waits for bundles to be finalised.
_FINALISED_SECONDS = 1.0


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
        self._gone: dict[Partition, int] = {}  # positions that are no longer in the log
        self._ask_range_at = float("-inf")
        self._heard: dict[Partition, int] = {}  # ends of logs
        self._polls = threading.Lock()  # held while the consumer is polled
        self._consumer = make_reader_consumer(source, shard, self._on_error, self._on_commit)
        member = Member(source, self._on_commit, self._retry) if source.share_group else None
        self._commits = Commits(member.consumer if member else self._consumer, self._name, self._has_read)
        self._assigned: Assignment = (
            GroupAssignment(self._consumer, source, shard, clock, member, self._commits)
            if member
            else ShardAssignment(self._consumer, source, shard, clock)
        )
        self._errors = ReadErrors(source, self._assigned, clock)

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
        records = size = steps = 0
        poll_seconds = min(_POLL_SECONDS, limits.linger_seconds / _POLLS_A_LINGER)
        idle_seconds = limits.idle_seconds if may_end is None else min(_POLL_SECONDS, limits.idle_seconds)
        for step in self._topic_steps():
            steps += 1
            yield step
        while not (self.must_stop() or self.is_at_ends() or self.hands_over()):
            # A poll for many returns when it has them all or the time is up, so wait for the first alone.
            many = min(_POLL_RECORDS, limits.max_records - records)
            # The first partitions, which are dealt meanwhile, are taken in after it.
            wait_seconds = idle_seconds if self._assigned.known else min(_POLL_SECONDS, idle_seconds)
            with self._polls:
                messages = self._consumer.consume(*((many, poll_seconds) if first_at else (1, wait_seconds)))
            if self._assigned.known:
                metrics.asked()
            self._assigned.follow()
            if (silence := self.silence()) is not None:
                self._errors.warn(f"Kafka has not answered for {silence} s; nothing is read until it does")
            for error in self._assigned.errors():
                self._errors.of_client(error)
            messages += self._assigned.messages()
            for step in chain(self._steps(messages), self._topic_steps()):
                steps += 1
                if step.chunk is not None:
                    first_at = first_at or self._clock()
                    records += len(step.chunk.records)
                    size += sum([len(record.value or b"") for record in step.chunk.records])
                yield step
            now = self._clock()
            if first_at is None:
                waited_for = steps or self._commits.owed()
                end_seconds = limits.idle_seconds if waited_for else limits.quiet_seconds
                if now - asked_at >= end_seconds or (may_end is not None and may_end()):
                    break
            elif (
                records >= limits.max_records
                or size >= limits.max_bytes
                or now - first_at >= limits.max_seconds
                or (not messages and now - first_at >= limits.linger_seconds)
            ):
                break
        self._cut_short = False

    def _step(self, partition: Partition, offset: int, records: Sequence[Record] = ()) -> Iterator[Step]:
        """Yield the step to the offset, without records beyond the partition's end, which are left to
        the next run; none if nothing more may be read of the partition.
        """
        end = (self._assigned.restriction.ends or {}).get(partition, offset)
        if offset > end:
            records = [record for record in records if record.offset < end]
            offset = max(end, self._assigned.positions[partition])
        if self._assigned.advance(partition, offset):
            claim = Claim(partition, offset, self.log_end(partition))
            yield Step(claim, Chunk(*partition, list(records)) if records else None)

    def _topic_steps(self) -> Iterator[Step]:
        """Yield the ids of topics found.

        Raises:
            KafkaReadError: A missing topic was deleted.
        """
        for topic in self._assigned.deleted():
            if not self._errors.may_go(topic):
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

    def hands_over(self) -> bool:
        """Return whether other members wait for what was read here to be delivered: the bundle should end."""
        return self._assigned.hands_over()

    def log_end(self, partition: Partition) -> int:
        """Return the end of the partition's log as last heard from the broker, negative when nothing was heard yet."""
        try:
            _, high = self._consumer.get_watermark_offsets(TopicPartition(*partition), cached=True)
        except KafkaException:
            return -1
        self._heard[partition] = int(high)
        return int(high)

    def measure_lag(self) -> int | None:
        """Return how many offsets of its partitions are still to be read; None until the brokers have once told the end
        of each. Any thread may ask.
        """
        positions = dict(self._assigned.positions)  # which the bundle's thread may change meanwhile
        # The consumer lets nobody else in during a poll, nor for long after it where the next one follows at once.
        if self._polls.acquire(blocking=False):
            try:
                ends = {one: self.log_end(one) for one in positions}
            finally:
                self._polls.release()
        else:
            ends = {one: self._heard.get(one, -1) for one in positions}
        if self.lag is not None or (self._assigned.known and min(ends.values(), default=0) >= 0):
            self.lag = sum(max(0, ends[one] - at) for one, at in positions.items())
        return self.lag

    def uncommitted(self) -> int:
        """Return how many records would be read again if this process were killed; any thread may ask."""
        return self._assigned.uncommitted()

    def silence(self) -> int | None:
        """Return for how many seconds Kafka has not answered; None while it does. Any thread may ask."""
        seconds = self._assigned.silence()
        return int(seconds) if seconds >= _SILENT_SECONDS else None

    def commit(self, positions: dict[Partition, Committed]) -> None:
        """Commit to the group without waiting, see `Commits.commit`."""
        self._assigned.when_delivered(partial(self._commits.commit, positions))()

    def commit_later(self, positions: dict[Partition, Committed]) -> Callable[[], None]:
        """Return a function to call once the records before these positions are delivered."""
        return self._assigned.when_delivered(self._commits.commit_later(positions))

    def owes_commit(self) -> bool:
        """Return whether a commit has failed and must be retried, without waiting for new records."""
        return self._commits.owed()

    def awaits_commit(self) -> bool:
        """Return whether a commit of `commit_later` has not been made yet."""
        return self._commits.awaited()

    def has_committed(self, waited_seconds: float) -> bool:
        """Make commits again that have failed, as the process of a worker ends; whether none is left, nor to come.

        Args:
            waited_seconds: How long this has been asked for. What the runner asked for last comes soon or never, as
                where a job failed.
        """
        if not self.lock.acquire(blocking=False):
            return True  # a bundle reads still, so the job has not come to its end
        try:
            self._cut_short = True  # the poll may lose records to a bundle that still comes
            self._consumer.poll(0)
            return self._retry() and (waited_seconds >= _FINALISED_SECONDS or not self.awaits_commit())
        finally:
            self.lock.release()

    def _has_read(self, partition: Partition, read: Committed) -> bool:
        return self._assigned.has_read(partition, read)

    def _retry(self) -> bool:
        return self._commits.retry()

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
            yield from self._step(partition, positions[partition])
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
                yield from self._step(partition, records[-1].offset + 1, records)
        for partition, offset in ends.items():
            # The end of the log lies beyond the last record where transaction markers or compacted records follow it.
            if offset > positions.get(partition, offset) and partition[0] not in self._assigned.suspended:
                yield from self._step(partition, offset)
        restarted: set[str] = set()
        if any(message.error().code() in MAYBE_ANOTHER_TOPIC for message in errors):
            self._assigned.ask_ids()
            for step in self._topic_steps():
                if isinstance(step.claim, TopicClaim) and step.claim.next is not None:
                    restarted.add(step.claim.topic)
                yield step
        for message in errors:
            if message.topic() not in restarted:  # otherwise it is about the topic before this one
                self._after_error(message)
        yield from self._resets()

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
                self._errors.warn(f"{error}; it waits until they can be")
                return
            if partition[0] in self._assigned.created_again and earliest <= position <= latest:
                offset = position  # the error came late, and is about the topic before this one
            else:
                offset = reset_position(partition, position, earliest, latest, self._source.reset, self._name)
            self._assigned.move({partition: offset})
            yield from self._step(partition, offset)

    def _after_error(self, message: Message) -> None:
        partition = message.topic(), message.partition()
        if message.error().code() != KafkaError._AUTO_OFFSET_RESET:
            self._errors.after(message)
        elif (position := self._assigned.positions.get(partition)) is not None:
            self._gone[partition] = position  # librdkafka has stopped to fetch from there

    def _on_error(self, error: KafkaError) -> None:
        self._errors.of_client(error)
