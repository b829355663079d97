"""What a reader makes of the errors that librdkafka reports: it goes on, with a warning, or ends the run."""

from __future__ import annotations

import logging
from collections.abc import Callable

from confluent_kafka import KafkaError, Message

from transforms.kafka.assignment import Assignment
from transforms.kafka.causes import advice
from transforms.kafka.client import KafkaReadError
from transforms.kafka.source import KafkaSource

_LOG = logging.getLogger(__name__)
_WARN_EVERY_SECONDS = 60.0


class ReadErrors:
    """Decides about the errors of one reader, and logs those that pass.

    Args:
        source: What is read.
        assigned: Which partitions of it.
        clock: In seconds.
    """

    def __init__(self, source: KafkaSource, assigned: Assignment, clock: Callable[[], float]):
        self._source = source
        self._assigned = assigned
        self._clock = clock
        self._name = f"group {source.group_id}"
        self._warn_at = float("-inf")
        self._refused: set[str] = set()  # topics that may not be read

    def after(self, message: Message) -> None:
        """Handle an error of a topic or partition.

        Raises:
            KafkaReadError: Reading cannot go on.
        """
        error, topic, number = message.error(), message.topic(), message.partition()
        if error.code() in _TOPIC_ERRORS and self._is_there(topic, number):
            self.warn(f"topic {topic} partition {number}: {error.str()}; it exists again")
            self._assigned.look_again()
        elif error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART and self.may_go(topic):
            self.warn(f"topic {topic} no longer exists")
            self._assigned.look_again()
        elif error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED and self.may_go(topic):
            self._warn_of_right(error, topic)
        elif error.retriable() or error.code() in _PASSING:
            self.of_client(error)
        else:
            place = self._name if topic is None else f"topic {topic} partition {number}"
            what = advice(error, "READ", self._name if topic is None else f"topic {topic}")
            raise KafkaReadError(f"{place}: {error.str()}{what or _ADVICE.get(error.code(), '')}")

    def of_client(self, error: KafkaError) -> None:
        """Handle errors that concern no partition, for librdkafka, which recovers by itself unless one is fatal.

        Raises:
            KafkaReadError: It is fatal.
        """
        if error.fatal():
            raise KafkaReadError(f"{self._name}: {error.str()}")
        self.warn(f"Kafka: {error.str()}; librdkafka keeps trying")

    def warn(self, text: str) -> None:
        """Log a warning, unless one was logged a moment ago."""
        if self._clock() >= self._warn_at:
            self._warn_at = self._clock() + _WARN_EVERY_SECONDS
            _LOG.warning("%s", text)

    def may_go(self, topic: str) -> bool:
        """Return whether reading goes on without the topic.

        Of those that a regular expression has found, the others are still there. What should be read to an end is
        missed, and so is a topic that is named.
        """
        return self._assigned.restriction.ends is None and topic not in self._source.topics

    def _warn_of_right(self, error: KafkaError, topic: str) -> None:
        """Say once of a topic that a pattern has found that it may not be read; librdkafka keeps asking for it."""
        if topic not in self._refused:
            self._refused.add(topic)
            what = advice(error, "READ", f"topic {topic}")
            _LOG.warning(
                "topic %s is not read, although a pattern in kafka_topics matches it: %s%s", topic, error.str(), what
            )

    def _is_there(self, topic: str, number: int) -> bool:
        """Return whether the topic was created again by now, with or without the partition; -1 asks for the topic
        alone.
        """
        found = self._assigned.described(topic)
        held = (topic, number) in self._assigned.positions
        return found is not None and (number < 0 or not held or number in found.partitions)


_ADVICE = {
    KafkaError.INCONSISTENT_GROUP_PROTOCOL: "; a consumer of another kind, such as Kafka Connect's, is in this group: "
    "stop it, or choose another kafka_group_id",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "; was it deleted?",
}

# What librdkafka says of a topic that is deleted, whether it is created again or not.
_TOPIC_ERRORS = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC})

# A topic that was created again may not have the offsets and partitions of the one before it.
MAYBE_ANOTHER_TOPIC = _TOPIC_ERRORS | {KafkaError._AUTO_OFFSET_RESET}

# Librdkafka gets over these by itself.
_PASSING = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
        KafkaError._RESOLVE,
        KafkaError._MAX_POLL_EXCEEDED,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REQUEST_TIMED_OUT,
    }
)
