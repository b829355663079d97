"""The offsets that a reader commits to its group, once the records before them are delivered."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from transforms.kafka.client import Partition
from transforms.kafka.offsets import COORDINATOR_MOVING, MEMBERS_ALONE, Committed
from transforms.kafka.topic_ids import as_metadata, from_metadata

_LOG = logging.getLogger(__name__)
_NOTHING = Committed(-1)

# Of a coordinator that moves, a group amid a rebalance, a broker that does not answer: they pass.
_PASSING = (
    COORDINATOR_MOVING
    | MEMBERS_ALONE
    | {KafkaError.REQUEST_TIMED_OUT, KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._WAIT_COORD}
)
_RETRY_SECONDS = 0.5


class Commits:
    """The offsets of one consumer that are delivered, committed, and still to be committed.

    Args:
        consumer: Commits for its group: a consumer, or the member of the group.
        name: Name of the group, for the log.
        has_read: Whether the consumer has a partition and has reached an offset of it.
    """

    def __init__(self, consumer: Consumer, name: str, has_read: Callable[[Partition, Committed], bool]):
        self._consumer = consumer
        self._name = name
        self._has_read = has_read
        self._delivered: dict[Partition, Committed] = {}
        self._committed: dict[Partition, Committed] = {}
        self._expected: dict[Partition, Committed] = {}
        self._bundles = 0
        self._newest: dict[Partition, int] = {}  # the bundle that the delivered offset is of
        self._under_way: dict[Partition, Committed] = {}
        self._refused: set[Partition] = set()  # whose last commit failed for good
        self._retry_at = float("-inf")
        self._lock = threading.Lock()  # held while a commit is made, which waits for whoever uses the consumer
        self._answers = threading.Lock()  # of what is under way: an answer must not wait for a commit

    def commit(self, positions: dict[Partition, Committed]) -> None:
        """Commit to the group without waiting: a silent broker would block everything, even signals.

        Offsets that cannot be committed are retried with the next commit, even one of nothing new. No record is lost:
        after a restart the records are read again.
        """
        with self._lock:
            self._commit(positions)

    def hold(self, places: dict[Partition, Committed]) -> None:
        """Commit where reading has begun, without waiting, but where more is delivered by now."""
        with self._lock:
            self._deliver({})
            self._commit({one: at for one, at in places.items() if one not in self._delivered})

    def retry(self) -> bool:
        """Make commits again that have failed, now and then.

        Returns:
            Whether all that is delivered is committed, but for what is refused for good.
        """
        with self._lock:
            left = self._uncommitted().keys() - self._refused
            now = time.monotonic()
            if now >= self._retry_at and left - self._under_way.keys():
                self._retry_at = now + _RETRY_SECONDS
                self._commit({})
            return not left

    def _deliver(self, positions: dict[Partition, Committed]) -> None:
        # What another member reads by now is its to commit, and so is what it has read since we lost the partition.
        mine = {one: at for one, at in (self._delivered | positions).items() if self._has_read(one, at)}
        self._delivered = mine

    def _commit(self, positions: dict[Partition, Committed]) -> None:
        self._deliver(positions)
        new = self._uncommitted()
        if not new:
            return
        with self._answers:
            self._under_way |= new
        try:
            self._consumer.commit(offsets=self._as_list(new))
        except (KafkaException, RuntimeError) as error:
            with self._answers:
                for one in new:
                    self._under_way.pop(one, None)
            if not isinstance(error, KafkaException) or error.args[0].code() not in _PASSING:
                self._refused |= new.keys()
            _LOG.warning("offsets of %s could not be committed, the next commit includes them: %s", self._name, error)

    def commit_now(self, places: Mapping[Partition, Committed], hand_over: str) -> bool:
        """Commit what is delivered of partitions that are handed over, also where that is nothing new, and wait for it.

        Args:
            places: Where the reading of each has begun, which is committed where nothing is delivered of it.
            hand_over: A new name for the hand-over, by which the next member sees that there was one.

        Returns:
            Whether it is committed, or belongs to a topic that was deleted.
        """
        with self._lock:
            self._deliver({})
            at = {one: self._delivered.get(one, began) for one, began in places.items()}
            wanted = {one: done._replace(hand_over=hand_over) for one, done in at.items() if self._has_read(one, done)}
            offsets = self._as_list({one: done for one, done in wanted.items() if self._committed.get(one) != done})
        if not offsets:
            return True
        try:
            answers = self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            _LOG.debug("offsets of %s could not be committed before a hand-over: %s", self._name, error)
            return error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART
        self._note(answers)
        return all(one.error is None or one.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART for one in answers)

    def delivered(self, partition: Partition) -> int:
        """Return the offset before which the records of the partition are delivered, as far as was read here."""
        return self._delivered.get(partition, _NOTHING).offset

    def committed(self, partition: Partition) -> int:
        """Return the offset that was last committed here."""
        return self._committed.get(partition, _NOTHING).offset

    def on_commit(self, offsets: Sequence[TopicPartition]) -> None:
        """Note a commit, for librdkafka, in a poll or at the close. Must not wait for `commit`, which waits too."""
        with self._answers:
            for one in offsets:
                # The answer to an earlier commit says nothing of the one that is under way.
                if self._under_way.get((one.topic, one.partition), _NOTHING).offset == one.offset:
                    self._under_way.pop((one.topic, one.partition), None)
        self._note(offsets)

    def _note(self, offsets: Sequence[TopicPartition]) -> None:
        for one in offsets:
            if one.error is None or one.error.code() in _PASSING:
                self._refused.discard((one.topic, one.partition))
            else:
                self._refused.add((one.topic, one.partition))
            if one.error is None:
                self._committed[one.topic, one.partition] = Committed(one.offset, *from_metadata(one.metadata))
            else:
                # Amid a rebalance that is to be expected, as often as it is tried.
                _LOG.log(
                    logging.INFO if one.error.code() in MEMBERS_ALONE else logging.WARNING,
                    "offset %d of topic %s partition %d could not be committed, the next commit includes it: %s",
                    *(one.offset, one.topic, one.partition, one.error.str()),
                )

    def commit_later(self, positions: dict[Partition, Committed]) -> Callable[[], None]:
        """Return a function to call once the records before these positions are delivered."""
        self._expected |= {one: at for one, at in positions.items() if self._has_read(one, at)}
        self._bundles += 1
        return partial(self._commit_bundle, self._bundles, positions)

    def _commit_bundle(self, bundle: int, positions: dict[Partition, Committed]) -> None:
        """Commit what a bundle has read, unless a later one was final before it.

        When a checkpoint completes, Flink's runner finalises all bundles since the last one together, and Beam's worker
        does so in many threads: the last offset committed would be that of any of them, and stay so on a quiet topic.
        Offsets are not compared: a later bundle's may be lower, where the log was cut off.
        """
        with self._lock:
            positions = {one: at for one, at in positions.items() if bundle >= self._newest.get(one, 0)}
            self._newest |= dict.fromkeys(positions, bundle)
            self._commit(positions)

    def owed(self) -> bool:
        """Return whether a commit has failed and must be retried, without waiting for new records."""
        return bool(self._uncommitted().keys() - self._under_way.keys())

    def _uncommitted(self) -> dict[Partition, Committed]:
        return {one: at for one, at in self._delivered.items() if self._committed.get(one, _NOTHING)[:2] != at[:2]}

    @staticmethod
    def _as_list(offsets: dict[Partition, Committed]) -> list[TopicPartition]:
        return [
            TopicPartition(topic, number, at.offset, metadata=as_metadata(at.topic_id, at.hand_over))
            for (topic, number), at in offsets.items()
        ]

    def awaited(self) -> bool:
        """Return whether a commit of `commit_later` has not been made yet."""
        return any(self._delivered.get(one, _NOTHING).offset < at.offset for one, at in list(self._expected.items()))

    def forget(self, topic: str) -> None:
        """Forget the offsets of a topic that was created again."""
        with self._lock:
            for known in (self._delivered, self._committed, self._expected):
                for one in [one for one in known if one[0] == topic]:
                    known.pop(one, None)
