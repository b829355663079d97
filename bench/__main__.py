"""Measure the pipeline, print the figures, and fail where one is beyond its bound in `bounds.yaml`.

python -m bench [--only PART ...] [--events N] [--rounds 3] [--output .bench/bench.json]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench import bounds, page, report
from bench.bounds import Judged
from bench.parts import PARTS, Settings
from pipelines.output.table import show
from testing.services.process import ServiceUnavailable


def main(argv: Sequence[str]) -> int:
    """Run benchmarks; return the exit code: 0, 1 when a figure is beyond its bound, 2 when a part cannot run here."""
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
    parser.add_argument(
        "--memory_seconds",
        type=float,
        default=240,
        help="how long events come to measure memory, default 240; AEP is away for half of it",
    )
    parser.add_argument(
        "--adobe_connector",
        default="",
        help="class path of Adobe's Kafka Connect sink, a jar built from its source; without it that part is skipped",
    )
    parser.add_argument("--flink", action="store_true", help="measure on a Flink cluster, too")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(".bench/bench.json"),
        help="path of the JSON file; what it holds of parts that do not run is kept",
    )
    arguments = parser.parse_args(argv)
    settings = Settings(*(getattr(arguments, name) for name in Settings._fields))
    if not sys.platform.startswith("linux"):
        parser.error("CPU and memory are read from /proc, which only Linux has")
    numbers = {name: value for name, value in settings._asdict().items() if not isinstance(value, (str, bool))}
    if min(settings.events, settings.rounds) < 1 or min(numbers.values()) <= 0:
        parser.error(f"{', '.join(f'--{name}' for name in numbers)} must be positive")
    try:
        report.read(arguments.output)
    except report.ResultsError as error:
        parser.error(str(error))

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    limits = bounds.read()
    judged: list[Judged] = []
    chosen = {name: part for name, part in PARTS.items() if name in arguments.only}
    try:
        for position, (name, part) in enumerate(chosen.items(), 1):
            title = f"{position}/{len(chosen)} {name}: {part.title.format(**settings._asdict())}"
            if lacking := part.lacks(settings):
                console.print(f"{title}: skipped: {lacking}")
                continue
            started = time.monotonic()
            with console.status(title):
                raw = part.measure(settings)
            seconds = time.monotonic() - started
            console.print(f"{title}: {seconds:.0f} s")
            found = bounds.judge(name, part.figures(raw), limits.get(name, {}))
            judged += found
            report.write(arguments.output, {name: report.document(found, raw, settings._asdict(), seconds)})
    except ServiceUnavailable as reason:
        console.print(f"cannot run here: {reason}")
        return 2
    show(Console(), report.table(judged))
    page.write_plots(report.read(arguments.output), arguments.output.parent)
    console.print(f"written: {arguments.output}, and plots beside it")
    missed = [one for one in judged if one.met is False]
    for one in missed:
        console.print(f"beyond its bound: {one}", style="red")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
