"""Topic ids: they tell a topic that was deleted and created again from the one before it."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, TopicDescription

from transforms.kafka.client import REQUEST_SECONDS

_LOG = logging.getLogger(__name__)

# A broker that has just started may not have heard of a topic yet, so one answer is not believed.
_DELETED_SECONDS = 2.0

# Librdkafka's own, where nothing came from a broker.
_NO_ANSWER = frozenset(
    {KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE}
)

_METADATA = re.compile(r"beam-aep(?: topic_id=(?P<topic_id>[\w-]{22}))?(?: hand_over=(?P<hand_over>\w+))?", re.ASCII)
_NO_ID = "A" * 22  # sixteen zero bytes, from brokers that have no ids


class Topic(NamedTuple):
    """A topic as the brokers describe it: its id in Kafka's own notation, and its partitions."""

    id: str
    partitions: tuple[int, ...]


class TopicIds:
    """Asks for topic ids in the background, so that reading never waits for them unless it wants to.

    Brokers before Kafka 2.8 and librdkafka's embedded one give no ids: topics then stay unknown here.

    Attributes:
        known: The topics that the last answers described.
    """

    def __init__(self, admin: AdminClient, clock: Callable[[], float] = time.monotonic):
        self.known: dict[str, Topic] = {}
        self._admin = admin
        self._clock = clock
        self._asked: dict[str, Future[TopicDescription]] = {}
        self._seen: set[str] = set()
        self._missing_since: dict[str, float] = {}
        self._deleted: set[str] = set()
        self._silent = False
        self._unanswered_since: float | None = None

    def ask(self, topics: Iterable[str], anew: bool = False) -> None:
        """Send a request, unless one is still unanswered.

        Args:
            topics: Their names.
            anew: Send it all the same, and ignore the answer to the one before.
        """
        self._admin.poll(0)  # serves its callbacks
        names = sorted(set(topics))
        if not names or (self._asked and not anew):
            return
        try:
            self._asked = self._admin.describe_topics(TopicCollection(names), request_timeout=REQUEST_SECONDS)
            self._unanswered_since = self._unanswered_since or self._clock()
        except KafkaException as error:
            self._say_once(error)

    def hear(self, seconds: float = 0.0) -> bool:
        """Take in the answer and return True, if it arrives within `seconds`."""
        if not self._asked or wait(self._asked.values(), seconds).not_done:
            return False
        if self.silence() == 0:
            self._unanswered_since = None
        asked, self._asked = self._asked, {}
        for topic, future in asked.items():
            try:
                self._found(topic, future.result())
            except KafkaException as error:
                self.known.pop(topic, None)
                if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    self._not_found(topic)
                else:
                    self._say_once(error)
        return True

    def silence(self) -> float:
        """Return for how many seconds no broker has answered what was asked; any thread may ask."""
        since, asked = self._unanswered_since, self._asked
        if since is None or any(map(_is_answered, asked.values())):
            return 0.0
        return self._clock() - since

    def deleted(self) -> set[str]:
        """Return topics that were there, and have not been for two seconds and at least two answers."""
        return self._deleted

    def _found(self, topic: str, description: TopicDescription) -> None:
        self._seen.add(topic)
        self._missing_since.pop(topic, None)
        self._deleted.discard(topic)
        # Kafka's own tools write ids in the URL's alphabet, librdkafka in the other one.
        text = str(description.topic_id or _NO_ID).replace("+", "-").replace("/", "_")
        if text == _NO_ID:
            self._say_once("the brokers have none")
        else:
            self.known[topic] = Topic(text, tuple(sorted(each.id for each in description.partitions)))

    def _not_found(self, topic: str) -> None:
        if topic not in self._seen:
            return  # to a broker that cannot describe topics none is there
        since = self._missing_since.setdefault(topic, self._clock())
        if self._clock() - since >= _DELETED_SECONDS:
            self._deleted.add(topic)

    def _say_once(self, why: object) -> None:
        if not self._silent:
            self._silent = True
            _LOG.debug("no topic ids, so a topic that is created again is not noticed by its id: %s", why)


def _is_answered(asked: Future[TopicDescription]) -> bool:
    """Return whether a broker has answered, be it with an error."""
    if not asked.done():
        return False
    error = asked.exception()
    return not isinstance(error, KafkaException) or error.args[0].code() not in _NO_ANSWER


def as_metadata(topic_id: str, hand_over: str = "") -> str:
    """Return the metadata to commit with an offset.

    Args:
        topic_id: Of its topic; "" when that is not known.
        hand_over: Names the hand-over of the partition to another member that the offset is committed for, if it is.
    """
    words = [f"{name}={value}" for name, value in (("topic_id", topic_id), ("hand_over", hand_over)) if value]
    return " ".join(["beam-aep", *words]) if words else ""


def from_metadata(metadata: str | None) -> tuple[str, str]:
    """Return the topic id and the hand-over in the metadata of a committed offset, each "" where it is not there, as
    when somebody else committed it.
    """
    found = _METADATA.fullmatch(metadata or "")
    return (found["topic_id"] or "", found["hand_over"] or "") if found else ("", "")
