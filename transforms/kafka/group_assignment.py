"""The partitions that the coordinator of a consumer group assigns to a reader."""

from __future__ import annotations

import logging
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaException, TopicPartition

from transforms.kafka.assignment import LOOK_AGAIN_SECONDS, Assignment
from transforms.kafka.client import KafkaReadError, Partition, deals_by_brokers
from transforms.kafka.newcomer import Newcomer
from transforms.kafka.offsets import Committed, committed_offsets, log_range
from transforms.kafka.restriction import Shard
from transforms.kafka.source import KafkaSource
from transforms.kafka.start import is_another

_LOG = logging.getLogger(__name__)


class GroupAssignment(Assignment):
    """The partitions that the group's coordinator assigns to this member, cooperatively: a rebalance takes or adds some
    and leaves the others alone.

    A partition handed over is read from its committed offset: its last bundles may be read twice, with no gap.
    """

    _ask_others_at = float("-inf")
    _subscribed: tuple[str, ...] = ()

    def __init__(self, consumer: Consumer, source: KafkaSource, shard: Shard, clock: Callable[[], float]):
        super().__init__(consumer, source, shard, clock)
        self._dealt: set[Partition] = set()  # and not taken in yet
        self._newcomer: Newcomer | None = None  # with group.protocol=consumer

    def others_are_at(self, left: dict[Partition, int]) -> bool:
        """Return whether the other members have committed up to these offsets; asked once a second."""
        if not left:
            return True
        if self._clock() < self._ask_others_at:
            return False
        self._ask_others_at = self._clock() + 1.0
        try:
            committed = committed_offsets(self._consumer, list(left))
        except KafkaException as error:
            _LOG.warning("the group's committed offsets cannot be read now: %s", error.args[0].str())
            return False
        ids = self.restriction.ids
        return all(
            one in committed
            and committed[one].offset >= end
            and not is_another(committed[one].topic_id, ids.get(one[0]))
            for one, end in left.items()
        )

    def _reads(self, partition: Partition) -> bool:
        return True  # or another member of the group does

    def _leave(self, partitions: list[Partition]) -> None:
        self._drop(partitions)  # the coordinator takes them as soon as it has heard

    def _refresh(self) -> None:
        if self._dealt:
            self._take_dealt()
        # Names, never regular expressions: librdkafka's are of another kind than those that routes are chosen by.
        partitions = self._look()
        found = tuple(partitions)
        if found and found != self._subscribed and self._may_join(partitions):
            self._subscribed = found
            self._consumer.subscribe(
                list(found), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
        if not self.known and self._newcomer is not None and self._newcomer.is_spare():
            self.known = True

    def _may_join(self, found: dict[str, list[int]]) -> bool:
        """Look at the group before joining it, if its protocol does not show a member who was there before."""
        if self._newcomer is not None or not deals_by_brokers(self._source.cluster):
            return True
        partitions = [(topic, number) for topic, numbers in found.items() for number in numbers]
        try:
            self._newcomer = Newcomer(self._consumer, self._admin, self._source.group_id, partitions, self._clock)
        except KafkaException as error:
            _LOG.warning("group %s cannot be joined yet: %s", self._source.group_id, error.args[0].str())
            self._look_at = self._clock() + LOOK_AGAIN_SECONDS
            return False
        return True

    def _on_assign(self, consumer: Consumer, dealt: list[TopicPartition]) -> None:
        if self._closing:
            return  # dealt while it leaves; there is nothing to look up any more
        self._dealt |= {(one.topic, one.partition) for one in dealt}
        if not self._take_dealt():
            # Or librdkafka would read them from where it thinks best.
            consumer.incremental_assign([])

    def _take_dealt(self) -> bool:
        """Take in newly assigned partitions, once the brokers say where to continue."""
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
            self.ask_ids()
            _LOG.info("this process now reads %d partitions", len(self.positions))
            return True
        _LOG.warning(
            "%d partitions wait until the offsets of group %s can be read: %s",
            *(len(dealt), self._source.group_id, reason),
        )
        return False

    def _place(self, partition: Partition, committed: Committed | None) -> Committed:
        # What comes after the first assignment comes from another member, or is new.
        handed_over = self.known or (self._newcomer is not None and self._newcomer.takes_over(partition, committed))
        start = self._in_restriction(partition)
        for known in (committed, start) if handed_over else (start, committed):
            if known is not None:
                return known
        return Committed(log_range(self._consumer, partition)[0])

    def _on_revoke(self, _: Consumer, taken: list[TopicPartition]) -> None:
        gone = [(one.topic, one.partition) for one in taken]
        self._dealt.difference_update(gone)
        self._drop(gone)

    def _on_lost(self, consumer: Consumer, taken: list[TopicPartition]) -> None:
        self._on_revoke(consumer, taken)
        _LOG.warning(
            "%d partitions are lost: the brokers considered this process dead, or their topic was deleted", len(taken)
        )
