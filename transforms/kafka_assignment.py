"""Which partitions a reader has, and where it stands in each: fixed ones, or those that its group deals to it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from confluent_kafka import Consumer, KafkaException, TopicPartition

from transforms.kafka_client import KafkaReadError, KafkaSetupError, Partition, list_partitions
from transforms.kafka_offsets import committed_offsets, log_range
from transforms.kafka_restriction import Shard
from transforms.kafka_source import KafkaSource

_LOG = logging.getLogger(__name__)
_LOOK_AGAIN_SECONDS = 1.0


class Assignment:
    """The partitions of a consumer; its subclasses say which ones they are.

    Attributes:
      positions: the offset to read next, by partition.
      fresh: partitions that were taken in and whose position the restriction does not know yet.
      known: whether it is known by now which partitions there are.
    """

    def __init__(self, consumer: Consumer, source: KafkaSource, shard: Shard, clock: Callable[[], float]):
        self.positions: dict[Partition, int] = {}
        self.fresh: list[Partition] = []
        self.known = False
        self._closing = False
        self._consumer = consumer
        self._source = source
        self._shard = shard
        self._clock = clock
        self._look_at = float("-inf")
        self._restriction: dict[Partition, int] = {}
        self._began: dict[Partition, int] = {}  # where each partition was taken in

    def go_to(self, offsets: dict[Partition, int], certain: bool) -> None:
        """Makes reading go on at the offsets of a restriction, and takes in partitions that are there by now.

        Args:
          offsets: the next offset by partition. A partition that is not in it goes on where it was taken in: a
            bundle that claimed it has failed, or has not come to it.
          certain: whether ``positions`` tells where the consumer is; not after a bundle that was cut short.
        """
        self._restriction = offsets
        wanted = {one: offsets.get(one, began) for one, began in self._began.items()}
        self.move({one: to for one, to in wanted.items() if not certain or to != self.positions[one]})
        self.fresh = [one for one in self.positions if one not in offsets]
        self._refresh()

    def move(self, offsets: dict[Partition, int]) -> None:
        """Goes on at other offsets; what was fetched from the partitions is dropped."""
        if offsets:
            # Not by a seek: it is refused where an error has stopped the fetching.
            at = as_list(offsets)
            self._consumer.incremental_unassign(at)
            self._consumer.incremental_assign(at)
            self.positions |= offsets

    def has_read(self, partition: Partition, offset: int) -> bool:
        """Whether this reader has the partition, and has come to the offset since it was dealt it."""
        return offset >= self._began.get(partition, offset + 1)

    def look_again(self) -> None:
        """Makes the next bundle look which topics there are, whenever that was done last."""
        self._look_at = float("-inf")

    def close(self) -> None:
        """Leaves the group and closes the consumer."""
        self._closing = True
        self._consumer.close()

    def left_before(self, ends: dict[Partition, int]) -> dict[Partition, int]:
        """The partitions, with their ends, that as far as this reader knows are not read to their end."""
        start, positions = self._restriction, self.positions
        return {one: end for one, end in ends.items() if positions.get(one, start.get(one, 0)) < end}

    def others_are_at(self, left: dict[Partition, int]) -> bool:
        """Whether other readers have read partitions that are not ours up to these offsets."""
        raise NotImplementedError

    def _refresh(self) -> None:
        raise NotImplementedError

    def _take(self, offsets: dict[Partition, int]) -> None:
        if offsets:
            self.positions |= offsets
            self._began |= offsets
            self.fresh += offsets
            self._consumer.incremental_assign(as_list(offsets))

    def _drop(self, partitions: Sequence[Partition]) -> None:
        for one in partitions:
            self.positions.pop(one, None)
            self._began.pop(one, None)
        self.fresh = [one for one in self.fresh if one in self.positions]

    def _look(self) -> dict[str, list[int]]:
        """The topics that there are, with their partitions; empty when it is not yet time to look again."""
        now = self._clock()
        if now < self._look_at:
            return {}
        try:
            found = list_partitions(self._source.cluster, self._consumer, self._source.topics)
        except KafkaSetupError as error:
            # What is known already can still be read once librdkafka has found a broker.
            _LOG.warning("new partitions cannot be looked for: %s", error)
            self._look_at = now + _LOOK_AGAIN_SECONDS
            return {}
        self._look_at = now + self._source.discovery_seconds
        return found


class ShardAssignment(Assignment):
    """The partitions of a shard, found by looking for them now and then."""

    def others_are_at(self, left: dict[Partition, int]) -> bool:
        """No other reader has partitions of this shard."""
        return not left

    def _refresh(self) -> None:
        exist = [(topic, number) for topic, numbers in self._look().items() for number in numbers]
        new = {*self._restriction, *filter(self._shard.holds, exist)} - self.positions.keys()
        self._take({one: at for one in sorted(new) if (at := self._place(one)) is not None})
        self.known = True

    def _place(self, partition: Partition) -> int | None:
        if partition in self._restriction:
            return self._restriction[partition]
        try:
            offset = log_range(self._consumer, partition)[0]
        except KafkaReadError as error:
            _LOG.warning("a new partition cannot be read yet: %s", error)
            return None
        _LOG.info("topic %s partition %d is new, reading it from offset %d", *partition, offset)
        return offset


class GroupAssignment(Assignment):
    """The partitions that the group's coordinator deals to this member, cooperatively: a rebalance takes or adds some
    and leaves the others alone.

    What a member hands over is read from the committed offsets on: its last bundles may be read twice, and no gap.
    """

    _ask_at = float("-inf")
    _subscribed: tuple[str, ...] = ()

    def __init__(self, consumer: Consumer, source: KafkaSource, shard: Shard, clock: Callable[[], float]):
        super().__init__(consumer, source, shard, clock)
        self._dealt: set[Partition] = set()  # and not taken in yet

    def others_are_at(self, left: dict[Partition, int]) -> bool:
        """Whether the other members have committed up to these offsets; asked once a second."""
        if not left:
            return True
        if self._clock() < self._ask_at:
            return False
        self._ask_at = self._clock() + 1.0
        try:
            committed = committed_offsets(self._consumer, list(left))
        except KafkaException as error:
            _LOG.warning("the group's committed offsets cannot be read now: %s", error.args[0].str())
            return False
        return all(committed.get(one, -1) >= end for one, end in left.items())

    def _refresh(self) -> None:
        if self._dealt:
            self._take_dealt()
        # Names, never regular expressions: librdkafka's are of another kind than those that routes are chosen by.
        found = tuple(self._look())
        if found and found != self._subscribed:
            self._subscribed = found
            self._consumer.subscribe(
                list(found), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )

    def _on_assign(self, consumer: Consumer, dealt: list[TopicPartition]) -> None:
        if self._closing:
            return  # dealt while it leaves; there is nothing to look up any more
        self._dealt |= {(one.topic, one.partition) for one in dealt}
        if not self._take_dealt():
            # Or librdkafka would read them from where it thinks best.
            consumer.incremental_assign([])

    def _take_dealt(self) -> bool:
        """Takes in what was dealt and not taken in yet; not while the brokers do not tell where it goes on."""
        dealt = sorted(self._dealt)
        try:
            committed = committed_offsets(self._consumer, dealt) if dealt else {}
            offsets = {one: self._place(one, committed.get(one)) for one in dealt}
        except KafkaException as error:
            reason = error.args[0].str()
        except KafkaReadError as error:
            reason = str(error)
        else:
            self._dealt.clear()
            self._take(offsets)
            self.known = True
            _LOG.info("this process now reads %d partitions", len(self.positions))
            return True
        _LOG.warning(
            "%d partitions wait until the offsets of group %s can be read: %s",
            *(len(dealt), self._source.group_id, reason),
        )
        return False

    def _place(self, partition: Partition, committed: int | None) -> int:
        # What comes after the first assignment comes from another member, or is new.
        start = self._restriction.get(partition)
        for offset in (committed, start) if self.known else (start, committed):
            if offset is not None:
                return offset
        return log_range(self._consumer, partition)[0]

    def _on_revoke(self, _: Consumer, taken: list[TopicPartition]) -> None:
        gone = [(one.topic, one.partition) for one in taken]
        self._dealt.difference_update(gone)
        self._drop(gone)

    def _on_lost(self, consumer: Consumer, taken: list[TopicPartition]) -> None:
        self._on_revoke(consumer, taken)
        _LOG.warning("%d partitions are lost: this process was taken for dead, or their topic deleted", len(taken))


def as_list(offsets: dict[Partition, int]) -> list[TopicPartition]:
    """The offsets as confluent-kafka wants them."""
    return [TopicPartition(topic, number, offset) for (topic, number), offset in offsets.items()]
