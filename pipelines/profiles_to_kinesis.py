"""Profiles to Kinesis: profiles from topics or files, one JSON record each, onto streams.

python -m pipelines.profiles_to_kinesis --options_file configs/base.yaml --options_file configs/profiles-to-kinesis.yaml
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import apache_beam as beam

from pipelines.destinations.kinesis import KINESIS
from pipelines.runtime.job import Job
from pipelines.runtime.plan import Plan, make_plan
from pipelines.runtime.run import run
from transforms.batch import GroupIntoBatches
from transforms.dead_letters import WriteDeadLetters
from transforms.kinesis.destination import as_stream
from transforms.kinesis.put import PutToKinesis
from transforms.map import ApplyMapping
from transforms.parse import ParseRecords
from transforms.receipts import WriteReceipts
from transforms.records.chunk import Chunk
from transforms.records.destination import Destination
from transforms.validate import ValidateXdm


def profiles_to_kinesis(pipeline: beam.Pipeline, plan: Plan) -> None:
    """Build the pipeline."""
    deliver(pipeline | "Read" >> plan.read(), plan)


def deliver(records: beam.PCollection[Chunk], plan: Plan) -> None:
    """Build the steps from profiles to Kinesis, for all that is read."""
    turns = plan.routes.in_turn(_stream) if plan.connection.order == "key" else None
    parsed = records | ParseRecords(plan.routes, plan.tombstones, plan.guard, plan.worker, turns)
    mapped = parsed.main | ApplyMapping(plan.routes, plan.guard)
    measured = mapped.main | ValidateXdm(plan.routes, plan.rules, plan.guard)
    batches = measured.main | GroupIntoBatches(
        plan.routes, plan.batch_limits, plan.batch_mode, plan.connection.shards, turns
    )
    put = batches | PutToKinesis(
        plan.routes,
        plan.connection,
        bool(plan.receipts),
        plan.measures_latency,
        plan.worker,
        plan.late_answers_of,
    )
    put.receipts | WriteReceipts(plan.receipts)

    # Fused with their steps, as in kafka_to_aep.
    parsed.dead_letters | "DeadLettersOfParse" >> WriteDeadLetters(plan.dead_letters)
    mapped.dead_letters | "DeadLettersOfMap" >> WriteDeadLetters(plan.dead_letters)
    measured.dead_letters | "DeadLettersOfValidate" >> WriteDeadLetters(plan.dead_letters)
    put.dead_letters | "DeadLettersOfPut" >> WriteDeadLetters(plan.dead_letters)


def _stream(destination: Destination) -> str:
    return as_stream(destination).stream


JOB = Job("Profiles to Kinesis", KINESIS, make_plan, profiles_to_kinesis, deliver)
"""What `run` needs, `beam-aep check` and replays."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the pipeline; return the exit code."""
    return run(sys.argv[1:] if argv is None else argv, JOB)


if __name__ == "__main__":
    sys.exit(main())
