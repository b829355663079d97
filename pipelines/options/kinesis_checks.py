"""What the options of Kinesis mean together, for pipelines that read it or write to it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from aep.errors import UserError
from pipelines.options.checks import given, local_runner, one_process, replay_findings
from pipelines.options.dataflow_checks import dataflow_findings
from pipelines.options.declarations import SinkOptions
from pipelines.options.problems import Finding
from pipelines.options.readiness import Check
from pipelines.options.runner_checks import runner_findings
from pipelines.options.settings import Settings
from transforms.kinesis.access import KinesisAccess


def kinesis_gaps(settings: Settings) -> Iterator[Finding]:
    """Find what the credentials for Kinesis need and is not given, and a region that is not Kinesis's."""
    for name, needed in (
        ("access_key_id", "secret_access_key"),
        ("secret_access_key", "access_key_id"),
        ("external_id", "role_arn"),
    ):
        if getattr(settings.kinesis, name) is not None and getattr(settings.kinesis, needed) is None:
            yield Finding(
                (f"kinesis_{needed}", f"kinesis_{name}"),
                f"kinesis_{needed}: missing: {given(settings, f'kinesis_{name}')} needs it",
            )
    if settings.beam.get("region") and not settings.on_dataflow and settings.kinesis.region is None:
        text = f"kinesis_region: missing: {given(settings, 'region')} is Dataflow's, and says nothing of the stream"
        yield Finding(("kinesis_region", "region", "runner"), text)


def other_region(stream: str | None, settings: Settings) -> str | None:
    """Return what is wrong where the ARN of a stream has another region than the options."""
    region = settings.kinesis.region
    found = re.match(r"arn:[^:]*:kinesis:([^:]+):", stream or "")
    if found is None or region in (None, found[1]):
        return None
    return f"its ARN names the region {found[1]}, and {given(settings, 'kinesis_region')} is {region}: they must agree"


def reading_findings(settings: Settings) -> Iterator[Finding]:
    """Find what is missing or contradictory in options whose values are each valid."""
    if settings.kinesis.stream is None:
        yield Finding(("kinesis_stream",), "kinesis_stream: missing: give the stream to read")
    if (contradiction := other_region(settings.kinesis.stream, settings)) is not None:
        yield Finding(("kinesis_region", "kinesis_stream"), f"{given(settings, 'kinesis_stream')}: {contradiction}")
    yield from kinesis_gaps(settings)
    instead = "use a cluster; a stream has one local reader"
    yield from local_runner(settings, instead)
    yield from runner_findings(settings)
    yield from dataflow_findings(settings)
    yield from one_process(settings, "the positions in the shards of a stream are in a file, which one process writes")
    yield from _missing_sink(settings, "output", "for what is read")
    yield from _missing_sink(settings, "dead_letter", "for records that are not exported profiles")
    for group in ("output", "dead_letter"):
        name = f"{group}_topic"
        if getattr(settings, group).topic is not None and settings.kafka.bootstrap_servers is None:
            yield Finding(
                ("kafka_bootstrap_servers", name),
                f"kafka_bootstrap_servers: missing: {given(settings, name)} needs it",
            )
    if settings.output.topic is not None and settings.output.topic == settings.dead_letter.topic:
        yield Finding(
            ("dead_letter_topic", "output_topic"),
            f"{given(settings, 'dead_letter_topic')}: is {given(settings, 'output_topic')} too: use another topic",
        )
    yield from replay_findings(settings)


def access_checks(access: KinesisAccess, local: bool) -> Iterator[Check]:
    """Check the way to Kinesis, and name the identity.

    Args:
        access: The way.
        local: Whether this machine takes it; on a cluster the workers may have other credentials.
    """
    try:
        endpoint = access.endpoint_in_words()
        yield Check("Kinesis", "ok", endpoint)
        if ".amazonaws." in endpoint:
            yield Check("identity", "ok", access.identity())
        else:
            yield Check("identity", "not checked", "STS knows nothing of a Kinesis that is not AWS's own")
    except UserError as error:
        yield Check("Kinesis", "wrong" if local else "warning", str(error))


def endpoint_note(settings: Settings) -> Sequence[str]:
    """Return which Kinesis a run would call, and why: the environment has a say in it. Calls nobody."""
    try:
        return (f"Kinesis: {settings.kinesis.access(connections=1).endpoint_in_words()}",)
    except UserError as error:
        return (f"Kinesis: {error}",)


def _missing_sink(settings: Settings, group: str, what: str) -> Iterator[Finding]:
    if not getattr(settings, group).sinks():
        names = tuple(f"{group}_{field}" for field in SinkOptions.model_fields)
        yield Finding(names, f"{names[0]}: missing: give it or {' or '.join(names[1:])}, {what}")
