"""Writing to Kinesis: the CPU time of a record in the pipeline, against plain loops of PutRecords with boto3.

CPU time is compared, of this process: the stream is the local one, in a process of its own, which takes longer for a
request than either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from statistics import median

from bench.figure import Figure
from bench.kinesis_bench import check_all, new_process, plain_client
from bench.kinesis_pipeline import BATCH_RECORDS, Work, batches_of, in_pipeline, profiles
from bench.measure import Stopwatch, Usage
from testing.services.kinesis import Kinesis
from transforms.records.chunk import CHUNK_RECORDS

# So many that none has to be paced at 1,000 records a second.
SHARDS = 100

_RETENTION_SECONDS = 5  # or the local Kinesis would keep all in memory
_SMALL_RUNS, _SMALLER, _LARGER = 5, 10, 10


@dataclass(frozen=True)
class Round:
    """The same number of records each way.

    Attributes:
        records: How many.
        put: `PutToKinesis` in a pipeline, of batches that are ready.
        put_loop: A loop that puts the same batches.
        whole: The whole pipeline from what was read on: parse, map, validate, batch and put.
        loop: A loop that puts the same bytes, with keys that are ready.
    """

    records: int
    put: Usage
    put_loop: Usage
    whole: Usage
    loop: Usage


@dataclass(frozen=True)
class Scale:
    """CPU seconds of a record in a short run and in a long one."""

    few: int
    many: int
    of_few: float
    of_many: float


@dataclass(frozen=True)
class PutResults:
    """All that was measured."""

    rounds: list[Round]
    scale: Scale


def measure(records: int, rounds: int) -> PutResults:
    """Return each way in a process of its own, new for each round, and runs of different lengths."""
    each = _whole_chunks(records)
    with Kinesis() as kinesis:
        kinesis.switch(limits=False, retention_seconds=_RETENTION_SECONDS)
        stream = kinesis.create_stream(SHARDS)
        measured = []
        for _ in range(rounds):
            with new_process() as one, new_process() as other:
                turns = []
                for whole in (False, True):
                    of_pipeline = kinesis.endpoint, stream, each, Work(whole)
                    # First, for imports and the client.
                    one.submit(in_pipeline, *of_pipeline[:2], BATCH_RECORDS, Work(whole)).result()
                    turns.append(one.submit(in_pipeline, *of_pipeline).result())
                    turns.append(other.submit(in_loop, kinesis.endpoint, stream, each, whole).result())
            measured.append(Round(each, *turns))
        with new_process() as one:
            few, many = _whole_chunks(records // _SMALLER), _whole_chunks(records * _LARGER)
            costs = [
                one.submit(in_pipeline, kinesis.endpoint, stream, number, Work(whole=True)).result().cpu_seconds
                / number
                for number in [BATCH_RECORDS, *[few] * _SMALL_RUNS, many]
            ]
        return PutResults(measured, Scale(few, many, median(costs[1:-1]), costs[-1]))


def _whole_chunks(records: int) -> int:
    return max(1, records // CHUNK_RECORDS) * CHUNK_RECORDS


def in_loop(endpoint: str, stream: str, records: int, whole: bool) -> Usage:
    """Return what a loop takes that puts one request after another.

    Args:
        whole: Put profiles, with keys that are ready; else the records of batches.
    """
    client = plain_client(endpoint)
    ready = islice(cycle(profiles()), records) if whole else None
    put = 0
    stopwatch = Stopwatch()
    if ready is not None:
        while some := list(islice(ready, BATCH_RECORDS)):
            entries = [{"Data": body, "PartitionKey": key} for key, body in some]
            put += len(entries) - client.put_records(StreamName=stream, Records=entries)["FailedRecordCount"]
    else:
        for batch in batches_of(records):
            (chunk,) = batch.chunks
            entries = [
                {"Data": body, "PartitionKey": key}
                for body, key in zip(chunk.bodies, chunk.partition_keys, strict=True)
            ]
            put += len(entries) - client.put_records(StreamName=stream, Records=entries)["FailedRecordCount"]
    check_all(records, put)
    return stopwatch.usage()


def figures(results: PutResults) -> Sequence[Figure]:
    """Return the figures that the raw numbers come to."""
    rounds, scale = results.rounds, results.scale
    return [
        Figure(
            "put",
            "write Kinesis, batches that are ready (1 kB): CPU time of the pipeline / boto3's in a loop",
            [one.put.cpu_seconds / one.put_loop.cpu_seconds for one in rounds],
        ),
        Figure(
            "whole",
            "write Kinesis, from what was read to the answer (1.1 kB): CPU time of the pipeline / boto3's in a loop",
            [one.whole.cpu_seconds / one.loop.cpu_seconds for one in rounds],
        ),
        Figure(
            "scale",
            f"the same: CPU time of a record in {scale.many:,} / in {scale.few:,}",
            [scale.of_many / scale.of_few],
        ),
    ]
