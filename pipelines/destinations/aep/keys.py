"""The keys of a route to AEP, and what goes together among them."""

from __future__ import annotations

from collections.abc import Iterator

from aep.ingestion.envelope import Payload
from aep.xdm.rules import Identity
from pipelines.options.destination import Named
from pipelines.options.plain_http import exposes, leaves_this_machine_unencrypted
from pipelines.options.problems import Fault
from pipelines.options.route_keys import RouteKeys, describe_keys, key_of, rule_key, shared_key
from pipelines.options.settings import Settings
from pipelines.options.types import Headers, HeaderValue, IdRule, InletUrl, Operations, Pointers, Sha256, Strings
from transforms.aep.inlet import Auth


class AepRouteKeys(RouteKeys):
    """What a route to AEP can say: the inlet, the dataset, the schema, and how records are wrapped."""

    inlet_url: InletUrl = key_of("aep_inlet_url", required=True)
    dataset_id: str | None = key_of("aep_dataset_id")
    org_id: HeaderValue | None = shared_key("aep_org_id")
    flow_id: HeaderValue | None = key_of("aep_flow_id")
    source_name: str | None = shared_key("aep_source_name")
    schema_file: str | None = key_of("xdm_schema_file")
    schema_id: str | None = key_of("xdm_schema_id")
    schema_sha256: Sha256 | None = key_of("xdm_schema_sha256")
    id_from: IdRule = key_of("xdm_id_from")
    operations: Operations = key_of("aep_operations")
    key_field: str | None = key_of("aep_key_field")
    identity: Identity | None = rule_key("xdm_identity")
    primary_identity: Pointers | None = rule_key("xdm_primary_identity")
    namespaces: Strings | None = rule_key("xdm_namespaces")
    payload: Payload = shared_key("xdm_payload")
    auth: Auth = shared_key("aep_auth")
    headers: Headers = shared_key("aep_headers")


OWN_RULES = tuple(key.name for key in describe_keys(AepRouteKeys).values() if key.rule)
"""Keys that are rules beyond the schema."""


def route_faults(keys: AepRouteKeys, settings: Settings, named: Named) -> Iterator[Fault]:
    """Find what is missing or contradictory in the keys of a route; see `DestinationKind.faults`."""
    if keys.inlet_url is None:
        yield Fault("inlet_url", "missing: give the inlet to post to, or a routes_file")
    payload = f"{named('payload')}={keys.payload}"
    for field, instead in needed_by(keys.payload, keys.schema_id).items():
        if getattr(keys, field) is None:
            yield Fault(field, f"missing: {payload} needs it{instead}", ("payload",))
    if keys.schema_sha256 is not None and keys.schema_file is None:
        yield Fault("schema_sha256", "is the digest of a schema_file, but there is none", ("schema_file",))
    yield from payload_faults(keys, settings.kafka.tombstones)
    sends_token = keys.auth != "none" and not settings.aep.allow_plain_http
    if keys.inlet_url is not None and sends_token and leaves_this_machine_unencrypted(keys.inlet_url):
        yield Fault("inlet_url", exposes(keys.inlet_url, "access tokens"), ("auth",))
    for field in {"none": (), "oauth": ("client_id", "client_secret"), "token": ("token",)}[keys.auth]:
        if getattr(settings.aep, field) is None:
            yield Fault(f"aep_{field}", f"missing: {named('auth')}={keys.auth} needs it", ("auth",))


def needed_by(payload: Payload, schema_id: str | None) -> dict[str, str]:
    """Return the keys that a payload can't do without, each with what else could be given.

    An entity is put into an envelope that names the dataset (Streaming Ingestion API, message format); a
    message brings its own envelope; raw data has neither envelope nor schema. The schema of this id is in the
    Schema Registry.
    """
    schema = {} if schema_id else {"schema_file": ", or a schema_id to take the schema from the Schema Registry"}
    return {"entity": {"dataset_id": "", **schema}, "message": schema, "raw": {}}[payload]


def payload_faults(keys: AepRouteKeys, tombstones: str) -> Iterator[Fault]:
    """Find what does not go with a route's payload.

    (Streaming upserts: they are raw records of a dataflow with a mapping. Streaming Ingestion API: `_id` is a field of
    the entity.)
    """
    payload = keys.payload
    if keys.id_from and payload == "raw":
        yield Fault("id_from", "raw records have no _id: AEP's mapping makes them events", ("payload",))
    if keys.operations and payload != "raw":
        yield Fault("operations", f"upserts are raw records, and payload={payload}", ("payload",))
    if tombstones == "delete" and payload != "raw":
        text = f"kafka_tombstones=delete makes upserts, which are raw records, and payload={payload}"
        yield Fault("payload", text, ("kafka_tombstones",))
