"""What `beam-aep check` looks at of a pipeline that reads Kinesis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from aep.errors import UserError
from kinesis.trial import Seen, try_reading
from pipelines.options.kinesis_checks import access_checks
from pipelines.options.readiness import Check
from pipelines.options.settings import Settings
from pipelines.runtime.kinesis_plan import KinesisPlan, make_kinesis_plan
from pipelines.runtime.sinks import sink_checks
from transforms.kinesis.errors import as_user_error


def reading_checks(settings: Settings) -> Iterator[Check]:
    """Check the way to Kinesis, the identity, the stream, the rights to read it, and the sinks; moves no position."""
    plan = make_kinesis_plan(settings)
    yield from sink_checks("output", plan.output, plan.local)
    yield from sink_checks("dead letters", plan.dead_letters, plan.local)
    if plan.source.checkpoint_file is not None:
        there = Path(plan.source.checkpoint_file).exists()
        where = "reading goes on from it" if there else f"not there yet: reading starts at {settings.kinesis.start}"
        yield Check("checkpoint", "ok", f"{plan.source.checkpoint_file}: {where}")
    yield from access_checks(plan.source.access, plan.local)
    yield from _stream(plan)


def _stream(plan: KinesisPlan) -> Iterator[Check]:
    subject = f"stream {plan.source.stream}"
    try:
        with as_user_error():
            seen = try_reading(plan.source.access.client(), plan.source.stream)
    except UserError as error:
        # On a cluster the workers may have other credentials.
        yield Check(subject, "wrong" if plan.local else "warning", str(error))
        return
    yield Check(subject, "ok", _described(seen))
    if seen.summary is None:
        yield Check(
            f"{subject}: rights",
            "warning",
            "no right to kinesis:DescribeStreamSummary: it goes unnoticed when the stream is deleted and created "
            "again, or when a position is older than it keeps records",
        )


def _described(seen: Seen) -> str:
    parts = [f"can be read, {seen.shards} shards"]
    if (summary := seen.summary) is not None:
        parts += [summary.arn, summary.status, summary.mode, f"records of up to {summary.max_record_bytes} bytes"]
    return ", ".join(parts)
