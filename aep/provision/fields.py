"""Fields of a field group: their JSON Schema, Adobe's rules for them, and how declared and existing fields differ.

Pure. Sources: "Schema Registry API: getting started" (names), "XDM field type constraints" (bounds).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from aep.provision.model import CLASSES, STANDARD, TENANT_ID, FieldGroup, FieldSpec, Path, Problem, Provision
from aep.xdm.merge import xdm_type
from aep.xdm.pointers import pointer

# "XDM field type constraints". A `long` is bound by what JSON numbers can tell apart.
_JSON: Mapping[str, Mapping[str, Any]] = {
    "string": {"type": "string"},
    "number": {"type": "number"},
    "long": {"type": "integer", "minimum": -9007199254740991, "maximum": 9007199254740991},
    "int": {"type": "integer", "minimum": -2147483648, "maximum": 2147483647},
    "short": {"type": "integer", "minimum": -32768, "maximum": 32767},
    "byte": {"type": "integer", "minimum": -128, "maximum": 127},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "date-time": {"type": "string", "format": "date-time"},
    "object": {"type": "object"},
    "array": {"type": "array"},
    "map": {"type": "object"},
}
# What must agree besides the type, by the names of JSON Schema.
_KEYWORDS = ("title", "description", "enum", "pattern", "format", "minLength", "maxLength", "minimum", "maximum")


class Missing(NamedTuple):
    """A declared field that does not exist yet.

    Attributes:
        place: JSON pointer in the field group of the node that is to have it.
        path: Names that lead to the field in a record.
        spec: Spec of the field.
        first_required: The node has no `required` yet.
    """

    place: str
    path: tuple[str, ...]
    spec: FieldSpec
    first_required: bool


class Retyped(NamedTuple):
    """A field that exists with another type, which Adobe does not allow to be changed."""

    path: tuple[str, ...]
    existing: str
    wanted: str


class Unlike(NamedTuple):
    """A field that exists and differs in something else."""

    path: tuple[str, ...]
    what: str


Difference = Missing | Retyped | Unlike


def json_schema(spec: FieldSpec) -> dict[str, Any]:
    """Return a field as the registry takes it."""
    node = {**_JSON[spec.type], "meta:xdmType": spec.type, **_stated(spec)}
    if spec.type == "object":
        node.update(object_schema(spec.fields))
    if spec.items is not None:
        node["items"] = json_schema(spec.items)
    if spec.values is not None:
        node["additionalProperties"] = {"type": spec.values}
    return node


def object_schema(fields: Mapping[str, FieldSpec]) -> dict[str, Any]:
    """`type`, `properties` and `required` of an object with these fields."""
    node: dict[str, Any] = {"type": "object", "properties": {name: json_schema(spec) for name, spec in fields.items()}}
    required = [name for name, spec in fields.items() if spec.required]
    return {**node, "required": required} if required else node


def differences(
    wanted: Mapping[str, FieldSpec], existing: Mapping[str, Any], place: str, path: tuple[str, ...] = ()
) -> Iterator[Difference]:
    """Yield differences between declared and existing fields. Extra existing fields are ignored.

    Args:
        wanted: The fields that it should have.
        existing: The node of the existing object.
        place: JSON pointer of the node in its field group.
        path: Names that lead to the object in a record.
    """
    properties, required = existing.get("properties") or {}, existing.get("required") or ()
    for name, spec in wanted.items():
        there = properties.get(name)
        if not isinstance(there, dict):
            yield Missing(place, (*path, name), spec, not required)
            continue
        if spec.required != (name in required):
            yield Unlike((*path, name), "is required" if name in required else "is not required")
        yield from _compare(spec, there, f"{place}{pointer(('properties', name))}", (*path, name))


def _compare(spec: FieldSpec, existing: dict[str, Any], place: str, path: tuple[str, ...]) -> Iterator[Difference]:
    if "$ref" in existing:
        yield Unlike(path, f"is of the data type {existing['$ref']}")
        return
    kind = type_of(existing)
    if kind != spec.type:
        yield Retyped(path, kind, spec.type)
        return
    for keyword, value in _stated(spec).items():
        if existing.get(keyword) != value:
            yield Unlike(path, f"has {keyword} {existing[keyword]!r}" if keyword in existing else f"has no {keyword}")
    if spec.type == "object":
        yield from differences(spec.fields, existing, place, path)
    if spec.items is not None:
        yield from _compare(spec.items, existing.get("items") or {}, f"{place}/items", (*path, "*"))
    values = existing.get("additionalProperties")
    if spec.values is not None and isinstance(values, dict) and values.get("type") != spec.values:
        yield Retyped((*path, "*"), str(values.get("type")), spec.values)


def type_of(node: Mapping[str, Any]) -> str:
    """Return the XDM type of a node; of one that does not state it, the type that its bounds mean."""
    if isinstance(node.get("meta:xdmType"), str):
        return str(node["meta:xdmType"])
    bounds = (node.get("minimum"), node.get("maximum"))
    for kind in ("byte", "short"):
        if node.get("type") == "integer" and bounds == (_JSON[kind]["minimum"], _JSON[kind]["maximum"]):
            return kind
    if "type" not in node:
        return "object" if "properties" in node else "nothing"
    return xdm_type(dict(node))


def _stated(spec: FieldSpec) -> dict[str, Any]:
    """Return what a declaration says besides the type."""
    stated = spec.model_dump(by_alias=True, include={"title", "description", "enum", "pattern", "format", "minimum"})
    stated |= spec.model_dump(by_alias=True, include={"maximum", "min_length", "max_length"})
    return {name: stated[name] for name in _KEYWORDS if stated.get(name) is not None}


OWN = f"_{TENANT_ID}"
# "alphanumeric, dash, or underscore characters" and no underscore at its start (Schema Registry API: getting started).
_FIELD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_NAMESPACE = re.compile(r"_([A-Za-z0-9]+|\{TENANT_ID\})")
_NUMBERS = ("number", "long", "int", "short", "byte")


def is_own(name: str) -> bool:
    """Return whether a name, at the root of a schema or in a standard object, is an organisation's own field."""
    return bool(_NAMESPACE.fullmatch(name))


def check_field_groups(wanted: Provision) -> Iterator[Problem]:
    """Yield each field group, and that all are of one organisation."""
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
            yield Problem(place, f"{name}: must be an object that contains the organisation's fields")
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
    """Return whether a path goes through the organisation's own field; Adobe's names may begin with `_` too (`_dc`)."""
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
    """Yield what does not go together in a field, and in those inside it."""
    yield from _itself(spec, path)
    for name, inner in spec.fields.items():
        if not _FIELD_NAME.fullmatch(name):
            yield Problem(
                (*path, "fields", name), f"{name}: a name may have letters, digits, - and _, but no _ at its start"
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
        yield Problem((*path, "enum"), "enum: must have values without duplicates")
    yield from _bounds(spec, path)
    if spec.pattern is not None and spec.type == "string":
        try:
            re.compile(spec.pattern)
        except re.error as error:
            yield Problem((*path, "pattern"), f"pattern: not a valid regular expression: {error}")


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
