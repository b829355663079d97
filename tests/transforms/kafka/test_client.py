from __future__ import annotations

import time
from collections.abc import Callable
from random import Random

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AclOperation

from aep.errors import StoppedError
from testing.services.kafka import KafkaBroker
from testing.services.process import BUSY_SECONDS, PATIENCE_SECONDS
from tests.transforms.conftest import NewTopic
from tests.transforms.kafka.drive import source
from transforms.kafka import client as kafka_client
from transforms.kafka.client import (
    KafkaCluster,
    KafkaSetupError,
    admin_client,
    list_partitions,
    unknown_topics,
    why_unknown,
    without_right,
)
from transforms.kafka.offsets import group_offsets
from transforms.kafka.reader import Reader
from transforms.kafka.restriction import deal
from transforms.kafka.sample import read_newest
from transforms.kafka.send import check_writable, send_all
from transforms.kafka.start import Start, resolve_start
from transforms.read_dead_letter_topic import read_topic
from transforms.worker import process

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


def test_a_pattern_of_all_topics_finds_none_of_kafkas_own_unless_it_is_named(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic
) -> None:
    topic = new_topic(1)
    own = f"__{topic}"
    broker.create_topic(own)
    admin = admin_client(cluster)
    found = list_partitions(cluster, admin, ["^.*"])
    assert topic in found
    assert not [name for name in found if name.startswith("__")]
    assert own in list_partitions(cluster, admin, ["^.*", own])


def test_unknown_topics_are_the_names_that_were_not_found() -> None:
    assert unknown_topics(["b", "^c", "a", "d"], {"d": [0], "x": [0]}) == ["a", "b"]


def test_a_wrong_property_is_named() -> None:
    with pytest.raises(KafkaSetupError, match=r"kafka_config .*security\.protokol"):
        admin_client(KafkaCluster("127.0.0.1:1", {"security.protokol": "SSL"}))


def _bundle(of: KafkaCluster) -> None:
    (shard,) = deal(Start({("t", 0): 0}, None), 1)
    Reader(source(of, "t"), shard)


CLIENTS: dict[str, Callable[[KafkaCluster], object]] = {
    "start": lambda of: resolve_start(of, ["t"], "g", "earliest", "earliest", False),
    "group": lambda of: group_offsets(of, "g", [("t", 0)]),
    "sample": lambda of: read_newest(of, "g", "t", [0], 1),
    "reader": _bundle,
    "show": lambda of: list(read_topic(of, "t")),
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"max.poll.interval.ms": "6000"}, r"max\.poll\.interval\.ms.*must be >= .session\.timeout\.ms"),
        ({"group.protocol": "consumer", "session.timeout.ms": "9000"}, r"session\.timeout\.ms.* is not supported for"),
        ({"group.protocol": "consumer", "heartbeat.interval.ms": "900"}, r"heartbeat\.interval\.ms.* is not supported"),
        ({"fetch.max.bytes": "1000", "message.max.bytes": "2000"}, r"fetch\.max\.bytes"),
        ({"security.protocol": "SASL_SSL"}, "GSSAPI .*set sasl.mechanism, or build confluent-kafka"),
        ({"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER"}, "no way to get tokens.*oidc.*AWS_MSK_IAM"),
        ({"default.topic.config": "x"}, "kafka_config is not accepted"),
    ],
)
def test_what_only_a_consumer_refuses_is_one_message_wherever_one_is_made(
    client: str, properties: dict[str, str], words: str
) -> None:
    with pytest.raises(KafkaSetupError, match=words) as raised:
        CLIENTS[client](KafkaCluster("127.0.0.1:1", properties))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"acks": "1"}, "`acks` must be set to `all`"),
        ({"max.in.flight": "10"}, "must be set <= 5"),
        ({"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER"}, "no way to get tokens"),
    ],
)
def test_what_a_producer_refuses_shows_before_a_run(
    broker: KafkaBroker, new_topic: NewTopic, properties: dict[str, str], words: str
) -> None:
    topic, cluster = new_topic(), KafkaCluster(broker.bootstrap_servers, properties)
    with pytest.raises(KafkaSetupError, match=words):
        check_writable(cluster, topic, "dead_letter_topic")
    with pytest.raises(KafkaSetupError, match=words):
        send_all(cluster, topic, [])


def test_properties_of_consumers_are_no_matter_to_other_clients(
    broker: KafkaBroker, new_topic: NewTopic, caplog: pytest.LogCaptureFixture
) -> None:
    topic = new_topic()
    properties = {"group.protocol": "consumer", "isolation.level": "read_committed", "max.poll.interval.ms": "1000"}
    cluster = KafkaCluster(broker.bootstrap_servers, properties)
    check_writable(cluster, topic, "dead_letter_topic")
    send_all(cluster, topic, [(None, b"1", ())])
    assert broker.end_offsets(topic) == {0: 1}
    assert "CONFWARN" not in caplog.text


def test_looking_for_a_topic_that_is_not_there_does_not_make_it() -> None:
    host = Producer({"test.mock.num.brokers": 1, "log_level": 3})  # it makes topics that are asked for
    (address,) = host.list_topics(timeout=PATIENCE_SECONDS).brokers.values()
    cluster = KafkaCluster(f"{address.host}:{address.port}", {})
    admin = admin_client(cluster)
    said = why_unknown(cluster, admin, ["none"], "kafka_topics")
    assert said == f"no topic none on {cluster.bootstrap_servers}; check kafka_topics"
    assert list_partitions(cluster, admin, ["^.*"]) == {}


def test_rights_are_not_asked_of_the_embedded_broker_which_would_not_answer() -> None:
    host = Producer({"test.mock.num.brokers": 1, "log_level": 3})
    (address,) = host.list_topics(timeout=PATIENCE_SECONDS).brokers.values()
    cluster = KafkaCluster(f"{address.host}:{address.port}", {})
    send_all(cluster, "t", [(None, b"1", ())])
    asked = time.monotonic()
    assert without_right(admin_client(cluster), ["t"], AclOperation.READ) == []
    assert time.monotonic() - asked < kafka_client.REQUEST_SECONDS / 2


@pytest.mark.parametrize(
    ("properties", "why"),
    [
        # Whether librdkafka has sent its greeting yet when the broker hangs up decides which it says.
        ({"security.protocol": "ssl"}, "SSL (handshake failed|connection closed by peer)"),
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


def test_brokers_that_hang_are_not_waited_for_beyond_the_end_of_the_process(
    own_broker: KafkaBroker,
) -> None:
    cluster, topic = KafkaCluster(own_broker.bootstrap_servers, {}), "dead-letters"
    own_broker.create_topic(topic, 1)
    send_all(cluster, topic, [(None, b"1", ())])
    own_broker.pause()
    try:
        process.request_stop(0.5)
        started = time.monotonic()
        with pytest.raises(StoppedError, match=f"topic {topic} on .* had accepted all messages"):
            send_all(cluster, topic, [(None, b"2", ())])
        # The messages are given up by librdkafka after a minute.
        assert 0.5 <= time.monotonic() - started < BUSY_SECONDS
    finally:
        own_broker.resume()
