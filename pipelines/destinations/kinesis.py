"""Streams of Amazon Kinesis, as pipelines name them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import replace

import orjson

from aep.errors import UserError
from kinesis.keys import RANDOM, KeyMaker, PartitionKeys
from kinesis.limits import MAX_RECORD_BYTES, measure
from kinesis.limits import Fault as KinesisFault
from pipelines.options.destination import DestinationKind, Named, RequestPreview
from pipelines.options.kinesis_checks import access_checks, endpoint_note, kinesis_gaps, other_region
from pipelines.options.kinesis_types import PartitionKey, RecordBytes, Stream
from pipelines.options.make_route import route_to
from pipelines.options.problems import Fault
from pipelines.options.readiness import Check, State
from pipelines.options.route_keys import RouteKeys, key_of, shared_key
from pipelines.options.settings import Settings
from pipelines.options.types import Strings
from transforms.kinesis.connection import KinesisConnection, as_kinesis, put_records
from transforms.kinesis.destination import KinesisStream, as_stream
from transforms.kinesis.preflight import StreamFindings
from transforms.records.chunk import Batch
from transforms.records.delivery import Connection
from transforms.records.destination import Destination
from transforms.records.route import Route, keep_json, parse_json


class KinesisRouteKeys(RouteKeys):
    """What a route to Kinesis can say: the stream, and how records are put on it."""

    stream: Stream = key_of("kinesis_stream", required=True)
    partition_key: PartitionKey = shared_key("kinesis_partition_key")
    identities: Strings = shared_key("kinesis_identities")
    hash_partition_keys: bool = shared_key("kinesis_hash_partition_keys")
    max_record_bytes: RecordBytes | None = shared_key("kinesis_max_record_bytes")


def route_faults(keys: KinesisRouteKeys, settings: Settings, named: Named) -> Iterator[Fault]:
    """Find what is missing or contradictory in the keys of a route; see `DestinationKind.faults`."""
    if keys.stream is None:
        yield Fault("stream", "missing: give the stream to write to, or a routes_file")
    if (contradiction := other_region(keys.stream, settings)) is not None:
        yield Fault("stream", contradiction, ("kinesis_region",))
    if settings.kinesis.order == "key" and keys.partition_key == RANDOM:
        text = f"{RANDOM} gives each record a key of its own, and kinesis_order=key keeps the records of a key in order"
        yield Fault("partition_key", text, ("kinesis_order",))
    if settings.kafka.tombstones == "delete":
        yield Fault(
            "stream", "nothing can be deleted from a stream, and kafka_tombstones=delete", ("kafka_tombstones",)
        )


def make_route(keys: KinesisRouteKeys, settings: Settings) -> Route:
    """Make a route to a stream. What no step changes keeps its bytes.

    Raises:
        OptionsError: The file of a mapping or of an Avro schema.
    """
    partition_keys = PartitionKeys(keys.partition_key, keys.identities, keys.hash_partition_keys)
    route = route_to(KinesisStream(keys.stream, partition_keys, keys.max_record_bytes), keys, settings)
    kept = route.parse == parse_json and settings.xdm.nulls != "prune"
    return replace(route, parse=keep_json) if kept else route


def make_connection(settings: Settings) -> KinesisConnection:
    """Make the connection to Kinesis of the options."""
    kinesis = settings.kinesis
    return KinesisConnection(
        access=kinesis.access(connections=kinesis.max_in_flight),
        max_in_flight=kinesis.max_in_flight,
        order=kinesis.order,
        max_waiting_bytes=kinesis.max_waiting_bytes,
        budget_seconds=kinesis.retry_budget_seconds,
    )


def checks(settings: Settings, routes: Sequence[Route], connection: Connection, local: bool) -> Iterator[Check]:
    """Check the way to Kinesis, the identity, and each stream; see `DestinationKind.checks`."""
    to = as_kinesis(connection)
    wrong: State = "wrong" if local else "warning"  # on a cluster the workers may have other credentials
    way = list(access_checks(to.access, local))
    yield from way
    if any(check.state == wrong for check in way):
        return
    for name in dict.fromkeys(as_stream(route.destination).stream for route in routes):
        try:
            found = to.look_at(name)
        except UserError as error:
            yield Check(f"stream {name}", wrong, str(error))
            continue
        yield Check(f"stream {name}", "not checked" if found.shards is None else "ok", _described(found, to))
        for missing in found.missing_rights:
            yield Check(f"stream {name}: rights", "warning", missing)
        yield Check(f"stream {name}: rights", "not checked", "kinesis:PutRecords: only putting a record would show it")


def _described(found: StreamFindings, connection: KinesisConnection) -> str:
    parts = [f"{found.shards} open shards" if found.shards is not None else "shards unknown"]
    if (summary := found.summary) is not None:
        parts += [summary.arn, summary.status, summary.mode, f"records of up to {summary.max_record_bytes} bytes"]
    in_order = "kept" if connection.order == "key" else "not kept (kinesis_order=none)"
    return ", ".join([*parts, f"the order of keys is {in_order}"])


def request(destination: Destination, batch: Batch) -> RequestPreview:
    """Make the request of a batch (PutRecords, Request Syntax); see `DestinationKind.request`.

    The stream's own limit on records is not asked for here.
    """
    to = as_stream(destination)
    records: list[dict[str, str]] = []
    refused = {}
    for number, one in enumerate(put_records(batch, KeyMaker(to.keys))):
        if not isinstance(one, KinesisFault):
            measured = measure(one, to.max_record_bytes or MAX_RECORD_BYTES)
            if not isinstance(measured, KinesisFault):
                records.append({"Data": base64.b64encode(one.data).decode(), "PartitionKey": one.key})
                continue
            one = measured
        refused[number] = (one.code, one.message)
    name = "StreamARN" if to.stream.startswith("arn:") else "StreamName"
    return RequestPreview(f"PutRecords to {to.stream}", orjson.dumps({"Records": records, name: to.stream}), refused)


KINESIS = DestinationKind(
    name="Kinesis",
    keys=KinesisRouteKeys,
    faults=route_faults,
    route=make_route,
    connection=make_connection,
    findings=kinesis_gaps,
    checks=checks,
    request=request,
    notes=endpoint_note,
)
