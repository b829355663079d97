"""Offsets: where logs start and end, what a group has committed, and so where reading starts."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from confluent_kafka import OFFSET_INVALID, Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from transforms.kafka_client import (
    REQUEST_SECONDS,
    KafkaCluster,
    KafkaReadError,
    KafkaSetupError,
    Partition,
    Reset,
    admin_client,
    ignore_error,
    list_partitions,
    unknown_topics,
)

_LOG = logging.getLogger(__name__)

# A group's coordinator answers so for a moment after brokers restart.
_COORDINATOR_MOVING = frozenset(
    {KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS}
)


def log_bounds(
    admin: AdminClient, partitions: Sequence[Partition], spec: OffsetSpec, read_committed: bool = True
) -> dict[Partition, int]:
    """An offset of each partition: its earliest, its latest (the last stable one) or the one at a timestamp.

    Raises:
      KafkaSetupError: a partition's offsets cannot be read, and not because its leader is just changing.
    """
    isolation = IsolationLevel.READ_COMMITTED if read_committed else IsolationLevel.READ_UNCOMMITTED
    deadline = time.monotonic() + REQUEST_SECONDS
    offsets: dict[Partition, int] = {}
    while missing := [one for one in partitions if one not in offsets]:
        futures = admin.list_offsets(
            {TopicPartition(topic, number): spec for topic, number in missing},
            isolation_level=isolation,
            request_timeout=REQUEST_SECONDS,
        )
        for at, future in futures.items():
            try:
                offsets[at.topic, at.partition] = future.result().offset
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > deadline:
                    raise KafkaSetupError(
                        f"offsets of topic {at.topic} partition {at.partition} cannot be read: {error.args[0].str()}"
                    ) from None
                time.sleep(0.1)
    return offsets


def committed_offsets(consumer: Consumer, partitions: Sequence[Partition]) -> dict[Partition, int]:
    """The committed offsets of the consumer's group, of the partitions that have one.

    Raises:
      KafkaException: the group's coordinator cannot be asked.
    """
    deadline = time.monotonic() + REQUEST_SECONDS
    while True:
        try:
            answer = consumer.committed([TopicPartition(*one) for one in partitions], timeout=REQUEST_SECONDS)
            return {(one.topic, one.partition): one.offset for one in answer if one.offset > OFFSET_INVALID}
        except KafkaException as error:
            if error.args[0].code() not in _COORDINATOR_MOVING or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def log_range(consumer: Consumer, partition: Partition, seconds: float = REQUEST_SECONDS) -> tuple[int, int]:
    """The earliest offset that a partition's log still holds, and the one that its next record will get.

    Args:
      seconds: how long to wait for the partition's leader.

    Raises:
      KafkaReadError: the partition's leader cannot be asked.
    """
    try:
        earliest, latest = consumer.get_watermark_offsets(TopicPartition(*partition), seconds)
    except KafkaException as error:
        topic, number = partition
        raise KafkaReadError(
            f"the offsets of topic {topic} partition {number} cannot be read: {error.args[0].str()}"
        ) from None
    return int(earliest), int(latest)


def _offsets_of_group(cluster: KafkaCluster, group_id: str, partitions: Sequence[Partition]) -> dict[Partition, int]:
    consumer = Consumer({**cluster.properties(), "group.id": group_id, "error_cb": ignore_error})
    try:
        return committed_offsets(consumer, partitions)
    except KafkaException as error:
        raise KafkaSetupError(
            f"the committed offsets of the group {group_id} cannot be read: {error.args[0].str()}; check kafka_group_id"
        ) from None
    finally:
        consumer.close()


@dataclass(frozen=True)
class Start:
    """Where reading starts, resolved once: ``positions`` of each partition, and ``ends`` where it stops, if it does."""

    positions: dict[Partition, int]
    ends: dict[Partition, int] | None


def resolve_start(
    cluster: KafkaCluster, topics: Sequence[str], group_id: str, start: str, reset: Reset, stop_at_end: bool
) -> Start:
    """Looks up where to start in each partition that exists now.

    Args:
      cluster: where the topics are.
      topics: names, or regular expressions that start with ``^``.
      group_id: the consumer group whose committed offsets count.
      start: ``committed``, ``earliest``, ``latest``, or an ISO 8601 time.
      reset: where to start when nothing is committed, or what is committed is gone.
      stop_at_end: look up the present ends too.

    Raises:
      KafkaSetupError: no broker, an unknown topic, or an offset that is gone while ``reset`` is ``error``.
    """
    admin = admin_client(cluster)
    found = list_partitions(cluster, admin, topics)
    missing = unknown_topics(topics, found)
    if missing:
        raise KafkaSetupError(f"no topic {', '.join(missing)} on {cluster.bootstrap_servers}; check kafka_topics")
    partitions = [(topic, number) for topic, numbers in found.items() for number in numbers]
    if not partitions:
        raise KafkaSetupError(
            f"no topic on {cluster.bootstrap_servers} matches {', '.join(topics)}; check kafka_topics"
        )
    read_committed = cluster.config.get("isolation.level", "read_committed") == "read_committed"
    earliest = log_bounds(admin, partitions, OffsetSpec.earliest())
    latest = log_bounds(admin, partitions, OffsetSpec.latest(), read_committed)
    if start == "earliest":
        positions = earliest
    elif start == "latest":
        positions = latest
    elif start == "committed":
        committed = _offsets_of_group(cluster, group_id, partitions)
        # Beyond the last stable offset there may be records of open transactions.
        ends = log_bounds(admin, partitions, OffsetSpec.latest(), read_committed=False)
        positions = {
            one: _committed_or_reset(one, committed.get(one), earliest[one], ends[one], group_id, reset)
            for one in partitions
        }
    else:
        at_time = log_bounds(admin, partitions, OffsetSpec.for_timestamp(_milliseconds(start)))
        # A partition with no record from that time on is read from its end.
        positions = {one: offset if offset >= 0 else latest[one] for one, offset in at_time.items()}
    return Start(positions, latest if stop_at_end else None)


def _committed_or_reset(
    partition: Partition, committed: int | None, earliest: int, latest: int, group_id: str, reset: Reset
) -> int:
    if committed is not None and earliest <= committed <= latest:
        return committed
    return reset_position(partition, committed, earliest, latest, reset, f"group {group_id}")


def reset_position(
    partition: Partition, position: int | None, earliest: int, latest: int, reset: Reset, whose: str
) -> int:
    """Where to go on when there is no position, or records at the position are gone; says what was lost sight of.

    Raises:
      KafkaReadError: ``reset`` is ``error``.
    """
    topic, number = partition
    place = f"topic {topic} partition {number}"
    if position is None:
        problem = f"{place}: {whose} has no committed offset"
    else:
        gone = f"{earliest - position} records before it were deleted" if position < earliest else "it was cut off"
        problem = f"{place}: offset {position} of {whose} is gone, the log now holds {earliest} to {latest} ({gone})"
    if reset == "error":
        raise KafkaReadError(f"{problem}; kafka_reset=error, so choose kafka_start or kafka_reset=earliest or latest")
    offset = earliest if reset == "earliest" else latest
    if position is not None:
        _LOG.warning("%s; going on at offset %d, as kafka_reset=%s says", problem, offset, reset)
    return offset


def _milliseconds(iso_time: str) -> int:
    moment = datetime.fromisoformat(iso_time.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return int(moment.timestamp() * 1000)
