from __future__ import annotations

from random import Random

import pytest

from tests.services.kafka import KafkaBroker
from tests.transforms.conftest import NewTopic
from transforms import kafka_client
from transforms.kafka_client import (
    KafkaCluster,
    KafkaSetupError,
    admin_client,
    list_partitions,
    send_all,
    unknown_topics,
)

pytestmark = pytest.mark.kafka


def test_topics_are_found_by_name_and_by_regular_expression(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic
) -> None:
    one, other = new_topic(2), new_topic(1)
    admin = admin_client(cluster)
    assert list_partitions(cluster, admin, [one]) == {one: [0, 1]}
    assert list_partitions(cluster, admin, [one, f"^{other[:-1]}.$", "missing"]) == {one: [0, 1], other: [0]}
    assert list_partitions(cluster, admin, [f"^{one[:-1]}"])[one] == [0, 1]
    assert one not in list_partitions(cluster, admin, [f"^{one[1:]}"])


def test_unknown_topics_are_the_names_that_were_not_found() -> None:
    assert unknown_topics(["b", "^c", "a", "d"], {"d": [0], "x": [0]}) == ["a", "b"]


def test_a_wrong_property_is_named() -> None:
    with pytest.raises(KafkaSetupError, match=r"kafka_config .*security\.protokol"):
        admin_client(KafkaCluster("127.0.0.1:1", {"security.protokol": "SSL"}))


@pytest.mark.parametrize(
    ("properties", "why"),
    [
        ({"security.protocol": "ssl"}, "SSL handshake failed"),
        (
            {
                "security.protocol": "sasl_plaintext",
                "sasl.mechanism": "PLAIN",
                "sasl.username": "me",
                "sasl.password": "env:TEST_PASSWORD",
            },
            "SASL PLAIN mechanism handshake failed",
        ),
    ],
)
def test_why_a_broker_does_not_answer_is_told_and_no_secret(
    broker: KafkaBroker,
    properties: dict[str, str],
    why: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("TEST_PASSWORD", "open sesame")
    monkeypatch.setattr(kafka_client, "REQUEST_SECONDS", 2.0)
    cluster = KafkaCluster(broker.bootstrap_servers, properties)
    with pytest.raises(KafkaSetupError, match=f"no Kafka broker answers at .*{why}.*; check kafka_b") as raised:
        list_partitions(cluster, admin_client(cluster), ["t"])
    assert "open sesame" not in str(raised.value)
    assert caplog.text == ""  # librdkafka would log each of its many tries


def test_secrets_are_resolved_for_the_client_and_are_not_in_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_PASSWORD", "open sesame")
    cluster = KafkaCluster("127.0.0.1:1", {"sasl.password": "env:TEST_PASSWORD", "client.id": "mine"})
    properties = cluster.properties()
    assert (properties["sasl.password"], properties["client.id"]) == ("open sesame", "mine")
    assert "open sesame" not in repr(cluster)


def test_all_messages_are_with_the_broker_when_it_returns(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic
) -> None:
    topic = new_topic()
    messages = [(b"k%d" % at, b"v%d" % at, (("h", b"1"), ("h", None))) for at in range(2_000)]
    send_all(cluster, topic, [*messages, (None, None, ())])
    assert broker.end_offsets(topic) == {0: 2_001}
    found = broker.consume_all(topic)
    assert [(one.key(), one.value(), tuple(one.headers() or ())) for one in found] == [*messages, (None, None, ())]


def test_the_topic_decides_how_large_a_message_may_be(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic
) -> None:
    large, small = new_topic(max_message_bytes=3_000_000), new_topic(max_message_bytes=10_000)
    value = Random(7).randbytes(2_000_000)  # does not compress
    send_all(cluster, large, [(None, value, ())])
    assert broker.end_offsets(large) == {0: 1}
    with pytest.raises(KafkaSetupError, match=f"topic {small} .*too large"):
        send_all(cluster, small, [(None, b"1", ()), (None, value, ())])
    # The next bundle can be written.
    send_all(cluster, small, [(None, b"2", ())])
    assert broker.consume_all(small)[-1].value() == b"2"


def test_a_topic_that_does_not_exist_is_named(broker: KafkaBroker) -> None:
    cluster = KafkaCluster(broker.bootstrap_servers, {"topic.metadata.propagation.max.ms": "500"})
    with pytest.raises(KafkaSetupError, match="topic never-made"):
        send_all(cluster, "never-made", [(None, b"1", ())])
