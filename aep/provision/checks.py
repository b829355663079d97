"""Adobe's rules for a provision file, as far as they can be checked without a call. Pure.

Sources: "Schema Registry API: getting started" and troubleshooting guide (tenant, titles, names), "Descriptors
endpoint", "Unions endpoint", "Create an HTTP API streaming connection", "Getting started with streaming ingestion"
(the older inlet API).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from aep.provision.checks_destinations import check_destinations
from aep.provision.fields import OWN, check_field_groups, is_custom, is_own, own_fields
from aep.provision.model import (
    CLASSES,
    STANDARD,
    FieldSpec,
    Flow,
    IdentityField,
    Path,
    Problem,
    Provision,
    RouteEntry,
    Schema,
)
from aep.xdm.pointers import is_pointer, steps_of

IDENTITY_MAP = "https://ns.adobe.com/xdm/context/identitymap"
_INDEX = re.compile(r"\[[^\]]*\]")


def check(wanted: Provision) -> Iterator[Problem]:
    """Yield what in the file breaks a rule, or refers to something that it does not declare."""
    yield from _names(wanted)
    yield from check_field_groups(wanted)
    for index, schema in enumerate(wanted.schemas):
        if not schema.delete:
            yield from _schema(wanted, schema, ("schemas", index))
    yield from _datasets(wanted)
    yield from _connections(wanted)
    for index, flow in enumerate(wanted.flows):
        if not flow.delete:
            yield from _flow(wanted, flow, ("flows", index))
    yield from check_destinations(wanted)
    for index, route in enumerate(wanted.routes):
        yield from _route(wanted, route, ("routes", index))


def check_tenant(wanted: Provision, tenant: str) -> Iterator[Problem]:
    """Yield what in the file is of another organisation than the one that the registry tells."""
    for path, name in own_fields(wanted):
        if name not in (OWN, f"_{tenant}"):
            yield Problem(path, f"{name} is not this organisation's field, which is _{tenant}: use {OWN} for it")


def own_field(wanted: Provision, schema: Schema, steps: Iterable[str]) -> FieldSpec | None:
    """Return the field that a path of names leads to among the declared field groups of a schema."""
    for group in wanted.field_groups:
        if group.title in schema.field_groups:
            fields, found = group.fields, None
            for step in steps:
                found = fields.get(step)
                fields = found.fields if found else {}
            if found is not None:
                return found
    return None


def _names(wanted: Provision) -> Iterator[Problem]:
    """Yield titles are unique across all kinds of resources; the rest is found again by its name, within its kind."""
    titles = [("field_groups", index, each.title) for index, each in enumerate(wanted.field_groups)]
    titles += [("schemas", index, each.title) for index, each in enumerate(wanted.schemas)]
    yield from _twice(titles, "title", "titles are unique among field groups and schemas together")
    for kind in ("datasets", "connections", "flows", "segments", "destinations", "routes"):
        names = [(kind, index, entry.name) for index, entry in enumerate(getattr(wanted, kind))]
        yield from _twice(names, "name", "it is found again by its name")


def _twice(named: Iterable[tuple[str, int, str]], key: str, why: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for kind, index, name in named:
        if not name.strip():
            yield Problem((kind, index, key), f"{key}: is empty")
        elif name != name.strip():
            yield Problem((kind, index, key), f"{key}: has blanks at its ends, by which AEP may not find it again")
        elif name in seen:
            yield Problem((kind, index, key), f"{key}: duplicate {name}: {why}")
        seen.add(name)


def _schema(wanted: Provision, schema: Schema, path: Path) -> Iterator[Problem]:
    if schema.class_ is None:
        yield Problem(path, f"schema {schema.title}: class: missing: {', '.join(CLASSES)}, or a $id")
    elif not schema.class_id.startswith(STANDARD):
        yield Problem((*path, "class"), f"class: {schema.class_}: unknown class: {', '.join(CLASSES)}, or a $id")
    declared = {group.title: group for group in wanted.field_groups}
    for number, name in enumerate(schema.field_groups):
        place = (*path, "field_groups", number)
        if not name.startswith(STANDARD):
            yield from _reference(place, "field group", name, declared)
        group = declared.get(name)
        if group and schema.class_ and schema.class_id not in [CLASSES.get(each, each) for each in group.classes]:
            yield Problem(
                place, f"field group {name}: is not meant to extend the class {schema.class_}: see its classes"
            )
    yield from _identities(wanted, schema, path)
    primary = any(each.primary for each in schema.identities)
    # Of the two classes ExperienceEvent has an identityMap, and Individual Profile takes it from the field group.
    mapped = schema.class_id == CLASSES["experienceevent"] or IDENTITY_MAP in schema.field_groups
    if schema.profile and not primary and not mapped:
        yield Problem(
            (*path, "profile"),
            f"profile: schema {schema.title} does not say whom a record is about: give it a primary identity, or the "
            f"field group {IDENTITY_MAP}",
        )


def _identities(wanted: Provision, schema: Schema, path: Path) -> Iterator[Problem]:
    primary, seen = None, set()
    for number, identity in enumerate(schema.identities):
        place = (*path, "identities", number)
        if identity.primary and primary is not None:
            yield Problem(
                (*place, "primary"),
                f"primary: a schema has one primary identity, and {schema.title} has {primary.field} already",
            )
        primary = primary or (identity if identity.primary else None)
        if identity.field in seen:
            yield Problem((*place, "field"), f"field: duplicate identity {identity.field} in schema {schema.title}")
        seen.add(identity.field)
        if not identity.namespace.strip():
            yield Problem((*place, "namespace"), "namespace: is empty")
        yield from _identity_field(wanted, schema, identity, (*place, "field"))


def _identity_field(wanted: Provision, schema: Schema, identity: IdentityField, place: Path) -> Iterator[Problem]:
    steps = steps_of(identity.field)
    if not is_pointer(identity.field) or not all(steps) or not steps or "properties" in steps:
        yield Problem(place, f"field: {identity.field}: must begin with /, not end with it, and leave out `properties`")
    elif is_custom(wanted, steps) or is_own(steps[0]):
        field = own_field(wanted, schema, steps)
        others = [name for name in schema.field_groups if name.startswith(STANDARD)]
        if field is None and not others:
            yield Problem(place, f"field: {identity.field} is in none of the field groups of schema {schema.title}")
        elif field is not None and field.type != "string":
            yield Problem(place, f"field: {identity.field} is of type {field.type}, but an identity must be a string")


def _datasets(wanted: Provision) -> Iterator[Problem]:
    declared = {schema.title: schema for schema in wanted.schemas}
    for index, dataset in enumerate(wanted.datasets):
        path: Path = ("datasets", index)
        if dataset.delete:
            continue
        if dataset.schema_ is None:
            yield Problem(path, f"dataset {dataset.name}: schema: missing: name a schema of this file")
            continue
        yield from _reference((*path, "schema"), "schema", dataset.schema_, declared)
        schema = declared.get(dataset.schema_)
        if dataset.profile and schema is not None and not schema.profile:
            yield Problem(
                (*path, "profile"),
                f"profile: dataset {dataset.name} is for Profile, but its schema {schema.title} is not: give the "
                "schema profile: true",
            )


def _connections(wanted: Provision) -> Iterator[Problem]:
    for index, connection in enumerate(wanted.connections):
        if connection.api == "inlet" and connection.data_type == "raw":
            yield Problem(
                ("connections", index, "data_type"), "data_type: the older inlet API makes connections for xdm only"
            )
        if connection.api == "inlet" and connection.delete:
            yield Problem(("connections", index, "delete"), "delete: the older inlet API has no call for that")


def _flow(wanted: Provision, flow: Flow, path: Path) -> Iterator[Problem]:
    connections = {each.name: each for each in wanted.connections}
    for key, name, declared in (
        ("connection", flow.connection, connections),
        ("dataset", flow.dataset, {each.name: each for each in wanted.datasets}),
    ):
        if name is None:
            yield Problem(path, f"dataflow {flow.name}: {key}: missing: name one of this file")
        else:
            yield from _reference((*path, key), key, name, declared)
    connection = connections.get(flow.connection or "")
    if connection is None:
        return
    if connection.api == "inlet":
        yield Problem(
            (*path, "connection"),
            f"connection: {connection.name} is of the older inlet API, which has no dataflows: its messages name their "
            "dataset",
        )
    elif connection.data_type == "raw" and not flow.mappings:
        yield Problem(path, f"dataflow {flow.name}: mappings: missing: {connection.name} takes raw data")
    elif connection.data_type == "xdm" and flow.mappings:
        yield Problem((*path, "mappings"), f"mappings: {connection.name} takes XDM, which is not mapped")
    yield from _mappings(wanted, flow, (*path, "mappings"))


def _mappings(wanted: Provision, flow: Flow, path: Path) -> Iterator[Problem]:
    """Duplicate destinations, or whose field is not declared though the organisation's own are."""
    dataset = next((each for each in wanted.datasets if each.name == flow.dataset), None)
    schema = next((each for each in wanted.schemas if dataset and each.title == dataset.schema_), None)
    groups = [each for each in wanted.field_groups if schema and each.title in schema.field_groups]
    elsewhere = [name for name in (schema.field_groups if schema else ()) if name.startswith(STANDARD)]
    whole = all(name.startswith(f"{STANDARD}xdm/") for name in elsewhere)  # Adobe's have no field of an organisation
    seen: set[str] = set()
    for number, each in enumerate(flow.mappings):
        place = (*path, number, "destination")
        if each.destination in seen:
            yield Problem(place, f"destination: duplicate {each.destination} in dataflow {flow.name}")
        seen.add(each.destination)
        steps = _INDEX.sub("", each.destination).split(".")
        holding = [group.fields for group in groups if steps[0] in group.fields and is_custom(wanted, steps)]
        if schema and whole and holding and not any(_leads(fields, steps) for fields in holding):
            text = f"destination: {each.destination} is in none of the field groups of schema {schema.title}"
            yield Problem(place, text)


def _leads(fields: Mapping[str, FieldSpec], steps: Iterable[str]) -> bool:
    """Return whether a path of names leads to a field, through arrays, or into a map, which has any name."""
    for step in steps:
        spec = fields.get(step)
        while spec is not None and spec.items is not None:
            spec = spec.items
        if spec is None or spec.type == "map":
            return spec is not None
        fields = spec.fields
    return True


def _route(wanted: Provision, route: RouteEntry, path: Path) -> Iterator[Problem]:
    connections = {each.name: each for each in wanted.connections}
    datasets = {each.name: each for each in wanted.datasets}
    flows = {each.name: each for each in wanted.flows}
    if route.flow is not None:
        yield from _reference((*path, "flow"), "dataflow", route.flow, flows)
        for key in ("connection", "dataset"):
            if getattr(route, key) is not None:
                yield Problem((*path, key), f"{key}: the dataflow {route.flow} has one: remove this")
    else:
        for key, declared in (("connection", connections), ("dataset", datasets)):
            name = getattr(route, key)
            if name is None:
                yield Problem(path, f"route {route.name}: {key}: missing: give a flow, or a connection and a dataset")
            else:
                yield from _reference((*path, key), key, name, declared)
    connection = connections.get(wanted.ends_of(route)[0])
    if connection is None:
        return
    if connection.data_type == "raw" and route.flow is None:
        yield Problem(path, f"route {route.name}: flow: missing: {connection.name} takes raw data")
    if route.payload is not None and (route.payload == "raw") != (connection.data_type == "raw"):
        yield Problem(
            (*path, "payload"), f"payload: is {route.payload}, but {connection.name} takes {connection.data_type}"
        )


def _reference(place: Path, kind: str, name: str, declared: Mapping[str, Any] | Collection[str]) -> Iterator[Problem]:
    if name not in declared:
        known = ", ".join(sorted(declared)) or "none"
        yield Problem(place, f"{name}: no such {kind} is declared in this file (declared: {known})")
    elif isinstance(declared, Mapping) and declared[name].delete:
        yield Problem(place, f"{name}: this {kind} is to be deleted")
