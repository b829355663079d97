"""Runs the pipeline under random faults and accounts for every record.

python -m bench.soak [--minutes 10] [--rate 500] [--seed N] [--output .bench/soak.json]
"""

from __future__ import annotations

import argparse
import logging
import random
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench.soak import report
from bench.soak.chaos import SHORTEST_RUN, STOPS, TROUBLES
from bench.soak.live import Live, interrupt, show_verdict
from bench.soak.pipeline import OPTIONS_FILE
from bench.soak.run import Settings, run
from pipelines.output.table import show
from testing.services.process import ServiceError, ServiceUnavailable


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.soak",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Writes samples to a real Apache Kafka at a steady rate, 1 % of them broken, runs the pipeline\n"
        "to a local AEP that asks for tokens, and injects faults drawn from the seed:\n\n"
        f"  AEP slow, refusing, losing answers: {', '.join(TROUBLES)}\n"
        f"  nothing gets through: {', '.join(STOPS)}\n\n"
        "At the end everything drains, and each record, by its number, must be accepted by AEP, dead-lettered for\n"
        "the right reason, or dropped by the rule of its route. Needs Linux, Java 17 and Maven.",
        epilog="Repeat a failed run with its --seed: the same records, the same faults at the same\n"
        "seconds. The pipeline's options, logs, summaries and dead letters are in the folder beside the output, which\n"
        "the next run empties. Exit code: 0 when all is accounted for; 1 when a record is missing or in the wrong\n"
        "place, there are more duplicates than the crashes explain, or a process ends by itself or takes more than\n"
        "400 MB; 2 when this machine lacks something.",
    )
    parser.add_argument("--minutes", type=float, default=10, help="how long, 1 or more (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=500, help="records a second (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="0 to 4294967295 (default: a new one, which is printed)")
    parser.add_argument(
        "--output", type=Path, default=Path(".bench/soak.json"), help="path of the JSON file (default: %(default)s)"
    )
    arguments = parser.parse_args(argv)
    if not sys.platform.startswith("linux"):
        parser.error("memory is read from /proc, which only Linux has")
    if not arguments.minutes * 60 >= SHORTEST_RUN:
        parser.error("--minutes must be 1 or more, to make room for the faults")
    if not 1 <= arguments.rate <= 20_000:
        parser.error("--rate must be from 1 to 20000: the producer of samples is a single thread")
    if _holds_other_things(_folder(arguments.output)):
        parser.error(f"{_folder(arguments.output)} contains files that are not a soak's: give another --output")
    if arguments.seed is None:
        arguments.seed = random.SystemRandom().randrange(2**32)
    if not 0 <= arguments.seed < 2**32:
        parser.error("--seed must be from 0 to 4294967295")
    return arguments


def _folder(output: Path) -> Path:
    return output.with_name(f"{output.stem}-files")


def _holds_other_things(folder: Path) -> bool:
    return folder.exists() and any(folder.iterdir()) and not (folder / OPTIONS_FILE).exists()


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def main(argv: Sequence[str]) -> int:
    """Run a soak; return its exit code."""
    arguments = parse_arguments(argv)
    output: Path = arguments.output
    settings = Settings(arguments.minutes * 60, arguments.rate, arguments.seed, _folder(output))
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    # What Kafka's client remarks while a broker is away is no news.
    logging.basicConfig(level=logging.ERROR)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    _empty(settings.folder)
    console.print(f"soak with --seed {settings.seed}; logs and dead letters are in {settings.folder}")
    live = Live(console)
    try:
        with live.shown():
            result = run(settings, lambda state: live(report.line(state, settings.seconds)))
    except KeyboardInterrupt:
        console.print("interrupted; nothing is left running")
        return 130
    except ServiceUnavailable as reason:
        console.print(f"cannot run here: {reason}")
        return 2
    except ServiceError as error:
        console.print(f"error: {error}")
        return 1
    output.write_bytes(report.document(result))
    for table in report.tables(result):
        show(Console(), table)
    console.print(f"written: {output}")
    return show_verdict(result.account.problems, f"{result.account.produced:,} records", console)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
