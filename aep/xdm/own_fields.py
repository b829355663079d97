"""An organisation's own fields: read them from a file, and check them against the schema that they extend.

They are under the field of the tenant, such as `_acme`: at the root of a record, or inside a standard object or array
of objects, as in `person.name._acme` and `productListItems[]._acme`.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aep.xdm.components import Component, check_component, read_object
from aep.xdm.pointers import pointer
from aep.xdm.schema import SchemaError

_ADOBE = "https://ns.adobe.com/"
# "alphanumeric, dash, or underscore characters" and no underscore at its start (Schema Registry API: getting started).
_FIELD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
# What says of a field what it is: without any, its fields were written without `properties` around them.
_KINDS = {
    "$ref",
    "type",
    "meta:xdmType",
    "properties",
    "items",
    "additionalProperties",
    "enum",
    "allOf",
    "anyOf",
    "oneOf",
}


def read_own_fields(path: str, tenant: str) -> Component:
    """Return an organisation's own fields, as a field group.

    Args:
        path: A file with a field group as the registry takes it, or with fields by their names. These are put under
            the field of the tenant, unless they have it themselves: at the root, or in a standard object, as
            `person.name._acme`.
        tenant: The tenant id, such as `acme`.

    Raises:
        SchemaError: The file cannot be read, or a name in it is not allowed.
    """
    namespace = f"_{tenant}"
    document = read_object(path)
    if not {"properties", "definitions", "allOf"} & document.keys():
        if not _has_key(document, namespace) and not any(name.startswith("_") for name in document):
            document = {namespace: {"type": "object", "properties": document}}
        document = {"type": "object", "properties": document}
    check_component(document, path)
    for name, place, field in _declared(document, ()):
        if not _KINDS & field.keys():
            raise SchemaError(
                f"{path}: the field {pointer(place)} has no type: give its type, and what is inside an object as "
                '{"type": "object", "properties": {...}}'
            )
        if namespace in place[:-1] and not _FIELD_NAME.fullmatch(name):
            raise SchemaError(
                f"{path}: the name of the field {pointer(place)} is not allowed: "
                "letters, digits, - and _ are, and no _ at the start"
            )
    own_id = f"{_ADOBE}{tenant}/mixins/{quote(Path(path).name.partition('.')[0], safe='')}"
    return Component(path, {"$id": own_id, **document})


def fields_outside(
    fields: dict[str, Any], standard: dict[str, Any], namespace: str, path: tuple[str, ...] = ()
) -> Iterator[str]:
    """Find fields that are neither under the namespace nor standard objects and arrays that contain it.

    Args:
        fields: Own ones by name, resolved.
        standard: Those of the schema without them.
        namespace: The field of the tenant.
        path: Path of the object that holds them.
    """
    for name, field in fields.items():
        place = (*path, name)
        if name == namespace:
            continue
        inside = _fields_inside(field)
        if inside and name in standard:
            yield from fields_outside(inside, _fields_inside(standard[name]), namespace, place)
        else:
            yield pointer(place) if path else name


def _fields_inside(field: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an object, or of the objects in an array."""
    while isinstance(field.get("items"), dict):
        field = field["items"]
    found: dict[str, Any] = field.get("properties", {})
    return found


def collision(fields: dict[str, Any], others: dict[str, Any], path: tuple[str, ...] = ()) -> str | None:
    """Return the first field declared in two different ways; objects, and arrays of objects, are merged."""
    for name in (each for each in fields if each in others):
        place = (*path, name)
        inside, inside_other = _fields_inside(fields[name]), _fields_inside(others[name])
        if inside and inside_other:
            if found := collision(inside, inside_other, place):
                return found
        elif fields[name] != others[name]:
            return pointer(place)
    return None


def _has_key(node: Any, key: str) -> bool:
    """Return whether any object in parsed JSON has this key."""
    if isinstance(node, dict):
        return key in node or any(_has_key(each, key) for each in node.values())
    return isinstance(node, list) and any(_has_key(each, key) for each in node)


def _declared(node: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...], dict[str, Any]]]:
    """Yield the fields that a component declares, not those of what it refers to: name, path in a
    record, and schema.
    """
    for name, field in node.get("properties", {}).items():
        yield name, (*path, name), field
        yield from _declared(field, (*path, name))
    for keyword in ("items", "additionalProperties"):
        if isinstance(node.get(keyword), dict):
            yield from _declared(node[keyword], (*path, "*"))
    for each in (*node.get("allOf", ()), *node.get("definitions", {}).values()):
        yield from _declared(each, path)
