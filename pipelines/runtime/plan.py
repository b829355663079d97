"""From options to what the transforms take: routes, schemas, limits, clients."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import apache_beam as beam

from aep.xdm.rules import XdmRules
from pipelines.options.beam import IN_PROCESS_RUNNERS
from pipelines.options.destination import DestinationKind
from pipelines.options.routes import load_routes
from pipelines.options.settings import Settings
from pipelines.runtime.kafka_cluster import kafka_cluster
from pipelines.runtime.sinks import make_sinks
from transforms.batch import BatchLimits, BatchMode
from transforms.kafka.flink_keys import Subtasks
from transforms.kafka.read import ReadFromKafka, close_readers, new_source_id
from transforms.kafka.shared_start import commit_start
from transforms.kafka.source import BundleLimits, KafkaSource
from transforms.kafka.start import Start, resolve_start
from transforms.read_files import ReadJsonLines
from transforms.records.delivery import Connection
from transforms.records.prepare import Tombstones
from transforms.records.refusal_guard import NO_GUARD, RefusalGuard, RefusalLimits
from transforms.records.route import Routes
from transforms.sinks.base import Sinks
from transforms.worker.setup import WorkerSetup

# Runners that read, process and post in this process, or beside it; they keep no state over a restart.
LOCAL_RUNNERS = frozenset({"DirectRunner", "FnApiRunner", "PrismRunner"})


@dataclass(frozen=True)
class Plan:
    """All that a pipeline is built from."""

    settings: Settings
    routes: Routes
    rules: XdmRules
    batch_limits: BatchLimits
    batch_mode: BatchMode
    connection: Connection
    dead_letters: Sinks
    receipts: Sinks
    tombstones: Tombstones
    guard: RefusalGuard
    source: KafkaSource | None
    local: bool

    def read(self) -> beam.PTransform:
        """Return the transform that reads: topics, or files.

        Raises:
            KafkaSetupError: Kafka cannot be read as the options ask.
        """
        kafka = self.settings.kafka
        if self.source is None:
            return ReadJsonLines(str(kafka.file_pattern), next(iter(self.routes)).topics[0])
        return read_topics(self.source, self.settings, self._start, commit=self.batch_mode == "bundle")

    def share_start(self) -> int:
        """Commit where all processes of the run's group start, once, and return how many partitions they share.

        Raises:
            KafkaSetupError: Kafka cannot be read as the options ask, or takes no commit.
        """
        return self._shared_partitions

    @cached_property
    def _start(self) -> Start:
        assert self.source is not None
        return find_start(self.source, self.settings)

    @cached_property
    def _shared_partitions(self) -> int:
        source = self.source
        assert source is not None  # files are read by one process
        commit_start(source.cluster, source.group_id, self._start, source.starts_at_committed)
        return len(self._start.positions)

    @property
    def receiver(self) -> str:
        """Name of the destination in tables and messages."""
        return self.connection.name

    @property
    def late_answers_of(self) -> str | None:
        """The id of the source, if its bundles may end before their last answers."""
        return self.source.id if self.source is not None and self.source.late_answers else None

    @property
    def worker(self) -> WorkerSetup:
        """What the processes of workers are like."""
        return worker_setup(self.settings)

    @property
    def measures_latency(self) -> bool:
        """Whether the timestamps of records say when they came to Kafka to be read by this run."""
        return self.source is not None

    @property
    def ends(self) -> bool:
        """Whether reading ends by itself."""
        return self.settings.kafka.stop_at == "end" or self.settings.kafka.stop_after_seconds is not None

    @property
    def after_failure(self) -> str:
        """What users read of the next run, after an error that they have to fix."""
        if self.source is None:
            return "The next run reads the files from their beginning, and sends again the records that were accepted."
        return "Nothing of the bundle was committed; it will be read again."

    @property
    def on_stop(self) -> str:
        """What users read that the run still does when it is asked to end."""
        return "finishing the bundle and committing its offsets"

    def close(self, commit_seconds: float = 0.0) -> None:
        """End what this process reads with, at the end of a run, see `close_readers`."""
        if self.source is not None:
            close_readers(self.source.id, commit_seconds)


def make_plan(settings: Settings, kind: DestinationKind[Any], routes: Routes | None = None) -> Plan:
    """Turn options into a plan; read routes and schema files, contact only the registry of XDM schemas.

    Args:
        settings: All options.
        kind: Where the pipeline sends to.
        routes: Made before; None makes them.

    Raises:
        OptionsError: The routes file, or the file of a mapping or of an Avro schema.
        SchemaError: A schema, in a file or in the registry.
        ConfigurationError: An address, as an inlet's.
    """
    kafka, batch = settings.kafka, settings.batch
    routes = make_routes(settings, kind) if routes is None else routes
    source = kafka_source(settings, kafka.topics or routes.topics) if kafka.source == "native" else None
    if source is not None:
        source = replace(source, late_answers=may_answer_late(settings))
    return Plan(
        settings=settings,
        routes=routes,
        rules=settings.xdm.rules(),
        batch_limits=BatchLimits(batch.max_messages, batch.max_bytes, batch.max_seconds),
        batch_mode=batch.mode,
        connection=kind.connection(settings),
        dead_letters=make_sinks("dead_letter", settings),
        receipts=make_sinks("receipt", settings),
        tombstones=kafka.tombstones,
        guard=RefusalGuard(
            RefusalLimits(settings.dead_letter.max_first, settings.dead_letter.max_share), uuid.uuid4().hex
        ),
        source=source,
        local=is_local(settings),
    )


def for_replay(plan: Plan, kind: DestinationKind[Any]) -> Plan:
    """Return a plan with the routes of a replay, without a source, since a replay has its own, and without the guard.

    Somebody chose these records: that they are refused again, all of them, is no reason to stop.
    """
    return replace(plan, routes=kind.replay_routes(plan.routes), source=None, guard=NO_GUARD)


def worker_setup(settings: Settings) -> WorkerSetup:
    """Return what the processes of workers are like; this process, where it is the worker, is set up by its run."""
    return WorkerSetup(None if is_local(settings) else settings.general.metrics_port)


def is_local(settings: Settings) -> bool:
    """Return whether the runner reads and writes in this process, or beside it."""
    return settings.runner_class in LOCAL_RUNNERS


def may_answer_late(settings: Settings) -> bool:
    """Return whether bundles may end before their last answers: they come one at a time, and are delivered whole."""
    return settings.runner_class in IN_PROCESS_RUNNERS and settings.batch.mode == "bundle"


def kafka_source(settings: Settings, topics: Iterable[str]) -> KafkaSource | None:
    """Return what reads the topics; None without brokers."""
    kafka, cluster = settings.kafka, kafka_cluster(settings)
    if cluster is None:
        return None
    return KafkaSource(
        id=new_source_id(),
        cluster=cluster,
        topics=tuple(topics),
        group_id=kafka.group_id,
        reset=kafka.reset,
        share_group=is_local(settings),
        discovery_seconds=kafka.discovery_seconds,
        hand_over_seconds=settings.general.shutdown_seconds,
        starts_at_committed=kafka.start == "committed",
        deadline=None if kafka.stop_after_seconds is None else time.time() + kafka.stop_after_seconds,
        limits=BundleLimits(
            max_records=kafka.bundle_max_records,
            max_bytes=kafka.bundle_max_bytes,
            max_seconds=kafka.bundle_max_seconds,
            linger_seconds=settings.batch.max_seconds,
        ),
    )


def read_topics(source: KafkaSource, settings: Settings, start: Start, commit: bool) -> ReadFromKafka:
    """Return the read of topics.

    Args:
        source: What to read.
        settings: All options.
        start: Where to start.
        commit: Whether the group's offsets are committed.

    Raises:
        KafkaSetupError: Kafka cannot be read as the options ask.
    """
    subtasks = None if settings.dry_run else flink_subtasks(settings)
    return ReadFromKafka(source, start, commit=commit, subtasks=subtasks)


def find_start(source: KafkaSource, settings: Settings) -> Start:
    """Look up where to start, as the options say.

    Raises:
        KafkaSetupError: Kafka cannot be read as the options ask.
    """
    kafka = settings.kafka
    stop_at_end = kafka.stop_at == "end"
    if settings.dry_run:  # the same graph, which no broker is asked for
        return Start({}, {} if stop_at_end else None)
    return resolve_start(
        source.cluster, source.topics, source.group_id, kafka.start_at, kafka.reset, stop_at_end=stop_at_end
    )


def flink_subtasks(settings: Settings) -> Subtasks | None:
    """Return the subtasks that a cluster's job has; None for a local run, or where the cluster decides how many."""
    parallelism, key_groups = (settings.beam.get(name) for name in ("parallelism", "max_parallelism"))
    if is_local(settings) or parallelism is None or int(parallelism) < 1:
        return None
    return Subtasks(int(parallelism), int(key_groups) if key_groups and int(key_groups) > 0 else None)


def make_routes(settings: Settings, kind: DestinationKind[Any]) -> Routes:
    """Make the routes of the options or of the routes file, with their schemas and mappings.

    Raises:
        OptionsError, SchemaError, ConfigurationError: As for `make_plan`.
    """
    return Routes([kind.route(keys, settings) for keys in load_routes(settings, kind)])
