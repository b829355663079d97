"""The newest records of topics, or the first of files, prepared as a run would."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from confluent_kafka.admin import AclOperation

from aep.counted import counted
from aep.errors import AepError, ConfigurationError, UserError
from aep.formats.json_records import read_records
from aep.mapping.repeated_ids import IdSample
from aep.mapping.transform import TransformError
from pipelines.cli.check.report import Findings
from pipelines.cli.event_hints import SHAPES, DestinationHints, Hints, hints_on
from pipelines.options.readiness import Check, State
from pipelines.runtime.plan import Plan
from transforms.kafka.causes import needed
from transforms.kafka.client import (
    KafkaCluster,
    KafkaReadError,
    KafkaSetupError,
    admin_client,
    list_partitions,
    unknown_topics,
    why_unknown,
    without_right,
)
from transforms.kafka.offsets import group_offsets
from transforms.kafka.sample import read_newest
from transforms.kafka.source import KafkaSource
from transforms.read_files import matching
from transforms.records.chunk import Chunk, Record
from transforms.records.dead_letter import DeadLetter, dead_letter
from transforms.records.open_file import open_file
from transforms.records.outcome import Dropped, Prepared, Refusal
from transforms.records.prepare import Preparation
from transforms.records.route import Routes
from transforms.worker import process

# Steps that wait for a service, as a run does without end, wait so long here.
_PATIENCE_SECONDS = 15.0


def look_at_samples(plan: Plan, hints: DestinationHints, number: int, found: Findings) -> None:
    """Look at the source, and at some of its records.

    Args:
        plan: Plan of the run.
        hints: Those of the kind of destination.
        number: Records to look at of each topic or file, 0 for none.
        found: Takes what was found.
    """
    if plan.source is None:
        _file_samples(plan, hints, number, found)
    else:
        _topic_samples(plan, plan.source, hints, number, found)


def _topic_samples(plan: Plan, source: KafkaSource, hints: DestinationHints, number: int, found: Findings) -> None:
    cluster, topics = source.cluster, source.topics
    group = plan.settings.kafka.group_id
    try:
        admin = admin_client(cluster)
        partitions = list_partitions(cluster, admin, topics)
    except UserError as error:
        found.checks.append(Check("Kafka", "wrong", str(error)))
        return
    found.checks.append(Check("Kafka", "ok", f"brokers answer at {cluster.bootstrap_servers}"))
    for topic in unknown_topics(topics, partitions):
        what = why_unknown(cluster, admin, [topic], "the topics of the routes")
        found.checks.append(Check(f"topic {topic}", "wrong", what))
    found.checks += _group(cluster, group, partitions)
    if not partitions:
        found.checks.append(Check("topics", "wrong", f"none matches {', '.join(topics)}"))
    for topic in without_right(admin, partitions, AclOperation.READ):
        # A run leaves out what it may not read of what a pattern takes in.
        state: State = "wrong" if topic in topics else "warning"
        found.checks.append(Check(f"topic {topic}", state, needed("READ", f"topic {topic}")))
        del partitions[topic]
    for topic, numbers in partitions.items():
        read = partial(read_newest, cluster, group, topic, numbers, number)
        _sample(f"topic {topic} ({counted(len(numbers), 'partition')})", topic, read, plan, hints, number, found)


def _group(cluster: KafkaCluster, group: str, partitions: Mapping[str, list[int]]) -> Iterator[Check]:
    """Yield whether the group's offsets can be looked up, as a run does before it starts."""
    first = [(topic, number) for topic, numbers in partitions.items() for number in numbers[:1]][:1]
    if not first:
        return
    try:
        group_offsets(cluster, group, first)
    except UserError as error:
        yield Check(f"group {group}", "wrong", str(error))
    else:
        yield Check(f"group {group}", "ok", "its offsets can be looked up")


def _file_samples(plan: Plan, hints: DestinationHints, number: int, found: Findings) -> None:
    pattern = str(plan.settings.kafka.file_pattern)
    try:
        paths = matching(pattern)
    except ConfigurationError as error:
        found.checks.append(Check(f"files {pattern}", "wrong", str(error)))
        return
    topic = next(iter(plan.routes.topics), "")
    for path in paths:
        _sample(
            f"file {path}",
            topic,
            partial(_first_records, path, topic, number, found.hints),
            plan,
            hints,
            number,
            found,
        )


def _first_records(path: str, topic: str, number: int, hints: list[str]) -> list[Chunk]:
    with open_file(path) as file:
        shape, all_entries = read_records(file)
        if SHAPES[shape]:
            hints.append(f"file {path}: {SHAPES[shape]}")
        entries = islice(all_entries, number)
        return [Chunk(topic, 0, [Record(offset, -1, None, (), value) for offset, value in entries])]


def _sample(
    subject: str,
    topic: str,
    read: Callable[[], list[Chunk]],
    plan: Plan,
    hints: DestinationHints,
    number: int,
    found: Findings,
) -> None:
    """Read some records, and prepare them as the pipeline would."""
    if not number:
        found.checks.append(Check(subject, "not checked", "exists; no sample requested"))
        return
    if not any(route.takes(topic) for route in plan.routes):
        found.checks.append(Check(subject, "not checked", "exists; its route is not valid"))
        return
    process.request_stop(_PATIENCE_SECONDS)
    try:
        prepare = Preparation(plan.routes.of_topic(topic), plan.rules, plan.tombstones)
        sample = prepare_sample(read(), prepare, plan.routes, hints, found.ids)
    except TransformError as error:
        found.checks.append(Check(subject, "wrong" if plan.local else "not checked", str(error), failed=not plan.local))
        return
    except (KafkaReadError, KafkaSetupError, ConfigurationError) as error:
        found.checks.append(Check(subject, "wrong", str(error)))
        return
    except AepError as error:
        found.checks.append(Check(subject, "not checked", str(error), failed=True))
        return
    finally:
        process.start_run()
    found.records += sample.records
    found.letters += sample.dead_letters
    found.hints += [f"{subject}: {hint}" for hint in sample.hints]
    dead = len(sample.dead_letters)
    if not sample.records:
        found.checks.append(Check(subject, "not checked", "it has no records"))
        return
    words = (
        f"of {counted(sample.records, 'record')} {sample.posted:,} would go to {plan.receiver}, {dead:,} dead-lettered"
    )
    if sample.dropped:
        words += f", {sample.dropped:,} dropped by their route"
    if sample.tombstones:
        words += f", {sample.tombstones:,} skipped as tombstones"
    state: State = "ok" if not dead else "warning" if sample.posted else "wrong"
    found.checks.append(Check(subject, state, words))


@dataclass
class Sample:
    """What would become of some records: how many would be posted or left out, and the dead letters of the others."""

    posted: int = 0
    dropped: int = 0
    tombstones: int = 0
    dead_letters: list[DeadLetter] = field(default_factory=list)
    hints: Hints = field(default_factory=lambda: Hints("offset"))

    @property
    def records(self) -> int:
        """How many there are."""
        return self.posted + self.dropped + self.tombstones + len(self.dead_letters)


def prepare_sample(
    chunks: Sequence[Chunk],
    prepare: Preparation,
    routes: Routes,
    hints: DestinationHints,
    ids: dict[str, IdSample | None],
) -> Sample:
    """Prepare records of one topic, as they were read.

    Adds to the look at the _ids of each route.
    """
    sample = Sample()
    for chunk in chunks:
        for record in chunk.records:
            outcome = prepare(chunk.topic, chunk.partition, record)
            if isinstance(outcome, Refusal):
                sample.dead_letters.append(dead_letter(outcome, chunk.topic, chunk.partition, record))
                if outcome.route:
                    sample.hints.add(record.offset, hints_on(record, routes[outcome.route], outcome, hints))
            elif isinstance(outcome, Dropped):
                sample.tombstones += outcome.reason == "tombstone"
                sample.dropped += outcome.reason != "tombstone"
            else:
                sample.posted += 1
                _look_at_id(outcome, ids)
    return sample


def _look_at_id(prepared: Prepared, ids: dict[str, IdSample | None]) -> None:
    route = prepared.route
    if route.name not in ids:
        ids[route.name] = route.destination.id_sample(route.schema)
    if (seen := ids[route.name]) is not None:
        seen.add([prepared.body])
