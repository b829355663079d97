"""Reads Kafka as a runner would, and does to topics what brings readers into trouble."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Literal

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from pipelines.options.kafka import KafkaOptions
from testing.services.kafka import KafkaBroker
from testing.services.process import PATIENCE_SECONDS, wait_for
from transforms.kafka.client import KafkaCluster, NamedStart, Partition
from transforms.kafka.group_assignment import GroupAssignment
from transforms.kafka.offsets import Committed
from transforms.kafka.reader import Reader
from transforms.kafka.restriction import PositionsTracker, Shard, deal, decode
from transforms.kafka.source import BundleLimits, KafkaSource
from transforms.kafka.start import Start, resolve_start
from transforms.records.chunk import Record

QUICK = BundleLimits(
    max_records=300,
    max_bytes=KafkaOptions().bundle_max_bytes,
    max_seconds=2.0,
    linger_seconds=0.1,
    idle_seconds=0.2,
    quiet_seconds=0.2,
)


class Member:
    """A reader driven as a runner drives it: each bundle starts where the claims of the last one ended."""

    def __init__(self, source: KafkaSource, start: Start, shard: int = 0, of: int = 1):
        dealt = deal(start, of)[shard]
        self.restriction = decode(dealt.start)
        self.reader = Reader(source, Shard(*dealt))
        self.read: dict[Partition, list[Record]] = {}
        self.advanced: dict[Partition, Committed] = {}

    def bundle(self, commit: bool = True, claims: int | None = None, fail: bool = False) -> int:
        """Read a bundle and return the number of its records.

        Args:
            commit: Finalise it.
            claims: A checkpoint is taken after so many claims.
            fail: The bundle fails at its end: what it read counts for nothing, and it will be tried again.
        """
        self.reader.go_to(self.restriction)
        tracker = PositionsTracker(self.restriction)
        records: list[tuple[Partition, Record]] = []
        claimed: set[Partition] = set()
        for step in self.reader.read_bundle():
            if claims == 0:
                tracker.try_split(0)
            if not tracker.try_claim(step.claim):
                break
            claims = None if claims is None else claims - 1
            claimed |= step.claim.partitions()
            if step.chunk is not None:
                records += [((step.chunk.topic, step.chunk.partition), record) for record in step.chunk.records]
        self.advanced = tracker.current_restriction().to_commit(claimed)
        if not fail:
            self.restriction = tracker.current_restriction()
            for partition, record in records:
                self.read.setdefault(partition, []).append(record)
            if commit and (self.advanced or self.reader.owes_commit()):  # as the splittable DoFn does
                self.reader.commit(self.advanced)
        return len(records)

    @property
    def done(self) -> bool:
        """Everything up to the ends is read and claimed."""
        self.reader.go_to(self.restriction)
        return self.reader.is_at_ends()

    def offsets(self) -> dict[Partition, list[int]]:
        """Return the offsets read, by partition."""
        return {partition: [record.offset for record in records] for partition, records in self.read.items()}

    def values(self) -> list[bytes | None]:
        """Return all the values read."""
        return [record.value for records in self.read.values() for record in records]


def read_to_end(*members: Member) -> None:
    """Let members read in turn until all have read everything up to their ends."""

    def step() -> bool:
        for member in members:
            member.bundle()
        return all(member.done for member in members)

    wait_for(step, PATIENCE_SECONDS, "the ends")


def assert_once(member: Member, values: set[bytes]) -> None:
    """Each value was read once, and each partition in the order of its offsets."""
    read = member.values()
    assert set(read) == values
    assert len(read) == len(values)
    for offsets in member.offsets().values():
        assert all(before < after for before, after in pairwise(offsets))


def numbers(broker: KafkaBroker, topic: str, amount: int, partitions: int, first: int = 0) -> set[bytes]:
    """Write numbers to the partitions in turn, and return them."""
    values = [b"%d" % number for number in range(first, first + amount)]
    broker.produce(topic, [(None, value, None, at % partitions) for at, value in enumerate(values)])
    return set(values)


def start_of(of: KafkaSource, start: NamedStart = "earliest", stop_at_end: bool = True) -> Start:
    return resolve_start(of.cluster, of.topics, of.group_id, start, of.reset, stop_at_end)


def hold_back(member: Member, awake: threading.Event) -> None:
    """Keep the member's thread from polling until then, and so from hearing anything of its group."""

    def wait() -> None:
        assert awake.wait(PATIENCE_SECONDS)

    group = member.reader._assigned
    assert isinstance(group, GroupAssignment)
    group._member.ask(wait)


def held(member: Member) -> set[Partition]:
    """Return the partitions that the member reads."""
    return set(member.reader._assigned.positions)


def source(cluster: KafkaCluster, *topics: str, group: str | None = None, **more: object) -> KafkaSource:
    """Return a source for tests: it looks for new partitions before each bundle, and its bundles are
    small and quick.
    """
    cluster = replace(cluster, config={"fetch.wait.max.ms": "50", **cluster.config})
    fields = {
        "reset": KafkaOptions().reset,
        "discovery_seconds": 0.0,
        "limits": QUICK,
        "hand_over_seconds": PATIENCE_SECONDS,
        "starts_at_committed": False,
        "deadline": None,
    } | more
    return KafkaSource(uuid.uuid4().hex, cluster, topics, group or f"group-{uuid.uuid4().hex[:8]}", **fields)  # type: ignore[arg-type]


def commit(cluster: KafkaCluster, group: str, offsets: dict[Partition, int], metadata: str = "") -> None:
    """Commit for a group that has no members."""
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap_servers, "group.id": group})
    at = [TopicPartition(topic, number, offset, metadata=metadata) for (topic, number), offset in offsets.items()]
    consumer.commit(offsets=at, asynchronous=False)
    consumer.close()


def await_committed(broker: KafkaBroker, of: KafkaSource, offsets: dict[int, int]) -> None:
    """Wait for what the group has committed of the source's topic: commits arrive a moment after they were asked for.

    Args:
        offsets: By partition.
    """
    what = f"the commit of {offsets}"
    wait_for(lambda: broker.committed(of.group_id, of.topics[0]) == offsets, PATIENCE_SECONDS, what)


def delete_before(broker: KafkaBroker, offsets: dict[Partition, int]) -> None:
    """Delete the records before these offsets, as retention does."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    at = [TopicPartition(topic, number, offset) for (topic, number), offset in offsets.items()]
    for future in admin.delete_records(at).values():
        future.result(PATIENCE_SECONDS)


@contextmanager
def transaction(
    broker: KafkaBroker, topic: str, records: Sequence[tuple[int, bytes]], end: Literal["commit", "abort"] | None
) -> Iterator[None]:
    """A transaction with records of (partition, value): ended, or open for the length of the block and then aborted."""
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "transactional.id": uuid.uuid4().hex})
    producer.init_transactions(PATIENCE_SECONDS)
    producer.begin_transaction()
    for partition, value in records:
        producer.produce(topic, value, partition=partition)
    producer.flush(PATIENCE_SECONDS)
    if end == "commit":
        producer.commit_transaction(PATIENCE_SECONDS)
    elif end == "abort":
        producer.abort_transaction(PATIENCE_SECONDS)
    if end is not None:  # its markers are written a moment after the broker has said that it is over
        ends = broker.end_offsets
        wait_for(lambda: ends(topic, stable=True) == ends(topic), PATIENCE_SECONDS, "the end of the transaction")
    yield
    if end is None:
        producer.abort_transaction(PATIENCE_SECONDS)
