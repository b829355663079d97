r"""Kafka to AEP: events from topics, validated, in batches, into their datasets.

python -m pipelines.kafka_to_aep [--options_file=FILE]... [--OPTION=VALUE]...

Examples:
  # a first run on this machine: read what is in the topics, then stop
  python -m pipelines.kafka_to_aep --options_file=configs/base.yaml --options_file=configs/local.yaml \
      --kafka_topics=loyalty-events --kafka_stop_at=end \
      --aep_inlet_url=http://127.0.0.1:8080/collection/INLET_ID --aep_dataset_id=DATASET_ID \
      --xdm_schema_file=configs/schemas/loyalty-event.schema.json

  # show what would run, and where each value comes from
  python -m pipelines.kafka_to_aep --options_file=configs/base.yaml --options_file=configs/flink.yaml \
      --kafka_bootstrap_servers=kafka:9092 --routes_file=configs/loyalty-routes.yaml --print_options
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import apache_beam as beam

from pipelines.destinations.aep.kind import AEP
from pipelines.runtime.job import Job
from pipelines.runtime.plan import Plan, make_plan
from pipelines.runtime.run import run
from transforms.aep.post import PostToAep
from transforms.batch import GroupIntoBatches
from transforms.dead_letters import WriteDeadLetters
from transforms.map import ApplyMapping
from transforms.parse import ParseRecords
from transforms.receipts import WriteReceipts
from transforms.records.chunk import Chunk
from transforms.validate import ValidateXdm


def kafka_to_aep(pipeline: beam.Pipeline, plan: Plan) -> None:
    deliver(pipeline | "Read" >> plan.read(), plan)


def deliver(records: beam.PCollection[Chunk], plan: Plan) -> None:
    turns = plan.routes.in_turn(lambda destination: destination) if plan.connection.order == "key" else None
    parsed = records | ParseRecords(plan.routes, plan.tombstones, plan.guard, plan.worker, turns)
    mapped = parsed.main | ApplyMapping(plan.routes, plan.guard)
    valid = mapped.main | ValidateXdm(plan.routes, plan.rules, plan.guard)
    batches = valid.main | GroupIntoBatches(
        plan.routes, plan.batch_limits, plan.batch_mode, plan.connection.shards, turns
    )
    posted = batches | PostToAep(
        plan.routes,
        plan.connection,
        bool(plan.receipts),
        plan.measures_latency,
        plan.worker,
        plan.late_answers_of,
    )
    posted.receipts | WriteReceipts(plan.receipts)

    # Each step has a sink of its own, fused with it: behind a Flatten the sink would run in another stage, and offsets
    # could be committed before the dead letters are written.
    parsed.dead_letters | "DeadLettersOfParse" >> WriteDeadLetters(plan.dead_letters)
    mapped.dead_letters | "DeadLettersOfMap" >> WriteDeadLetters(plan.dead_letters)
    valid.dead_letters | "DeadLettersOfValidate" >> WriteDeadLetters(plan.dead_letters)
    posted.dead_letters | "DeadLettersOfPost" >> WriteDeadLetters(plan.dead_letters)


JOB = Job("Kafka to AEP", AEP, make_plan, kafka_to_aep, deliver)
"""What `run` needs, `beam-aep check` and replays."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the pipeline; return the exit code."""
    return run(sys.argv[1:] if argv is None else argv, JOB)


if __name__ == "__main__":
    sys.exit(main())
