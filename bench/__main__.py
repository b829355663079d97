"""Measure the pipeline and print the figures with their targets.

python -m bench [--only PART ...] [--events N] [--rounds 3] [--output .bench/bench.json]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from bench import (
    kafka_bench,
    kinesis_bench,
    kinesis_put_bench,
    kinesis_rates_bench,
    latency_bench,
    plain_bench,
    transforms_bench,
)
from bench.figure import Figure
from bench.report import document, table
from pipelines.output.table import show
from testing.services.process import ServiceUnavailable


class Settings(NamedTuple):
    """What is measured, and for how long; see the help."""

    events: int
    rounds: int
    idle_seconds: float
    latency_seconds: float
    shard_seconds: float


class Part(NamedTuple):
    """A part of the benchmarks.

    Attributes:
        title: What it measures.
        measure: Does so; returns the raw numbers.
        figures: Makes figures of these.
    """

    title: str
    measure: Callable[[Settings], Any]
    figures: Callable[[Any], Sequence[Figure]]


PARTS = {
    "steps": Part(
        "parse, validate, serialise: {rounds} rounds of {events:,} events",
        lambda to: transforms_bench.measure(to.events, to.rounds),
        transforms_bench.figures,
    ),
    "kinesis-read": Part(
        "read Kinesis: {idle_seconds:g} s of nothing, {rounds} rounds of {events:,} records",
        lambda to: kinesis_bench.measure(to.events, to.rounds, to.idle_seconds),
        kinesis_bench.figures,
    ),
    "kinesis-write": Part(
        "write Kinesis: {rounds} rounds of half of {events:,} records, then runs of a tenth and 10 times that",
        lambda to: kinesis_put_bench.measure(to.events // 2, to.rounds),
        kinesis_put_bench.figures,
    ),
    "kinesis-rates": Part(
        "rates of Kinesis: {rounds} rounds of a quarter of {events:,} records, 2 times {shard_seconds:g} s",
        lambda to: kinesis_rates_bench.measure(to.events // 4, to.rounds, to.shard_seconds),
        kinesis_rates_bench.figures,
    ),
    "kafka": Part(
        "Kafka to accepted: {rounds} rounds of {events:,} events",
        lambda to: kafka_bench.measure(to.events, to.rounds, to.idle_seconds),
        kafka_bench.figures,
    ),
    "plain": Part(
        "against a plain script: {rounds} rounds of {events:,} events, 4 kinds",
        lambda to: plain_bench.measure(to.events, to.rounds),
        plain_bench.figures,
    ),
    "latency": Part(
        "latency: {rounds} rounds of {latency_seconds:g} s at each rate",
        lambda to: latency_bench.measure(to.latency_seconds, to.rounds),
        latency_bench.figures,
    ),
}


def main(argv: Sequence[str]) -> int:
    """Run benchmarks; return the exit code: 0 when everything was measured, whether targets are met or not."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks of the pipeline.")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to run, default all")
    parser.add_argument(
        "--events",
        type=int,
        default=200_000,
        help="events of each run, default 200000; with far fewer, start-up dominates the figures",
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each measurement, default 3")
    parser.add_argument("--idle_seconds", type=float, default=20, help="how long to watch an idle pipeline, default 20")
    parser.add_argument(
        "--latency_seconds", type=float, default=20, help="how long events come to measure latency, default 20"
    )
    parser.add_argument(
        "--shard_seconds", type=float, default=20, help="how long to write to shards with limits, default 20"
    )
    parser.add_argument("--output", type=Path, default=Path(".bench/bench.json"), help="path of the JSON file")
    arguments = parser.parse_args(argv)
    settings = Settings(*(getattr(arguments, name) for name in Settings._fields))
    if not sys.platform.startswith("linux"):
        parser.error("CPU and memory are read from /proc, which only Linux has")
    if min(settings[:2]) < 1 or min(settings[2:]) <= 0:
        parser.error(f"{', '.join(f'--{name}' for name in Settings._fields)} must be positive")

    console = Console(stderr=True, highlight=False)
    chosen = {name: part for name, part in PARTS.items() if name in arguments.only}
    figures: list[Figure] = []
    raw = {}
    try:
        for number, (name, part) in enumerate(chosen.items(), 1):
            console.print(f"{number}/{len(chosen)} {part.title.format(**settings._asdict())}")
            raw[name] = part.measure(settings)
            figures += part.figures(raw[name])
    except ServiceUnavailable as reason:
        console.print(f"cannot run here: {reason}")
        return 2
    show(Console(), table(figures))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_bytes(document(figures, raw, settings._asdict()))
    console.print(f"written: {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
