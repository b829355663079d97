"""Reading Kinesis: `ReadFromKinesis` in a pipeline, against a plain loop of GetRecords over the same stream.

CPU time is compared, because a reader asks each shard at most so many times a second. The stream is the local one, in a
process of its own. The loop's client is as boto3 makes it; ours reads times faster, see `kinesis.session`.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import apache_beam as beam
import boto3
from apache_beam.options.pipeline_options import PipelineOptions

from bench.measure import Stopwatch, Usage
from kinesis.discovery import begin
from pipelines.options.kinesis import KinesisOptions
from testing.services.kinesis import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, Kinesis
from transforms.kinesis.read import ReadFromKinesis, close_readers, new_source_id
from transforms.kinesis.source import KinesisSource
from transforms.records.bundle_limits import BundleLimits
from transforms.records.chunk import Chunk
from transforms.worker import metrics, process

SHARDS = 4
RECORD_BYTES = 1_000

# As often as a shard may be asked.
_POLL_SECONDS = 0.2
_LIMITS = BundleLimits(max_records=50_000, max_bytes=64_000_000, max_seconds=5.0, linger_seconds=1.0)


@dataclass(frozen=True)
class Round:
    """The same stream read each way."""

    records: int
    pipeline: Usage
    loop: Usage


def measure(records: int, rounds: int) -> list[Round]:
    """Return each way in a process of its own, new for each round."""
    with Kinesis() as kinesis:
        kinesis.switch(limits=False)
        full, empty = kinesis.create_stream(SHARDS), kinesis.create_stream(SHARDS)
        client = kinesis.client()
        for first in range(0, records, 500):
            entries = [
                {"Data": bytes(RECORD_BYTES), "PartitionKey": str(number)}
                for number in range(first, min(first + 500, records))
            ]
            client.put_records(StreamName=full, Records=entries)
        measured = []
        for _ in range(rounds):
            with new_process() as one, new_process() as other:
                start_up = one.submit(in_pipeline, kinesis.endpoint, empty, 0).result()
                pipeline = one.submit(in_pipeline, kinesis.endpoint, full, records).result()
                loop = other.submit(in_loop, kinesis.endpoint, full, records).result()
            measured.append(Round(records, pipeline.beyond(start_up), loop))
    return measured


def in_pipeline(endpoint: str, stream: str, records: int) -> Usage:
    """Return what a run on FnApiRunner takes until all records are read, start and end included."""
    os.environ |= {"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY}
    process.tune_garbage_collector()
    process.start_run()
    metrics.reset()
    access = KinesisOptions(region=REGION, endpoint=endpoint).access(connections=1)
    source = KinesisSource(
        new_source_id(), stream, access, "earliest", _POLL_SECONDS, _LIMITS, checkpoint_file=None, deadline=None
    )
    client = access.client()
    stopwatch = Stopwatch()
    if not records:
        process.request_stop(grace_seconds=0)
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
        pipeline | ReadFromKinesis(source, begin(client, stream, "earliest")) | "Take" >> beam.Map(_take, records)
    close_readers(source)
    check_all(records, metrics.process_counts()[metrics.READ])
    return stopwatch.usage()


def _take(_: Chunk, records: int) -> None:
    """End the run after the last record."""
    if metrics.process_counts()[metrics.READ] >= records:
        process.request_stop(grace_seconds=0)


def in_loop(endpoint: str, stream: str, records: int) -> Usage:
    """Return what a loop takes that asks one shard after another, as often as it likes."""
    process.tune_garbage_collector()
    client = plain_client(endpoint)
    stopwatch = Stopwatch()
    read = 0
    for shard in client.list_shards(StreamName=stream)["Shards"]:
        at = {"StreamName": stream, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator, behind = client.get_shard_iterator(**at)["ShardIterator"], 1
        while behind:
            reply = client.get_records(ShardIterator=iterator)
            read += len(reply["Records"])
            iterator, behind = reply["NextShardIterator"], reply["MillisBehindLatest"]
    check_all(records, read)
    return stopwatch.usage()


def plain_client(endpoint: str) -> Any:
    """Make a client as boto3 makes it."""
    keys = {"aws_access_key_id": ACCESS_KEY_ID, "aws_secret_access_key": SECRET_ACCESS_KEY}
    return boto3.client("kinesis", region_name=REGION, endpoint_url=endpoint, **keys)


def check_all(records: int, done: int) -> None:
    """Make sure that all records were read, or put."""
    if done != records:
        raise AssertionError(f"{done} of {records} records arrived")


def new_process() -> ProcessPoolExecutor:
    """Return a process that runs one thing after another and shares nothing with this one."""
    return ProcessPoolExecutor(1, get_context("spawn"))
