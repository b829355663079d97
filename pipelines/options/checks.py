"""What options mean together: values that are missing or contradict each other."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from aep.ingestion.envelope import Payload
from pipelines.options.beam import RUNNERS_WITHOUT_DURABLE_STATE
from pipelines.options.declarations import Format, KafkaOptions, SinkOptions
from pipelines.options.route_keys import SINGLE_ROUTE
from pipelines.options.settings import Settings
from pipelines.options.table import OPTIONS
from pipelines.options.types import seconds_of
from transforms.aep.inlet import Auth
from transforms.records.topic_names import TOPIC, covers


class Finding(NamedTuple):
    """A problem of several options: the names it hangs on, and what to say."""

    names: tuple[str, ...]
    text: str


def contradictions(settings: Settings) -> Iterator[Finding]:
    """Find what is missing or contradictory in options whose values are each valid."""
    yield from _source(settings)
    yield from _registry(settings)
    yield from _destination(settings)
    if settings.general.routes_file is None:
        yield from missing_credentials(settings, settings.aep.auth, f"aep_auth={settings.aep.auth}")
    yield from network_gaps(settings)
    yield from kinesis_gaps(settings)
    yield from _local_runner(settings)
    yield from _batching(settings)
    yield from _written(settings)
    yield from _replay(settings)


def missing_credentials(settings: Settings, auth: Auth, because: str) -> Iterator[Finding]:
    """Find the credentials that a way to authenticate needs and that are not given."""
    needed = {"none": (), "oauth": ("client_id", "client_secret"), "token": ("token",)}[auth]
    for field in needed:
        if getattr(settings.aep, field) is None:
            name = f"aep_{field}"
            yield Finding((name, "aep_auth"), f"{name}: missing: {because} needs it")


def needed_by(payload: Payload, schema_id: str | None) -> dict[str, str]:
    """Return the fields of a route that its payload can't do without, each with what else could be given.

    An entity is put into an envelope that names the dataset (Streaming Ingestion API, message format); a
    message brings its own envelope; raw data has neither envelope nor schema. The schema of this id is in the
    Schema Registry.
    """
    schema = {} if schema_id else {"schema_file": ", or a schema_id to take the schema from the Schema Registry"}
    return {"entity": {"dataset_id": "", **schema}, "message": schema, "raw": {}}[payload]


def pin_faults(schema_file: str | None, sha256: str | None) -> Iterator[tuple[str, str]]:
    """Find a digest of no file: the field, and why."""
    if sha256 is not None and schema_file is None:
        yield "schema_sha256", "is the digest of a schema_file, and there is none"


def payload_faults(
    payload: Payload, id_from: Collection[str], operations: Collection[str], tombstones: str
) -> Iterator[tuple[str, str]]:
    """Find what does not go with a route's payload: the field, and why.

    (Streaming upserts: they are raw records of a dataflow with a mapping. Streaming Ingestion API: `_id` is a field of
    the entity.)
    """
    if id_from and payload == "raw":
        yield "id_from", "raw records have no _id: it is AEP's mapping that makes them events"
    if operations and payload != "raw":
        yield "operations", f"upserts are raw records, and payload={payload}"
    if tombstones == "delete" and payload != "raw":
        yield "payload", f"kafka_tombstones=delete makes upserts, which are raw records, and payload={payload}"


def format_faults(format_: Format, avro_schema_file: Sequence[str], kafka: KafkaOptions) -> Iterator[tuple[str, str]]:
    """Find what does not go with the format of a route's values: the field, and why."""
    if format_ != "avro":
        if avro_schema_file:
            yield "avro_schema_file", f"is of values in Avro, and format={format_}"
    elif kafka.source == "file":
        yield "format", "avro can't be read with kafka_source=file, which reads lines of JSON"
    elif not avro_schema_file and kafka.schema_registry_url is None:
        yield "format", "avro needs its schemas: give a kafka_schema_registry_url, or an avro_schema_file"


def written_topics(settings: Settings) -> dict[str, str]:
    """Return the topics that the run writes to, by the option that names them."""
    named = {"dead_letter_topic": settings.dead_letter.topic, "receipt_topic": settings.receipt.topic}
    return {name: topic for name, topic in named.items() if topic is not None}


def reads_back(topics: Iterable[str], written: str) -> str | None:
    """Give the topic or pattern among `topics` that would read in again what the run writes to a topic."""
    return next((topic for topic in topics if covers(topic, written)), None)


def _given(settings: Settings, name: str) -> str:
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
            f"kafka_schema_registry_url: missing: {_given(settings, 'kafka_schema_registry_config')} needs it",
        )


def _destination(settings: Settings) -> Iterator[Finding]:
    if settings.general.routes_file is not None:
        yield from route_contradictions(settings)
        return
    values = _single_route(settings)
    if settings.aep.inlet_url is None:
        yield Finding(
            ("aep_inlet_url", "routes_file"),
            "aep_inlet_url: missing: give the inlet to post to, or a routes_file",
        )
    for field, instead in needed_by(settings.xdm.payload, settings.xdm.schema_id).items():
        name = f"xdm_{field}" if field == "schema_file" else f"aep_{field}"
        if values[name] is None:
            yield Finding(
                (name, "xdm_payload", "routes_file"),
                f"{name}: missing: xdm_payload={settings.xdm.payload} needs it{instead}",
            )
    for field, text in pin_faults(settings.xdm.schema_file, settings.xdm.schema_sha256):
        yield Finding((f"xdm_{field}", "xdm_schema_file"), f"{_given(settings, f'xdm_{field}')}: {text}")
    faults = payload_faults(
        settings.xdm.payload, settings.xdm.id_from, settings.aep.operations, settings.kafka.tombstones
    )
    for field, text in faults:
        name = {"id_from": "xdm_id_from", "operations": "aep_operations", "payload": "xdm_payload"}[field]
        yield Finding((name, "xdm_payload"), f"{_given(settings, name)}: {text}")
    for field, text in format_faults(settings.kafka.format, settings.kafka.avro_schema_file, settings.kafka):
        yield Finding((f"kafka_{field}", "kafka_format"), f"{_given(settings, f'kafka_{field}')}: {text}")


def _single_route(settings: Settings) -> dict[str, Any]:
    return {name: settings.value(OPTIONS[name]) for name in SINGLE_ROUTE}


def route_contradictions(settings: Settings) -> Iterator[Finding]:
    """Find options of a run without a routes_file that are given beside one, which would do nothing."""
    for name, value in _single_route(settings).items():
        if value and settings.general.routes_file is not None:
            yield Finding(
                (name, "routes_file"),
                f"{_given(settings, name)}: contradicts {_given(settings, 'routes_file')}: "
                "each route gives its own; take one of the two out",
            )


def network_gaps(settings: Settings) -> Iterator[Finding]:
    """Find what a proxy or a client certificate needs and is not given."""
    for name, needed in (
        ("proxy_user", "proxy"),
        ("proxy_user", "proxy_password"),
        ("proxy_password", "proxy_user"),
        ("client_key", "client_certificate"),
        ("client_key_password", "client_certificate"),
    ):
        if getattr(settings.aep, name) is not None and getattr(settings.aep, needed) is None:
            yield Finding(
                (f"aep_{needed}", f"aep_{name}"),
                f"aep_{needed}: missing: {_given(settings, f'aep_{name}')} needs it",
            )


def kinesis_gaps(settings: Settings) -> Iterator[Finding]:
    """Find what the credentials for Kinesis need and is not given."""
    for name, needed in (
        ("access_key_id", "secret_access_key"),
        ("secret_access_key", "access_key_id"),
        ("external_id", "role_arn"),
    ):
        if getattr(settings.kinesis, name) is not None and getattr(settings.kinesis, needed) is None:
            yield Finding(
                (f"kinesis_{needed}", f"kinesis_{name}"),
                f"kinesis_{needed}: missing: {_given(settings, f'kinesis_{name}')} needs it",
            )


# Options that make FnApiRunner run a bundle in several workers, or several times, each with the one safe value. With
# several workers it splits up the reader's first bundle and ends without an error; a repeated bundle is posted twice.
_ONE_WORKER = {"direct_num_workers": 1, "direct_running_mode": "in_memory", "direct_runner_bundle_repeat": 0}


def _local_runner(settings: Settings) -> Iterator[Finding]:
    if not _keeps_state_in_memory(settings.runner):
        return
    instead = f"with the same kafka_group_id ({settings.kafka.group_id}): the two share the partitions"
    if settings.kafka.source == "file":
        instead = "with files of its own (kafka_file_pattern)"
    for name, only in _ONE_WORKER.items():
        value = settings.beam.get(name)
        if value is not None and str(value) != str(only):
            yield Finding(
                (name, "runner"),
                f"{_given(settings, name)}: must be {only} on {settings.runner}, which would lose records or post them "
                f"twice: to use more cores, start a second process {instead}",
            )


def _keeps_state_in_memory(runner: str) -> bool:
    return runner.rsplit(".", 1)[-1] in RUNNERS_WITHOUT_DURABLE_STATE


def _batching(settings: Settings) -> Iterator[Finding]:
    unsafe = _keeps_state_in_memory(settings.runner)
    if settings.batch.mode == "state" and unsafe and not settings.batch.allow_unsafe:
        yield Finding(
            ("batch_mode", "batch_allow_unsafe", "runner"),
            f"{_given(settings, 'batch_mode')}: state is not safe on {settings.runner}, which can lose the last "
            "batch: use batch_mode=bundle, or batch_allow_unsafe to try it all the same",
        )


def _written(settings: Settings) -> Iterator[Finding]:
    if not settings.dead_letter.sinks():
        names = tuple(f"dead_letter_{field}" for field in SinkOptions.model_fields)
        others = " or ".join(names[1:])
        yield Finding(names, f"{names[0]}: missing: give it or {others}, for records that AEP can't take")
    for name, topic in written_topics(settings).items():
        if settings.kafka.bootstrap_servers is None and settings.kafka.source == "file":
            yield Finding(
                ("kafka_bootstrap_servers", name),
                f"kafka_bootstrap_servers: missing: {_given(settings, name)} needs it",
            )
        if again := reads_back(settings.kafka.topics, topic):
            yield Finding(
                (name, "kafka_topics"),
                f"{_given(settings, name)}: is read again by {again} in {_given(settings, 'kafka_topics')}, "
                "a loop without end: use another topic",
            )


def _replay(settings: Settings) -> Iterator[Finding]:
    replay = settings.replay
    if (replay.source or "").startswith(TOPIC) and settings.kafka.bootstrap_servers is None:
        yield Finding(
            ("kafka_bootstrap_servers", "replay_source"),
            f"kafka_bootstrap_servers: missing: {_given(settings, 'replay_source')} needs it",
        )
    since, until = seconds_of(replay.since), seconds_of(replay.until)
    if since is not None and until is not None and since >= until:
        yield Finding(
            ("replay_since", "replay_until"),
            f"{_given(settings, 'replay_since')}: is not before {_given(settings, 'replay_until')}: nothing would fit",
        )
