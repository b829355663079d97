"""Writing to Kinesis: `PutToKinesis` in a pipeline, against a plain loop of PutRecords with boto3.

CPU time is compared, of this process: the stream is the local one, in a process of its own, which takes longer for a
request than either.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from bench.kinesis_bench import RECORD_BYTES, Round, check_all, new_process, plain_client
from bench.measure import Stopwatch, Usage
from kinesis.keys import KAFKA_KEY, PartitionKeys
from pipelines.options.kinesis import KinesisOptions
from testing.services.kinesis import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, Kinesis
from transforms.kinesis.connection import KinesisConnection
from transforms.kinesis.destination import KinesisStream
from transforms.kinesis.put import PutToKinesis
from transforms.records.chunk import Batch, Chunk
from transforms.records.record import Record
from transforms.records.route import Route, Routes, parse_json
from transforms.worker import metrics, process

# So many that none has to be paced at 1,000 records a second.
_SHARDS = 100

_BATCH_RECORDS = 500
_IN_FLIGHT = 4
_NAME = "profiles"  # of the route and its topic
_DATA = bytes(RECORD_BYTES)


def measure(records: int, rounds: int) -> list[Round]:
    """Return each way in a process of its own, new for each round."""
    with Kinesis() as kinesis:
        kinesis.switch(limits=False)
        client = kinesis.client()
        measured = []
        for _ in range(rounds):
            with new_process() as one, new_process() as other:
                streams = [kinesis.create_stream(_SHARDS) for _ in range(2)]
                # First, for imports and the client.
                one.submit(in_pipeline, kinesis.endpoint, streams[0], _BATCH_RECORDS).result()
                start_up = one.submit(in_pipeline, kinesis.endpoint, streams[0], 0).result()
                pipeline = one.submit(in_pipeline, kinesis.endpoint, streams[0], records).result()
                loop = other.submit(in_loop, kinesis.endpoint, streams[1], records).result()
                for stream in streams:
                    client.delete_stream(StreamName=stream)  # which would stay in memory
            measured.append(Round(records, pipeline.beyond(start_up), loop))
    return measured


def in_pipeline(endpoint: str, stream: str, records: int) -> Usage:
    """Return what a run on FnApiRunner takes until each record has its answer, start and end included."""
    os.environ |= {"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY}
    process.tune_garbage_collector()
    process.start_run()
    metrics.reset()
    access = KinesisOptions(region=REGION, endpoint=endpoint).access(connections=_IN_FLIGHT)
    connection = KinesisConnection(access, _IN_FLIGHT, "none", max_waiting_bytes=10**8, budget_seconds=None)
    to = KinesisStream(stream, PartitionKeys(KAFKA_KEY, (), hashed=False), max_record_bytes=None)
    routes = Routes([Route(_NAME, (_NAME,), to, parse_json)])
    stopwatch = Stopwatch()
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
        # Made inside the bundle: elements of Create would be encoded and decoded, which batches of Kafka's are not.
        batches = pipeline | beam.Create([records]) | "Batches" >> beam.FlatMap(_batches).with_output_types(Batch)
        batches | PutToKinesis(routes, connection)
    check_all(records, metrics.process_counts()[metrics.ACCEPTED])
    return stopwatch.usage()


def _batches(records: int) -> Iterator[Batch]:
    for first in range(0, records, _BATCH_RECORDS):
        numbers = range(first, min(first + _BATCH_RECORDS, records))
        read = [Record(number, 0, b"%d" % number, (), _DATA) for number in numbers]
        yield Batch(_NAME, [Chunk(_NAME, 0, read, route=_NAME, bodies=[_DATA] * len(read))])


def in_loop(endpoint: str, stream: str, records: int) -> Usage:
    """Return what a loop takes that puts the same batches, one after another."""
    process.tune_garbage_collector()
    client = plain_client(endpoint)
    stopwatch = Stopwatch()
    put = 0
    for batch in _batches(records):
        entries = [
            {"Data": body, "PartitionKey": (key or b"").decode()}
            for body, key in zip(batch.bodies, batch.keys, strict=True)
        ]
        put += len(entries) - client.put_records(StreamName=stream, Records=entries)["FailedRecordCount"]
    check_all(records, put)
    return stopwatch.usage()
