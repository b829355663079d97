r"""Kinesis to Kafka: profiles that AEP exports to a stream, validated, to a topic or to files of JSON lines.

python -m pipelines.kinesis_to_kafka --kinesis_stream=profiles --kinesis_region=us-east-1 --output_topic=profiles \
    --kafka_bootstrap_servers=localhost:9092 --dead_letter_topic=profiles-dead-letters
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import apache_beam as beam

from pipelines.options.kinesis_checks import endpoint_note, reading_findings
from pipelines.runtime.job import Replay, Run
from pipelines.runtime.kinesis_plan import KinesisPlan, make_kinesis_plan
from pipelines.runtime.kinesis_readiness import offline_reading_checks, reading_checks
from pipelines.runtime.run import execute
from transforms.dead_letters import WriteDeadLetters
from transforms.kinesis.exported_profiles import ParseExportedProfiles, parse_profile
from transforms.kinesis.repeats import CountRepeats
from transforms.kinesis.write_profiles import WriteProfiles
from transforms.records.chunk import Chunk
from transforms.records.outcome import Refusal
from transforms.records.record import Record


def kinesis_to_kafka(pipeline: beam.Pipeline, plan: KinesisPlan) -> None:
    """Build the pipeline."""
    deliver(pipeline | "Read" >> plan.read(), plan)


def deliver(records: beam.PCollection[Chunk], plan: KinesisPlan) -> None:
    """Build the steps from the records of a stream to the output, for all that is read."""
    profiles = records | ParseExportedProfiles(plan.worker)
    kept = profiles.main | CountRepeats(plan.run, plan.settings.kinesis.drop_repeats_seconds)
    kept | WriteProfiles(plan.output)

    # Fused with its step, as in kafka_to_aep.
    profiles.dead_letters | "DeadLetters" >> WriteDeadLetters(plan.dead_letters)


def judge(stream: str, shard: int, record: Record) -> Refusal | None:
    """Return why a record would be refused, see `Judge`."""
    parsed = parse_profile(record)
    return parsed if isinstance(parsed, Refusal) else None


RUN = Run(
    "Kinesis to Kafka",
    reading_findings,
    make_kinesis_plan,
    KinesisPlan.check,
    kinesis_to_kafka,
    notes=endpoint_note,
    checks=reading_checks,
    offline_checks=offline_reading_checks,
    replay=Replay(make_kinesis_plan, deliver, lambda plan: plan.reads, lambda _: judge),
)
"""What `execute` needs, `beam-aep check` and replays."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the pipeline; return the exit code."""
    return execute(sys.argv[1:] if argv is None else argv, RUN)


if __name__ == "__main__":
    sys.exit(main())
