"""Kafka as the transforms need it: where offsets start and end, and sending with certainty.

librdkafka's own words for properties, errors and offsets are kept.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Literal

from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from aep import secrets
from transforms import process
from transforms.chunks import Headers

_LOG = logging.getLogger(__name__)
_TIMEOUT_SECONDS = 10.0

# A group's coordinator answers so for a moment after brokers restart.
COORDINATOR_MOVING = frozenset(
    {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    }
)

Reset = Literal["earliest", "latest", "error"]
Partition = tuple[str, int]  # topic, partition


class KafkaSetupError(Exception):
    """Kafka cannot be read or written as the options ask: what, where, and what to do."""


class KafkaReadError(Exception):
    """Reading failed for good; names the topic and partition."""


@dataclass(frozen=True)
class KafkaCluster:
    """How to reach a Kafka cluster.

    Attributes:
      bootstrap_servers: ``host:port,...``.
      config: further librdkafka properties; values may be secret references, resolved where a client is made.
    """

    bootstrap_servers: str
    config: Mapping[str, str] = field(default_factory=dict)

    def properties(self) -> dict[str, object]:
        """librdkafka properties with secrets resolved: for a client, never for a log."""
        resolved = {
            name: secrets.resolve(value) if secrets.is_reference(value) else value
            for name, value in self.config.items()
        }
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "client.id": "beam-aep",
            # A first connection that fails is reported by the call that needed it, in our words.
            "log.connection.close": False,
            "logger": _LOG,
            **resolved,
        }


def admin_client(cluster: KafkaCluster) -> AdminClient:
    """A client for metadata and offsets."""
    try:
        return AdminClient({**_without(cluster.properties(), "isolation.level"), "error_cb": _ignore})
    except KafkaException as error:
        raise KafkaSetupError(f"kafka_config is not accepted by librdkafka: {error.args[0].str()}") from None


def list_partitions(
    cluster: KafkaCluster, client: AdminClient | Consumer, topics: Sequence[str]
) -> dict[str, list[int]]:
    """The partitions of the topics that exist now; a name that starts with ``^`` is a regular expression.

    Raises:
      KafkaSetupError: no broker answers.
    """
    try:
        metadata = client.list_topics(timeout=_TIMEOUT_SECONDS)
    except KafkaException as error:
        raise KafkaSetupError(
            f"no Kafka broker answers at {cluster.bootstrap_servers}: {error.args[0].str()}; check "
            "kafka_bootstrap_servers and the security properties in kafka_config"
        ) from None
    matching = [name for name in metadata.topics if any(_matches(wanted, name) for wanted in topics)]
    return {name: sorted(metadata.topics[name].partitions) for name in sorted(matching)}


def unknown_topics(topics: Sequence[str], found: Iterable[str]) -> list[str]:
    """The names, not the regular expressions, that are not among the topics found."""
    return sorted({name for name in topics if not name.startswith("^")} - set(found))


def log_bounds(
    admin: AdminClient, partitions: Sequence[Partition], spec: OffsetSpec, read_committed: bool = True
) -> dict[Partition, int]:
    """An offset of each partition: its earliest, its latest (the last stable one) or the one at a timestamp."""
    isolation = IsolationLevel.READ_COMMITTED if read_committed else IsolationLevel.READ_UNCOMMITTED
    futures = admin.list_offsets(
        {TopicPartition(topic, number): spec for topic, number in partitions},
        isolation_level=isolation,
        request_timeout=_TIMEOUT_SECONDS,
    )
    offsets = {}
    for at, future in futures.items():
        try:
            offsets[at.topic, at.partition] = future.result().offset
        except KafkaException as error:
            raise KafkaSetupError(
                f"offsets of topic {at.topic} partition {at.partition} cannot be read: {error.args[0].str()}"
            ) from None
    return offsets


def committed_offsets(consumer: Consumer, partitions: Sequence[Partition]) -> dict[Partition, int]:
    """The committed offsets of the consumer's group, of the partitions that have one.

    Raises:
      KafkaException: the group's coordinator cannot be asked.
    """
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while True:
        try:
            answer = consumer.committed([TopicPartition(*one) for one in partitions], timeout=_TIMEOUT_SECONDS)
            return {(one.topic, one.partition): one.offset for one in answer if one.offset > OFFSET_INVALID}
        except KafkaException as error:
            if error.args[0].code() not in COORDINATOR_MOVING or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _offsets_of_group(cluster: KafkaCluster, group_id: str, partitions: Sequence[Partition]) -> dict[Partition, int]:
    consumer = Consumer({**cluster.properties(), "group.id": group_id, "error_cb": _ignore})
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
        positions = {
            one: _committed_or_reset(one, committed.get(one), earliest[one], latest[one], group_id, reset)
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
    if committed is not None and earliest <= committed:
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


def send_all(cluster: KafkaCluster, topic: str, messages: Iterable[tuple[bytes | None, bytes | None, Headers]]) -> None:
    """Produces messages of (key, value, headers) and returns when the brokers have them all.

    Raises:
      KafkaException: a message was not taken, by the error of the first.
    """
    producer = process.shared(("producer", repr(cluster)), lambda: _producer(cluster))
    errors: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            errors.append(error)

    for key, value, headers in messages:
        while True:
            try:
                producer.produce(topic, value, key, headers=list(headers), on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()
    if errors:
        raise KafkaException(errors[0])


def _producer(cluster: KafkaCluster) -> Producer:
    return Producer(
        {
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 20,
            "compression.type": "lz4",
            # A dead-letter topic that cannot be written for a minute ends the bundle; nothing is committed.
            "delivery.timeout.ms": 60_000,
            **_without(cluster.properties(), *_CONSUMER_ONLY),
        }
    )


# Properties that users give for reading and that a producer would complain about.
_CONSUMER_ONLY = ("isolation.level", "session.timeout.ms", "max.poll.interval.ms", "partition.assignment.strategy")


def _matches(wanted: str, topic: str) -> bool:
    return re.match(wanted, topic) is not None if wanted.startswith("^") else wanted == topic


def _milliseconds(iso_time: str) -> int:
    moment = datetime.fromisoformat(iso_time.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return int(moment.timestamp() * 1000)


def _without(properties: Mapping[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in properties.items() if name not in names}


def _ignore(_: KafkaError) -> None:
    """Connection errors of a short-lived client are told by the call that fails."""
