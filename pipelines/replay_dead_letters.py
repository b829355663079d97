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
from collections.abc import Callable, Sequence

import apache_beam as beam

from pipelines.jobs import find_job, jobs
from pipelines.runtime.console import ConsoleReporter, console
from pipelines.runtime.job import Job
from pipelines.runtime.replay_plan import ReplayPlan, make_replay_plan
from pipelines.runtime.run import WRONG, run
from transforms.records.chunk import Chunk
from transforms.replay import ChooseDeadLetters, OriginalRecords

Deliver = Callable[[beam.PCollection[Chunk], ReplayPlan], None]
"""Builds the steps of the original pipeline after its read."""


def replay_dead_letters(pipeline: beam.Pipeline, plan: ReplayPlan, deliver: Deliver) -> None:
    """Build the pipeline."""
    dead_letters = pipeline | "Read" >> plan.read()
    chosen = dead_letters | ChooseDeadLetters(plan.selection, plan.routes)
    deliver(chosen | OriginalRecords(), plan)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the pipeline; return the exit code."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--pipeline", default="kafka_to_aep")
    named, options = parser.parse_known_args(argv)
    job = find_job(named.pipeline)
    deliver = None if job is None else job.deliver
    if job is None or deliver is None:
        able = ", ".join(name for name, each in jobs().items() if each.deliver is not None)
        ConsoleReporter(console()).error(f"--pipeline: expected one of {able}, got {named.pipeline}")
        return WRONG

    def build(pipeline: beam.Pipeline, plan: ReplayPlan) -> None:
        replay_dead_letters(pipeline, plan, deliver)

    title = f"Dead letters to {job.destination.name}"
    replay = Job(title, job.destination, make_replay_plan, build, after=lambda plan, finished: plan.finish(finished))
    return run(options, replay)


if __name__ == "__main__":
    sys.exit(main())
