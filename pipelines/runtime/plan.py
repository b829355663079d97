"""From options to what the transforms take: routes, schemas, limits, clients."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, replace

import apache_beam as beam

from aep.http.auth import OAuthClient
from aep.ingestion.decision import RetryPolicy
from aep.ingestion.envelope import batch_url
from aep.mapping.transform import RecordTransform
from aep.platform.schema_source import PinnedSchemaSource
from aep.xdm.rules import XdmRules
from aep.xdm.schema import FileSchemaSource, ResolvedSchema
from pipelines.options.mapping_file import read_mapping
from pipelines.options.platform_access import network_of, timeouts_of
from pipelines.options.route_keys import OWN_RULES, RouteSpec
from pipelines.options.routes import load_routes
from pipelines.options.settings import Settings
from pipelines.runtime.formats import PARSERS
from pipelines.runtime.kafka_cluster import kafka_cluster
from pipelines.runtime.registry_schema import registry_schema
from pipelines.runtime.sinks import make_sinks
from transforms.aep.connection import AepConnection
from transforms.aep.inlet import AepInlet
from transforms.batch import BatchLimits, BatchMode
from transforms.kafka.offsets import resolve_start
from transforms.kafka.read import ReadFromKafka, new_source_id
from transforms.kafka.source import BundleLimits, KafkaSource
from transforms.read_files import ReadJsonLines
from transforms.records.delivery import Connection
from transforms.records.prepare import Tombstones
from transforms.records.refusal_guard import RefusalGuard, RefusalLimits
from transforms.records.route import Route, Routes
from transforms.sinks.base import Sinks

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
        start = resolve_start(
            self.source.cluster,
            self.source.topics,
            self.source.group_id,
            kafka.start,
            kafka.reset,
            stop_at_end=kafka.stop_at == "end",
        )
        return ReadFromKafka(self.source, start, commit=self.batch_mode == "bundle")


def make_plan(settings: Settings, routes: Routes | None = None) -> Plan:
    """Turn options into a plan; read routes and schema files, contact only the registry of XDM schemas.

    Args:
        settings: All options.
        routes: Made before; None makes them.

    Raises:
        OptionsError: The routes file, or the file of a mapping or of an Avro schema.
        SchemaError: A schema, in a file or in the registry.
        ConfigurationError: An inlet's URL.
    """
    kafka, aep, batch = settings.kafka, settings.aep, settings.batch
    local = settings.runner.rsplit(".", 1)[-1] in LOCAL_RUNNERS
    routes = make_routes(settings) if routes is None else routes
    cluster = kafka_cluster(settings)
    source = None
    if kafka.source == "native" and cluster is not None:
        source = KafkaSource(
            id=new_source_id(),
            cluster=cluster,
            topics=tuple(kafka.topics or routes.topics),
            group_id=kafka.group_id,
            reset=kafka.reset,
            share_group=local,
            discovery_seconds=kafka.discovery_seconds,
            deadline=None if kafka.stop_after_seconds is None else time.time() + kafka.stop_after_seconds,
            limits=BundleLimits(
                max_records=kafka.bundle_max_records,
                max_bytes=kafka.bundle_max_bytes,
                max_seconds=kafka.bundle_max_seconds,
                linger_seconds=batch.max_seconds,
            ),
        )
    return Plan(
        settings=settings,
        routes=routes,
        rules=make_rules(settings),
        batch_limits=BatchLimits(batch.max_messages, batch.max_bytes, batch.max_seconds),
        batch_mode=batch.mode,
        connection=AepConnection(
            oauth=OAuthClient(aep.ims_url, aep.client_id, aep.client_secret, aep.scopes)
            if aep.client_id and aep.client_secret
            else None,
            token=aep.token,
            timeouts=timeouts_of(aep),
            network=network_of(aep),
            policy=RetryPolicy(
                transient_statuses=frozenset(aep.retry_statuses),
                max_seconds=aep.retry_max_delay_seconds,
                budget_seconds=aep.retry_budget_seconds,
                max_first_refusals=aep.max_first_refusals,
            ),
            max_in_flight=aep.max_in_flight,
            max_messages_per_second=aep.max_messages_per_second,
            order=aep.order,
        ),
        dead_letters=make_sinks("dead_letter", settings),
        receipts=make_sinks("receipt", settings),
        tombstones=kafka.tombstones,
        guard=RefusalGuard(
            RefusalLimits(settings.dead_letter.max_first, settings.dead_letter.max_share), uuid.uuid4().hex
        ),
        source=source,
        local=local,
    )


def make_routes(settings: Settings) -> Routes:
    """Return the routes of the options or of the routes file, with their schemas and mappings.

    Raises:
        OptionsError, SchemaError, ConfigurationError: As for `make_plan`.
    """
    return Routes([make_route(spec, settings) for spec in load_routes(settings)])


def make_rules(settings: Settings) -> XdmRules:
    """Return what records are asked for beyond their schemas."""
    xdm = settings.xdm
    return XdmRules(
        unknown_fields=xdm.unknown_fields,
        nulls=xdm.nulls,
        integer_ranges=xdm.integer_ranges,
        identity=xdm.identity,
        primary_identity=xdm.primary_identity,
        namespaces=xdm.namespaces,
        max_future_seconds=xdm.max_future_seconds,
        max_age_days=xdm.max_age_days,
        max_event_bytes=xdm.max_event_bytes,
        max_record_bytes=xdm.max_record_bytes,
    )


def make_route(spec: RouteSpec, settings: Settings) -> Route:
    """Return a route with its schema, its parser and its mapping.

    Raises:
        OptionsError, SchemaError, ConfigurationError: As for `make_plan`.
    """
    schema, registered = _schema_file(spec), None
    if schema is None and spec.schema_id:
        registered = registry_schema(spec.name, spec.schema_id, settings)
        schema = registered.first
    batch_url(spec.inlet_url)  # refuses what is no inlet before anything is read
    destination = AepInlet(
        inlet_url=spec.inlet_url,
        payload=spec.payload,
        schema_id=spec.schema_id or (schema.id if schema else None),
        content_type=schema.content_type if schema else AepInlet.content_type,
        org_id=spec.org_id,
        dataset_id=spec.dataset_id,
        flow_id=spec.flow_id,
        source_name=spec.source_name,
        headers=spec.headers,
        auth=spec.auth,
        operations=spec.operations,
        key_field=spec.key_field,
    )
    return Route(
        spec.name,
        spec.topics or ("files",),
        destination,
        schema,
        id_from=spec.id_from,
        when=spec.when,
        parse=PARSERS[spec.format](spec, settings.kafka),
        drop=spec.drop,
        mapping=read_mapping(spec.map, spec.map_patch_dialect) if isinstance(spec.map, str) else spec.map,
        transform=RecordTransform(spec.transform) if spec.transform else None,
        registered=registered,
        rules=_own_rules(spec, settings),
    )


def _own_rules(spec: RouteSpec, settings: Settings) -> XdmRules | None:
    """Return the rules of a route that sets its own identity rules; the others come from the options."""
    stated = {key: getattr(spec, key) for key in OWN_RULES}
    stated = {key: value for key, value in stated.items() if value is not None}
    return replace(make_rules(settings), **stated) if stated else None


def _schema_file(spec: RouteSpec) -> ResolvedSchema | None:
    if spec.schema_file is None:
        return None
    if spec.schema_sha256 is None:
        return FileSchemaSource(spec.schema_file).load()
    return PinnedSchemaSource(spec.schema_file, spec.schema_sha256).load()
