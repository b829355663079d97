from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from transforms.kafka.causes import Heard, advice, cause


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (
            "sasl_ssl://kafka-0.internal:9092/3: Failed to resolve 'kafka-0.internal:9092': Name or service not known",
            "broker 3 gives its address as kafka-0.internal:9092 (its advertised.listeners), which cannot be reached",
        ),
        ("localhost:9092/1: Connect to ipv4#127.0.0.1:9092 failed: Connection refused", "broker 1 gives its address"),
        ("127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused", "127.0.0.1:1/bootstrap: C"),
        ("kafka:9092/1: SASL authentication error: Authentication failed", "kafka:9092/1: SASL authentication error"),
        ("", ""),
    ],
)
def test_where_an_address_that_cannot_be_reached_comes_from_is_told(said: str, says: str) -> None:
    assert cause(said).startswith(says)
    assert bool(cause(said)) == bool(says)


def test_what_was_heard_says_more_than_the_call() -> None:
    heard, error = Heard(), KafkaError(KafkaError._TIMED_OUT)
    assert heard.why(error) == error.str()
    heard(KafkaError(KafkaError._RESOLVE, "k:1/2: Failed to resolve 'k:1': Name or service not known (after 3ms)"))
    heard(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))
    assert heard.why(error).endswith("reached from here: Failed to resolve 'k:1': Name or service not known")


def test_advice_names_the_right_and_other_errors_have_none() -> None:
    assert "WRITE on topic t" in advice(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), "WRITE", "topic t")
    assert "READ on group g" in advice(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED), "READ", "group g")
    said = advice(KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED), "WRITE", "topic t")
    assert "WRITE on topic t" in said
    assert "enable.idempotence: false" in said
    assert advice(KafkaError(KafkaError._TIMED_OUT), "READ", "topic t") == ""
