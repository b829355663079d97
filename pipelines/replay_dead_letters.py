r"""Replay selected dead letters through the original pipeline.

python -m pipelines.replay_dead_letters [--pipeline=NAME] [--options_file=FILE]... [--OPTION=VALUE]...

  --pipeline  that wrote them, by the name of its module (default kafka_to_aep)

Example:
  # those that lacked a field or had one of the wrong type, after the fix
  python -m pipelines.replay_dead_letters --options_file=configs/base.yaml --options_file=my-events.yaml \
      --replay_codes=required,type
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import apache_beam as beam

from pipelines.jobs import find_run, names
from pipelines.runtime.account import WRONG
from pipelines.runtime.console import ConsoleReporter, console
from pipelines.runtime.job import Deliver, R, Run
from pipelines.runtime.replay_plan import ReplayPlan, make_replay_plan, replay_run_findings
from pipelines.runtime.run import execute
from transforms.replay import ChooseDeadLetters, OriginalRecords


def replay_dead_letters(pipeline: beam.Pipeline, plan: ReplayPlan[R], deliver: Deliver[R]) -> None:
    """Build the pipeline."""
    dead_letters = pipeline | "Read" >> plan.source.read()
    chosen = dead_letters | ChooseDeadLetters(plan.selection, plan.reads)
    deliver(chosen | OriginalRecords(), plan.plan)


def main(argv: Sequence[str] | None = None, *, as_json: bool = False) -> int:
    """Run the pipeline; return the exit code.

    Args:
        argv: The options.
        as_json: See `execute`.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--pipeline", default="kafka_to_aep")
    named, options = parser.parse_known_args(argv)
    found = find_run(named.pipeline)
    replay = None if found is None else found.replay
    if found is None or replay is None:
        ConsoleReporter(console()).error(f"--pipeline: expected one of {', '.join(_able())}, got {named.pipeline}")
        return WRONG

    def build(pipeline: beam.Pipeline, plan: ReplayPlan[Any]) -> None:
        replay_dead_letters(pipeline, plan, replay.deliver)

    return execute(
        options,
        Run(
            title=f"Replay of {found.title}",
            findings=partial(replay_run_findings, found),
            plan=lambda settings: make_replay_plan(settings, replay),
            preflight=lambda plan: found.preflight(plan.plan),
            build=build,
            after=lambda plan, finished: plan.finish(finished),
            notes=found.notes,
            groups=(*found.groups, "replay"),
        ),
        as_json=as_json,
    )


def _able() -> Iterator[str]:
    runs = {name: find_run(name) for name in names()}
    return (name for name, found in runs.items() if found is not None and found.replay is not None)


if __name__ == "__main__":
    sys.exit(main())
