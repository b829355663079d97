"""What `beam-aep check` looks at of a pipeline that reads Kinesis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from aep.counted import counted
from aep.errors import UserError
from kinesis.checkpoint_file import CheckpointError, CheckpointFile
from kinesis.trial import Seen, try_reading
from pipelines.options.kinesis_checks import access_checks
from pipelines.options.readiness import OFFLINE, Check, Result
from pipelines.options.secret_checks import secret_checks
from pipelines.options.settings import Settings
from pipelines.runtime.kinesis_plan import KinesisPlan, make_kinesis_plan
from pipelines.runtime.sinks import sink_checks
from transforms.kinesis.errors import as_user_error
from transforms.kinesis.exported_profiles import parse_profile
from transforms.kinesis.record import chunk_of
from transforms.records.outcome import Refusal

_NO_SAMPLE = Result("not checked", "no sample requested")


def reading_checks(settings: Settings, sample: int) -> Iterator[Check]:
    """Check the way to Kinesis, the identity, the stream, the rights to read it, and the sinks; moves no position.

    Args:
        settings: All options.
        sample: Records of the stream to check, 0 for none.
    """
    plan = make_kinesis_plan(settings)
    yield from _written(plan, offline=False)
    yield from access_checks(plan.source.access, plan.local)
    yield from _stream(plan, sample)


def offline_reading_checks(settings: Settings) -> Iterator[Check]:
    """Check secrets, sinks and the checkpoint as far as no network is needed."""
    plan = make_kinesis_plan(settings)
    yield from secret_checks(settings, plan.local)
    yield from _written(plan, offline=True)
    yield Check(f"stream {plan.source.stream}", "not checked", OFFLINE)


def _written(plan: KinesisPlan, *, offline: bool) -> Iterator[Check]:
    """Check what a run writes: output, dead letters and the checkpoint."""
    yield from sink_checks("output", plan.output, plan.local, offline=offline)
    yield from sink_checks("dead letters", plan.dead_letters, plan.local, offline=offline)
    if plan.source.checkpoint_file is not None:
        yield _checkpoint(plan, plan.source.checkpoint_file)


def _checkpoint(plan: KinesisPlan, file: str) -> Check:
    try:
        there = CheckpointFile(file, plan.source.stream).look()
    except CheckpointError as error:
        return Check("checkpoint", "wrong", str(error))
    start = f"not there yet: reading starts at {plan.settings.kinesis.start}"
    return Check("checkpoint", "ok", f"{file}: {start if there is None else 'reading goes on from it'}")


def _stream(plan: KinesisPlan, sample: int) -> Iterator[Check]:
    subject = f"stream {plan.source.stream}"
    profiles = f"{subject}: records"
    try:
        with as_user_error():
            seen = try_reading(plan.source.access.client(), plan.source.stream, sample)
    except UserError as error:
        # On a cluster the workers may have other credentials.
        yield Check(subject, "wrong" if plan.local else "warning", str(error))
        yield Check(profiles, "not checked", "the stream cannot be read from here")
        return
    yield Check(subject, "ok", _described(seen))
    if seen.summary is None:
        yield Check(
            f"{subject}: rights",
            "warning",
            "no right to kinesis:DescribeStreamSummary: it goes unnoticed when the stream is deleted and created "
            "again, or when a position is older than it keeps records",
        )
    yield Check(profiles, *_shape_of(seen, plan.source.stream) if sample else _NO_SAMPLE)


def _shape_of(seen: Seen, stream: str) -> Result:
    """Say how many of some records would pass."""
    read = [record for shard, some in seen.records.items() for record in chunk_of(stream, shard, some).records]
    refused = Counter(f"{found.stage} {found.code}" for found in map(parse_profile, read) if isinstance(found, Refusal))
    passed = len(read) - refused.total()
    if not read:
        return Result("not checked", "it has no records")
    words = f"{passed:,} of {counted(len(read), 'record')} with the shape of an exported profile"
    if refused:
        words += f", {refused.total():,} would be dead-lettered: "
        words += ", ".join(f"{reason} ({number:,})" for reason, number in refused.most_common())
    return Result("ok" if not refused else "warning" if passed else "wrong", words)


def _described(seen: Seen) -> str:
    parts = [f"can be read, {counted(seen.shards, 'shard')}"]
    if (summary := seen.summary) is not None:
        parts += [summary.arn, summary.status, summary.mode, f"records of up to {summary.max_record_bytes} bytes"]
    return ", ".join(parts)
