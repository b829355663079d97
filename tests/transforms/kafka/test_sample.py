from __future__ import annotations

import pytest

from testing.services.kafka import KafkaBroker
from tests.transforms.conftest import NewTopic
from tests.transforms.kafka.drive import transaction
from transforms.kafka.client import KafkaCluster
from transforms.kafka.sample import read_newest

pytestmark = pytest.mark.kafka


def test_it_ends_where_the_newest_offsets_hold_no_records(broker: KafkaBroker, new_topic: NewTopic) -> None:
    """Of a transaction that was aborted, and the markers of both, nothing can be read."""
    topic = new_topic(1)
    broker.produce(topic, [(None, b"before", None, 0)] * 3)
    with (
        transaction(broker, topic, [(0, b"kept")] * 5, "commit"),
        transaction(broker, topic, [(0, b"no")] * 5, "abort"),
    ):
        pass
    (chunk,) = read_newest(KafkaCluster(broker.bootstrap_servers, {}), "group", topic, [0], 12)
    assert [(one.offset, one.value) for one in chunk.records] == [(offset, b"kept") for offset in range(3, 8)]
    assert read_newest(KafkaCluster(broker.bootstrap_servers, {}), "group", topic, [0], 3) == []


def test_headers_keys_and_times_are_there(broker: KafkaBroker, new_topic: NewTopic) -> None:
    topic = new_topic(3)
    broker.produce(topic, [(b"k", b"v", [("h", b"x")], 2)])
    (chunk,) = read_newest(KafkaCluster(broker.bootstrap_servers, {}), "group", topic, [0, 1, 2], 200)
    (record,) = chunk.records
    assert (chunk.topic, chunk.partition) == (topic, 2)
    assert (record.key, record.value, record.headers) == (b"k", b"v", (("h", b"x"),))
    assert record.timestamp > 1_600_000_000_000
