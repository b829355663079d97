"""The consumer of a shard: the librdkafka properties that the reader sets, and its defaults for the others."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import Consumer, KafkaError, TopicPartition

from transforms.kafka.client import make_consumer
from transforms.kafka.restriction import Shard
from transforms.kafka.source import KafkaSource


def make_reader_consumer(
    source: KafkaSource,
    shard: Shard,
    on_error: Callable[[KafkaError], None],
    on_commit: Callable[[KafkaError | None, list[TopicPartition]], None],
) -> Consumer:
    """Return the consumer of a shard.

    Raises:
        KafkaSetupError: `kafka_config` is not accepted.
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
