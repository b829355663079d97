"""What options mean together: values that are missing or contradict each other."""

from collections.abc import Iterable, Iterator
from typing import Any

from pipelines.options.beam import IN_PROCESS_RUNNERS, RUNNERS_WITHOUT_DURABLE_STATE
from pipelines.options.dataflow_checks import dataflow_findings
from pipelines.options.declarations import SinkOptions
from pipelines.options.destination import DestinationKind
from pipelines.options.formats import format_faults
from pipelines.options.plain_http import plain_registry
from pipelines.options.problems import Finding
from pipelines.options.route_keys import describe_keys, single_route_options
from pipelines.options.runner_checks import runner_findings
from pipelines.options.settings import Settings
from pipelines.options.table import OPTIONS
from pipelines.options.types import seconds_of
from transforms.records.topic_names import covers
from transforms.sinks.places import topic_of


def contradictions(settings: Settings, kind: DestinationKind[Any]) -> Iterator[Finding]:
    """Find what is missing or contradictory in options whose values are each valid.

    Args:
        settings: All options.
        kind: Where the pipeline sends to. What other destinations need is not asked for.
    """
    yield from _source(settings)
    yield from preparing_findings(settings, kind)
    yield from local_runner(settings, _second_process(settings))
    yield from runner_findings(settings)
    yield from dataflow_findings(settings)
    yield from _processes(settings)
    yield from _batching(settings)
    yield from _savepoint(settings)
    yield from _written(settings, kind)
    yield from replay_findings(settings)


def preparing_findings(settings: Settings, kind: DestinationKind[Any]) -> Iterator[Finding]:
    """Find the same as far as it is about routes, for commands that prepare records and read no topic."""
    yield from _registry(settings)
    yield from _routes(settings, kind)
    yield from kind.findings(settings)


def written_topics(settings: Settings) -> dict[str, str]:
    """Return the topics that the run writes to, by the option that names them."""
    named = {"dead_letter_topic": settings.dead_letter.topic, "receipt_topic": settings.receipt.topic}
    return {name: topic for name, topic in named.items() if topic is not None}


def reads_back(topics: Iterable[str], written: str) -> str | None:
    """Give the topic or pattern among `topics` that would read in again what the run writes to a topic."""
    return next((topic for topic in topics if covers(topic, written)), None)


def given(settings: Settings, name: str) -> str:
    return f"{name} ({settings.origin(name)})"


def _source(settings: Settings) -> Iterator[Finding]:
    kafka = settings.kafka
    if kafka.source == "file":
        if kafka.file_pattern is None:
            yield Finding(
                ("kafka_file_pattern", "kafka_source"), "kafka_file_pattern: missing: kafka_source=file needs it"
            )
        return
    if kafka.bootstrap_servers is None:
        yield Finding(
            ("kafka_bootstrap_servers", "kafka_source"),
            "kafka_bootstrap_servers: missing: give the brokers as HOST:PORT, or kafka_source=file",
        )
    if not kafka.topics and settings.general.routes_file is None:
        yield Finding(("kafka_topics", "kafka_source", "routes_file"), "kafka_topics: missing: give the topics to read")


def _registry(settings: Settings) -> Iterator[Finding]:
    if settings.kafka.schema_registry_config and settings.kafka.schema_registry_url is None:
        yield Finding(
            ("kafka_schema_registry_url", "kafka_schema_registry_config"),
            f"kafka_schema_registry_url: missing: {given(settings, 'kafka_schema_registry_config')} needs it",
        )
    yield from plain_registry(settings)


def _routes(settings: Settings, kind: DestinationKind[Any]) -> Iterator[Finding]:
    """Find what is wrong with the only route of a run without a routes file, or with its options together with one."""
    if settings.general.routes_file is not None:
        yield from route_contradictions(settings, kind)
        return
    known = describe_keys(kind.keys)
    without = [key.name for key in known.values() if key.needed and key.option is None and key.name != "name"]
    if without:
        text = f"routes_file: missing: give one, whose routes have {', '.join(without)}"
        yield Finding(("routes_file",), text)
        return

    def named(key: str) -> str:
        return (known[key].option if key in known else None) or key

    # Its values are checked; which of them are missing is said below, by the names of options.
    route = kind.keys.model_construct(name="default", **single_route(settings, kind))
    for fault in (*kind.faults(route, settings, named), *format_faults(route, settings.kafka)):
        name = named(fault.key)
        said = given(settings, name) if name in settings.origins else name
        yield Finding((name, *map(named, fault.others), "routes_file"), f"{said}: {fault.text}")


def single_route(settings: Settings, kind: DestinationKind[Any]) -> dict[str, Any]:
    """Return the keys of a run's only route, as the options give them."""
    stated = {key.name: key.option for key in describe_keys(kind.keys).values() if key.option and not key.rule}
    return {name: settings.value(OPTIONS[option]) for name, option in stated.items()}


def route_contradictions(settings: Settings, kind: DestinationKind[Any]) -> Iterator[Finding]:
    """Find options for runs without a routes_file that are given together with one and would do nothing."""
    for name in single_route_options(kind.keys):
        if settings.value(OPTIONS[name]) and settings.general.routes_file is not None:
            yield Finding(
                (name, "routes_file"),
                f"{given(settings, name)}: contradicts {given(settings, 'routes_file')}: "
                "each route has its own; remove one of the two",
            )


# Options that make FnApiRunner run a bundle in several workers, or several times, each with the one safe value. With
# several workers it splits up the reader's first bundle and ends without an error; a repeated bundle is posted twice.
_ONE_WORKER = {"direct_num_workers": 1, "direct_running_mode": "in_memory", "direct_runner_bundle_repeat": 0}


def _second_process(settings: Settings) -> str:
    if settings.kafka.source == "file":
        return "start a second process with files of its own (kafka_file_pattern)"
    group = settings.kafka.group_id
    return f"use processes, or start a second process with the same kafka_group_id ({group}): they share the partitions"


def local_runner(settings: Settings, instead: str) -> Iterator[Finding]:
    """Find options that make a local runner lose records or write them twice.

    Args:
        settings: All options.
        instead: What to do to use more cores.
    """
    if settings.runner_class not in RUNNERS_WITHOUT_DURABLE_STATE:
        return
    for name, only in _ONE_WORKER.items():
        value = settings.beam.get(name)
        if value is not None and str(value) != str(only):
            yield Finding(
                (name, "runner"),
                f"{given(settings, name)}: must be {only} on {settings.runner}, which would lose records or post them "
                f"twice: to use more cores, {instead}",
            )


def _processes(settings: Settings) -> Iterator[Finding]:
    if settings.kafka.source == "file":
        yield from one_process(settings, "each process would read all files", "kafka_source")
    elif settings.runner_class not in IN_PROCESS_RUNNERS:
        why = f"on {settings.runner_class} the runner distributes the work; use FnApiRunner, or leave processes out"
        yield from one_process(settings, why, "runner")
    elif settings.batch.mode == "state":
        why = "processes share partitions by committed offsets, and batch_mode=state commits none"
        yield from one_process(settings, why, "batch_mode")


def one_process(settings: Settings, why: str, *others: str) -> Iterator[Finding]:
    """Find that several processes are asked for where a run has one.

    Args:
        settings: All options.
        why: Why it has one.
        others: Options that this depends on.
    """
    if settings.general.processes > 1:
        yield Finding(("processes", *others), f"{given(settings, 'processes')}: must be 1: {why}")


def _batching(settings: Settings) -> Iterator[Finding]:
    unsafe = settings.runner_class in RUNNERS_WITHOUT_DURABLE_STATE
    if settings.batch.mode == "state" and unsafe and not settings.batch.allow_unsafe:
        yield Finding(
            ("batch_mode", "batch_allow_unsafe", "runner"),
            f"{given(settings, 'batch_mode')}: state is not safe on {settings.runner}, which can lose the last "
            "batch: use batch_mode=bundle, or batch_allow_unsafe to try it anyway",
        )


def _savepoint(settings: Settings) -> Iterator[Finding]:
    if settings.beam.get("savepoint_path") and settings.beam.get("flink_submit_uber_jar"):
        yield Finding(
            ("savepoint_path", "flink_submit_uber_jar"),
            f"{given(settings, 'savepoint_path')}: Beam ignores it with "
            f"{given(settings, 'flink_submit_uber_jar')}, and the job would start without it: remove one of the two",
        )


def _written(settings: Settings, kind: DestinationKind[Any]) -> Iterator[Finding]:
    if not settings.dead_letter.sinks():
        names = tuple(f"dead_letter_{field}" for field in SinkOptions.model_fields)
        others = " or ".join(names[1:])
        yield Finding(names, f"{names[0]}: missing: give it or {others}, for records that {kind.name} can't take")
    for name, topic in written_topics(settings).items():
        if settings.kafka.bootstrap_servers is None and settings.kafka.source == "file":
            yield Finding(
                ("kafka_bootstrap_servers", name),
                f"kafka_bootstrap_servers: missing: {given(settings, name)} needs it",
            )
        if again := reads_back(settings.kafka.topics, topic):
            yield Finding(
                (name, "kafka_topics"),
                f"{given(settings, name)}: is read again by {again} in {given(settings, 'kafka_topics')}, "
                "an endless loop: use another topic",
            )


def replay_findings(settings: Settings) -> Iterator[Finding]:
    """Find what is missing or contradictory in the options of a replay."""
    replay = settings.replay
    if topic_of(replay.source or "") is not None and settings.kafka.bootstrap_servers is None:
        yield Finding(
            ("kafka_bootstrap_servers", "replay_source"),
            f"kafka_bootstrap_servers: missing: {given(settings, 'replay_source')} needs it",
        )
    since, until = seconds_of(replay.since), seconds_of(replay.until)
    if since is not None and until is not None and since >= until:
        yield Finding(
            ("replay_since", "replay_until"),
            f"{given(settings, 'replay_since')}: is not before {given(settings, 'replay_until')}: nothing would fit",
        )
