"""What a consumer must find out by itself when it joins a group: whether its first partitions were handed over to it.

With Kafka's classic protocol each member learns its partitions as it joins, even if it gets none, and receives what
others hand over after that. But it does not learn of a first round whose end it comes too late for, since others hand
over already and a second round has begun. With `group.protocol=consumer` it hears nothing until it gets partitions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from confluent_kafka import Consumer, ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient

from transforms.kafka.client import REQUEST_SECONDS, Partition
from transforms.kafka.offsets import Committed, committed_offsets

# Partitions that nobody has are dealt in a part of a second; those of another member wait for its next poll.
_SPARE_SECONDS = 5.0


class Newcomer:
    """Knows whether other members were in the group before this one, and what they have read since.

    Args:
        consumer: Has not subscribed yet.
        admin: A client of the same cluster.
        group_id: The consumer's group.
        partitions: Partitions of the topics that it subscribes to.
        is_told: Whether it hears of its partitions even if it gets none.
        clock: In seconds.

    Raises:
        KafkaException: The brokers do not answer now.
    """

    def __init__(
        self,
        consumer: Consumer,
        admin: AdminClient,
        group_id: str,
        partitions: Sequence[Partition],
        is_told: bool,
        clock: Callable[[], float],
    ):
        self._admin = admin
        self._group_id = group_id
        self._clock = clock
        self._before = committed_offsets(consumer, partitions)
        self._is_told = is_told
        self._is_second = not is_told and self._has_members()
        self._ask_at = clock() + _SPARE_SECONDS
        self._seen_members = False

    def takes_over(self, partition: Partition, committed: Committed | None) -> bool:
        """Return whether another member has read, or may have read, a partition that this one gets first of all.

        What is handed over is committed once more, so that a quiet partition shows it too.
        """
        return self._is_second or committed != self._before.get(partition)

    def is_spare(self) -> bool:
        """Return whether the present members leave no partition for this one; asked while it has none.

        The group has to have members twice in a row, with some seconds between: this one counts as soon as it has
        joined, and gets its partitions a moment later.
        """
        if self._is_told or self._clock() < self._ask_at:
            return False
        self._ask_at = self._clock() + _SPARE_SECONDS
        try:
            before, self._seen_members = self._seen_members, self._has_members()
        except KafkaException:
            return False
        return before and self._seen_members

    def _has_members(self) -> bool:
        listed = self._admin.list_consumer_groups(request_timeout=REQUEST_SECONDS).result()
        return any(
            group.group_id == self._group_id and group.state != ConsumerGroupState.EMPTY for group in listed.valid
        )
