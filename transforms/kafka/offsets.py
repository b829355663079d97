"""Offsets known to brokers: the starts and ends of logs, and the committed offsets of a group."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from confluent_kafka import OFFSET_INVALID, Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from transforms.kafka.causes import Heard, advice
from transforms.kafka.client import (
    REQUEST_SECONDS,
    KafkaCluster,
    KafkaReadError,
    KafkaSetupError,
    Partition,
    make_consumer,
    why,
)
from transforms.kafka.topic_ids import from_metadata

# A group's coordinator answers so for a moment after brokers restart.
COORDINATOR_MOVING = frozenset(
    {KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS}
)
# A group with members takes commits of theirs alone, and not of those that a rebalance is not over for.
MEMBERS_ALONE = frozenset(
    {KafkaError.UNKNOWN_MEMBER_ID, KafkaError.ILLEGAL_GENERATION, KafkaError.REBALANCE_IN_PROGRESS}
    | {getattr(KafkaError, "STALE_MEMBER_EPOCH", KafkaError.UNKNOWN_MEMBER_ID)}
)
# Brokers answer so for a moment after a topic was created.
_LEADER_MOVING = frozenset({KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE})


class Committed(NamedTuple):
    """A committed offset, and what was committed with it: the id of its topic, and the hand-over that it was for; "" if
    they were not.
    """

    offset: int
    topic_id: str = ""
    hand_over: str = ""


def log_bounds(
    admin: AdminClient,
    partitions: Sequence[Partition],
    spec: OffsetSpec,
    read_committed: bool = True,
    seconds: float = REQUEST_SECONDS,
) -> dict[Partition, int]:
    """Return an offset of each partition: its earliest, its latest (the last stable one) or the one at a timestamp.

    Args:
        seconds: How long to wait for leaders that are just changing, and how long a request may take.

    Raises:
        KafkaSetupError: A partition's offsets cannot be read, and not because its leader is just changing.
    """
    isolation = IsolationLevel.READ_COMMITTED if read_committed else IsolationLevel.READ_UNCOMMITTED
    deadline = time.monotonic() + seconds
    offsets: dict[Partition, int] = {}
    while missing := [one for one in partitions if one not in offsets]:
        futures = admin.list_offsets(
            {TopicPartition(topic, number): spec for topic, number in missing},
            isolation_level=isolation,
            request_timeout=seconds,
        )
        for at, future in futures.items():
            try:
                offsets[at.topic, at.partition] = future.result().offset
            except KafkaException as error:
                passing = error.args[0].code() in _LEADER_MOVING or error.args[0].retriable()
                if not passing or time.monotonic() > deadline:
                    raise KafkaSetupError(
                        f"offsets of topic {at.topic} partition {at.partition} cannot be read: "
                        f"{why(admin, error.args[0])}{advice(error.args[0], 'DESCRIBE', f'topic {at.topic}')}"
                    ) from None
                time.sleep(0.1)
    return offsets


def committed_offsets(
    consumer: Consumer, partitions: Sequence[Partition], seconds: float = REQUEST_SECONDS
) -> dict[Partition, Committed]:
    """Return the committed offsets of the consumer's group, of the partitions that have one.

    Raises:
        KafkaException: The group's coordinator cannot be asked.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = consumer.committed([TopicPartition(*one) for one in partitions], timeout=seconds)
            return {
                (one.topic, one.partition): Committed(one.offset, *from_metadata(one.metadata))
                for one in answer
                if one.offset > OFFSET_INVALID
            }
        except KafkaException as error:
            if error.args[0].code() not in COORDINATOR_MOVING or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def log_range(
    consumer: Consumer, partition: Partition, seconds: float = REQUEST_SECONDS, heard: Heard | None = None
) -> tuple[int, int]:
    """Return the earliest offset that a partition's log still holds, and the one that its next record will get.

    Args:
        seconds: How long to wait for the partition's leader.
        heard: The consumer's `error_cb`, which knows more than the call.

    Raises:
        KafkaReadError: The partition's leader cannot be asked.
    """
    try:
        earliest, latest = consumer.get_watermark_offsets(TopicPartition(*partition), seconds)
    except KafkaException as error:
        topic, number = partition
        if heard is not None:
            consumer.poll(0)  # has it told what is heard
        why = heard.why(error.args[0]) if heard is not None else error.args[0].str()
        raise KafkaReadError(f"the offsets of topic {topic} partition {number} cannot be read: {why}") from None
    return int(earliest), int(latest)


def group_offsets(cluster: KafkaCluster, group_id: str, partitions: Sequence[Partition]) -> dict[Partition, Committed]:
    """Return the committed offsets of a group, of the partitions that have one; the group is not joined.

    Raises:
        KafkaSetupError: The group's coordinator does not answer, or `kafka_config` is not accepted.
    """
    heard = Heard()
    consumer = make_consumer(cluster, group_id, {"error_cb": heard})
    try:
        # A refusal does not reach the call, which waits for its time to be up. So first it is asked for a short time.
        for seconds in (1.0, 2.0, REQUEST_SECONDS):
            try:
                return committed_offsets(consumer, partitions, seconds)
            except KafkaException as raised:
                error = raised.args[0]
            message = consumer.poll(0)
            if message is not None and message.error() is not None:
                error = message.error()
            if error.code() != KafkaError._TIMED_OUT:
                break
        raise KafkaSetupError(
            f"the committed offsets of the group {group_id} cannot be read: {heard.why(error)}"
            f"{advice(error, 'READ', f'group {group_id}') or '; check kafka_group_id'}"
        )
    finally:
        consumer.close()


def named(partitions: Iterable[Partition]) -> str:
    """Return the partitions as people write them: `orders 0, 3; returns 1`."""
    return _listed((topic, str(number)) for topic, number in sorted(partitions))


def named_offsets(offsets: Mapping[Partition, int]) -> str:
    """Return the offsets as people write them: `orders 0 at 500, 3 at 20; returns 1 at 0`."""
    return _listed((topic, f"{number} at {offset}") for (topic, number), offset in sorted(offsets.items()))


def _listed(entries: Iterable[tuple[str, str]]) -> str:
    topics: dict[str, list[str]] = {}
    for topic, entry in entries:
        topics.setdefault(topic, []).append(entry)
    return "; ".join(f"{topic} {', '.join(those)}" for topic, those in topics.items())
