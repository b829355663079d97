"""librdkafka's properties for reading: what this source decides, and its defaults for what users may."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import Consumer, KafkaError, TopicPartition

from transforms.kafka.client import make_consumer
from transforms.kafka.restriction import Shard
from transforms.kafka.source import KafkaSource

OWNED_PROPERTIES = {
    "group.id": "kafka_group_id",
    "enable.auto.commit": "offsets are committed when a bundle is finalised",
    "enable.auto.offset.store": "offsets are committed when a bundle is finalised",
    "auto.offset.reset": "kafka_reset",
    "enable.partition.eof": "the end of the log is watched for",
    "partition.assignment.strategy": "partitions are dealt cooperatively",
}
"""What this source decides, with the reason or the option; ``kafka_config`` may not."""


def make_reader_consumer(
    source: KafkaSource,
    shard: Shard,
    on_error: Callable[[KafkaError], None],
    on_commit: Callable[[KafkaError | None, list[TopicPartition]], None],
) -> Consumer:
    """The consumer of a shard.

    Raises:
      KafkaSetupError: ``kafka_config`` is not accepted.
    """
    defaults: dict[str, object] = {
        # The queue of fetched messages counts towards the process's memory; on a cluster there are many readers.
        "queued.max.messages.kbytes": 32_768 if shard.of == 1 else 8_192,
        "queued.min.messages": 20_000,
        # By default a full queue is looked at again after a second, and the reader would run dry.
        "fetch.queue.backoff.ms": 20,
        "topic.metadata.refresh.interval.ms": int(source.discovery_seconds * 1000),
    }
    decided = {
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
        "error_cb": on_error,
        "on_commit": on_commit,
    }
    return make_consumer(source.cluster, source.group_id, decided, defaults)
