"""ReadFromKafka in a pipeline."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import apache_beam as beam
import pytest
from confluent_kafka import Producer

from testing.services.kafka import KafkaBroker
from testing.services.process import PATIENCE_SECONDS
from tests.transforms.conftest import NewTopic
from tests.transforms.eager import Collect
from tests.transforms.kafka.drive import source
from transforms.kafka import reader as kafka_reader
from transforms.kafka.client import KafkaCluster, KafkaReadError, KafkaSetupError, NamedStart
from transforms.kafka.owned_properties import OWNED_PROPERTIES
from transforms.kafka.read import ReadFromKafka, close_readers, shard_reader
from transforms.kafka.restriction import deal
from transforms.kafka.source import KafkaSource
from transforms.kafka.start import Start, resolve_start
from transforms.records.chunk import Chunk
from transforms.worker import metrics, process


@pytest.mark.parametrize("name", sorted(OWNED_PROPERTIES))
def test_what_the_source_decides_may_not_be_in_kafka_config(name: str) -> None:
    of = source(KafkaCluster("127.0.0.1:1", {name: "x"}), "t")
    with pytest.raises(KafkaSetupError, match=f"{name} must not be in kafka_config: ") as raised:
        ReadFromKafka(of, Start({}, None))
    assert str(raised.value).endswith(OWNED_PROPERTIES[name])


@pytest.fixture(params=["group", "shard"])
def of(request: pytest.FixtureRequest, cluster: KafkaCluster, new_topic: NewTopic) -> Iterator[KafkaSource]:
    """A source of one topic with three partitions, in both ways of sharing them."""
    made = source(cluster, new_topic(3), share_group=request.param == "group", discovery_seconds=1.0)
    yield made
    close_readers(made.id)


def produce(broker: KafkaBroker, topic: str, amount: int, first: int = 0) -> set[bytes]:
    values = [b"%d" % number for number in range(first, first + amount)]
    broker.produce(topic, [(None, value, None, at % 3) for at, value in enumerate(values)])
    return set(values)


def start_of(of: KafkaSource, start: NamedStart = "committed", stop_at_end: bool = True) -> Start:
    return resolve_start(of.cluster, of.topics, of.group_id, start, of.reset, stop_at_end)


def read(of: KafkaSource, start: Start, commit: bool = True) -> list[Chunk]:
    """Return the chunks of a run to its end."""
    collect = Collect()
    with beam.Pipeline("FnApiRunner") as pipeline:
        pipeline | ReadFromKafka(of, start, commit) | collect
    return collect.taken()


def values_of(chunks: list[Chunk]) -> list[bytes]:
    return [record.value for chunk in chunks for record in chunk.records if record.value is not None]


@pytest.mark.kafka
def test_a_run_to_the_end_reads_and_counts_each_record_once_and_commits(broker: KafkaBroker, of: KafkaSource) -> None:
    topic = of.topics[0]
    values = produce(broker, topic, 3_000)
    chunks = read(of, start_of(of))
    assert sorted(values_of(chunks)) == sorted(values)
    assert all(chunk.topic == topic and 1 <= len(chunk.records) <= 100 for chunk in chunks)
    close_readers(of.id)
    assert broker.committed(of.group_id, topic) == {0: 1000, 1: 1000, 2: 1000}
    assert metrics.process_counts() == {"read": 3_000}


@pytest.mark.kafka
def test_the_next_run_goes_on_where_the_last_one_ended(broker: KafkaBroker, of: KafkaSource) -> None:
    topic = of.topics[0]
    first = produce(broker, topic, 300)
    assert set(values_of(read(of, start_of(of)))) == first
    close_readers(of.id)
    again = replace(of, id=f"{of.id}-again")
    second = produce(broker, topic, 300, first=300)
    assert sorted(values_of(read(again, start_of(again)))) == sorted(second)
    close_readers(again.id)


@pytest.mark.kafka
def test_nothing_is_committed_when_it_is_told_not_to(broker: KafkaBroker, of: KafkaSource) -> None:
    values = produce(broker, of.topics[0], 300)
    assert set(values_of(read(of, start_of(of), commit=False))) == values
    close_readers(of.id)
    assert broker.committed(of.group_id, of.topics[0]) == {}


class _Fail(beam.DoFn):
    """Fails at the n-th chunk, or at the end of the bundle."""

    def __init__(self, at: int | None):
        self._left = at

    def process(self, element: Chunk) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                raise RuntimeError("downstream")

    def finish_bundle(self) -> None:
        if self._left is None:
            raise RuntimeError("downstream")


@pytest.mark.kafka
@pytest.mark.parametrize("at", [1, 4, None])
def test_a_bundle_that_fails_downstream_commits_nothing_and_can_be_read_again(
    broker: KafkaBroker, of: KafkaSource, at: int | None
) -> None:
    topic = of.topics[0]
    values = produce(broker, topic, 1_500)
    start = start_of(of)

    def run() -> None:
        with beam.Pipeline("FnApiRunner") as pipeline:
            pipeline | ReadFromKafka(of, start) | beam.ParDo(_Fail(at))

    with pytest.raises(Exception, match="downstream"):
        run()
    # A bundle before it may have been without records, and have committed where reading starts.
    assert set(broker.committed(of.group_id, topic).values()) <= {0}
    # The same process tries again, as clusters do: its reader is free and goes back.
    for shard in deal(start, 1 if of.share_group else 3):
        assert not shard_reader(of, shard).lock.locked()
    assert sorted(values_of(read(of, start))) == sorted(values)
    close_readers(of.id)
    assert broker.committed(of.group_id, topic) == {0: 500, 1: 500, 2: 500}


@pytest.mark.kafka
def test_a_read_that_cannot_go_on_is_remembered_in_our_words(broker: KafkaBroker, of: KafkaSource) -> None:
    of = replace(of, reset="error")
    start = Start({(of.topics[0], number): 1_000_000 for number in range(3)}, None)
    with pytest.raises(Exception, match="kafka_reset=error"):
        read(of, start)
    assert isinstance(process.failure, KafkaReadError)


class _StopAt(beam.DoFn):
    """Asks the process to end once it has seen a value."""

    def __init__(self, value: bytes):
        self._value = value

    def process(self, element: Chunk) -> Iterator[Chunk]:
        yield element
        if any(record.value == self._value for record in element.records):
            process.request_stop(0)


def read_until(of: KafkaSource, start: Start, value: bytes) -> list[Chunk]:
    """Return the chunks of a run without an end, which is asked to stop once it has read a value."""
    collect = Collect()
    with beam.Pipeline("FnApiRunner") as pipeline:
        pipeline | ReadFromKafka(of, start) | beam.ParDo(_StopAt(value)).with_output_types(Chunk) | collect
    return collect.taken()


@pytest.mark.kafka
def test_a_run_without_an_end_waits_for_records_until_it_is_asked_to_stop(broker: KafkaBroker, of: KafkaSource) -> None:
    topic = of.topics[0]
    values = produce(broker, topic, 30)
    later = threading.Timer(3, lambda: broker.produce(topic, [(None, b"last", None, 1)]))
    later.start()
    assert sorted(values_of(read_until(of, start_of(of, stop_at_end=False), b"last"))) == sorted(values | {b"last"})
    later.join()
    close_readers(of.id)
    assert broker.committed(of.group_id, topic) == {0: 10, 1: 11, 2: 10}


@pytest.mark.kafka
def test_a_partition_that_is_made_during_the_run_is_read(broker: KafkaBroker, of: KafkaSource) -> None:
    topic = of.topics[0]
    values = produce(broker, topic, 30)

    def add() -> None:
        broker.add_partitions(topic, 4)
        broker.produce(topic, [(None, b"new", None, 3)])

    later = threading.Timer(2, add)
    later.start()
    assert sorted(values_of(read_until(of, start_of(of, stop_at_end=False), b"new"))) == sorted(values | {b"new"})
    later.join()
    close_readers(of.id)
    assert broker.committed(of.group_id, topic) == {0: 10, 1: 10, 2: 10, 3: 1}


class _Clock:
    """The clock of the reader in this process, which jumps ahead once all of some values were seen."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._left: set[bytes | None] = set()

    def await_all(self, values: set[bytes]) -> None:
        self._ahead, self._left = 0.0, {*values}

    def see(self, chunk: Chunk) -> Chunk:
        self._left -= {record.value for record in chunk.records}
        if not self._left:
            self._ahead = 2.0 * PATIENCE_SECONDS
        return chunk

    def time(self) -> float:
        return time.time() + self._ahead


_clock = _Clock()


def _see(chunk: Chunk) -> Chunk:
    return _clock.see(chunk)


@pytest.mark.kafka
def test_a_run_ends_at_its_deadline(broker: KafkaBroker, of: KafkaSource, monkeypatch: pytest.MonkeyPatch) -> None:
    values = produce(broker, of.topics[0], 30)
    start = start_of(of, stop_at_end=False)
    _clock.await_all(values)
    monkeypatch.setattr(kafka_reader, "time", _clock)
    of = replace(of, deadline=time.time() + PATIENCE_SECONDS)
    collect = Collect()
    with beam.Pipeline("FnApiRunner") as pipeline:
        pipeline | ReadFromKafka(of, start) | beam.Map(_see).with_output_types(Chunk) | collect
    assert sorted(values_of(collect.taken())) == sorted(values)


def _timestamp(chunk: Chunk, at: Any = beam.DoFn.TimestampParam) -> float:
    return float(at)


@pytest.mark.kafka
def test_no_timestamp_of_a_producer_stops_the_pipeline(cluster: KafkaCluster, new_topic: NewTopic) -> None:
    # Some producers write micro- or nanoseconds.
    now = int(time.time())
    written = [now * 1000 - 5_000, now * 1_000_000, now * 1_000_000_000, 1, 2**63 - 1]
    topic = new_topic(len(written), message_timestamp_after_max_ms=2**63 - 1)
    producer = Producer({"bootstrap.servers": cluster.bootstrap_servers})
    for partition, timestamp in enumerate(written):
        producer.produce(topic, b"x", partition=partition, timestamp=timestamp)
    assert producer.flush(PATIENCE_SECONDS) == 0
    of = source(cluster, topic, share_group=True)
    collect = Collect()
    with beam.Pipeline("FnApiRunner") as pipeline:
        pipeline | ReadFromKafka(of, start_of(of)) | beam.Map(_timestamp) | collect
    close_readers(of.id)
    seconds = collect.taken()
    assert len(seconds) == len(written)
    assert min(seconds) == 0.001
    assert now - 5 in seconds
    assert max(seconds) <= time.time()


@pytest.mark.kafka
def test_an_idle_run_hardly_uses_the_processor(cluster: KafkaCluster, new_topic: NewTopic) -> None:
    of = source(cluster, new_topic(3), share_group=True)
    of = replace(of, deadline=time.time() + 12, limits=replace(of.limits, idle_seconds=1.0))
    start = start_of(of, stop_at_end=False)
    used: list[float] = []

    def measure() -> None:
        for _ in range(5):
            before = time.process_time()
            time.sleep(2)
            used.append(time.process_time() - before)

    thread = threading.Thread(target=measure)
    thread.start()
    read(of, start)
    thread.join()
    close_readers(of.id)
    # It starts in the first of these, later on a busy machine; one that spun would do so in all.
    assert min(used) / 2 < 0.10
