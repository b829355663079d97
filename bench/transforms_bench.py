"""Parse, validate and serialise: inside the pipeline, against a plain Python loop over the same functions.

Neither Kafka nor HTTP takes part: the events are in memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from aep.formats.json import ParseFailure, parse_object
from aep.xdm.rules import XdmRules
from aep.xdm.schema import FileSchemaSource, ResolvedSchema
from aep.xdm.validate import validator_for
from bench.figure import Figure
from bench.measure import Stopwatch, Usage, total
from samples.loyalty import generate
from testing.defaults import by_default, default_plans
from transforms.aep.inlet import AepInlet
from transforms.parse import ParseRecords
from transforms.records.chunk import CHUNK_RECORDS, Chunk, Record
from transforms.records.route import Route, Routes, parse_json
from transforms.validate import ValidateXdm
from transforms.worker import metrics, process

EVENT_BYTES = 1_900
SCHEMA = Path(__file__).parents[1] / "configs" / "schemas" / "loyalty-event.schema.json"

_TOPIC = "loyalty-events"
# So many different ones, again and again: far more than a core's own cache holds, and quickly made.
_DIFFERENT_EVENTS = 10_000
_TURNS = 10


@dataclass(frozen=True)
class Round:
    """The same number of events each way."""

    events: int
    pipeline: Usage
    loop: Usage


def measure(events: int, rounds: int) -> list[Round]:
    """Return each way in a process of its own, new for each round, in turns: what else the machine does slows both
    alike.
    """
    each = max(1, events // CHUNK_RECORDS // _TURNS) * CHUNK_RECORDS
    measured = []
    for _ in range(rounds):
        with _new_process() as one, _new_process() as other:
            turns = [
                (one.submit(in_pipeline, each).result(), other.submit(in_loop, each).result()) for _ in range(_TURNS)
            ]
        pipeline, loop = zip(*turns, strict=True)
        measured.append(Round(each * _TURNS, total(pipeline), total(loop)))
    return measured


def figures(rounds: Sequence[Round]) -> Sequence[Figure]:
    """Return the figures that the raw numbers come to."""
    steps = f"parse, validate, serialise ({EVENT_BYTES / 1000:g} kB): loop's"
    return [
        Figure(
            "cpu",
            f"{steps} CPU time / pipeline's",
            [one.loop.cpu_seconds / one.pipeline.cpu_seconds for one in rounds],
        ),
        Figure(
            "wall",
            f"{steps} wall time / pipeline's",
            [one.loop.wall_seconds / one.pipeline.wall_seconds for one in rounds],
        ),
    ]


def in_pipeline(events: int) -> Usage:
    """Return the pipeline's own steps on FnApiRunner, from the first chunk to the last.

    The steps are fused, so all that they do happens between two chunks. Beam's start and end are left out: they take
    a tenth of a second, however many the events.
    """
    process.tune_garbage_collector()
    _run(CHUNK_RECORDS)  # imports, and the validator
    _run(events)
    return _taken[-1]


def in_loop(events: int) -> Usage:
    """Return a loop that does nothing else."""
    process.tune_garbage_collector()
    _loop(CHUNK_RECORDS)
    stopwatch = Stopwatch()
    _loop(events)
    return stopwatch.usage()


_taken: list[Usage] = []  # by each run's bundle: FnApiRunner works in this process


def _run(events: int) -> None:
    inlet = AepInlet("http://127.0.0.1/collection/none", "entity", auth="none")
    routes = Routes([Route("events", (_TOPIC,), inlet, parse_json, _schema())])
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
        # Made inside the bundle: elements of Create would be encoded and decoded, which Kafka's records are not.
        chunks = pipeline | beam.Create([events]) | "Read" >> beam.FlatMap(_read).with_output_types(Chunk)
        parsed = chunks | ParseRecords(routes, default_plans()[0].tombstones)
        valid = parsed.main | ValidateXdm(routes, by_default(XdmRules))
        valid.main | "Accept" >> beam.Map(_accept)
    _check_all_valid(events, metrics.beam_counts(pipeline.result.metrics())[metrics.ACCEPTED])


def _read(events: int) -> Iterator[Chunk]:
    stopwatch = Stopwatch()
    yield from _chunks_of(events)
    _taken.append(stopwatch.usage())


def _accept(chunk: Chunk) -> None:
    metrics.count(metrics.ACCEPTED, len(chunk.bodies))


def _loop(events: int) -> None:
    validator = validator_for(_schema(), by_default(XdmRules))
    accepted = 0
    for chunk in _chunks_of(events):
        bodies = []
        for record in chunk.records:
            parsed = parse_object(record.value)
            if not isinstance(parsed, ParseFailure) and validator.check(parsed.entity, len(parsed.data)) is None:
                bodies.append(parsed.data)
        accepted += len(bodies)
    _check_all_valid(events, accepted)


def _check_all_valid(events: int, accepted: int) -> None:
    if accepted != events:
        raise AssertionError(f"{accepted} of {events} events came out valid")


@cache
def _schema() -> ResolvedSchema:
    return FileSchemaSource(str(SCHEMA)).load()


@cache
def _chunks() -> list[Chunk]:
    samples = generate(_DIFFERENT_EVENTS, kind="events", event_bytes=EVENT_BYTES)
    records = [Record(one.sequence, 0, one.key, (), one.value) for one in samples]
    return [Chunk(_TOPIC, 0, records[at : at + CHUNK_RECORDS]) for at in range(0, len(records), CHUNK_RECORDS)]


def _chunks_of(events: int) -> Iterator[Chunk]:
    return itertools.islice(itertools.cycle(_chunks()), events // CHUNK_RECORDS)


def _new_process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))
