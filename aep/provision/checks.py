"""Adobe's rules for a provision file, as far as they can be told without a call. Pure.

Sources: "Schema Registry API: getting started" and troubleshooting guide (tenant, titles, names), "Descriptors
endpoint", "Unions endpoint", "Create an HTTP API streaming connection", "Getting started with streaming ingestion"
(the older inlet API).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from aep.provision.model import (
    CLASSES,
    STANDARD,
    TENANT_ID,
    FieldGroup,
    FieldSpec,
    Flow,
    IdentityField,
    Provision,
    RouteEntry,
    Schema,
)
from aep.xdm.pointers import is_pointer, steps_of

Path = tuple[str | int, ...]
"""Keys and indices that lead to a place in the file."""

IDENTITY_MAP = "https://ns.adobe.com/xdm/context/identitymap"
OWN = f"_{TENANT_ID}"
# "alphanumeric, dash, or underscore characters" and no underscore at its start (Schema Registry API: getting started).
_FIELD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_NAMESPACE = re.compile(r"_([A-Za-z0-9]+|\{TENANT_ID\})")
_NUMBERS = ("number", "long", "int", "short", "byte")


class Problem(NamedTuple):
    """What must be mended before anything is done: where in the file, and why."""

    path: Path
    text: str


def check(wanted: Provision) -> Iterator[Problem]:
    """What in the file breaks a rule, or refers to something that it does not declare."""
    yield from _names(wanted)
    yield from _field_groups(wanted)
    for index, schema in enumerate(wanted.schemas):
        if not schema.delete:
            yield from _schema(wanted, schema, ("schemas", index))
    yield from _datasets(wanted)
    yield from _connections(wanted)
    for index, flow in enumerate(wanted.flows):
        if not flow.delete:
            yield from _flow(wanted, flow, ("flows", index))
    for index, route in enumerate(wanted.routes):
        yield from _route(wanted, route, ("routes", index))


def check_tenant(wanted: Provision, tenant: str) -> Iterator[Problem]:
    """What in the file is of another organisation than the one that the registry tells."""
    for path, name in _namespaces(wanted):
        if name not in (OWN, f"_{tenant}"):
            yield Problem(path, f"{name} is not this organisation's field, which is _{tenant}: write {OWN} for it")


def own_field(wanted: Provision, schema: Schema, steps: Iterable[str]) -> FieldSpec | None:
    """The field that a path of names leads to among the declared field groups of a schema."""
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
    """Titles are unique across all kinds of resources; the rest is found again by its name, within its kind."""
    titles = [("field_groups", index, each.title) for index, each in enumerate(wanted.field_groups)]
    titles += [("schemas", index, each.title) for index, each in enumerate(wanted.schemas)]
    yield from _twice(titles, "title", "titles are unique among field groups and schemas together")
    for kind in ("datasets", "connections", "flows", "routes"):
        names = [(kind, index, entry.name) for index, entry in enumerate(getattr(wanted, kind))]
        yield from _twice(names, "name", "it is found again by its name")


def _twice(named: Iterable[tuple[str, int, str]], key: str, why: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for kind, index, name in named:
        if not name.strip():
            yield Problem((kind, index, key), f"{key}: is empty")
        elif name in seen:
            yield Problem((kind, index, key), f"{key}: {name} stands twice: {why}")
        seen.add(name)


def _field_groups(wanted: Provision) -> Iterator[Problem]:
    for index, group in enumerate(wanted.field_groups):
        path: Path = ("field_groups", index)
        if group.delete:
            continue
        yield from _classes(group, path)
        if not group.fields:
            yield Problem(path, f"field group {group.title}: fields: missing: give them under {OWN}")
        for name, spec in group.fields.items():
            place = (*path, "fields", name)
            if not _NAMESPACE.fullmatch(name):
                yield Problem(
                    place,
                    f"{name}: custom fields must be under the organisation's own field: put it in the fields of {OWN}",
                )
            elif spec.type != "object":
                yield Problem(place, f"{name}: must be an object, which holds the organisation's fields")
            else:
                yield from _field(spec, place)
    spaces = _namespaces(wanted)
    for place, name in spaces[1:]:
        if name != spaces[0][1]:
            yield Problem(place, f"{name}: an organisation has one field of its own, and {spaces[0][1]} is used before")


def _namespaces(wanted: Provision) -> list[tuple[Path, str]]:
    return [
        (("field_groups", index, "fields", name), name)
        for index, group in enumerate(wanted.field_groups)
        if not group.delete
        for name in group.fields
        if _NAMESPACE.fullmatch(name)
    ]


def _classes(group: FieldGroup, path: Path) -> Iterator[Problem]:
    if not group.classes:
        yield Problem(path, f"field group {group.title}: classes: missing: name the classes that it is to extend")
    for number, name in enumerate(group.classes):
        if name not in CLASSES and not name.startswith(STANDARD):
            yield Problem((*path, "classes", number), f"{name}: unknown class: {', '.join(CLASSES)}, or a $id")


def _field(spec: FieldSpec, path: Path) -> Iterator[Problem]:
    """What does not go together in a field, and in those inside it."""
    for key, given, holder in (
        ("fields", bool(spec.fields), "object"),
        ("items", spec.items is not None, "array"),
        ("values", spec.values is not None, "map"),
    ):
        if spec.type == holder and not given:
            yield Problem(path, f"{key}: missing: a field of type {spec.type} needs them")
        elif given and spec.type != holder:
            yield Problem((*path, key), f"{key}: only a field of type {holder} has them, and this one is {spec.type}")
    for key, value, types in (
        ("enum", spec.enum, ("string",)),
        ("pattern", spec.pattern, ("string",)),
        ("format", spec.format, ("string",)),
        ("minLength", spec.min_length, ("string",)),
        ("maxLength", spec.max_length, ("string",)),
        ("minimum", spec.minimum, _NUMBERS),
        ("maximum", spec.maximum, _NUMBERS),
    ):
        if value is not None and spec.type not in types:
            yield Problem((*path, key), f"{key}: does not go with the type {spec.type}")
    if spec.pattern is not None and spec.type == "string":
        try:
            re.compile(spec.pattern)
        except re.error as error:
            yield Problem((*path, "pattern"), f"pattern: is no regular expression: {error}")
    for name, inner in spec.fields.items():
        if not _FIELD_NAME.fullmatch(name):
            yield Problem(
                (*path, "fields", name), f"{name}: a name has letters, digits, - and _, and no _ at its start"
            )
        yield from _field(inner, (*path, "fields", name))
    if spec.items is not None:
        yield from _field(spec.items, (*path, "items"))


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
            f"profile: schema {schema.title} says of no record whom it is about: give it a primary identity, or the "
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
            yield Problem((*place, "field"), f"field: {identity.field} stands twice in schema {schema.title}")
        seen.add(identity.field)
        if not identity.namespace.strip():
            yield Problem((*place, "namespace"), "namespace: is empty")
        yield from _identity_field(wanted, schema, identity, (*place, "field"))


def _identity_field(wanted: Provision, schema: Schema, identity: IdentityField, place: Path) -> Iterator[Problem]:
    steps = steps_of(identity.field)
    if not is_pointer(identity.field) or not all(steps) or not steps or "properties" in steps:
        yield Problem(place, f"field: {identity.field}: must begin with /, not end with it, and leave out `properties`")
    elif _NAMESPACE.fullmatch(steps[0]):
        field = own_field(wanted, schema, steps)
        others = [name for name in schema.field_groups if name.startswith(STANDARD)]
        if field is None and not others:
            yield Problem(place, f"field: {identity.field} is in none of the field groups of schema {schema.title}")
        elif field is not None and field.type != "string":
            yield Problem(place, f"field: {identity.field} is of type {field.type}, and an identity is a string")


def _datasets(wanted: Provision) -> Iterator[Problem]:
    declared = {schema.title: schema for schema in wanted.schemas}
    for index, dataset in enumerate(wanted.datasets):
        path: Path = ("datasets", index)
        if dataset.delete:
            continue
        if dataset.schema_ is None:
            yield Problem(path, f"data set {dataset.name}: schema: missing: name a schema of this file")
            continue
        yield from _reference((*path, "schema"), "schema", dataset.schema_, declared)
        schema = declared.get(dataset.schema_)
        if dataset.profile and schema is not None and not schema.profile:
            yield Problem(
                (*path, "profile"),
                f"profile: data set {dataset.name} is for Profile, and its schema {schema.title} is not: give the "
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
            yield from _reference((*path, key), _WORDS[key], name, declared)
    connection = connections.get(flow.connection or "")
    if connection is None:
        return
    if connection.api == "inlet":
        yield Problem(
            (*path, "connection"),
            f"connection: {connection.name} is of the older inlet API, which has no dataflows: its messages name their "
            "data set",
        )
    elif connection.data_type == "raw" and not flow.mappings:
        yield Problem(path, f"dataflow {flow.name}: mappings: missing: {connection.name} takes raw data")
    elif connection.data_type == "xdm" and flow.mappings:
        yield Problem((*path, "mappings"), f"mappings: {connection.name} takes XDM, which is not mapped")


def _route(wanted: Provision, route: RouteEntry, path: Path) -> Iterator[Problem]:
    connections = {each.name: each for each in wanted.connections}
    datasets = {each.name: each for each in wanted.datasets}
    flows = {each.name: each for each in wanted.flows}
    if route.flow is not None:
        yield from _reference((*path, "flow"), "dataflow", route.flow, flows)
        for key in ("connection", "dataset"):
            if getattr(route, key) is not None:
                yield Problem((*path, key), f"{key}: the dataflow {route.flow} has one: take this out")
    else:
        for key, declared in (("connection", connections), ("dataset", datasets)):
            name = getattr(route, key)
            if name is None:
                yield Problem(path, f"route {route.name}: {key}: missing: give a flow, or a connection and a dataset")
            else:
                yield from _reference((*path, key), _WORDS[key], name, declared)
    connection = connections.get(wanted.ends_of(route)[0])
    if connection is None:
        return
    if connection.data_type == "raw" and route.flow is None:
        yield Problem(path, f"route {route.name}: flow: missing: {connection.name} takes raw data")
    if route.payload is not None and (route.payload == "raw") != (connection.data_type == "raw"):
        yield Problem(
            (*path, "payload"), f"payload: is {route.payload}, and {connection.name} takes {connection.data_type}"
        )


_WORDS = {"connection": "connection", "dataset": "data set"}


def _reference(place: Path, kind: str, name: str, declared: Mapping[str, Any] | Collection[str]) -> Iterator[Problem]:
    if name not in declared:
        known = ", ".join(sorted(declared)) or "none"
        yield Problem(place, f"{name}: no such {kind} is declared in this file (declared: {known})")
    elif isinstance(declared, Mapping) and declared[name].delete:
        yield Problem(place, f"{name}: this {kind} is to be deleted")
