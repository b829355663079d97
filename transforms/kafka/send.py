"""Sending to Kafka with certainty: for dead letters, receipts and samples."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as DeliveredMessage
from confluent_kafka.admin import AclOperation

from aep.errors import StoppedError
from transforms.kafka.causes import Heard, advice, needed
from transforms.kafka.client import (
    KafkaCluster,
    KafkaSetupError,
    admin_client,
    list_partitions,
    make_client,
    unknown_topics,
    why_unknown,
    without,
    without_right,
)
from transforms.records.record import Message
from transforms.worker import process

# How often it is seen that the process is to end; brokers that are well have taken everything within it.
_LOOK_SECONDS = 1.0


def check_writable(cluster: KafkaCluster, topic: str, option: str) -> None:
    """Look whether a topic is there and can be written to, without writing.

    Raises:
        KafkaSetupError: There is no such topic, the user has no right to write to it, or `kafka_config` is not
            accepted for a producer.
    """
    admin = admin_client(cluster)
    if missing := unknown_topics([topic], list_partitions(cluster, admin, [topic])):
        raise KafkaSetupError(why_unknown(cluster, admin, missing, option))
    _make(cluster, Heard())
    if without_right(admin, [topic], AclOperation.WRITE):
        raise KafkaSetupError(f"topic {topic} on {cluster.bootstrap_servers}: {needed('WRITE', f'topic {topic}')}")


def send_all(cluster: KafkaCluster, topic: str, messages: Iterable[Message]) -> None:
    """Produce messages of (key, value, headers) and return when the brokers have them all.

    Raises:
        KafkaSetupError: A message was not taken; says why the first was not.
        StoppedError: The process has to end, and the brokers do not have them all.
    """
    key_of_producer = "producer", repr(cluster)
    producer, heard = process.shared(key_of_producer, lambda: _producer(cluster))
    errors: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: DeliveredMessage) -> None:
        if error is not None:
            errors.append(error)

    try:
        for key, value, headers in messages:
            while not errors:
                try:
                    producer.produce(topic, value, key, headers=list(headers), on_delivery=delivered)
                    break
                except BufferError:
                    producer.poll(0.1)
                    _must_go_on(cluster, topic)
        while producer.flush(_LOOK_SECONDS) > 0:
            _must_go_on(cluster, topic)
    except KafkaException as error:
        errors.insert(0, error.args[0])
    except SystemError as error:
        # A fatal error is raised in the middle of handing out delivery reports, which Python takes for a fault.
        if not isinstance(error.__cause__, KafkaException):
            raise
        errors.insert(0, error.__cause__.args[0])
    if errors:
        process.take(key_of_producer)  # after a fatal error it would take nothing more
        raise KafkaSetupError(
            f"topic {topic} on {cluster.bootstrap_servers} rejects a message: {_refusal(errors[0], topic, heard)}"
        )


def _must_go_on(cluster: KafkaCluster, topic: str) -> None:
    if process.time_left() <= 0:
        raise StoppedError(
            f"stopped before topic {topic} on {cluster.bootstrap_servers} had accepted all messages; the records will "
            "be read again"
        )


def _refusal(error: KafkaError, topic: str, heard: Heard) -> str:
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return f"{error.str()}; raise the topic's max.message.bytes"
    if error.code() == KafkaError._MSG_TIMED_OUT:
        return heard.why(error)
    return f"{error.str()}{advice(error, 'WRITE', f'topic {topic}')}"


def _producer(cluster: KafkaCluster) -> tuple[Producer, Heard]:
    heard = Heard()
    return _make(cluster, heard), heard


def _make(cluster: KafkaCluster, heard: Heard) -> Producer:
    return make_client(
        Producer,
        {
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 20,
            "compression.type": "lz4",
            # The topic's max.message.bytes decides; a dead letter is larger than its record by the reason's headers.
            "message.max.bytes": 100_000_000,
            # A dead-letter topic that cannot be written for a minute ends the bundle; nothing is committed.
            "delivery.timeout.ms": 60_000,
            **without(cluster.properties(), *_CONSUMER_ONLY),
            "error_cb": heard,
        },
    )


# Properties that users give for reading and that a producer would complain about.
_CONSUMER_ONLY = (
    "group.instance.id",
    "group.protocol",
    "group.remote.assignor",
    "heartbeat.interval.ms",
    "isolation.level",
    "max.poll.interval.ms",
    "session.timeout.ms",
)
