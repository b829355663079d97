"""Which partitions a reader has, and its position in each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from confluent_kafka.admin import OffsetSpec

from transforms.kafka.client import (
    KafkaReadError,
    KafkaSetupError,
    Partition,
    admin_client,
    list_partitions,
)
from transforms.kafka.offsets import Committed, log_bounds, log_range
from transforms.kafka.restriction import Positions, Shard, TopicClaim
from transforms.kafka.source import KafkaSource
from transforms.kafka.start import is_another, tell_created_again
from transforms.kafka.topic_ids import Topic, TopicIds
from transforms.worker import process

_LOG = logging.getLogger(__name__)
LOOK_AGAIN_SECONDS = 1.0
_WARN_EVERY_SECONDS = 60.0

# How often topic ids are asked for: one small request, which nothing waits for.
_ASK_IDS_SECONDS = 5.0

# How long reading waits for them where brokers are known to give some.
_IDS_SECONDS = 2.0


class Assignment:
    """The partitions of a consumer, which its subclasses determine.

    Attributes:
        positions: The offset to read next, by partition.
        fresh: Partitions taken in, whose position the restriction does not know yet.
        known: Whether the partitions are known yet.
        restriction: The restriction once all steps handed out are claimed.
        created_again: Topics that were created again since this reader began.
        suspended: Topics that were created again and whose new logs do not report their ends yet.
    """

    def __init__(self, consumer: Consumer, source: KafkaSource, shard: Shard, clock: Callable[[], float]):
        self.positions: dict[Partition, int] = {}
        self.fresh: list[Partition] = []
        self.known = False
        self.restriction = Positions({})
        self.suspended: set[str] = set()
        self._consumer = consumer
        self._source = source
        self._shard = shard
        self._clock = clock
        self._look_at = self._warn_at = float("-inf")
        self._began: dict[Partition, Committed] = {}  # where each partition was taken in
        self._ids: dict[Partition, str] = {}  # of the topics that the positions are of
        self.created_again: set[str] = set()
        # The readers of a source share one client.
        make = partial(admin_client, source.cluster)
        self._admin = process.shared(("topic ids", source.id), make)
        self._topics = TopicIds(self._admin, clock)
        self._ask_at = self._claim_at = float("-inf")

    def go_to(self, restriction: Positions, certain: bool) -> None:
        """Continue reading at the offsets of a restriction, and take in new partitions.

        Args:
            restriction: A partition that is not in it continues where it was taken in: a bundle that claimed it has
                failed, or has not come to it.
            certain: Whether `positions` are those of the consumer; not after a bundle that was cut short.
        """
        self.restriction = restriction
        offsets = restriction.next
        wanted = {one: offsets.get(one, began.offset) for one, began in self._began.items()}
        self.move({one: to for one, to in wanted.items() if not certain or to != self.positions[one]})
        for one, began in self._began.items():
            self._ids[one] = restriction.ids.get(one[0], "") if one in offsets else began.topic_id
        self.fresh = [one for one in self.positions if one not in offsets]
        self._refresh()
        self._claim_at = float("-inf")
        if self._ask_at == float("-inf"):
            self.ask_ids()

    def ask_ids(self) -> None:
        """Ask for topic ids now; wait for the answer where brokers have given some before."""
        self._ask_at = self._clock() + min(_ASK_IDS_SECONDS, self._source.discovery_seconds)
        self._topics.ask(self._names(), anew=True)
        if self.restriction.ids or any(self._ids.values()):
            self._hear_ids(_IDS_SECONDS)

    def described(self, topic: str) -> Topic | None:
        """Return the topic as the brokers last described it; None when they did not, or gave no id."""
        return self._topics.known.get(topic)

    def uncommitted(self) -> int:
        """Return how many records would be read again if this process were killed; any thread may ask."""
        return 0  # the runner knows what it has kept

    def silence(self) -> float:
        """Return for how many seconds no broker has answered; any thread may ask."""
        return self._topics.silence()

    def deleted(self) -> set[str]:
        """Return the topics that are being read and no longer exist."""
        return self._topics.deleted()

    def topic_claims(self) -> Iterator[TopicClaim]:
        """Yield topic ids that the restriction does not know yet; go to the beginning of new topics' logs.

        Raises:
            KafkaReadError: A topic was created again and `reset` is `error`.
        """
        now = self._clock()
        if now >= self._ask_at:
            self._ask_at = now + min(_ASK_IDS_SECONDS, self._source.discovery_seconds)
            self._topics.ask(self._names())
        self._hear_ids(0)
        if now < self._claim_at:
            return
        self._claim_at = float("inf")
        for topic in self._names() & self._topics.known.keys():
            claim = self._claim(topic, self._topics.known[topic])
            if claim is not None:
                self.restriction = claim.apply(self.restriction)
                yield claim

    def _hear_ids(self, seconds: float) -> None:
        if self._topics.hear(seconds):
            self._claim_at = min(self._claim_at, self._clock())

    def _names(self) -> set[str]:
        return {topic for topic, _ in (self.positions.keys() | self.restriction.next.keys())}

    def _claim(self, topic: str, now: Topic) -> TopicClaim | None:
        before = self.restriction.ids.get(topic)
        mine = [one for one in self.positions if one[0] == topic]
        old = {self._ids[one] for one in mine if is_another(self._ids[one], now.id)}
        if is_another(before, now.id):
            old.add(str(before))
        if not old:
            self._ids |= dict.fromkeys(mine, now.id)
            return None if before == now.id else TopicClaim(topic, now.id)
        whose = f"group {self._source.group_id}"
        exist = [(topic, number) for number in now.partitions]
        try:
            starts = log_bounds(self._admin, exist, OffsetSpec.earliest(), seconds=_IDS_SECONDS)
            ends = log_bounds(self._admin, exist, OffsetSpec.latest(), self._read_committed, seconds=_IDS_SECONDS)
        except KafkaSetupError as error:
            self.suspended.add(topic)
            self._claim_at = self._clock() + LOOK_AGAIN_SECONDS
            _LOG.warning("topic %s was created again and cannot be read yet: %s", topic, error)
            return None
        self.suspended.discard(topic)
        tell_created_again(topic, min(old), now.id, self._source.reset, whose)
        self.created_again.add(topic)
        # What another member has read of the new topic already stays read.
        known = {one: at for one, at in self.restriction.next.items() if before == now.id}
        known |= {one: self.positions[one] for one in mine if self._ids[one] == now.id}
        claimed = {one: known.get(one, starts[one]) for one in exist if self._reads(one)}
        self._drop([one for one in mine if one not in claimed])  # which the new topic lacks
        moved = {one: claimed[one] for one in mine if one in claimed and self._ids[one] != now.id}
        self.move(moved)
        self._ids |= dict.fromkeys(moved, now.id)
        self._began |= {one: Committed(at, now.id) for one, at in moved.items()}
        return TopicClaim(topic, now.id, claimed, {one: ends[one] for one in claimed})

    @property
    def _read_committed(self) -> bool:
        return self._source.cluster.config.get("isolation.level", "read_committed") == "read_committed"

    def _reads(self, partition: Partition) -> bool:
        raise NotImplementedError

    def move(self, offsets: dict[Partition, int]) -> None:
        """Continue at other offsets; records already fetched from the partitions are discarded."""
        if offsets:
            # Not by a seek: it is refused where an error has stopped the fetching.
            at = as_list(offsets)
            self._consumer.incremental_unassign(at)
            self._consumer.incremental_assign(at)
            self.positions |= offsets

    def follow(self) -> None:
        """Take in what has changed since the bundle began."""

    def advance(self, partition: Partition, offset: int) -> bool:
        """Note that the partition is read up to the offset; False if nothing more may be read of it."""
        self.positions[partition] = offset
        return True

    def hands_over(self) -> bool:
        """Return whether others wait for what was read of partitions to be delivered."""
        return False

    def when_delivered(self, commit: Callable[[], None]) -> Callable[[], None]:
        """Return the function to call to make a commit, from any thread."""
        return commit

    def messages(self) -> list[Message]:
        """Return errors, of a topic or all of them, that came to somebody else than the consumer."""
        return []

    def errors(self) -> list[KafkaError]:
        """Return errors that came to somebody else than the consumer and concern no topic."""
        return []

    def has_read(self, partition: Partition, read: Committed) -> bool:
        """Return whether this reader has the partition, of this topic, and has reached the offset since it was assigned
        it.
        """
        began = self._began.get(partition)
        if began is None or is_another(read.topic_id, self._ids.get(partition)):
            return False
        if not read.topic_id and partition[0] in self.created_again:
            return False
        return read.offset >= began.offset

    def look_again(self) -> None:
        """Make the next bundle look for topics, however recently that was done."""
        self._look_at = float("-inf")

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()
        process.take(("topic ids", self._source.id))

    def left(self) -> dict[Partition, int]:
        """Return the partitions, with their ends, that as far as this reader knows are not read to their end."""
        start, positions, ends = self.restriction.next, self.positions, self.restriction.ends or {}
        return {one: end for one, end in ends.items() if positions.get(one, start.get(one, 0)) < end}

    def others_are_at(self, left: dict[Partition, int]) -> bool:
        """Return whether other readers have read partitions that are not ours up to these offsets."""
        raise NotImplementedError

    def _in_restriction(self, partition: Partition) -> Committed | None:
        offset = self.restriction.next.get(partition)
        return None if offset is None else Committed(offset, self.restriction.ids.get(partition[0], ""))

    def _refresh(self) -> None:
        raise NotImplementedError

    def _take(self, taken: dict[Partition, Committed]) -> None:
        if taken:
            offsets = {one: at.offset for one, at in taken.items()}
            self.positions |= offsets
            self._began |= taken
            self._ids |= {one: at.topic_id for one, at in taken.items()}
            self.fresh += offsets
            self._consumer.incremental_assign(as_list(offsets))
            self._claim_at = float("-inf")

    def _drop(self, partitions: Sequence[Partition]) -> None:
        if not partitions:
            return
        self._consumer.incremental_unassign(as_list(dict.fromkeys(partitions, 0)))
        for one in partitions:
            for of in (self.positions, self._began, self._ids):
                of.pop(one, None)
        self.fresh = [one for one in self.fresh if one in self.positions]

    def _look(self) -> dict[str, list[int]]:
        """Return the existing topics with their partitions; empty if it is not yet time to look again."""
        now = self._clock()
        if now < self._look_at:
            return {}
        try:
            found = list_partitions(self._source.cluster, self._consumer, self._source.topics)
        except KafkaSetupError as error:
            # What is known already can still be read once librdkafka has found a broker.
            if now >= self._warn_at:
                self._warn_at = now + _WARN_EVERY_SECONDS
                _LOG.warning("cannot look for new partitions: %s", error)
            self._look_at = now + LOOK_AGAIN_SECONDS
            return {}
        self._look_at = now + self._source.discovery_seconds
        return {topic: numbers for topic, numbers in found.items() if topic not in self._source.left_out}


class ShardAssignment(Assignment):
    """The partitions of a shard, found by periodic look-ups."""

    def others_are_at(self, left: dict[Partition, int]) -> bool:
        """No other reader has partitions of this shard."""
        return not left

    def _refresh(self) -> None:
        exist = [(topic, number) for topic, numbers in self._look().items() for number in numbers]
        new = {*self.restriction.next, *filter(self._shard.holds, exist)} - self.positions.keys()
        self._take({one: at for one in sorted(new) if (at := self._place(one)) is not None})
        self.known = True

    def _place(self, partition: Partition) -> Committed | None:
        if (known := self._in_restriction(partition)) is not None:
            return known
        try:
            offset = log_range(self._consumer, partition)[0]
        except KafkaReadError as error:
            _LOG.warning("a new partition cannot be read yet: %s", error)
            return None
        _LOG.info("topic %s partition %d is new, reading it from offset %d", *partition, offset)
        return Committed(offset)

    def _reads(self, partition: Partition) -> bool:
        return self._shard.holds(partition)


def as_list(offsets: dict[Partition, int]) -> list[TopicPartition]:
    """Return the offsets in confluent-kafka's form."""
    return [TopicPartition(topic, number, offset) for (topic, number), offset in offsets.items()]
