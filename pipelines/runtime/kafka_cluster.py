"""The Kafka cluster of the options."""

from __future__ import annotations

from pipelines.options.settings import Settings
from transforms.kafka.client import KafkaCluster


def kafka_cluster(settings: Settings) -> KafkaCluster | None:
    """Return the cluster that is read from and, where options ask for it, written to; None without brokers."""
    kafka = settings.kafka
    return KafkaCluster(kafka.bootstrap_servers, kafka.config) if kafka.bootstrap_servers else None
