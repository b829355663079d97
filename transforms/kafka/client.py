"""Kafka for the transforms: its cluster, its clients and its topics.

librdkafka's names of properties, errors and offsets are kept.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicCollection
from confluent_kafka.admin import AclOperation, AdminClient, TopicDescription

from aep.errors import UserError
from aep.http import secrets
from transforms.kafka.auth import KafkaLoginError, login_advice, with_login
from transforms.kafka.causes import Heard, advice
from transforms.records.topic_names import covers

_LOG = logging.getLogger(__name__)

REQUEST_SECONDS = 10.0
"""How long a request for metadata or offsets may take."""

NamedStart = Literal["committed", "earliest", "latest"]
Reset = Literal["earliest", "latest", "error"]
Partition = tuple[str, int]  # topic, partition


class KafkaSetupError(UserError):
    """Kafka cannot be read or written as the options ask: what, where, and what to do."""


class KafkaReadError(UserError):
    """Reading failed for good; names the topic and partition."""


@dataclass(frozen=True)
class KafkaCluster:
    """How to reach a Kafka cluster.

    Attributes:
        bootstrap_servers: `host:port,...`.
        config: Further librdkafka properties; values may be secret references, resolved where a client is made. Amazon
            MSK's `sasl.mechanism: AWS_MSK_IAM` is taken too.
    """

    bootstrap_servers: str
    config: Mapping[str, str]

    def properties(self) -> dict[str, object]:
        """Return librdkafka properties with secrets resolved: for a client, never for a log.

        Raises:
            KafkaSetupError: There is no way to log in as the options ask.
        """
        resolved = {
            name: secrets.resolve(value) if secrets.is_reference(value) else value
            for name, value in self.config.items()
        }
        properties: dict[str, object] = {
            "bootstrap.servers": self.bootstrap_servers,
            "client.id": "beam-aep",
            # A first connection that fails is reported by the call that needed it, in our words.
            "log.connection.close": False,
            "logger": _LOG,
            **resolved,
        }
        try:
            return with_login(properties)
        except KafkaLoginError as error:
            raise KafkaSetupError(str(error)) from None


Client = TypeVar("Client", Consumer, Producer, AdminClient)


def make_client(kind: type[Client], properties: Mapping[str, object]) -> Client:
    """Return a client. Each kind refuses properties of its own: every client is made here, to say so in the same words.

    Raises:
        KafkaSetupError: librdkafka, or confluent-kafka, does not accept `kafka_config`.
    """
    try:
        return kind(dict(properties))
    except KafkaException as error:
        said = error.args[0].str()
    except (AttributeError, TypeError, ValueError) as error:  # of properties that confluent-kafka reads itself
        said = str(error)
    raise KafkaSetupError(f"kafka_config is not accepted by librdkafka: {said}{login_advice(said)}")


class _Admin(AdminClient):
    """An admin client that remembers why it cannot reach the brokers."""

    def __init__(self, properties: Mapping[str, object]):
        self._heard = Heard()
        # Its log would repeat what is heard, with each try to connect. Asking for a topic must not make it.
        quiet = {"log_level": 2, "allow.auto.create.topics": False}
        super().__init__({**quiet, **properties, "error_cb": self._heard})

    def why(self, error: KafkaError) -> str:
        """Return the last error of a broker or the connection to it; a call's error if nothing was
        heard.
        """
        self.poll(0)
        return self._heard.why(error)


def admin_client(cluster: KafkaCluster) -> AdminClient:
    """Return a client for metadata and offsets.

    Raises:
        KafkaSetupError: `kafka_config` is not accepted.
    """
    return make_client(_Admin, without(cluster.properties(), "isolation.level"))


def why(client: AdminClient | Consumer, error: KafkaError) -> str:
    """Return why a call has failed, with what its client has heard besides."""
    return client.why(error) if isinstance(client, _Admin) else error.str()


def make_consumer(
    cluster: KafkaCluster,
    group_id: str,
    decided: Mapping[str, object],
    defaults: Mapping[str, object] = MappingProxyType({}),
) -> Consumer:
    """Return a consumer that commits nothing by itself.

    Args:
        cluster: Where to, with the properties that users may set.
        group_id: Its group.
        decided: Properties that users may not set.
        defaults: Properties that they may.

    Raises:
        KafkaSetupError: `kafka_config` is not accepted.
    """
    return make_client(
        Consumer,
        {
            **_member_defaults(cluster),
            # Its log would repeat what error_cb receives, at each attempt to connect.
            "log_level": 2,
            **defaults,
            **cluster.properties(),
            "group.id": group_id,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            **decided,
        },
    )


def deals_by_brokers(cluster: KafkaCluster) -> bool:
    """Return whether the brokers assign partitions to the members of a group (KIP-848), and not a member
    to the others.
    """
    return cluster.config.get("group.protocol", "classic").lower() == "consumer"


def max_poll_seconds(cluster: KafkaCluster) -> float:
    """Return how long a member of a group may take to let partitions go; librdkafka's default is five minutes."""
    return int(cluster.config.get("max.poll.interval.ms", "300000")) / 1000


def _member_defaults(cluster: KafkaCluster) -> dict[str, object]:
    if deals_by_brokers(cluster):
        return {}  # The brokers set the times, and refuse a member's.
    # A killed process's partitions are dealt again after this long.
    return {"session.timeout.ms": 10_000, "partition.assignment.strategy": "cooperative-sticky"}


def list_partitions(
    cluster: KafkaCluster, client: AdminClient | Consumer, topics: Sequence[str]
) -> dict[str, list[int]]:
    """Return the partitions of the topics that exist now; a name that starts with `^` is a regular expression.

    Raises:
        KafkaSetupError: No broker answers.
    """
    try:
        metadata = client.list_topics(timeout=REQUEST_SECONDS)
    except KafkaException as error:
        raise KafkaSetupError(
            f"no Kafka broker answers at {cluster.bootstrap_servers}: {why(client, error.args[0])}; check "
            "kafka_bootstrap_servers and the security properties in kafka_config"
        ) from None
    matching = [name for name in metadata.topics if any(covers(wanted, name) for wanted in topics)]
    return {name: sorted(metadata.topics[name].partitions) for name in sorted(matching)}


def unknown_topics(topics: Sequence[str], found: Iterable[str]) -> list[str]:
    """Return the names, not the regular expressions, that are not among the topics found."""
    return sorted({name for name in topics if not name.startswith("^")} - set(found))


def why_unknown(cluster: KafkaCluster, client: AdminClient, topics: Sequence[str], option: str) -> str:
    """Explain why topics were not found: brokers hide those that the user has no right to.

    Args:
        cluster, client: Where they were looked for.
        topics: Their names.
        option: Where the names come from.
    """
    for topic in topics:
        try:
            error = client.list_topics(topic, timeout=REQUEST_SECONDS).topics[topic].error
        except KafkaException as raised:
            error = raised.args[0]
        if error is not None and (what := advice(error, "DESCRIBE", f"topic {topic}")):
            return f"topic {topic} on {cluster.bootstrap_servers}: {error.str()}{what}"
    return f"no topic {', '.join(topics)} on {cluster.bootstrap_servers}; check {option}"


def without_right(client: AdminClient, topics: Iterable[str], operation: AclOperation) -> list[str]:
    """Return the topics that the user has no right to read, or to write, as far as the brokers say."""
    topics = list(topics)
    if not topics:
        return []
    try:
        metadata = client.list_topics(timeout=REQUEST_SECONDS)
        if metadata.controller_id not in metadata.brokers:
            return []  # librdkafka's embedded broker: the request would wait for a controller until its time is up
        answers = client.describe_topics(
            TopicCollection(topics), include_authorized_operations=True, request_timeout=REQUEST_SECONDS
        )
    except KafkaException as error:
        _LOG.debug("cannot determine the rights on topics: %s", error.args[0].str())
        return []
    return [topic for topic, answer in answers.items() if _is_refused(answer, operation)]


def _is_refused(answer: Future[TopicDescription], operation: AclOperation) -> bool:
    try:
        operations = answer.result().authorized_operations
    except KafkaException as error:
        _LOG.debug("cannot determine the rights on a topic: %s", error.args[0].str())
        return False
    # Old brokers name no rights at all.
    return bool(operations) and operation not in operations


def without(properties: Mapping[str, object], *names: str) -> dict[str, object]:
    """Return the properties without some of them."""
    return {name: value for name, value in properties.items() if name not in names}
