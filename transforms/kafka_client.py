"""Kafka as the transforms need it: how to reach it, what topics there are, and sending with certainty.

librdkafka's own words for properties, errors and offsets are kept.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient

from aep import secrets
from transforms import process
from transforms.chunks import Headers

_LOG = logging.getLogger(__name__)

REQUEST_SECONDS = 10.0
"""How long a request for metadata or offsets may take."""

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


class _Admin(AdminClient):
    """An admin client that remembers why it does not reach the brokers: its calls only say that they have failed."""

    def __init__(self, properties: Mapping[str, object]):
        self._heard = ""
        # Its log would repeat what is heard, with each try to connect.
        super().__init__({"log_level": 2, **properties, "error_cb": self._hear})

    def why(self) -> str:
        """What a broker, or the way to it, was last found to be wrong with; "" for nothing."""
        self.poll(0)
        return self._heard

    def _hear(self, error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._heard = error.str().partition(" (after ")[0]


def admin_client(cluster: KafkaCluster) -> AdminClient:
    """A client for metadata and offsets."""
    try:
        return _Admin(_without(cluster.properties(), "isolation.level"))
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
        metadata = client.list_topics(timeout=REQUEST_SECONDS)
    except KafkaException as error:
        why = (client.why() if isinstance(client, _Admin) else "") or error.args[0].str()
        raise KafkaSetupError(
            f"no Kafka broker answers at {cluster.bootstrap_servers}: {why}; check "
            "kafka_bootstrap_servers and the security properties in kafka_config"
        ) from None
    matching = [name for name in metadata.topics if any(_matches(wanted, name) for wanted in topics)]
    return {name: sorted(metadata.topics[name].partitions) for name in sorted(matching)}


def unknown_topics(topics: Sequence[str], found: Iterable[str]) -> list[str]:
    """The names, not the regular expressions, that are not among the topics found."""
    return sorted({name for name in topics if not name.startswith("^")} - set(found))


def send_all(cluster: KafkaCluster, topic: str, messages: Iterable[tuple[bytes | None, bytes | None, Headers]]) -> None:
    """Produces messages of (key, value, headers) and returns when the brokers have them all.

    Raises:
      KafkaSetupError: a message was not taken; says why the first was not.
    """
    key_of_producer = "producer", repr(cluster)
    producer = process.shared(key_of_producer, lambda: _producer(cluster))
    errors: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            errors.append(error)

    for key, value, headers in messages:
        while not errors:
            try:
                producer.produce(topic, value, key, headers=list(headers), on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
            except KafkaException as error:
                errors.append(error.args[0])
                break
    producer.flush()
    if errors:
        process.take(key_of_producer)  # after a fatal error it would take nothing more
        too_large = errors[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
        raise KafkaSetupError(
            f"topic {topic} on {cluster.bootstrap_servers} does not take a message: {errors[0].str()}"
            + ("; raise the topic's max.message.bytes" if too_large else "")
        )


def _producer(cluster: KafkaCluster) -> Producer:
    return Producer(
        {
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 20,
            "compression.type": "lz4",
            # The topic's max.message.bytes decides; a dead letter is larger than its record by the reason's headers.
            "message.max.bytes": 100_000_000,
            # A dead-letter topic that cannot be written for a minute ends the bundle; nothing is committed.
            "delivery.timeout.ms": 60_000,
            **_without(cluster.properties(), *_CONSUMER_ONLY),
        }
    )


# Properties that users give for reading and that a producer would complain about.
_CONSUMER_ONLY = ("isolation.level", "session.timeout.ms", "max.poll.interval.ms")


def _matches(wanted: str, topic: str) -> bool:
    return re.match(wanted, topic) is not None if wanted.startswith("^") else wanted == topic


def _without(properties: Mapping[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in properties.items() if name not in names}


def ignore_error(_: KafkaError) -> None:
    """Connection errors of a short-lived client are told by the call that fails."""
