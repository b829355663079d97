"""What in the field groups of a provision file breaks a rule of Adobe's. Pure.

Sources: "Schema Registry API: getting started" (names), "XDM field type constraints" (bounds).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from aep.provision.fields import json_schema
from aep.provision.model import CLASSES, STANDARD, TENANT_ID, FieldGroup, FieldSpec, Provision
from aep.provision.problem import Path, Problem

OWN = f"_{TENANT_ID}"
# "alphanumeric, dash, or underscore characters" and no underscore at its start (Schema Registry API: getting started).
_FIELD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_NAMESPACE = re.compile(r"_([A-Za-z0-9]+|\{TENANT_ID\})")
_NUMBERS = ("number", "long", "int", "short", "byte")


def is_own(name: str) -> bool:
    """Whether a name, at the root of a schema or in a standard object, is an organisation's own field."""
    return bool(_NAMESPACE.fullmatch(name))


def check_field_groups(wanted: Provision) -> Iterator[Problem]:
    """Each field group, and that all are of one organisation."""
    for index, group in enumerate(wanted.field_groups):
        path: Path = ("field_groups", index)
        if group.delete:
            continue
        yield from _classes(group, path)
        if not group.fields:
            yield Problem(path, f"field group {group.title}: fields: missing: give them under {OWN}")
        yield from _group_fields(group.fields, path)
    spaces = own_fields(wanted)
    for place, name in spaces[1:]:
        if name != spaces[0][1]:
            yield Problem(place, f"{name}: an organisation has one field of its own, and {spaces[0][1]} is used before")


def _group_fields(fields: Mapping[str, FieldSpec], path: Path) -> Iterator[Problem]:
    """Check that each field is the organisation's own field, or a standard object or array that contains it."""
    for name, spec in fields.items():
        place = (*path, "fields", name)
        inner = inside(spec, place)
        if is_own(name) and spec.type != "object":
            yield Problem(place, f"{name}: must be an object, which holds the organisation's fields")
        elif is_own(name):
            yield from _field(spec, place)
        elif inner is None or not any(_own_in(*inner)):
            yield Problem(
                place,
                f"{name}: custom fields must be under the organisation's own field: put it in the fields of {OWN}",
            )
        else:
            yield from _itself(spec, place)
            yield from _group_fields(*inner)


def inside(spec: FieldSpec, path: Path) -> tuple[Mapping[str, FieldSpec], Path] | None:
    """Return the fields of an object, or of the objects in an array, and their place; None for other types."""
    while spec.items is not None:
        spec, path = spec.items, (*path, "items")
    return (spec.fields, path) if spec.fields else None


def own_fields(wanted: Provision) -> list[tuple[Path, str]]:
    """List the organisation's own fields in the field groups, at the root or in standard objects, with their places."""
    return [
        each
        for index, group in enumerate(wanted.field_groups)
        if not group.delete
        for each in _own_in(group.fields, ("field_groups", index))
    ]


def is_custom(wanted: Provision, steps: Iterable[str]) -> bool:
    """Whether a path goes through the organisation's own field; Adobe's names may begin with `_` too (`_dc`)."""
    own = {OWN, *(name for _, name in own_fields(wanted))}
    return any(step in own for step in steps)


def _own_in(fields: Mapping[str, FieldSpec], path: Path) -> Iterator[tuple[Path, str]]:
    for name, spec in fields.items():
        place = (*path, "fields", name)
        if is_own(name):
            yield place, name
        elif inner := inside(spec, place):
            yield from _own_in(*inner)


def _classes(group: FieldGroup, path: Path) -> Iterator[Problem]:
    if not group.classes:
        yield Problem(path, f"field group {group.title}: classes: missing: name the classes that it is to extend")
    for number, name in enumerate(group.classes):
        if name not in CLASSES and not name.startswith(STANDARD):
            yield Problem((*path, "classes", number), f"{name}: unknown class: {', '.join(CLASSES)}, or a $id")


def _field(spec: FieldSpec, path: Path) -> Iterator[Problem]:
    """What does not go together in a field, and in those inside it."""
    yield from _itself(spec, path)
    for name, inner in spec.fields.items():
        if not _FIELD_NAME.fullmatch(name):
            yield Problem(
                (*path, "fields", name), f"{name}: a name has letters, digits, - and _, and no _ at its start"
            )
        yield from _field(inner, (*path, "fields", name))
    if spec.items is not None:
        yield from _field(spec.items, (*path, "items"))


def _itself(spec: FieldSpec, path: Path) -> Iterator[Problem]:
    """Find contradictions in the declaration of a field, without the fields inside it."""
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
    if spec.enum is not None and (not spec.enum or len(set(spec.enum)) < len(spec.enum)):
        yield Problem((*path, "enum"), "enum: must have values, and none of them twice")
    yield from _bounds(spec, path)
    if spec.pattern is not None and spec.type == "string":
        try:
            re.compile(spec.pattern)
        except re.error as error:
            yield Problem((*path, "pattern"), f"pattern: is no regular expression: {error}")


def _bounds(spec: FieldSpec, path: Path) -> Iterator[Problem]:
    """Bounds that no value can keep, or that the type does not reach ("XDM field type constraints")."""
    of_type = json_schema(FieldSpec(type=spec.type))
    for (low_key, low), (high_key, high), (least, most) in (
        (("minLength", spec.min_length), ("maxLength", spec.max_length), (0, None)),
        (("minimum", spec.minimum), ("maximum", spec.maximum), (of_type.get("minimum"), of_type.get("maximum"))),
    ):
        for key, value in ((low_key, low), (high_key, high)):
            if value is not None and least is not None and value < least:
                yield Problem((*path, key), f"{key}: {value} is less than the {least} that a {spec.type} can have")
            if value is not None and most is not None and value > most:
                yield Problem((*path, key), f"{key}: {value} is more than the {most} that a {spec.type} can have")
        if low is not None and high is not None and low > high:
            yield Problem((*path, low_key), f"{low_key}: {low} is more than the {high_key}, {high}")
