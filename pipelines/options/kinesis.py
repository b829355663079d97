"""The options of Amazon Kinesis."""

from typing import Literal

from kinesis.discovery import Reset
from pipelines.options.group import OptionGroup, option
from pipelines.options.kinesis_types import (
    KinesisEndpoint,
    KinesisProxy,
    PartitionKey,
    RecordBytes,
    RoleArn,
    Stream,
    StreamStart,
)
from pipelines.options.types import Count, Seconds, SecretReference, Strings, Window
from transforms.kinesis.access import KinesisAccess
from transforms.records.delivery import Order


class KinesisOptions(OptionGroup):
    """Kinesis: stream, credentials, network and limits. Pipelines that do not use Kinesis need none of these."""

    stream: Stream | None = option(None, "The stream, by its name or its ARN.")
    region: str | None = option(
        None, "AWS region. Null: that of AWS's own configuration (AWS_DEFAULT_REGION, profile)."
    )
    endpoint: KinesisEndpoint | None = option(
        None,
        "Address of Kinesis, such as http://127.0.0.1:4567. Null: AWS's own, unless AWS_ENDPOINT_URL_KINESIS or "
        "AWS_ENDPOINT_URL says otherwise.",
    )
    access_key_id: SecretReference | None = option(
        None,
        "Reference to an access key id. Null: AWS's own chain (environment, profile, web identity, instance, ...).",
    )
    secret_access_key: SecretReference | None = option(
        None, "Reference to the secret of that access key, for kinesis_access_key_id."
    )
    role_arn: RoleArn | None = option(None, "A role to assume with these credentials, by its ARN. Null: none.")
    external_id: str | None = option(None, "The external id that the role's trust policy asks for, if it does.")
    proxy: KinesisProxy | None = option(
        None, "Proxy to Kinesis and STS: http://HOST:PORT. Null: none; the environment's is never used."
    )
    connect_timeout_seconds: Seconds = option(10.0, "How long to wait for a connection.", "seconds")
    timeout_seconds: Seconds = option(
        60.0,
        "How long to wait for a reply to be complete, from the time when the request is sent. Replies to a reader have "
        "up to 10 MiB: raise it where the network is slow.",
        "seconds",
    )

    start: StreamStart = option(
        "earliest",
        "Where to start when there is no checkpoint: earliest, latest, or an ISO 8601 time with its offset, as "
        "2026-01-31T08:00:00+00:00. latest is the time of the first start, and stays that until a record is read.",
    )
    reset: Reset = option(
        "earliest",
        "Where to go on when a position is gone: it is older than the stream keeps records, its shard has expired, or "
        "the stream was deleted and created again. error: stop.",
    )
    stop_at: Literal["never", "end"] = option(
        "never", "end: stop when each shard is read up to the time when the run began, or to its end."
    )
    stop_after_seconds: Seconds | None = option(None, "Stop reading after this time. Null: never.", "seconds")
    checkpoint: str | None = option(
        None,
        "File that keeps the positions of a run on a local runner, for one process at a time. Null: "
        "kinesis-STREAM.json in the working directory. Clusters keep them in their own checkpoints.",
    )
    poll_seconds: Seconds = option(
        1.0,
        "Time from one call for a shard to the next, rising to 5 while it is empty. Kinesis allows five calls a second "
        "for each shard, from all its readers together.",
        "seconds",
    )
    bundle_max_records: Count = option(
        50_000, "A bundle ends after this many records. A crash repeats at most the open bundle.", "records"
    )
    bundle_max_bytes: Count = option(64_000_000, "Most bytes of records in a bundle.", "bytes")
    bundle_max_seconds: Seconds = option(5.0, "Longest time a bundle takes in records.", "seconds")
    drop_repeats_seconds: Window = option(
        0.0,
        "Drop an exported profile that says the same as the last record of this profile, if that arrived within this "
        "time. 0: keep it. Such repeats are counted either way.",
        "seconds",
    )
    partition_key: PartitionKey = option(
        "identity",
        "What the partition keys of records to write are made of: identity (the first of kinesis_identities that the "
        "record has in its identityMap, else its first), kafka_key, random, or a JSON pointer to a field. A key of "
        "more than 256 characters becomes its SHA-256.",
    )
    identities: Strings = option(
        ("ECID", "CRMID", "Email", "Phone"),
        "Namespaces for kinesis_partition_key=identity, in the order in which they are looked for, without regard to "
        "case.",
    )
    hash_partition_keys: bool = option(
        False, "Write the SHA-256 of partition keys, so that identities do not appear where only keys are shown."
    )
    order: Order = option(
        "none",
        "key: records of one partition key arrive in their order, each once the one before has its answer. none: they "
        "overlap.",
    )
    max_record_bytes: RecordBytes | None = option(
        None,
        "Largest record to write, data and partition key. Null: as the stream says, or 1048576 without the right to "
        "ask.",
        "bytes",
    )
    max_in_flight: Count = option(
        24, "Most requests to write at a time, for each worker process and stream.", "requests"
    )
    max_waiting_bytes: Count = option(
        100_000_000,
        "Most memory for records that wait for Kinesis, for each worker process and stream: data, partition key, what "
        "was read where it differs, and 600 bytes for each. Then reading waits.",
        "bytes",
    )
    retry_budget_seconds: Seconds | None = option(
        None, "Fail the bundle after trying to write one record for this long. Null: without limit.", "seconds"
    )

    def access(self, connections: int) -> KinesisAccess:
        """Return what clients are made of.

        Args:
          connections: to keep open at most, as many as requests are under way at a time.
        """
        return KinesisAccess(
            region=self.region,
            endpoint=self.endpoint,
            access_key_id=self.access_key_id,
            secret_access_key=self.secret_access_key,
            role_arn=self.role_arn,
            external_id=self.external_id,
            proxy=self.proxy,
            connect_timeout_seconds=self.connect_timeout_seconds,
            timeout_seconds=self.timeout_seconds,
            connections=connections,
        )
