from __future__ import annotations

import logging
import time
from concurrent.futures import Future
from datetime import datetime, timedelta, timezone
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ListOffsetsResultInfo, OffsetSpec

from testing.services.kafka import KafkaBroker
from testing.services.process import BUSY_SECONDS, free_port
from tests.transforms.conftest import NewTopic
from tests.transforms.kafka.drive import commit, delete_before, transaction
from transforms.kafka.client import (
    REQUEST_SECONDS,
    KafkaCluster,
    KafkaReadError,
    KafkaSetupError,
    NamedStart,
    Reset,
    admin_client,
)
from transforms.kafka.offsets import log_bounds
from transforms.kafka.start import Start, reset_position, resolve_start


def test_without_a_committed_offset_reset_decides() -> None:
    assert reset_position(("t", 1), None, 5, 9, "earliest", "group g") == 5
    assert reset_position(("t", 1), None, 5, 9, "latest", "group g") == 9
    with pytest.raises(KafkaReadError, match="topic t partition 1: group g has no committed offset; kafka_reset=error"):
        reset_position(("t", 1), None, 5, 9, "error", "group g")


@pytest.mark.parametrize(("reset", "offset"), [("earliest", 50), ("latest", 90)])
def test_deleted_records_are_told_with_their_number(
    reset: Reset, offset: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert reset_position(("t", 1), 20, 50, 90, reset, "group g") == offset
    (said,) = caplog.messages
    assert "offset 20 of group g is gone, the log now holds 50 to 90 (30 records deleted)" in said
    assert f"going on at offset {offset}, as kafka_reset={reset} says" in said


def test_a_log_that_was_cut_off_and_records_that_are_gone_can_be_an_error() -> None:
    with pytest.raises(KafkaReadError, match=r"offset 95 .* \(it was cut off\); kafka_reset=error, so"):
        reset_position(("t", 1), 95, 50, 90, "error", "group g")
    with pytest.raises(KafkaReadError, match="30 records deleted"):
        reset_position(("t", 1), 20, 50, 90, "error", "group g")


class NewLeader:
    """An admin client whose partition has no leader yet when it is first asked, as right after a topic was created."""

    def __init__(self, code: int):
        self._answers: list[KafkaException | ListOffsetsResultInfo] = [
            KafkaException(KafkaError(code)),
            ListOffsetsResultInfo(7, -1, 0),
        ]

    def list_offsets(self, wanted: dict[TopicPartition, OffsetSpec], **_: object) -> dict[TopicPartition, Future[Any]]:
        future: Future[Any] = Future()
        answer = self._answers.pop(0)
        future.set_exception(answer) if isinstance(answer, KafkaException) else future.set_result(answer)
        return dict.fromkeys(wanted, future)


@pytest.mark.parametrize("code", [KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE])
def test_a_leader_that_is_just_changing_is_asked_again(code: int) -> None:
    admin = cast("AdminClient", NewLeader(code))
    assert log_bounds(admin, [("t", 0)], OffsetSpec.latest()) == {("t", 0): 7}


class Log:
    """A topic with 20 records in two partitions, of which the first four are deleted, and a group of its own."""

    def __init__(self, broker: KafkaBroker, topic: str):
        self.cluster = KafkaCluster(broker.bootstrap_servers, {})
        self.topic, self.group = topic, f"group-{topic}"
        self.broker = broker
        broker.produce(topic, [(None, b"%d" % at, None, at % 2) for at in range(20)])
        delete_before(broker, {(topic, 0): 4})

    def start(self, start: NamedStart, reset: Reset = "earliest", stop_at_end: bool = False, *topics: str) -> Start:
        return resolve_start(self.cluster, topics or (self.topic,), self.group, start, reset, stop_at_end)

    def positions(self, start: NamedStart, reset: Reset = "earliest") -> list[int]:
        """Return where the two partitions start."""
        found = self.start(start, reset).positions
        return [found[self.topic, number] for number in (0, 1)]


@pytest.fixture
def log(broker: KafkaBroker, new_topic: NewTopic) -> Log:
    return Log(broker, new_topic(2))


@pytest.mark.kafka
def test_earliest_and_latest_are_those_of_the_log(log: Log) -> None:
    assert log.positions("earliest") == [4, 0]
    assert log.positions("latest") == [10, 10]


@pytest.mark.kafka
def test_the_end_is_looked_up_when_asked_for(log: Log) -> None:
    assert log.start("earliest").ends is None
    assert log.start("earliest", stop_at_end=True).ends == {(log.topic, 0): 10, (log.topic, 1): 10}


@pytest.mark.kafka
def test_committed_offsets_count_and_reset_where_there_is_none(log: Log) -> None:
    commit(log.cluster, log.group, {(log.topic, 1): 7})
    assert log.positions("committed", "earliest") == [4, 7]
    assert log.positions("committed", "latest") == [10, 7]
    with pytest.raises(KafkaReadError, match=f"topic {log.topic} partition 0: group {log.group} has no committed"):
        log.positions("committed", "error")


@pytest.mark.kafka
@pytest.mark.parametrize(("committed", "words"), [(2, "2 records deleted"), (11, "cut off")])
def test_a_committed_offset_outside_the_log_is_reset(log: Log, committed: int, words: str) -> None:
    commit(log.cluster, log.group, {(log.topic, 0): committed, (log.topic, 1): 10})
    assert log.positions("committed", "earliest") == [4, 10]
    assert log.positions("committed", "latest") == [10, 10]
    with pytest.raises(KafkaReadError, match=words):
        log.positions("committed", "error")


@pytest.mark.kafka
def test_a_time_is_the_first_record_from_then_on_and_the_end_where_there_is_none(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic
) -> None:
    topic = new_topic(2)
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for at in range(10):
        producer.produce(topic, b"x", partition=0, timestamp=(1_700_000_000 + at) * 1000)
    producer.flush()

    def first_at(second: int) -> dict[tuple[str, int], int]:
        moment = datetime.fromtimestamp(second, timezone.utc)
        return resolve_start(cluster, [topic], "g", moment, "error", False).positions

    assert first_at(1_700_000_004) == {(topic, 0): 4, (topic, 1): 0}
    assert first_at(1_000_000_000) == {(topic, 0): 0, (topic, 1): 0}
    assert first_at(1_900_000_000) == {(topic, 0): 10, (topic, 1): 0}
    # Before 1970 there is nothing. To a broker -1 ms is the end, and -3 ms the record with the newest time.
    for moment in (
        datetime.min.replace(tzinfo=timezone.utc),
        *(datetime.fromtimestamp(0, timezone.utc) - timedelta(milliseconds=n) for n in (1, 2, 3)),
    ):
        assert resolve_start(cluster, [topic], "g", moment, "error", False).positions == {(topic, 0): 0, (topic, 1): 0}


@pytest.mark.kafka
def test_the_end_is_before_open_transactions_where_only_committed_records_are_read(log: Log) -> None:
    with transaction(log.broker, log.topic, [(0, b"open")], end=None):
        assert log.positions("latest") == [10, 10]
        everything = KafkaCluster(log.cluster.bootstrap_servers, {"isolation.level": "read_uncommitted"})
        ends = resolve_start(everything, [log.topic], "g", "latest", "error", False).positions
        assert ends[log.topic, 0] == 11
        admin = admin_client(log.cluster)
        assert log_bounds(admin, [(log.topic, 0)], OffsetSpec.latest(), read_committed=False) == {(log.topic, 0): 11}
        # What was committed while everything was read is not an offset that is gone.
        commit(log.cluster, log.group, {(log.topic, 0): 11, (log.topic, 1): 0})
        assert log.positions("committed", "error") == [11, 0]


@pytest.mark.kafka
def test_regular_expressions_find_their_topics(log: Log) -> None:
    found = log.start("earliest", "earliest", False, rf"^{log.topic[:-1]}\w$").positions
    assert found == {(log.topic, 0): 4, (log.topic, 1): 0}


@pytest.mark.kafka
def test_a_topic_that_is_not_there_is_named(log: Log) -> None:
    with pytest.raises(
        KafkaSetupError, match=f"no topic missing, other on {log.cluster.bootstrap_servers}; check kafka_t"
    ):
        log.start("earliest", "earliest", False, log.topic, "other", "missing", "^nothing")
    with pytest.raises(KafkaSetupError, match="matches \\^nothing"):
        log.start("earliest", "earliest", False, "^nothing")


def test_a_broker_that_does_not_answer_is_named_soon() -> None:
    cluster = KafkaCluster(f"127.0.0.1:{free_port()}", {})
    started = time.monotonic()
    with pytest.raises(KafkaSetupError, match=f"no Kafka broker answers at {cluster.bootstrap_servers}: .*refused; ch"):
        resolve_start(cluster, ["t"], "g", "committed", "earliest", False)
    assert time.monotonic() - started < REQUEST_SECONDS + BUSY_SECONDS
