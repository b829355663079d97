"""Reading Kinesis: `ReadFromKinesis` in a pipeline, against a plain loop of GetRecords over the same stream; and idle.

CPU time is compared, because a reader asks each shard at most so many times a second. The stream is the local one, in a
process of its own. The loop's client is as boto3 makes it; ours reads times faster, see `kinesis.session`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import apache_beam as beam
import boto3
from apache_beam.options.pipeline_options import PipelineOptions

from bench.figure import Figure
from bench.measure import Stopwatch, Usage, cpu_share
from kinesis.discovery import begin
from pipelines.options.kinesis import KinesisOptions
from testing.services.kinesis import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, Kinesis
from testing.services.process import ServiceError, ServiceProcess, wait_for
from transforms.kinesis.read import ReadFromKinesis, close_readers, new_source_id
from transforms.kinesis.source import KinesisSource
from transforms.records.bundle_limits import BundleLimits
from transforms.records.chunk import Chunk
from transforms.worker import metrics, process

SHARDS = 4
RECORD_BYTES = 1_000

# As often as a shard may be asked.
_POLL_SECONDS = 0.2
_RUN_SECONDS = 900
_PROFILE = b'{"identityMap":{"ecid":[{"id":"%d"}]}}'
_LIMITS = BundleLimits(max_records=50_000, max_bytes=64_000_000, max_seconds=5.0, linger_seconds=1.0)


@dataclass(frozen=True)
class Round:
    """The same stream read each way."""

    records: int
    pipeline: Usage
    loop: Usage


@dataclass(frozen=True)
class ReadResults:
    """All that was measured; `idle_share` is the share of a core that a pipeline uses that has caught up."""

    rounds: list[Round]
    idle_share: float


def measure(records: int, rounds: int, idle_seconds: float) -> ReadResults:
    """Return each way in a process of its own, new for each round."""
    with Kinesis() as kinesis:
        idle_share = _idle_share(kinesis, idle_seconds)
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
    return ReadResults(measured, idle_share)


def _idle_share(kinesis: Kinesis, seconds: float) -> float:
    """Return what `kinesis_to_kafka` uses, with its options' defaults, when it has read all of four shards."""
    stream = kinesis.create_stream(SHARDS)
    entries = [{"Data": _PROFILE % number, "PartitionKey": str(number)} for number in range(100)]
    kinesis.client().put_records(StreamName=stream, Records=entries)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        output = Path(folder) / "output"
        options = {
            "kinesis_stream": stream,
            "kinesis_region": REGION,
            "kinesis_endpoint": kinesis.endpoint,
            "kinesis_checkpoint": f"{folder}/checkpoint.json",
            "output_path": output,
            "dead_letter_path": f"{folder}/dead-letters",
            "progress": "off",
        }
        command = [sys.executable, "-m", "pipelines.kinesis_to_kafka", *(f"--{k}={v}" for k, v in options.items())]
        environment = {"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY}

        def has_read_all() -> bool:
            return sum(file.read_bytes().count(b"\n") for file in output.glob("*.jsonl")) == len(entries)

        with ServiceProcess("the idle reader", command, Path(folder) / "log", env=environment) as pipeline:
            wait_for(lambda: has_read_all() or not pipeline.running, _RUN_SECONDS, "the reader to catch up")
            if not pipeline.running:
                raise ServiceError(f"the reader ended early\n{pipeline.log_tail()}")
            return cpu_share(pipeline.pid, seconds)


def figures(results: ReadResults) -> Sequence[Figure]:
    """Return the figures that the raw numbers come to."""
    return [
        Figure(
            "cpu",
            f"read Kinesis, {SHARDS} shards ({RECORD_BYTES / 1000:g} kB): CPU time of boto3 in a loop / pipeline's",
            [one.loop.cpu_seconds / one.pipeline.cpu_seconds for one in results.rounds],
        ),
        Figure(
            "idle",
            f"read Kinesis, {SHARDS} shards, caught up and idle: CPU, % of a core",
            [results.idle_share * 100],
        ),
    ]


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
    start = begin(client, stream, "earliest")
    if not records:
        process.request_stop(grace_seconds=0)
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
        pipeline | ReadFromKinesis(source, start) | "Take" >> beam.Map(_take, records)
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
