"""The options of Kafka."""

from datetime import datetime
from typing import Literal

from pipelines.options.formats import Format
from pipelines.options.group import OptionGroup, option
from pipelines.options.kafka_types import (
    BootstrapServers,
    DiscoverySeconds,
    KafkaConfig,
    RegistryConfig,
    RegistryUrls,
    Start,
    Topics,
    read_start,
)
from pipelines.options.types import Count, Files, Seconds
from transforms.kafka.client import NamedStart, Reset
from transforms.records.prepare import Tombstones


class KafkaOptions(OptionGroup):
    """Kafka: what is read, from where, and until when."""

    source: Literal["native", "file"] = option(
        "native", "native: a Kafka consumer in Python. file: files of JSON lines, to try it without a broker."
    )
    bootstrap_servers: BootstrapServers | None = option(None, "Bootstrap brokers, as HOST:PORT[,HOST:PORT...].")
    topics: Topics = option(
        (),
        "Topics to read. An entry that starts with ^ is a regular expression; it does not match names that begin "
        "with __.",
    )
    group_id: str = option("beam-aep", "Consumer group under which offsets are committed.")
    start: Start = option(
        "committed",
        "Where to start: committed (the group's offsets), earliest, latest, or an ISO 8601 time with its "
        "offset, such as 2026-01-31T08:00:00+00:00.",
    )
    reset: Reset = option(
        "earliest",
        "Where to start when no offset is committed, or the one asked for is gone. error: stop, also at a topic that "
        "was deleted and created again, which is otherwise read from its beginning.",
    )
    stop_at: Literal["never", "end"] = option(
        "never", "end: stop at the offsets that were each partition's end when the run began."
    )
    stop_after_seconds: Seconds | None = option(None, "Stop reading after this time. Null: never.", "seconds")
    config: KafkaConfig = option(
        {},
        "Any property of librdkafka. A secret one, such as sasl.password, takes a reference to a secret. With "
        "the extra "
        "msk, sasl.mechanism=AWS_MSK_IAM for Amazon MSK.",
    )
    file_pattern: str | None = option(
        None,
        "JSON lines files for kafka_source=file, on any filesystem of Beam's; .gz, .bz2, .xz, .zst are decompressed.",
    )
    bundle_max_records: Count = option(
        10_000,
        "Most records in the open bundles of a reader, which a crash repeats. In local runs two are open, each with "
        "half as many: one is read while the other is answered; on a cluster one.",
        "records",
    )
    bundle_max_bytes: Count = option(64_000_000, "Most bytes of records in the open bundles of a reader.", "bytes")
    bundle_max_seconds: Seconds = option(1.0, "Longest time a bundle takes in records.", "seconds")
    discovery_seconds: DiscoverySeconds = option(60.0, "How often to look for new topics and partitions.", "seconds")
    format: Format = option(
        "json",
        "Format of the values. avro: plain Avro with kafka_avro_schema_file, else Confluent's wire format with the "
        "schemas of kafka_schema_registry_url.",
    )
    avro_schema_file: Files = option(
        (),
        "The Avro schema (.avsc) of values in plain Avro. Several files: each after those whose types it uses, "
        "the record's last.",
    )
    schema_registry_url: RegistryUrls | None = option(
        None, "Address of Confluent's Schema Registry, or several separated by commas."
    )
    schema_registry_config: RegistryConfig = option(
        {},
        "Properties of confluent-kafka's SchemaRegistryClient. A secret one, such as basic.auth.user.info "
        "(USER:PASSWORD), "
        "takes a reference to a secret.",
    )
    tombstones: Tombstones = option(
        "skip",
        "What happens to records without a value. delete: an upsert that deletes the profile named by the record's key "
        "(xdm_payload=raw, aep_key_field).",
    )

    @property
    def start_at(self) -> NamedStart | datetime:
        """Where to start, a time read."""
        return read_start(self.start)
