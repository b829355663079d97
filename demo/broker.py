"""The demo's Kafka: librdkafka's embedded broker, or a real Apache Kafka."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from confluent_kafka import Consumer, TopicPartition

from emulator import kafka
from testing.services.kafka import KafkaBroker
from transforms.kafka.client import KafkaCluster

Kind = Literal["embedded", "apache"]

_TIMEOUT_SECONDS = 10


@contextmanager
def running(kind: Kind, topics: Sequence[str]) -> Iterator[KafkaCluster]:
    """Run a broker with these topics while the `with` block lasts.

    The embedded one throws away the oldest records beyond 5 MB a partition, counted as they were sent: so the demo
    sends them compressed.
    """
    if kind == "embedded":
        with kafka.running(topics) as address:
            yield KafkaCluster(address, {"compression.type": "zstd"})
    else:
        with KafkaBroker() as apache:
            for topic in topics:
                apache.create_topic(topic, kafka.PARTITIONS)
            yield KafkaCluster(apache.bootstrap_servers, {})


def held(cluster: KafkaCluster, topics: Sequence[str]) -> int:
    """Return how many records the topics hold, by their first and last offsets."""
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap_servers, "group.id": "demo-count"})
    try:
        partitions = [
            TopicPartition(topic, number)
            for topic in topics
            for number in consumer.list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic].partitions
        ]
        bounds = [consumer.get_watermark_offsets(one, timeout=_TIMEOUT_SECONDS) for one in partitions]
        return sum(end - first for first, end in bounds)
    finally:
        consumer.close()
