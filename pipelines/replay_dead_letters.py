r"""Replays selected dead letters through the original pipeline.

python -m pipelines.replay_dead_letters [--options_file=FILE]... [--OPTION=VALUE]...

Example:
  # those that lacked a field or had one of a wrong type, after that is fixed
  python -m pipelines.replay_dead_letters --options_file=configs/base.yaml --options_file=my-events.yaml \
      --replay_codes=required,type
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import apache_beam as beam

from pipelines.destinations.aep.kind import AEP
from pipelines.kafka_to_aep import deliver
from pipelines.options.destination import DestinationKind
from pipelines.options.settings import Settings
from pipelines.runtime.replay_plan import ReplayPlan, make_replay_plan
from pipelines.runtime.run import Job, run
from transforms.aep.failed_records import with_returned
from transforms.replay import ChooseDeadLetters, OriginalRecords


def replay_dead_letters(pipeline: beam.Pipeline, plan: ReplayPlan) -> None:
    dead_letters = pipeline | "Read" >> plan.read()
    chosen = dead_letters | ChooseDeadLetters(plan.selection, plan.routes)
    records = chosen | OriginalRecords()
    deliver(records, plan)


def plan_to_aep(settings: Settings, kind: DestinationKind[Any]) -> ReplayPlan:
    """Make the plan of a replay, with routes for what AEP refused after it had received it."""
    plan = make_replay_plan(settings, kind)
    return replace(plan, routes=with_returned(plan.routes))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the pipeline; return the exit code."""
    job = Job(
        "Dead letters to AEP", AEP, plan_to_aep, replay_dead_letters, lambda plan, finished: plan.finish(finished)
    )
    return run(sys.argv[1:] if argv is None else argv, job)


if __name__ == "__main__":
    sys.exit(main())
