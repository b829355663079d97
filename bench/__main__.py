"""Measure the pipeline and print the figures with their targets.

python -m bench [--events N] [--rounds 3] [--output .bench/bench.json]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench import kafka_bench, kinesis_bench, kinesis_put_bench, latency_bench, transforms_bench
from bench.report import document, figures, table
from pipelines.output.table import show
from testing.services.process import ServiceUnavailable


def main(argv: Sequence[str]) -> int:
    """Run all benchmarks; return the exit code: 0 when everything was measured, whether targets are met or not."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks of the pipeline.")
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
    parser.add_argument("--output", type=Path, default=Path(".bench/bench.json"), help="path of the JSON file")
    arguments = parser.parse_args(argv)
    events, rounds = arguments.events, arguments.rounds
    idle_seconds, latency_seconds = arguments.idle_seconds, arguments.latency_seconds
    if not sys.platform.startswith("linux"):
        parser.error("CPU and memory are read from /proc, which only Linux has")
    if min(events, rounds) < 1 or min(idle_seconds, latency_seconds) <= 0:
        parser.error("--events, --rounds, --idle_seconds and --latency_seconds must be positive")

    console = Console(stderr=True, highlight=False)
    try:
        console.print(f"1/5 parse, validate, serialise: {rounds} rounds of {events:,} events")
        transforms = transforms_bench.measure(events, rounds)
        console.print(f"2/5 read Kinesis: {rounds} rounds of {events:,} records")
        kinesis = kinesis_bench.measure(events, rounds)
        console.print(f"3/5 write Kinesis: {rounds} rounds of {events:,} records")
        kinesis_put = kinesis_put_bench.measure(events, rounds)
        console.print(f"4/5 Kafka to accepted: {rounds} rounds of {events:,} events")
        kafka = kafka_bench.measure(events, rounds, idle_seconds)
        console.print(f"5/5 latency: {rounds} rounds of {latency_seconds:g} s at each rate")
        latency = latency_bench.measure(latency_seconds, rounds)
    except ServiceUnavailable as reason:
        console.print(f"cannot run here: {reason}")
        return 2
    all_figures = figures(transforms, kinesis, kinesis_put, kafka, latency)
    show(Console(), table(all_figures))
    settings = {
        "events": events,
        "rounds": rounds,
        "idle_seconds": idle_seconds,
        "latency_seconds": latency_seconds,
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    raw = document(all_figures, transforms, kinesis, kinesis_put, kafka, latency, settings)
    arguments.output.write_bytes(raw)
    console.print(f"written: {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
