"""A small Kafka broker inside this process: the one that librdkafka, the client, brings for its own tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from confluent_kafka import Producer

PARTITIONS = 4
"""Of every topic; librdkafka has a setting for it that Python cannot reach, as for the port."""

_START_SECONDS = 30  # it is there within milliseconds, on a busy machine in seconds


@contextmanager
def running(topics: Sequence[str] = ()) -> Iterator[str]:
    """Run a broker while the `with` block lasts, on this machine's loopback address.

    It creates a topic when a producer first sends to it, keeps the newest 5 MB of a partition, counted as they were
    sent (a compressed batch counts as it is), and forgets everything at the end.

    Args:
        topics: Topics to create now, for consumers that look for them before a producer has sent anything.

    Yields:
        Its address, as HOST:PORT.

    Raises:
        confluent_kafka.KafkaException: It cannot be started.
    """
    # Any client of librdkafka starts the broker when it is asked to; the broker ends with the client.
    host = Producer({"test.mock.num.brokers": 1, "log_level": 3})
    (broker,) = host.list_topics(timeout=_START_SECONDS).brokers.values()
    for topic in topics:
        host.list_topics(topic, timeout=_START_SECONDS)
    yield f"{broker.host}:{broker.port}"
