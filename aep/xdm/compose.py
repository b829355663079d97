"""Compose a schema of classes, field groups and data types into one resolved schema in compatibility notation.

The Schema Registry does this for the `xed-full` media types ("Schema Registry API: getting started", "Basics of
schema composition"); the notation is that of "Compatibility mode" (appendix of the Schema Registry guide): `@id`
becomes `_id`, `xdm:timestamp` becomes `timestamp`, `repo:createDate` becomes `_repo.createDate`.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from aep.xdm.schema import SchemaError

Lookup = Callable[[str], dict[str, Any] | None]
"""Gives the component of a `$id`, in standard or compatibility notation; None when there is none."""

# What a component says about itself, and not about the records that follow it.
_OWN_MATTERS = frozenset(
    [
        "$id",
        "$schema",
        "$ref",
        "allOf",
        "auditable",
        "definitions",
        "description",
        "examples",
        "imsOrg",
        "meta:abstract",
        "meta:altId",
        "meta:auditable",
        "meta:class",
        "meta:containerId",
        "meta:createdDate",
        "meta:descriptionId",
        "meta:extends",
        "meta:extensible",
        "meta:immutableTags",
        "meta:intendedToExtend",
        "meta:license",
        "meta:registryMetadata",
        "meta:resourceType",
        "meta:status",
        "meta:tags",
        "meta:tenantNamespace",
        "meta:titleId",
        "title",
        "version",
    ]
)
# Compatibility notation has no alternatives and no patterns for names.
_DROPPED = ("oneOf", "patternProperties")
_NOT_AN_ANSWER = ("$schema", "allOf", "definitions", "$ref", "meta:license", "meta:titleId", "meta:descriptionId")
_INT = (-(2**31), 2**31 - 1)
_DASH = re.compile(r"-+(.)")


def compose(schema: dict[str, Any], lookup: Lookup) -> dict[str, Any]:
    """Resolve all `$ref` and `allOf` of a schema, merge what they bring, and rename it.

    Args:
        schema: A schema, class, field group or data type, with its own `definitions` if it has any.
        lookup: Finds the other components.

    Returns:
        A new document: metadata of `schema`, all `properties`, `required`, and in `meta:extends` every component it
        is made of. Each renamed field tells its standard name in `meta:xdmField`, each field its `meta:xdmType`.

    Raises:
        SchemaError: A component is missing, points to itself, or contradicts another one.
    """
    composer = _Composer(lookup)
    resolved = composer.resolve(schema, schema, ())
    kept = {key: value for key, value in schema.items() if key not in _NOT_AN_ANSWER}
    document = {**kept, **resolved, "meta:xdmType": "object"}
    extends = list(dict.fromkeys(composer.parents(schema)))
    if extends:
        document["meta:extends"] = extends
    return document


def compatible_name(name: str) -> tuple[str, ...]:
    """The path that a field has in compatibility notation: one name, or several when it is put into objects.

    A name that is not in standard notation stays as it is.
    """
    if name.startswith("@"):
        return ("_" + name[1:],)
    plain = name
    for prefix in ("https://", "http://", "ns.adobe.com/xdm/", "ns.adobe.com/", "xdm:"):
        plain = plain.removeprefix(prefix)
    if plain == name and ":" not in name:
        return (name,)
    steps = [_DASH.sub(lambda match: match[1].upper(), step) for step in re.split("[/:]", plain) if step]
    return (steps[0],) if len(steps) == 1 else ("_" + steps[0], *steps[1:])


class _Composer:
    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def parents(self, schema: dict[str, Any]) -> Iterator[str]:
        """The components that a schema is made of, each before those that it is made of itself."""
        stated = [each for each in schema.get("meta:extends", ()) if isinstance(each, str)]
        for branch in schema.get("allOf", ()):
            target = branch.get("$ref", "") if isinstance(branch, dict) else ""
            if target and "#" not in target:
                yield target
                yield from self.parents(self._component(target))
        yield from stated

    def resolve(self, node: dict[str, Any], root: dict[str, Any], trail: tuple[str, ...]) -> dict[str, Any]:
        """What a subschema demands of a value. `root` is the document it stands in, `trail` the refs that led here."""
        result: dict[str, Any] = {}
        if "$ref" in node:
            target, target_root, mark = self._target(node["$ref"], root)
            if mark in trail:
                raise SchemaError(f"the XDM schema is recursive: {' -> '.join((*trail, mark))}")
            _merge(result, self.resolve(target, target_root, (*trail, mark)), mark)
        for branch in node.get("allOf", ()):
            _merge(result, self.resolve(branch, root, trail), str(root.get("$id", "schema")))
        own = {key: value for key, value in node.items() if key not in _OWN_MATTERS and key not in _DROPPED}
        if "anyOf" in own:
            del own["anyOf"]
            own["type"] = "string"
        properties = own.pop("properties", {})
        required = own.pop("required", ())
        for keyword in ("items", "additionalProperties"):
            if isinstance(own.get(keyword), dict):
                own[keyword] = self._field(own[keyword], root, trail)
        if "$ref" in node:  # what stands beside a $ref describes it and demands nothing
            own = {key: value for key, value in own.items() if key.startswith("meta:")}
        _merge(result, own, str(root.get("$id", "schema")))
        for name, field in properties.items():
            if isinstance(field, dict):
                _put(result, name, self._field(field, root, trail))
        for name in required:
            _require(result, name)
        return result

    def _field(self, node: dict[str, Any], root: dict[str, Any], trail: tuple[str, ...]) -> dict[str, Any]:
        """A resolved field, with the texts that stand where it is used."""
        resolved = self.resolve(node, root, trail)
        texts: dict[str, Any] = {key: node[key] for key in ("title", "description") if key in node}
        if "#" not in node.get("$ref", "#"):
            texts["meta:referencedFrom"] = node["$ref"]
        if "properties" in resolved:
            resolved.setdefault("type", "object")
        if isinstance(resolved.get("type"), str):
            resolved.setdefault("meta:xdmType", xdm_type(resolved))
        return {**texts, **resolved}

    def _target(self, reference: str, root: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], str]:
        """What a `$ref` points to, the document that it stands in, and its full name."""
        document_id, _, fragment = reference.partition("#")
        document = self._component(document_id) if document_id else root
        node: Any = document
        for step in fragment.strip("/").split("/") if fragment.strip("/") else ():
            node = node.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(node, dict) else None
        if not isinstance(node, dict):
            raise SchemaError(f"$ref {reference!r} in {root.get('$id', 'the schema')} points to nothing")
        return node, document, f"{document_id or root.get('$id', '')}#{fragment}"

    def _component(self, component_id: str) -> dict[str, Any]:
        found = self._lookup(component_id)
        if found is None:
            raise SchemaError(f"the XDM component {component_id!r} does not exist")
        return found


def xdm_type(field: dict[str, Any]) -> str:
    """The `meta:xdmType` of a field that states none but has a `type` ("XDM field type constraints")."""
    kind = str(field["type"])
    if kind == "string" and field.get("format") in ("date", "date-time"):
        return str(field["format"])
    if kind == "integer":
        bounds = [field[bound] for bound in ("minimum", "maximum") if bound in field]
        return "int" if all(_INT[0] <= bound <= _INT[1] for bound in bounds) else "long"
    if kind == "object" and isinstance(field.get("additionalProperties"), dict) and "properties" not in field:
        return "map"
    return kind


def _put(target: dict[str, Any], name: str, field: dict[str, Any]) -> None:
    """Add a field under its compatible name, in the objects that this name asks for."""
    path = compatible_name(name)
    for step in path[:-1]:
        inner = {"type": "object", "meta:xdmType": "object", "meta:xedConverted": True, "properties": {}}
        target = target.setdefault("properties", {}).setdefault(step, inner)
    if path != (name,):
        field = {"meta:xdmField": name, **field}
    properties = target.setdefault("properties", {})
    if path[-1] in properties:
        _merge(properties[path[-1]], field, name)
    else:
        properties[path[-1]] = field


def _require(target: dict[str, Any], name: str) -> None:
    for step in compatible_name(name):
        required = target.setdefault("required", [])
        if step not in required:
            required.append(step)
        target = target.get("properties", {}).get(step, {})


def _merge(target: dict[str, Any], source: dict[str, Any], where: str) -> None:
    """Let `target` demand what `source` demands as well; texts of the later one win."""
    if "type" in target and "type" in source and target["type"] != source["type"]:
        raise SchemaError(f"{where}: the type {source['type']!r} contradicts the type {target['type']!r} of before")
    for key, value in source.items():
        if key == "properties":
            mine = target.setdefault("properties", {})
            for name, field in value.items():
                if name in mine:
                    _merge(mine[name], field, f"{where}/{name}")
                else:
                    mine[name] = field
        elif key == "required":
            target["required"] = list(dict.fromkeys([*target.get("required", ()), *value]))
        else:
            target[key] = value
