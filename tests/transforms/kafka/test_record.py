"""A header whose name is not UTF-8 costs the record its headers, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from testing.services import raw_headers
from testing.services.kafka import KafkaBroker
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.transforms.conftest import NewTopic
from tests.transforms.kafka.drive import Member, source
from transforms.aep.inlet import AepInlet
from transforms.kafka.client import KafkaCluster
from transforms.kafka.sample import read_newest
from transforms.kafka.start import resolve_start
from transforms.read_dead_letter_topic import read_topic
from transforms.records.chunk import Chunk, ChunkCoder
from transforms.records.dead_letter import dead_letter
from transforms.records.outcome import Refusal
from transforms.records.prepare import ParseStep
from transforms.records.record import UNREADABLE_HEADERS, Record
from transforms.records.route import Route, parse_json

NUMBER = 3_000


def is_bad(number: int) -> bool:
    return number % 100 == 50 or number in (0, NUMBER - 1, NUMBER - 2)


@pytest.fixture
def topic(broker: KafkaBroker, new_topic: NewTopic) -> str:
    """A topic in which some headers have names that are not UTF-8, among others that have."""
    name = new_topic()
    messages: list[raw_headers.Message] = [
        (b"k%d" % at, b"v%d" % at, [(b"first", b"1"), (b"n\xff" if is_bad(at) else b"name", b"x")])
        for at in range(NUMBER)
    ]
    raw_headers.produce(broker.bootstrap_servers, name, messages)
    return name


def expected(number: int) -> tuple[object, ...]:
    headers = UNREADABLE_HEADERS if is_bad(number) else (("first", b"1"), ("name", b"x"))
    return number, b"k%d" % number, headers, b"v%d" % number


def content(record: Record) -> tuple[object, ...]:
    return record.offset, record.key, record.headers, record.value


@pytest.mark.kafka
@pytest.mark.parametrize("share_group", [True, False])
def test_a_header_name_that_is_not_utf_8_stops_neither_the_reader_nor_its_neighbours(
    cluster: KafkaCluster, topic: str, share_group: bool
) -> None:
    of = source(cluster, topic, share_group=share_group)
    member = Member(of, resolve_start(cluster, [topic], of.group_id, "earliest", "earliest", stop_at_end=True))
    try:
        wait_for(lambda: member.bundle() < 0 or member.done, PATIENCE_SECONDS, "the end")
    finally:
        member.reader.close()
    assert [content(record) for record in member.read[topic, 0]] == [expected(at) for at in range(NUMBER)]
    assert all(record.timestamp > 1_700_000_000_000 for record in member.read[topic, 0])


@pytest.mark.kafka
def test_a_sample_takes_records_whose_header_names_are_not_utf_8(cluster: KafkaCluster, topic: str) -> None:
    (chunk,) = read_newest(cluster, "group", topic, [0], NUMBER)
    assert [content(record) for record in chunk.records] == [expected(at) for at in range(NUMBER)]


@pytest.mark.kafka
def test_what_is_no_dead_letter_for_its_header_names_is_passed_over(
    cluster: KafkaCluster, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert list(read_topic(cluster, topic)) == []
    assert f"topic {topic} partition 0 offset 0 is not a dead letter" in caplog.text


def test_such_a_record_is_refused_and_its_dead_letter_has_no_headers() -> None:
    route = Route("r", ("t",), AepInlet("http://127.0.0.1/collection/i", "entity", auth="none"), parse_json)
    record = Record(7, 5, b"k", UNREADABLE_HEADERS, b'{"a":1}')
    refusal = ParseStep((route,), "skip")(record)
    assert isinstance(refusal, Refusal)
    assert (refusal.stage, refusal.route, refusal.code) == ("parse", "r", "header_name")
    assert "headers" in refusal.message
    letter = dead_letter(refusal, "t", 0, record)
    assert letter.record == Record(7, 5, b"k", (), b'{"a":1}')


def test_the_mark_of_unreadable_headers_survives_the_coder() -> None:
    chunk = Chunk("t", 0, [Record(7, 5, b"k", UNREADABLE_HEADERS, b"v")])
    assert ChunkCoder().decode(ChunkCoder().encode(chunk)) == chunk


def test_the_error_is_caught_where_the_interpreter_has_specialised_the_loop() -> None:
    """In a process of its own: what goes wrong here ends it."""
    done = subprocess.run(
        [sys.executable, "-c", _HOT], capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["20000", "200"]


_HOT = """
from confluent_kafka import Consumer, Producer, TopicPartition
from testing.services import raw_headers
from testing.services.process import PATIENCE_SECONDS
from transforms.kafka.record import record_of
from transforms.records.record import UNREADABLE_HEADERS

host = Producer({"test.mock.num.brokers": 1, "log_level": 0})
(broker,) = host.list_topics(timeout=PATIENCE_SECONDS).brokers.values()
servers = f"{broker.host}:{broker.port}"
raw_headers.produce(
    servers, "t", [(b"k", b"v", [(b"n\\xff" if at % 100 == 99 else b"n", b"x")]) for at in range(20_000)]
)
consumer = Consumer({"bootstrap.servers": servers, "group.id": "g", "log_level": 0})
consumer.assign([TopicPartition("t", 0, 0)])
records = []
while len(records) < 20_000:
    for message in consumer.consume(500, 1):
        if message.error() is None:
            records.append(record_of(message))
consumer.close()
assert [record.offset for record in records] == list(range(20_000))
assert all((one.headers is UNREADABLE_HEADERS) == (one.offset % 100 == 99) for one in records)
print(len(records), sum(one.headers is UNREADABLE_HEADERS for one in records))
"""
