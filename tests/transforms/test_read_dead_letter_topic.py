from __future__ import annotations

import logging

import apache_beam as beam
import pytest
from hypothesis import given

from testing.services.kafka import KafkaBroker
from testing.services.kafka import Record as KafkaRecord
from tests.transforms.conftest import NewTopic
from tests.transforms.eager import Collect
from tests.transforms.kafka.drive import Member, await_committed, source
from tests.transforms.test_dead_letters import dead_letters, letter
from transforms.kafka.client import KafkaCluster
from transforms.kafka.read import ReadFromKafka, close_readers
from transforms.kafka.reader import Reader, Step
from transforms.kafka.restriction import Claim
from transforms.kafka.start import resolve_start
from transforms.read_dead_letter_topic import ReadDeadLetterTopic, dead_letters_of, from_message, read_topic
from transforms.records.chunk import Chunk, Record
from transforms.records.dead_letter import DeadLetter
from transforms.worker import metrics


def message(one: DeadLetter, offset: int = 5) -> Record:
    """Return the dead letter as a record of a dead-letter topic."""
    return Record(offset, 9, one.record.key, one.kafka_headers(), one.record.value)


def produce(broker: KafkaBroker, topic: str, letters: list[DeadLetter], partition: int | None = None) -> None:
    rows: list[KafkaRecord] = []
    for one in letters:
        headers = [(name, value) for name, value in one.kafka_headers() if value is not None]
        rows.append((one.record.key, one.record.value, headers, partition))
    broker.produce(topic, rows)


@given(dead_letters)
def test_a_dead_letter_comes_back_from_its_topic_as_it_was(one: DeadLetter) -> None:
    assert from_message(message(one)) == one


def test_kafka_connects_dead_letters_are_understood() -> None:
    headers = (
        ("trace", b"x"),
        ("__connect.errors.topic", b"events"),
        ("__connect.errors.partition", b"3"),
        ("__connect.errors.offset", b"17"),
        ("__connect.errors.stage", b"VALUE_CONVERTER"),
        ("__connect.errors.exception.class.name", b"org.apache.kafka.connect.errors.DataException"),
        ("__connect.errors.exception.message", b"no"),
        ("__connect.errors.exception.stacktrace", b"at a.b(C.java)"),
    )
    one = from_message(Record(1, 1_700_000_000_125, b"k", headers, b"v"))
    assert (one.topic, one.partition) == ("events", 3)
    assert one.record == Record(17, 1_700_000_000_125, b"k", (("trace", b"x"),), b"v")
    assert (one.stage, one.code) == ("VALUE_CONVERTER", "org.apache.kafka.connect.errors.DataException")
    assert (one.message, one.at, one.replays, one.error_count) == ("no", 1_700_000_000.125, 0, 1)


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("trace", b"x"),),
        (("__connect.errors.topic", b"t"), ("__connect.errors.partition", b"0"), ("__connect.errors.offset", b"x")),
        (("__connect.errors.topic", b"\xff"),),
        (("__connect.errors.topic", None),),
        (*letter().kafka_headers(), ("beam_aep.errors", b"{")),
        (*letter().kafka_headers(), ("beam_aep.at", b"noon")),
        (*letter().kafka_headers(), ("beam_aep.schema", b"[]")),
        (*letter().kafka_headers(), ("beam_aep.errors", b"{}")),
        (*letter().kafka_headers(), ("beam_aep.errors", b'[{"code": "c"}]')),
    ],
)
def test_what_is_no_dead_letter_is_passed_over_with_its_place(
    headers: tuple[tuple[str, bytes | None], ...], caplog: pytest.LogCaptureFixture
) -> None:
    records = [Record(4, 0, None, headers, b"{}"), message(letter())]
    with caplog.at_level(logging.WARNING):
        assert dead_letters_of(Chunk("dead", 2, records)) == [letter()]
    (warning,) = caplog.messages
    assert warning.startswith("topic dead partition 2 offset 4 is not a dead letter and is skipped: ")


def test_of_many_that_are_no_dead_letters_one_line_tells_and_shows_no_contents(
    caplog: pytest.LogCaptureFixture,
) -> None:
    place = (("__connect.errors.topic", b"t"), ("__connect.errors.partition", b"0"), ("__connect.errors.offset", b"1"))
    records = [
        Record(at, 0, None, (*place, ("__connect.errors.exception.message", b"\xffjane@example.com")), b"{}")
        for at in range(50)
    ]
    with caplog.at_level(logging.WARNING):
        assert dead_letters_of(Chunk("dead", 2, [*records, message(letter())])) == [letter()]
    assert caplog.messages == [
        "topic dead partition 2 offset 0 is not a dead letter and is skipped: its headers are damaged; "
        "so are 49 of those behind it"
    ]


def test_a_dead_letter_without_a_time_of_ours_has_that_of_its_record_and_none_to_come() -> None:
    headers = (
        ("__connect.errors.topic", b"t"),
        ("__connect.errors.partition", b"0"),
        ("__connect.errors.offset", b"1"),
    )
    assert from_message(Record(0, 1_700_000_000_125, None, headers, b"{}")).at == 1_700_000_000.125
    # One that is not a date could not be shown, nor written again.
    assert from_message(Record(0, 2**61, None, headers, b"{}")).to_json()


@pytest.mark.kafka
def test_a_run_reads_to_where_the_topic_ended_and_the_next_goes_on_from_there(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic
) -> None:
    topic = new_topic(2)
    old, new = [letter(offset) for offset in range(150)], [letter(offset) for offset in range(150, 170)]
    produce(broker, topic, old)
    broker.produce(topic, [(None, b"{}", None, 0)])

    def read(meanwhile: list[DeadLetter]) -> list[DeadLetter]:
        of = source(cluster, topic, share_group=True, group="replay")
        start = resolve_start(cluster, of.topics, of.group_id, "committed", "earliest", stop_at_end=True)
        for partition in (0, 1):
            produce(broker, topic, meanwhile, partition)
        collect = Collect()
        with beam.Pipeline("FnApiRunner") as pipeline:
            pipeline | ReadDeadLetterTopic(ReadFromKafka(of, start)) | collect
        close_readers(of.id)
        return [one for run in collect.taken() for one in run]

    first = read(meanwhile=new)
    assert sorted(one.record.offset for one in first) == list(range(150))
    assert metrics.process_counts()[metrics.PASSED_OVER] == 1
    assert sorted(one.record.offset for one in read([])) == sorted(2 * list(range(150, 170)))
    assert read([]) == []


@pytest.mark.kafka
@pytest.mark.parametrize("share_group", [True, False])
def test_a_reader_stops_at_the_end_even_in_the_middle_of_what_it_fetched(
    share_group: bool, broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic
) -> None:
    topic = new_topic(2)
    of = source(cluster, topic, share_group=share_group)
    broker.produce(topic, [(None, b"old", None, partition) for partition in (0, 1) for _ in range(50)])
    start = resolve_start(cluster, of.topics, of.group_id, "earliest", "earliest", stop_at_end=True)
    broker.produce(topic, [(None, b"new", None, partition) for partition in (0, 1) for _ in range(50)])
    member = Member(of, start)
    try:
        while not member.done:
            member.bundle()
        assert member.values() == 100 * [b"old"]
        assert member.restriction.next == {(topic, 0): 50, (topic, 1): 50}
        await_committed(broker, of, {0: 50, 1: 50})
        # A position that is beyond the end already, as of a group that read on, is not moved back.
        reader: Reader = member.reader
        reader._assigned.positions[topic, 0] = 70
        (beyond,) = reader._step((topic, 0), 72, [Record(71, 0, None, (), b"new")])
        assert beyond == Step(Claim((topic, 0), 70, reader.log_end((topic, 0))), None)
    finally:
        member.reader.close()


@pytest.mark.kafka
def test_a_topic_is_looked_at_without_a_group(broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic) -> None:
    topic = new_topic(3)
    assert list(read_topic(cluster, topic)) == []
    written = [letter(offset) for offset in range(1000)]
    produce(broker, topic, written)
    for _ in range(2):
        assert sorted(one.record.offset for one in read_topic(cluster, topic)) == list(range(1000))
    letters = read_topic(cluster, topic)
    assert next(letters) in written
    letters.close()  # type: ignore[attr-defined]
    assert broker.committed("beam-aep-show", topic) == {}
