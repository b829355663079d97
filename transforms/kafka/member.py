"""A member of a consumer group, apart from the consumer that reads: its thread hears of a rebalance at any time."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from transforms.kafka.client import make_consumer
from transforms.kafka.source import KafkaSource

_LOG = logging.getLogger(__name__)

# What other threads ask for is done between two polls.
_POLL_SECONDS = 0.05

# librdkafka has been seen to wait for ever for brokers that had gone.
_LEAVE_SECONDS = 10.0

# A group that cannot be joined says so again and again.
_KEPT = 100

OnPartitions = Callable[[Consumer, list[TopicPartition]], None]


class Member:
    """Is in the group and fetches nothing: whoever reads the partitions takes them by itself.

    The callbacks of a rebalance run in this thread, so they may wait for the thread of the bundles, which may be
    waiting for answers, without a poll, for as long as the destination is away. Heartbeats go on meanwhile.

    Only this thread uses the consumer: confluent-kafka lets one thread at a time in, and gives others no turn while
    this one polls again and again. So others leave word of what is to be done.

    Args:
        source: What to read, and in which group.
        on_commit: Gets what has become of commits, in this thread.
        retry: Makes commits again that have failed; returns whether none is left to make.

    Attributes:
        consumer: For this thread alone; the brokers accept commits of members only.

    Raises:
        KafkaSetupError: `kafka_config` is not accepted.
    """

    def __init__(
        self,
        source: KafkaSource,
        on_commit: Callable[[KafkaError | None, list[TopicPartition]], None],
        retry: Callable[[], bool],
    ):
        self._group_id = source.group_id
        self._retry = retry
        self._messages: deque[Message] = deque(maxlen=_KEPT)
        self._errors: deque[KafkaError] = deque(maxlen=_KEPT)
        self.consumer = make_consumer(
            source.cluster,
            source.group_id,
            {"error_cb": self._errors.append, "on_commit": on_commit},
            {"topic.metadata.refresh.interval.ms": int(source.discovery_seconds * 1000)},
        )
        self._topics: deque[Callable[[], None]] = deque()
        self._commits: deque[Callable[[], None]] = deque()
        self._closing = threading.Event()
        self._seconds = 0.0
        self._thread = threading.Thread(target=self._poll, name=f"member of {source.group_id}", daemon=True)

    def subscribe(
        self, topics: Sequence[str], on_assign: OnPartitions, on_revoke: OnPartitions, on_lost: OnPartitions
    ) -> None:
        """Join the group for these topics, or change them, soon."""

        def subscribe() -> None:
            self.consumer.subscribe(list(topics), on_assign=on_assign, on_revoke=on_revoke, on_lost=on_lost)

        self._topics.append(subscribe)
        if self._thread.ident is None:
            self._thread.start()

    def ask(self, commit: Callable[[], None]) -> None:
        """Have a commit made soon, in this thread: it is the one to know which partitions the member still has."""
        self._commits.append(commit)

    def make_commits(self) -> None:
        """Make the commits that were asked for; callbacks that wait must call it."""
        while self._commits:
            self._commits.popleft()()

    def messages(self) -> list[Message]:
        """Return errors that the group or its topics had since this was last asked.

        Raises:
            RuntimeError: The thread has ended, by an error in our own code.
        """
        if self._thread.ident is not None and not self._thread.is_alive() and not self._closing.is_set():
            raise RuntimeError(f"the thread that takes part in group {self._group_id} has failed, see its traceback")
        return _emptied(self._messages)

    def errors(self) -> list[KafkaError]:
        """Return errors that concern neither, since this was last asked."""
        return _emptied(self._errors)

    def is_polling(self) -> bool:
        """Return whether the thread runs."""
        return self._thread.is_alive()

    def stop(self, seconds: float) -> bool:
        """Make the commits that were asked for, and end the thread once they are made.

        Args:
            seconds: How long commits are made again that fail.

        Returns:
            Whether none is left to make.
        """
        self._seconds = seconds
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.make_commits()
        return self._retry()

    def close(self) -> None:
        """Leave the group, after `stop`, if the brokers answer in time."""
        leaving = threading.Thread(target=self.consumer.close, name=f"leaving {self._group_id}", daemon=True)
        leaving.start()
        leaving.join(_LEAVE_SECONDS)
        if leaving.is_alive():
            _LOG.warning(
                "group %s could not be left within %g s: the brokers deal its partitions anew after session.timeout.ms",
                *(self._group_id, _LEAVE_SECONDS),
            )

    def _poll(self) -> None:
        while not self._closing.is_set():
            self._turn()
        # Amid a rebalance, as when several members leave together, brokers take no commit, and it goes on with polls.
        deadline = time.monotonic() + self._seconds
        self.make_commits()
        while not self._retry() and time.monotonic() < deadline:
            self._turn()

    def _turn(self) -> None:
        try:
            while self._topics:
                self._topics.popleft()()
            self.make_commits()
            self._retry()
            message = self.consumer.poll(_POLL_SECONDS)
        except KafkaException as error:  # also of a callback
            self._errors.append(error.args[0])
            return
        if message is not None:
            self._messages.append(message)


T = TypeVar("T")


def _emptied(queue: deque[T]) -> list[T]:
    return [queue.popleft() for _ in range(len(queue))]
