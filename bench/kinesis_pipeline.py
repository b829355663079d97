"""The pipeline that writes to Kinesis, as it is measured: from the first record in memory to the last answer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from aep.xdm.rules import XdmRules
from bench.kinesis_bench import RECORD_BYTES, check_all
from bench.measure import Stopwatch, Usage
from pipelines.options.kinesis import KinesisOptions
from samples.loyalty import generate
from testing.defaults import by_default, default_plans
from testing.services.kinesis import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY
from transforms.batch import BatchLimits, GroupIntoBatches
from transforms.kinesis.connection import KinesisConnection
from transforms.kinesis.destination import KinesisStream
from transforms.kinesis.put import PutToKinesis
from transforms.map import ApplyMapping
from transforms.parse import ParseRecords
from transforms.records.chunk import CHUNK_RECORDS, Batch, Chunk
from transforms.records.delivery import Order
from transforms.records.record import Record
from transforms.records.route import Route, Routes, keep_json
from transforms.validate import ValidateXdm
from transforms.worker import metrics, process

BATCH_RECORDS = 500

_NAME = "profiles"  # of the route and its topic
_DATA = bytes(RECORD_BYTES)
_DIFFERENT_PROFILES = 10_000  # again and again: far more than a core's own cache holds


@dataclass(frozen=True)
class Work:
    """What a run does.

    Attributes:
        whole: Parse, map, validate and batch profiles, as the pipeline; else put batches that are ready.
        keys: How many partition keys there are, of batches that are ready; 0: each record has its own.
        order: As `kinesis_order`.
    """

    whole: bool = False
    keys: int = 0
    order: Order = "none"


def connection_to(endpoint: str, order: Order = "none") -> KinesisConnection:
    """Return a connection with the options' defaults; credentials come from the environment, which is set."""
    os.environ |= {"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY}
    flight = by_default(KinesisConnection).max_in_flight
    access = KinesisOptions(region=REGION, endpoint=endpoint).access(connections=flight)
    return by_default(KinesisConnection, access=access, order=order)


def stream_of(name: str) -> KinesisStream:
    """Return a destination with the options' defaults."""
    return by_default(KinesisStream, stream=name)


def in_pipeline(endpoint: str, stream: str, records: int, work: Work) -> Usage:
    """Return what a run on FnApiRunner takes from the first record to the last answer.

    The steps are fused, so all of it happens in one bundle. Beam's start and end are left out: they take half a second,
    however many the records.
    """
    process.tune_garbage_collector()
    process.start_run()
    metrics.reset()
    connection = connection_to(endpoint, work.order)
    routes = Routes([Route(_NAME, (_NAME,), stream_of(stream), keep_json)])
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
        # Made inside the bundle: elements of Create would be encoded and decoded, which those of Kafka's are not.
        start = pipeline | beam.Create([records])
        if work.whole:
            chunks = start | "Chunks" >> beam.FlatMap(_read_chunks).with_output_types(Chunk)
            parsed = chunks | ParseRecords(routes, default_plans()[1].tombstones)
            mapped = parsed.main | ApplyMapping(routes)
            valid = mapped.main | ValidateXdm(routes, by_default(XdmRules))
            batches = valid.main | GroupIntoBatches(routes, by_default(BatchLimits), "bundle", connection.shards)
        else:
            batches = start | "Batches" >> beam.FlatMap(_read_batches, work.keys).with_output_types(Batch)
        put = batches | PutToKinesis(routes, connection)
        put.main | "End" >> beam.ParDo(_End())
    check_all(records, metrics.process_counts()[metrics.ACCEPTED])
    return _taken[-1]


_watches: list[Stopwatch] = []  # of each run: FnApiRunner works in this process
_taken: list[Usage] = []


class _End(beam.DoFn):
    """Comes after the step that puts records, so its bundle ends when that has all answers."""

    def process(self, element: None) -> None:
        """Take nothing: that step has no output."""

    def finish_bundle(self) -> None:
        _taken.append(_watches[-1].usage())


def _read_chunks(records: int) -> Iterator[Chunk]:
    chunks = _chunks()
    _watches.append(Stopwatch())
    for number in range(records // CHUNK_RECORDS):
        yield chunks[number % len(chunks)]


def _read_batches(records: int, keys: int) -> Iterator[Batch]:
    _watches.append(Stopwatch())
    yield from batches_of(records, keys)


def batches_of(records: int, keys: int = 0) -> Iterator[Batch]:
    """Yield batches as they are after validation."""
    for first in range(0, records, BATCH_RECORDS):
        numbers = range(first, min(first + BATCH_RECORDS, records))
        yield batch_of([str(number % keys if keys else number) for number in numbers])


def batch_of(keys: list[str]) -> Batch:
    """Return a batch with a record for each of these keys."""
    read = [Record(number, 0, None, (), _DATA) for number in range(len(keys))]
    chunk = Chunk(_NAME, 0, read, route=_NAME, bodies=[_DATA] * len(read), partition_keys=list(keys))
    return Batch(_NAME, [chunk])


@cache
def profiles() -> list[tuple[str, bytes]]:
    """Return profiles with their partition keys."""
    samples = generate(_DIFFERENT_PROFILES, kind="profiles")
    return [(str(one.sequence), one.value) for one in samples]


@cache
def _chunks() -> list[Chunk]:
    read = [Record(number, 0, key.encode(), (), value) for number, (key, value) in enumerate(profiles())]
    return [Chunk(_NAME, 0, read[at : at + CHUNK_RECORDS]) for at in range(0, len(read), CHUNK_RECORDS)]
