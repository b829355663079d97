"""ReadFromKinesis in a pipeline."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import apache_beam as beam
import pytest

from kinesis.discovery import end_of
from kinesis.positions import Checkpoint
from testing.services.kinesis import Kinesis
from tests.transforms.eager import Collect
from tests.transforms.kinesis.drive import Writer, begin_at, source_of
from transforms.kinesis.checkpoint import local_checkpoint
from transforms.kinesis.errors import KinesisSetupError
from transforms.kinesis.read import ReadFromKinesis, close_readers
from transforms.kinesis.source import KinesisSource
from transforms.records.chunk import Chunk
from transforms.worker import metrics, process

pytestmark = pytest.mark.usefixtures("quick_kinesis")


@pytest.fixture(params=["file", "runner"])
def source(request: pytest.FixtureRequest, kinesis: Kinesis, tmp_path: Path) -> Iterator[KinesisSource]:
    """A stream with two shards, whose positions are kept in a file or by the runner."""
    file = str(tmp_path / "kinesis.json") if request.param == "file" else None
    made = source_of(kinesis, kinesis.create_stream(2), checkpoint_file=file)
    yield made
    close_readers(made)


def read(source: KinesisSource, start: Checkpoint, readers: int = 1) -> list[int]:
    """Return the numbers of a run to the end, chunk by chunk."""
    end = end_of(source.access.client(), source.stream)
    collect = Collect()
    with beam.Pipeline("FnApiRunner") as pipeline:
        pipeline | ReadFromKinesis(source, start, end, readers) | collect
    chunks: list[Chunk] = collect.taken()
    assert all(chunk.topic == source.stream and chunk.partition < 4 for chunk in chunks)
    return [int(record.value or b"") for chunk in chunks for record in chunk.records]


def test_a_run_to_the_end_reads_and_counts_each_record_once(kinesis: Kinesis, source: KinesisSource) -> None:
    writer = Writer(kinesis, source.stream)
    writer.write(1_000)
    writer.split()
    writer.write(100)
    readers = 3 if source.checkpoint_file is None else 1
    assert sorted(read(source, begin_at(source), readers)) == list(range(1_100))
    assert metrics.process_counts()[metrics.READ] == 1_100


def test_the_next_run_goes_on_where_the_file_says(kinesis: Kinesis, tmp_path: Path) -> None:
    path = tmp_path / "kinesis.json"
    source = source_of(kinesis, kinesis.create_stream(2), checkpoint_file=str(path))
    writer = Writer(kinesis, source.stream)
    writer.write(200)
    assert local_checkpoint(source).start is None
    assert len(read(source, begin_at(source))) == 200
    close_readers(source)
    writer.split()
    writer.write(200)
    again = replace(source, id="again")
    start = local_checkpoint(again).start
    assert start is not None
    assert sorted(read(again, start)) == list(range(200, 400))
    close_readers(again)


class _Fail(beam.DoFn):
    def process(self, element: Chunk) -> None:
        pass

    def finish_bundle(self) -> None:
        raise RuntimeError("downstream")


def test_a_bundle_that_fails_downstream_moves_no_position(kinesis: Kinesis, tmp_path: Path) -> None:
    path = tmp_path / "kinesis.json"
    source = source_of(kinesis, kinesis.create_stream(1), checkpoint_file=str(path))
    Writer(kinesis, source.stream).write(100)
    start = begin_at(source)
    local_checkpoint(source).write(start)

    def run() -> None:
        with beam.Pipeline("FnApiRunner") as pipeline:
            pipeline | ReadFromKinesis(source, start) | beam.ParDo(_Fail())

    with pytest.raises(Exception, match="downstream"):
        run()
    close_readers(source)
    again = replace(source, id="again")
    assert local_checkpoint(again).start == start
    assert sorted(read(again, start)) == list(range(100))
    close_readers(again)


def test_a_file_that_cannot_be_written_any_more_is_no_end(
    kinesis: Kinesis, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "gone"
    source = source_of(kinesis, kinesis.create_stream(1), checkpoint_file=str(folder / "kinesis.json"))
    Writer(kinesis, source.stream).write(100)
    local_checkpoint(source)
    folder.rename(tmp_path / "elsewhere")  # from now on the file cannot be written
    assert len(read(source, begin_at(source))) == 100
    close_readers(source)
    assert "cannot be written: No such file or directory" in caplog.text


def test_a_read_that_cannot_go_on_is_remembered_in_our_words(kinesis: Kinesis, source: KinesisSource) -> None:
    start = begin_at(source)
    kinesis.switch(denied_actions=["kinesis:GetRecords"])
    pipeline = beam.Pipeline("FnApiRunner")
    pipeline | ReadFromKinesis(source, start)
    with pytest.raises(Exception, match="the credentials lack the right kinesis:GetRecords"):
        pipeline.run()
    assert isinstance(process.failure, KinesisSetupError)


def _timestamp(chunk: Chunk, at: beam.DoFn.TimestampParam = beam.DoFn.TimestampParam) -> float:
    return float(at)


def test_arrival_times_ahead_of_the_clock_do_not_stop_the_pipeline(kinesis: Kinesis, source: KinesisSource) -> None:
    kinesis.switch(arrival_offset_seconds=3_600)
    Writer(kinesis, source.stream).write(10)
    collect = Collect()
    end = end_of(source.access.client(), source.stream)
    with beam.Pipeline("FnApiRunner") as pipeline:
        pipeline | ReadFromKinesis(source, begin_at(source), end) | beam.Map(_timestamp) | collect
    assert max(collect.taken()) <= time.time()


def test_an_idle_run_hardly_uses_the_processor(kinesis: Kinesis, tmp_path: Path) -> None:
    file = str(tmp_path / "kinesis.json")
    source = source_of(kinesis, kinesis.create_stream(4), poll_seconds=1.0, checkpoint_file=file)
    source = replace(source, deadline=time.time() + 8, limits=replace(source.limits, idle_seconds=1.0))
    start = begin_at(source)
    before = time.process_time()
    with beam.Pipeline("FnApiRunner") as pipeline:
        pipeline | ReadFromKinesis(source, start)
    assert time.process_time() - before < 8 * 0.25
