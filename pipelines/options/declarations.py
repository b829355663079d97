"""Every option of the pipelines, declared once.

A group's prefix and a field's name make the option's name: `kafka_` + `topics` is `--kafka_topics` on the
command line and `kafka_topics:` in an options file. Help, checks, Beam's view of the options and the table
that `--print_options` shows are all made from these models. The groups of destinations are in files of their own.
"""

from datetime import datetime
from typing import Literal

from aep.ingestion.envelope import Payload
from aep.mapping.json_patch import PatchDialect
from aep.xdm.harden import UnknownFields
from aep.xdm.rules import Identity, Nulls, XdmRules
from pipelines.options.aep import AepOptions
from pipelines.options.formats import Format
from pipelines.options.group import OptionGroup
from pipelines.options.group import option as _option
from pipelines.options.kinesis import KinesisOptions
from pipelines.options.types import (
    BootstrapServers,
    Count,
    DiscoverySeconds,
    Files,
    Folder,
    IdRule,
    KafkaConfig,
    Place,
    Pointers,
    RegistryConfig,
    RegistryUrls,
    Seconds,
    Sha256,
    Share,
    Stages,
    Start,
    Strings,
    Time,
    Topic,
    Topics,
    TransformReference,
    seconds_of,
    start_time,
)
from transforms.batch import BatchMode
from transforms.kafka.client import Reset
from transforms.records.prepare import Tombstones
from transforms.replay import Selection

LogFormat = Literal["text", "json"]


class KafkaOptions(OptionGroup):
    """Kafka: what is read, from where, and until when."""

    source: Literal["native", "file"] = _option(
        "native", "native: a Kafka consumer in Python. file: files of JSON lines, to try it without a broker."
    )
    bootstrap_servers: BootstrapServers | None = _option(None, "Bootstrap brokers, as HOST:PORT[,HOST:PORT...].")
    topics: Topics = _option(
        (),
        "Topics to read. An entry that starts with ^ is a regular expression; it does not match names that begin "
        "with __.",
    )
    group_id: str = _option("beam-aep", "Consumer group under which offsets are committed.")
    start: Start = _option(
        "committed",
        "Where to start: committed (the group's offsets), earliest, latest, or an ISO 8601 time with its "
        "offset, as 2026-01-31T08:00:00+00:00.",
    )
    reset: Reset = _option(
        "earliest",
        "Where to start when no offset is committed, or the one asked for is gone. error: stop, also at a topic that "
        "was deleted and created again, which is otherwise read from its beginning.",
    )
    stop_at: Literal["never", "end"] = _option(
        "never", "end: stop at the offsets that were each partition's end when the run began."
    )
    stop_after_seconds: Seconds | None = _option(None, "Stop reading after this time. Null: never.", "seconds")
    config: KafkaConfig = _option(
        {},
        "Any property of librdkafka. A secret one, such as sasl.password, takes a reference to a secret. With "
        "the extra "
        "msk, sasl.mechanism=AWS_MSK_IAM for Amazon MSK.",
    )
    file_pattern: str | None = _option(
        None,
        "JSON lines files for kafka_source=file, on any filesystem of Beam's; .gz, .bz2, .xz, .zst are decompressed.",
    )
    bundle_max_records: Count = _option(
        50_000, "Most records in a bundle. A crash repeats at most the open bundles.", "records"
    )
    bundle_max_bytes: Count = _option(64_000_000, "Most bytes of records in a bundle.", "bytes")
    bundle_max_seconds: Seconds = _option(5.0, "Longest time a bundle takes in records.", "seconds")
    discovery_seconds: DiscoverySeconds = _option(60.0, "How often to look for new topics and partitions.", "seconds")
    format: Format = _option(
        "json",
        "Format of the values. avro: plain Avro with kafka_avro_schema_file, else Confluent's wire format with the "
        "schemas of kafka_schema_registry_url.",
    )
    avro_schema_file: Files = _option(
        (),
        "The Avro schema (.avsc) of values in plain Avro. Several files: each after those whose types it uses, "
        "the record's last.",
    )
    schema_registry_url: RegistryUrls | None = _option(
        None, "Address of Confluent's Schema Registry, or several separated by commas."
    )
    schema_registry_config: RegistryConfig = _option(
        {},
        "Properties of confluent-kafka's SchemaRegistryClient. A secret one, such as basic.auth.user.info "
        "(USER:PASSWORD), "
        "takes a reference to a secret.",
    )
    tombstones: Tombstones = _option(
        "skip",
        "What happens to records without a value. delete: an upsert that deletes the profile named by the record's key "
        "(xdm_payload=raw, aep_key_field).",
    )

    @property
    def start_time(self) -> datetime | None:
        """The time to start at, where `start` is one."""
        return None if self.start in ("committed", "earliest", "latest") else start_time(self.start)


class XdmOptions(OptionGroup):
    """XDM: the schema, and the checks a record must pass before it is posted."""

    schema_file: str | None = _option(
        None, "File of the resolved schema, as the Schema Registry returns it for xed-full."
    )
    schema_id: str | None = _option(
        None,
        "The schema's $id. Null: the one in the schema file. Without a file the schema is taken from the Schema "
        "Registry (aep_platform_url), and looked up again every 15 minutes.",
    )
    schema_sha256: Sha256 | None = _option(None, "SHA-256 of the schema file; a file with another content is refused.")
    payload: Payload = _option(
        "entity",
        "What a record's value is: an XDM entity (an envelope is put around it), a whole message, or raw data.",
    )
    id_from: IdRule = _option(
        (),
        "Fill in a missing _id, the same each time a record is sent: offset (of topic, partition and offset), or JSON "
        "pointers to fields, for a hash of their values. Empty: leave it.",
    )
    unknown_fields: UnknownFields = _option("reject", "What happens to fields the schema lacks.")
    nulls: Nulls = _option("reject", "What happens to null values; prune removes them.")
    integer_ranges: bool = _option(True, "Refuse integers that do not fit their XDM type (byte, short, int, long).")
    identity: Identity = _option("off", "required: refuse a record without an identity.")
    primary_identity: Pointers = _option(
        (),
        "JSON pointers to the primary identity, such as /_acme/memberId. Empty: that of the schema's descriptors.",
    )
    namespaces: Strings = _option((), "Identity namespaces allowed in identityMap. Empty: all.")
    max_future_seconds: Seconds = _option(300.0, "How far ahead of now an event's timestamp may be.", "seconds")
    max_age_days: Seconds | None = _option(None, "How old an event may be. Null: any age.", "days")
    max_event_bytes: Count = _option(10_240, "Largest event (time-series class), serialised.", "bytes")
    max_record_bytes: Count = _option(102_400, "Largest record (profile class), serialised.", "bytes")

    def rules(self) -> XdmRules:
        """Return what records are asked for beyond their schemas."""
        return XdmRules(
            unknown_fields=self.unknown_fields,
            nulls=self.nulls,
            integer_ranges=self.integer_ranges,
            identity=self.identity,
            primary_identity=self.primary_identity,
            namespaces=self.namespaces,
            max_future_seconds=self.max_future_seconds,
            max_age_days=self.max_age_days,
            max_event_bytes=self.max_event_bytes,
            max_record_bytes=self.max_record_bytes,
        )


class MapOptions(OptionGroup):
    """Mapping: how an XDM record is made from the record read, before validation."""

    file: str | None = _option(
        None,
        "YAML or JSON file. A list is a JSON Patch (RFC 6902); a mapping names, for each XDM field, the field, "
        "constant or Kafka metadata it is made from.",
    )
    patch_dialect: PatchDialect = _option(
        "rfc6902",
        "Whose rules a JSON Patch follows. adobe: those of Adobe's JsonPatchTransform for Kafka Connect, where to "
        "remove what is absent does nothing, and to move or copy it sets null.",
    )
    transform: TransformReference | None = _option(
        None,
        "A Python function that records go through after the mapping, given given given as "
        "package.module:function. It takes a record "
        "and its metadata, and returns a record, or None to drop it. It must be importable where the workers run.",
    )


class BatchOptions(OptionGroup):
    """Batching: one request carries a batch; whichever limit is reached first ends it."""

    mode: BatchMode = _option(
        "bundle", "bundle: a batch ends with its bundle. state: batches span bundles, in the runner's state."
    )
    max_messages: Count = _option(1_000, "Most messages in a request.", "messages")
    max_bytes: Count = _option(950_000, "Largest body of a request, envelope included; AEP takes 1 MB.", "bytes")
    max_seconds: Seconds = _option(1.0, "Longest time a batch waits for more messages.", "seconds")
    allow_unsafe: bool = _option(
        False, "Allow batch_mode=state on runners that lose the last batch (FnApiRunner, PrismRunner)."
    )


class SinkOptions(OptionGroup):
    """The sinks of dead letters and of receipts, each of which has these options."""

    path: Folder | None = _option(None, "Folder for files of JSON lines, on any file system of Beam's.")
    topic: Topic | None = _option(None, "Kafka topic, on the brokers of kafka_bootstrap_servers.")

    def sinks(self) -> dict[str, str]:
        """Return what is given of these options, by field."""
        values = {field: getattr(self, field) for field in SinkOptions.model_fields}
        return {field: value for field, value in values.items() if value is not None}


class DeadLetterOptions(SinkOptions):
    """Dead letters: where records go that AEP can't take, with the reason and their original bytes."""

    max_first: Count | None = _option(
        500,
        "Stop the run when a worker process has refused this many records of a route before the post (parse, map, "
        "transform, validate) and passed none: its topic and its schema do not belong together. A replay does not "
        "stop. Null: never.",
        "records",
    )
    max_share: Share | None = _option(
        None,
        "When more than this share (0.5: half) of the last 1,000 records of a route were refused before the post in a "
        "worker process, the run stops. A replay does not stop. Null: never.",
        "parts of 1",
    )


class OutputOptions(SinkOptions):
    """Output: where pipelines write that read Kinesis: a topic, or files of JSON lines."""


class ReceiptOptions(SinkOptions):
    """Receipts: where to write, for each record that AEP has received, AEP's xactionId and the record's place."""


class ReplayOptions(OptionGroup):
    """Replay: which dead letters beam-aep replay sends again. They must match all filters that are set."""

    source: Place | None = _option(
        None,
        "Where they are: a folder, files such as FOLDER/2026*.jsonl, or topic:NAME. Null: dead_letter_path, or "
        "else dead_letter_topic.",
    )
    codes: Strings = _option((), "Codes of the reasons, such as required,type. Empty: all.")
    stages: Stages = _option((), "Stages that refused them; those in capitals are of Kafka Connect. Empty: all.")
    routes: Strings = _option((), "Names of the routes that they took. Empty: all.")
    since: Time | None = _option(None, "Dead-lettered at this time or later: ISO 8601 with its offset.")
    until: Time | None = _option(None, "Dead-lettered before this time: ISO 8601 with its offset.")
    max_attempts: Count | None = _option(
        None, "Skip those that were already replayed this many times. Null: none.", "replays"
    )
    group_id: str = _option(
        "beam-aep-replay",
        "Consumer group whose offsets remember how far a topic is replayed; another group starts over.",
    )

    def selection(self) -> Selection:
        """Return which dead letters are meant."""
        return Selection(
            codes=self.codes,
            stages=self.stages,
            routes=self.routes,
            since=seconds_of(self.since),
            until=seconds_of(self.until),
            max_attempts=self.max_attempts,
        )


class GeneralOptions(OptionGroup):
    """General: files with options, and what is shown."""

    options_file: Strings = _option(
        (),
        "YAML file of options. Repeatable; a later file overrides an earlier one, and the command line overrides all.",
    )
    routes_file: str | None = _option(None, "YAML file of routes, for a run with several destinations.")
    summary_file: str | None = _option(None, "Write the report of the run to this file as JSON.")
    print_options: bool = _option(False, "Print the merged options with the origin of each, and stop.")
    log_format: LogFormat = _option("text", "json: each line of the log is a JSON object.")
    shutdown_seconds: Seconds = _option(
        20.0,
        "How long deliveries may continue after SIGTERM or Ctrl-C; records not delivered by then are "
        "read again. Keep it some seconds below what the orchestrator allows: Kubernetes kills after 30 s.",
        "seconds",
    )
    progress: Literal["auto", "on", "off"] = _option("auto", "Progress line; auto: if the output is a terminal.")


# Group's attribute in Settings -> (prefix of its options, model).
GROUPS: dict[str, tuple[str, type[OptionGroup]]] = {
    "kafka": ("kafka_", KafkaOptions),
    "aep": ("aep_", AepOptions),
    "kinesis": ("kinesis_", KinesisOptions),
    "xdm": ("xdm_", XdmOptions),
    "map": ("map_", MapOptions),
    "batch": ("batch_", BatchOptions),
    "dead_letter": ("dead_letter_", DeadLetterOptions),
    "receipt": ("receipt_", ReceiptOptions),
    "output": ("output_", OutputOptions),
    "replay": ("replay_", ReplayOptions),
    "general": ("", GeneralOptions),
}
