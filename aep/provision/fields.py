"""Fields of a field group as JSON Schema, and what distinguishes those wanted from those that are there. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from aep.provision.model import FieldSpec
from aep.xdm.compose import xdm_type
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
    """A field that is wanted and not there.

    Attributes:
      place: JSON pointer in the field group of the node that is to have it.
      path: names that lead to the field in a record.
      spec: of the field.
      first_required: the node has no `required` yet.
    """

    place: str
    path: tuple[str, ...]
    spec: FieldSpec
    first_required: bool


class Retyped(NamedTuple):
    """A field that is there with another type, which Adobe does not allow to be changed."""

    path: tuple[str, ...]
    found: str
    wanted: str


class Unlike(NamedTuple):
    """A field that is there and differs in something else."""

    path: tuple[str, ...]
    what: str


Difference = Missing | Retyped | Unlike


def json_schema(spec: FieldSpec) -> dict[str, Any]:
    """A field as the registry takes it."""
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
    wanted: Mapping[str, FieldSpec], found: Mapping[str, Any], place: str, path: tuple[str, ...] = ()
) -> Iterator[Difference]:
    """What an object that is there lacks and has otherwise. Fields that it has besides are nobody's concern.

    Args:
      wanted: the fields that it should have.
      found: its node.
      place: JSON pointer of the node in its field group.
      path: names that lead to the object in a record.
    """
    properties, required = found.get("properties") or {}, found.get("required") or ()
    for name, spec in wanted.items():
        there = properties.get(name)
        if not isinstance(there, dict):
            yield Missing(place, (*path, name), spec, not required)
            continue
        if spec.required != (name in required):
            yield Unlike((*path, name), "is required" if name in required else "is not required")
        yield from _compare(spec, there, f"{place}{pointer(('properties', name))}", (*path, name))


def _compare(spec: FieldSpec, found: dict[str, Any], place: str, path: tuple[str, ...]) -> Iterator[Difference]:
    if "$ref" in found:
        yield Unlike(path, f"is of the data type {found['$ref']}")
        return
    kind = type_of(found)
    if kind != spec.type:
        yield Retyped(path, kind, spec.type)
        return
    for keyword, value in _stated(spec).items():
        if found.get(keyword) != value:
            yield Unlike(path, f"has {keyword} {found[keyword]!r}" if keyword in found else f"has no {keyword}")
    if spec.type == "object":
        yield from differences(spec.fields, found, place, path)
    if spec.items is not None:
        yield from _compare(spec.items, found.get("items") or {}, f"{place}/items", (*path, "*"))
    values = found.get("additionalProperties")
    if spec.values is not None and isinstance(values, dict) and values.get("type") != spec.values:
        yield Retyped((*path, "*"), str(values.get("type")), spec.values)


def type_of(node: Mapping[str, Any]) -> str:
    """The XDM type of a node; of one that does not state it, the type that its bounds mean."""
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
    """What a declaration says besides the type."""
    stated = spec.model_dump(by_alias=True, include={"title", "description", "enum", "pattern", "format", "minimum"})
    stated |= spec.model_dump(by_alias=True, include={"maximum", "min_length", "max_length"})
    return {name: stated[name] for name in _KEYWORDS if stated.get(name) is not None}
