"""Everything a run needs, looked at without running: nothing is posted, nothing committed, and no group joined.

It writes one thing, as a run does before it starts: an empty file into the folder for dead letters, which it deletes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from apache_beam.io.filesystems import FileSystems
from confluent_kafka.admin import AclOperation

from aep.errors import AepError, ConfigurationError, NetworkError, UserError
from aep.formats.json_records import read_records
from aep.http.transport import Request, RequestsTransport
from aep.mapping.repeated_ids import IdSample
from aep.mapping.transform import TransformError
from aep.xdm.rules import XdmRules
from pipelines.cli.check.platform import PlatformChecks
from pipelines.cli.check.report import Check, State
from pipelines.cli.event_hints import SHAPES, Hints, hints_on
from pipelines.options.platform_access import missing_access, platform_client, tokens_of, transport_of
from pipelines.options.routes import load_routes
from pipelines.options.settings import Settings
from pipelines.runtime.plan import Plan, make_plan, make_route
from transforms.aep.connection import as_aep, token_source
from transforms.aep.inlet import AepInlet, as_inlet
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
from transforms.records.chunk import Chunk, Record
from transforms.records.dead_letter import DeadLetter, dead_letter
from transforms.records.open_file import open_file
from transforms.records.prepare import Dropped, Preparation, Prepared, Refusal, Tombstones
from transforms.records.route import Route, Routes
from transforms.sinks.base import describe_all
from transforms.worker import process

# Steps that wait for a service, as a run does without end, wait so long here.
_PATIENCE_SECONDS = 15.0

_WORKERS = "the certificates and authorities are the workers' files: only they can connect"


@dataclass
class Findings:
    """What was found.

    Attributes:
        checks: In the order in which they were made.
        records: How many records the samples have.
        letters: Those of them that would be dead-lettered.
        ids: By route, a look at the _ids of those that would be posted.
        hints: What may be wrong with them.
    """

    checks: list[Check] = field(default_factory=list)
    records: int = 0
    letters: list[DeadLetter] = field(default_factory=list)
    ids: dict[str, IdSample | None] = field(default_factory=dict)
    hints: list[str] = field(default_factory=list)


def check_run(settings: Settings, number: int) -> Findings:
    """Make all checks.

    Args:
        settings: Of the run.
        number: Records to look at of each topic, 0 for none.

    Raises:
        OptionsError: The routes file.
    """
    found = Findings()
    plan = make_plan(settings, Routes(_routes(settings, found)))
    found.checks += _transforms(plan)
    found.checks += _sinks(plan)
    found.checks += _connections(plan)
    found.checks += _platform(settings, plan)
    if plan.source is None:
        _file_samples(plan, number, found)
    else:
        _topic_samples(plan, plan.source.cluster, plan.source.topics, number, found)
    for name, ids in found.ids.items():
        if ids is not None and (warning := ids.found.warning):
            found.checks.append(Check(f"{name}: _id", "warning", warning))
    return found


def _routes(settings: Settings, found: Findings) -> list[Route]:
    """Return the routes that can be made."""
    routes = []
    for spec in load_routes(settings):
        try:
            route = make_route(spec, settings)
        except UserError as error:
            found.checks.append(Check(f"{spec.name}: options", "wrong", str(error)))
            continue
        routes.append(route)
        found.checks.append(_route(route))
    return routes


def _route(route: Route) -> Check:
    """Return whether the id that messages name is that of the schema which they are checked with."""
    schema, inlet = route.schema, as_inlet(route.destination)
    if schema is None:
        return Check(f"{route.name}: options", "ok", f"{inlet.payload} records, not checked by a schema")
    if inlet.schema_id != schema.id and route.registered is None:
        return Check(
            f"{route.name}: options", "wrong", f"schema_id is {inlet.schema_id}, and {schema.where} is {schema.id}"
        )
    return Check(f"{route.name}: options", "ok", f"{schema.title}, version {schema.version}")


def _transforms(plan: Plan) -> Iterator[Check]:
    for route in plan.routes:
        if route.transform is None:
            continue
        try:
            route.transform.load()
        except TransformError as error:
            # On a cluster it is the workers that must have it.
            yield Check(f"{route.name}: transform", "wrong" if plan.local else "warning", str(error))
        else:
            yield Check(f"{route.name}: transform", "ok", f"{route.transform.reference} can be imported")


def _sinks(plan: Plan) -> Iterator[Check]:
    for subject, sinks in (("dead letters", plan.dead_letters), ("receipts", plan.receipts)):
        if not sinks:
            continue
        try:
            for sink in sinks:
                sink.check(plan.local)
        except UserError as error:
            yield Check(subject, "wrong", str(error))
        else:
            yield Check(subject, "ok", f"can be written to {describe_all(sinks)}")


def _connections(plan: Plan) -> Iterator[Check]:
    """Yield the way to each inlet, and the tokens that requests to it need."""
    network = as_aep(plan.connection).network
    if not plan.local and network.has_files:
        yield Check("connections", "not checked", _WORKERS)
        return
    try:
        network.check()
    except (AepError, OSError) as error:
        yield Check("connections", "wrong", str(error))
        return
    inlets = [as_inlet(route.destination) for route in plan.routes]
    for inlet in {inlet.auth: inlet for inlet in inlets if inlet.auth != "none"}.values():
        yield _checked(f"token (auth={inlet.auth})", partial(_token, inlet, plan))
    for inlet in {inlet.inlet_url: inlet for inlet in inlets}.values():
        yield _reached(inlet, plan)


def _token(inlet: AepInlet, plan: Plan) -> str:
    tokens = token_source(inlet, as_aep(plan.connection))
    assert tokens is not None  # it asks for one
    tokens.token()
    return "there is one"


def _reached(inlet: AepInlet, plan: Plan) -> Check:
    """Return whether anything answers at an inlet. What it answers says nothing: an inlet takes only posts."""
    subject = f"connection to inlet {inlet.inlet_id[:12]}"
    try:
        transport = RequestsTransport(as_aep(plan.connection).timeouts, as_aep(plan.connection).network)
        transport.send(Request(inlet.inlet_url, b"", {}, "GET"))
    except AepError as error:
        return Check(subject, "wrong", str(error))
    return Check(subject, "ok", "a server answers")


def _platform(settings: Settings, plan: Plan) -> Iterator[Check]:
    subject = "Platform's APIs"
    missing = [text for _, text in missing_access(settings)]
    if missing:
        yield Check(subject, "not checked", "; ".join(missing))
        return
    if not plan.local and as_aep(plan.connection).network.has_files:
        yield Check(subject, "not checked", _WORKERS)
        return

    def token() -> str:
        tokens_of(settings, transport_of(settings)).token()
        return f"{settings.aep.org_id}, sandbox {settings.aep.sandbox}"

    access = _checked(subject, token)
    yield access
    if access.state == "ok":
        checks = PlatformChecks(platform_client(settings), access.detail)
        for route in plan.routes:
            yield from checks.of(route)


def _checked(subject: str, look: Callable[[], str]) -> Check:
    try:
        return Check(subject, "ok", look())
    except NetworkError as error:
        return Check(subject, "not checked", str(error), failed=True)
    except AepError as error:
        return Check(subject, "wrong", str(error))


def _topic_samples(plan: Plan, cluster: KafkaCluster, topics: Sequence[str], number: int, found: Findings) -> None:
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
        _sample(f"topic {topic} ({len(numbers)} partitions)", topic, read, plan, number, found)


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


def _file_samples(plan: Plan, number: int, found: Findings) -> None:
    pattern = str(plan.settings.kafka.file_pattern)
    (matched,) = FileSystems.match([pattern])
    if not matched.metadata_list:
        found.checks.append(Check(f"files {pattern}", "wrong", "there are none; check kafka_file_pattern"))
    topic = next(iter(plan.routes.topics), "")
    for metadata in matched.metadata_list:
        _sample(
            f"file {metadata.path}",
            topic,
            partial(_first_records, metadata.path, topic, number, found.hints),
            plan,
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
    subject: str, topic: str, read: Callable[[], list[Chunk]], plan: Plan, number: int, found: Findings
) -> None:
    """Read some records, and prepare them as the pipeline would."""
    if not number:
        found.checks.append(Check(subject, "not checked", "there; no sample is wanted"))
        return
    if not any(route.takes(topic) for route in plan.routes):
        found.checks.append(Check(subject, "not checked", "there; its route cannot be made"))
        return
    process.request_stop(_PATIENCE_SECONDS)
    try:
        sample = prepare_sample(read(), plan.routes.of_topic(topic), plan.rules, plan.tombstones, found.ids)
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
    words = f"of {sample.records:,} records {sample.posted:,} would be posted, {dead:,} dead-lettered"
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
    routes: tuple[Route, ...],
    rules: XdmRules,
    tombstones: Tombstones,
    ids: dict[str, IdSample | None],
) -> Sample:
    """Prepare records of one topic, as they were read, by the routes that take it.

    Adds to the look at the _ids of each route.
    """
    sample = Sample()
    prepare = Preparation(routes, rules, tombstones)
    by_name = {route.name: route for route in routes}
    for chunk in chunks:
        for record in chunk.records:
            outcome = prepare(chunk.topic, chunk.partition, record)
            if isinstance(outcome, Refusal):
                sample.dead_letters.append(dead_letter(outcome, chunk.topic, chunk.partition, record))
                if outcome.route:
                    sample.hints.add(record.offset, hints_on(record, by_name[outcome.route], outcome))
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
