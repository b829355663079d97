"""Carries out the steps of a plan, one call after the other.

Nothing is kept on disk: what was done is found again by its title or name, so that a run that was interrupted is
continued by another one. A mapping set has neither: one whose dataflow could not be created stays behind, unused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from aep.errors import NotFoundError
from aep.http import secrets
from aep.platform.catalog import PROFILE_TAGS
from aep.platform.destinations import (
    AUDIENCE_OPTIONS,
    Audience,
    KinesisCredentials,
    activation,
    destination_flow,
    kinesis_connection,
    kinesis_target,
    profile_store_connection,
    profile_store_source,
)
from aep.platform.flow_service import (
    FlowService,
    data_lake_target,
    mapping,
    streaming_connection,
    streaming_flow,
    streaming_source,
)
from aep.platform.schema_registry import Accept, Resources, SchemaRegistry
from aep.platform.segments import segment_definition
from aep.provision import steps
from aep.provision.fields import object_schema
from aep.provision.inventory import Services
from aep.provision.model import CLASSES, Connection, Destination, FieldGroup, Schema, Segment
from aep.provision.plan_destinations import params_of
from aep.provision.steps import Plan, Step
from aep.xdm.identities import identity_descriptor
from aep.xdm.schema import FULL_MEDIA_TYPE

Ids = dict[tuple[str, str], str]
Credentials = Mapping[str, KinesisCredentials]  # by the name of a destination
_DEFINITION = "customFields"  # as Adobe's own pages call it


def apply(plan: Plan, services: Services, done: Callable[[Step, str], None]) -> Ids:
    """Do what the plan says.

    Args:
        plan: Without problems.
        services: The APIs.
        done: Called after each step that was carried out, with the id of the object.

    Returns:
        (kind, name) to id, of what was there and what was created.

    Raises:
        AepError: A call failed; the steps after it were not begun.
    """
    ids, credentials = dict(plan.ids), _credentials(plan)
    for step in plan.work:
        assert step.work is not None
        object_id = _carry_out(step.work, services, ids, credentials)
        if step.action is steps.Action.CREATE:
            ids[step.kind, step.name] = object_id
        done(step, object_id)
    return ids


def _credentials(plan: Plan) -> Credentials:
    """Read the secrets of all destinations that need them, before anything is done."""
    found: dict[str, KinesisCredentials] = {}
    for step in plan.work:
        match step.work:
            case steps.CreatePart(steps.Part.STREAM, entry) | steps.RotateCredentials(_, entry):
                references = (entry.access_key_id or "", entry.secret_access_key or "")
                key_id, secret = (secrets.resolve(each) for each in references)
                found[entry.name] = KinesisCredentials(key_id, secret, entry.region or "")
    return found


def _carry_out(work: steps.Work, services: Services, ids: Ids, credentials: Credentials) -> str:
    registry, catalog, flows = services.registry, services.catalog, services.flows
    match work:
        case steps.CreateFieldGroup(group):
            return _created(registry, registry.field_groups, field_group_body(group))
        case steps.PatchFieldGroup(group_id, operations):
            registry.field_groups.patch(group_id, operations)
            return group_id
        case steps.CreateSchema(schema):
            return _created(registry, registry.schemas, schema_body(schema, ids))
        case steps.AddFieldGroups(schema_id, names):
            references = [{"$ref": ids.get(("field group", name), name)} for name in names]
            registry.schemas.patch(schema_id, [{"op": "add", "path": "/allOf/-", "value": each} for each in references])
            return schema_id
        case steps.CreateIdentity(schema_title, identity):
            schema_id = ids["schema", schema_title]
            return registry.descriptors.create(
                identity_descriptor(schema_id, identity.field, identity.namespace, identity.primary)
            )
        case steps.EnableSchema(schema_id):
            registry.schemas.patch(schema_id, [{"op": "add", "path": "/meta:immutableTags", "value": ["union"]}])
            return schema_id
        case steps.CreateDataSet(dataset):
            return catalog.create_dataset(
                dataset.name,
                ids["schema", dataset.schema_ or ""],
                f"{FULL_MEDIA_TYPE};version=1",
                dataset.description,
                PROFILE_TAGS if dataset.profile else None,
            )
        case steps.EnableDataSet(dataset_id):
            tags = PROFILE_TAGS.items()
            catalog.patch_dataset(
                dataset_id, [{"op": "add", "path": f"/tags/{name}", "value": tag} for name, tag in tags]
            )
            return dataset_id
        case steps.CreateConnection(connection):
            return _create_connection(connection, services)
        case steps.CreateSource(flow):
            body = streaming_source(flow.name, ids["connection", flow.connection or ""])
            return flows.source_connections.create(body).id
        case steps.CreateTarget(flow):
            schema_id = catalog.dataset(ids["dataset", flow.dataset or ""]).schema_id
            body = data_lake_target(flow.name, ids["dataset", flow.dataset or ""], schema_id)
            return flows.target_connections.create(body).id
        case steps.CreateFlow(flow):
            mapped = None
            if flow.mappings:
                schema_id = catalog.dataset(ids["dataset", flow.dataset or ""]).schema_id
                mappings = [mapping(each.source, each.destination, identity=each.identity) for each in flow.mappings]
                mapped = flows.mapping_sets.create(schema_id, mappings)
            source_id, target_id = ids["source connection", flow.name], ids["target connection", flow.name]
            return flows.flows.create(streaming_flow(flow.name, source_id, target_id, mapped)).id
        case steps.CreateSegment(segment):
            return services.segments.create(segment_body(segment))
        case steps.ChangeSegment(segment_id, segment, kept):
            services.segments.patch(segment_id, {**segment_body(segment), **kept})
            return segment_id
        case steps.CreatePart(part, destination):
            return _create_part(part, destination, flows, ids, credentials)
        case steps.RotateCredentials(connection_id, destination):
            access = credentials[destination.name]
            new = [{"op": "add", "path": "/auth/params", "value": access.params}]
            return flows.connections.change(connection_id, lambda _: new, access.secrets).id
        case steps.ChangeStreamTarget(target_id, destination):
            return flows.target_connections.change(target_id, lambda there: _params_patch(there, destination)).id
        case steps.Activate(name):
            flow_id = ids[steps.Part.FLOW.value, name]
            return flows.flows.change(flow_id, lambda there: _activation_patch(there, work, ids)).id
        case steps.SetState(name, enabled):
            flow_id = ids[steps.Part.FLOW.value, name]
            flows.flows.act(flow_id, "enable" if enabled else "disable")
            return flow_id
        case steps.Delete(doomed):
            for kind, object_id in doomed:
                with suppress(NotFoundError):  # somebody else has deleted it meanwhile, or AEP with what it belonged to
                    _delete(kind, object_id, services)
            return doomed[0][1]


def _create_part(part: steps.Part, entry: Destination, flows: FlowService, ids: Ids, credentials: Credentials) -> str:
    """Create one of the five objects of a destination ("Connect to streaming destinations and activate data")."""
    name, text = entry.name, entry.description

    def made(other: steps.Part) -> str:
        return ids[other.value, name]

    match part:
        case steps.Part.STORE:
            return flows.connections.create(profile_store_connection(name, text)).id
        case steps.Part.SOURCE:
            return flows.source_connections.create(profile_store_source(name, text, made(steps.Part.STORE))).id
        case steps.Part.STREAM:
            access = credentials[name]
            return flows.connections.create(kinesis_connection(name, text, access), secrets=access.secrets).id
        case steps.Part.TARGET:
            target = kinesis_target(name, text, made(steps.Part.STREAM), params_of(entry))
            return flows.target_connections.create(target).id
        case steps.Part.FLOW:
            flow = destination_flow(name, text, made(steps.Part.SOURCE), made(steps.Part.TARGET))
            return flows.flows.create(flow).id


def _activation_patch(
    flow: Mapping[str, Any], activate: steps.Activate, ids: Mapping[tuple[str, str], str]
) -> list[dict[str, Any]]:
    """Return the JSON Patch of an activation, with the ids of segments that were created meanwhile."""
    audiences = [
        Audience(each.id or ids["segment", each.name], each.name, each.description) for each in activate.audiences
    ]
    return activation(flow, audiences, activate.attributes, activate.actions)


def _params_patch(target: Mapping[str, Any], destination: Destination) -> list[dict[str, Any]]:
    """Return the JSON Patch that makes a target connection lead where the destination says."""
    kept = {key: value for key, value in (target.get("params") or {}).items() if key not in AUDIENCE_OPTIONS}
    params = {**kept, **params_of(destination)}
    return [{"op": "replace", "path": "/params", "value": params}]


def segment_body(segment: Segment) -> dict[str, Any]:
    """Return a segment definition as Segmentation Service takes it ("Segment definitions endpoint")."""
    streaming = segment.evaluation == "streaming"
    return segment_definition(segment.name, segment.rule or "", segment.description, streaming=streaming)


def field_group_body(group: FieldGroup) -> dict[str, Any]:
    """Return a field group as the registry takes it ("Field groups endpoint")."""
    return {
        "type": "object",
        "title": group.title,
        "description": group.description,
        "meta:intendedToExtend": [CLASSES.get(each, each) for each in group.classes],
        "definitions": {_DEFINITION: object_schema(group.fields)},
        "allOf": [{"$ref": f"#/definitions/{_DEFINITION}"}],
    }


def schema_body(schema: Schema, ids: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """Return a schema as the registry takes it ("Ingest streaming record data")."""
    parts = [schema.class_id, *(ids.get(("field group", name), name) for name in schema.field_groups)]
    body: dict[str, Any] = {
        "type": "object",
        "title": schema.title,
        "description": schema.description,
        "allOf": [{"$ref": each} for each in parts],
    }
    return {**body, "meta:immutableTags": ["union"]} if schema.profile else body


def _created(registry: SchemaRegistry, resources: Resources, body: Mapping[str, Any]) -> str:
    """Create a resource and wait until the registry shows it to those that refer to it; return its id."""
    created = str(resources.create(body)["$id"])
    registry.when_shown(lambda: resources.look_up(created, accept=Accept.RAW_WITHOUT_TEXTS), created)
    return created


def _create_connection(connection: Connection, services: Services) -> str:
    required = connection.authentication_required
    if connection.api == "inlet":
        source_id = connection.source_id or connection.name
        return services.inlets.create(connection.name, source_id, authentication_required=required).id
    body = streaming_connection(
        connection.name, connection.data_type, connection.source_id, authentication_required=required
    )
    return services.flows.connections.create(body).id


def _delete(kind: str, object_id: str, services: Services) -> None:
    match kind:
        case "dataflow":
            services.flows.flows.delete(object_id)
        case "source connection":
            services.flows.source_connections.delete(object_id)
        case "target connection":
            services.flows.target_connections.delete(object_id)
        case "connection":
            services.flows.connections.delete(object_id)
        case "segment":
            services.segments.delete(object_id)
        case "dataset":
            services.catalog.delete_dataset(object_id)
        case "schema":
            services.registry.schemas.delete(object_id)
        case "field group":
            services.registry.field_groups.delete(object_id)
