"""Where reading starts, and where it goes on when a position is gone."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone

from confluent_kafka.admin import AclOperation, OffsetSpec

from aep.counted import counted
from transforms.kafka.causes import needed
from transforms.kafka.client import (
    KafkaCluster,
    KafkaReadError,
    KafkaSetupError,
    NamedStart,
    Partition,
    Reset,
    admin_client,
    list_partitions,
    make_consumer,
    unknown_topics,
    why_unknown,
    without_right,
)
from transforms.kafka.offsets import Committed, group_offsets, log_bounds, named_offsets
from transforms.kafka.topic_ids import TopicIds

_LOG = logging.getLogger(__name__)

# How long a start waits for topic ids. Brokers that have them answer at once, others never.
_IDS_SECONDS = 1.0


@dataclass(frozen=True)
class Start:
    """Where reading starts, resolved once.

    Attributes:
        positions: Positions of each partition.
        ends: Where reading stops, if it does.
        ids: Ids of the topics, where they are known.
        left_out: Topics that a pattern takes in and that may not be read.
    """

    positions: dict[Partition, int]
    ends: dict[Partition, int] | None
    ids: dict[str, str] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()


# What is before means other things to brokers than a time: -1 the end, -3 the record with the newest time.
_FIRST_TIME = datetime.fromtimestamp(0, timezone.utc)


def resolve_start(
    cluster: KafkaCluster,
    topics: Sequence[str],
    group_id: str,
    start: NamedStart | datetime,
    reset: Reset,
    stop_at_end: bool,
) -> Start:
    """Look up where to start in each partition that exists now.

    Args:
        cluster: Where the topics are.
        topics: Names, or regular expressions that start with `^`.
        group_id: The consumer group whose committed offsets count.
        start: A name, or the time of the first record to read.
        reset: Where to start when nothing is committed, or what is committed is gone.
        stop_at_end: Look up the present ends too.

    Raises:
        KafkaSetupError: No broker, or an unknown topic.
        KafkaReadError: An offset that is gone, or of a topic that was created again, while `reset` is `error`.
    """
    make_consumer(cluster, group_id, {}).close()  # what only a consumer refuses shows before anything is asked
    admin = admin_client(cluster)
    found = list_partitions(cluster, admin, topics)
    missing = unknown_topics(topics, found)
    if missing:
        raise KafkaSetupError(why_unknown(cluster, admin, missing, "kafka_topics"))
    left_out = _left_out(cluster, without_right(admin, found, AclOperation.READ), topics)
    found = {topic: numbers for topic, numbers in found.items() if topic not in left_out}
    partitions = [(topic, number) for topic, numbers in found.items() for number in numbers]
    if not partitions:
        raise KafkaSetupError(
            f"no topic on {cluster.bootstrap_servers} matches {', '.join(topics)}; "
            "check kafka_topics (a pattern leaves out names that begin with __)"
        )
    # Before the offsets: of a topic that is created again in between, an older id is noticed, a newer one is not.
    topics_now = TopicIds(admin)
    topics_now.ask(found)
    topics_now.hear(_IDS_SECONDS)
    ids = {topic: each.id for topic, each in topics_now.known.items()}
    read_committed = cluster.config.get("isolation.level", "read_committed") == "read_committed"
    earliest = log_bounds(admin, partitions, OffsetSpec.earliest())
    latest = log_bounds(admin, partitions, OffsetSpec.latest(), read_committed)
    if start == "earliest" or (isinstance(start, datetime) and start <= _FIRST_TIME):
        positions = earliest
    elif start == "latest":
        positions = latest
    elif start == "committed":
        committed = group_offsets(cluster, group_id, partitions)
        # Beyond the last stable offset there may be records of open transactions.
        ends = log_bounds(admin, partitions, OffsetSpec.latest(), read_committed=False)
        new_topics = _created_again(committed, ids, group_id, reset)
        positions = {
            one: earliest[one]
            if one[0] in new_topics
            else _committed_or_reset(one, committed.get(one), earliest[one], ends[one], group_id, reset)
            for one in partitions
        }
        _tell_uncommitted({one: at for one, at in positions.items() if one not in committed}, group_id, reset)
    else:
        at_time = log_bounds(admin, partitions, OffsetSpec.for_timestamp(int(start.timestamp() * 1000)))
        # A partition with no record from that time on is read from its end.
        positions = {one: offset if offset >= 0 else latest[one] for one, offset in at_time.items()}
    return Start(positions, latest if stop_at_end else None, ids, left_out)


def _created_again(committed: dict[Partition, Committed], ids: dict[str, str], group_id: str, reset: Reset) -> set[str]:
    """Return the topics that were deleted and created again since offsets of them were committed; says
    which they are.
    """
    before = {topic: one.topic_id for (topic, _), one in committed.items() if is_another(one.topic_id, ids.get(topic))}
    for topic, topic_id in sorted(before.items()):
        tell_created_again(topic, topic_id, ids[topic], reset, f"group {group_id}")
    return set(before)


def goes_on(committed: Committed | None, topic_id: str, earliest: int, latest: int) -> bool:
    """Return whether a group can go on at a committed offset: it is of this topic and still in its log."""
    return (
        committed is not None
        and not is_another(committed.topic_id, topic_id)
        and earliest <= committed.offset <= latest
    )


def is_another(before: str | None, now: str | None) -> bool:
    """Return whether two topic ids are known, and of different topics."""
    return bool(before and now) and before != now


def tell_created_again(topic: str, before: str, now: str, reset: Reset, whose: str) -> None:
    """Warn that a topic is read from its beginning, since it is not the one that the offsets are of.

    Raises:
        KafkaReadError: `reset` is `error`.
    """
    problem = (
        f"topic {topic} was deleted and created again (its id was {before} and is {now}), "
        f"so the offsets of {whose} are not of this topic"
    )
    if reset == "error":
        raise KafkaReadError(f"{problem}; kafka_reset=error, so choose kafka_start or kafka_reset=earliest")
    _LOG.warning("%s; reading it from its beginning", problem)


def _left_out(cluster: KafkaCluster, refused: Sequence[str], topics: Sequence[str]) -> frozenset[str]:
    """Of the topics that may not be read, those that only a pattern takes in.

    Raises:
        KafkaSetupError: One of them is named.
    """
    for topic in refused:
        what = f"topic {topic} on {cluster.bootstrap_servers}: {needed('READ', f'topic {topic}')}"
        if topic in topics:
            raise KafkaSetupError(what)
        _LOG.warning("%s; it is left out, although a pattern in kafka_topics matches it", what)
    return frozenset(refused)


def _tell_uncommitted(positions: dict[Partition, int], group_id: str, reset: Reset) -> None:
    if positions:
        _LOG.info(
            "group %s has no committed offset of %s; reading begins as kafka_reset=%s says: %s",
            *(group_id, counted(len(positions), "partition"), reset, named_offsets(positions)),
        )


def _committed_or_reset(
    partition: Partition, committed: Committed | None, earliest: int, latest: int, group_id: str, reset: Reset
) -> int:
    offset = committed.offset if committed else None
    if offset is not None and earliest <= offset <= latest:
        return offset
    return reset_position(partition, offset, earliest, latest, reset, f"group {group_id}")


def reset_position(
    partition: Partition, position: int | None, earliest: int, latest: int, reset: Reset, whose: str
) -> int:
    """Return where to go on when there is no position, or records at the position are gone; says what was lost sight
    of.

    Raises:
        KafkaReadError: `reset` is `error`.
    """
    topic, number = partition
    place = f"topic {topic} partition {number}"
    if position is None:
        problem = f"{place}: {whose} has no committed offset"
    else:
        gone = f"{counted(earliest - position, 'record')} deleted" if position < earliest else "it was cut off"
        problem = f"{place}: offset {position} of {whose} is gone, the log now holds {earliest} to {latest} ({gone})"
    if reset == "error":
        raise KafkaReadError(f"{problem}; kafka_reset=error, so choose kafka_start or kafka_reset=earliest or latest")
    offset = earliest if reset == "earliest" else latest
    if position is not None:
        _LOG.warning("%s; going on at offset %d, as kafka_reset=%s says", problem, offset, reset)
    return offset
