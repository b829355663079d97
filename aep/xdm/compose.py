"""Compose a schema of classes, field groups and data types into one resolved schema in compatibility notation.

The Schema Registry does this for the `xed-full` media types ("Schema Registry API: getting started", "Basics of
schema composition"); the notation is that of "Compatibility mode" (appendix of the Schema Registry guide): `@id`
becomes `_id`, `xdm:timestamp` becomes `timestamp`, `repo:createDate` becomes `_repo.createDate`.
`meta:refProperty` selects fields of a component ("Add specific fields to a schema").
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from aep.xdm.pointers import pointer, steps_of
from aep.xdm.ref_property import only_fields
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
        "meta:refProperty",
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


class CompositionError(SchemaError):
    """A schema that cannot be resolved. `component` is the `$id` of the document in which the fault stands."""

    def __init__(self, message: str, component: str) -> None:
        super().__init__(message)
        self.component = component


class LeftOut(NamedTuple):
    """A rule of a component that compatibility notation cannot express, so that the result does not demand it.

    Attributes:
        component: `$id` of the document that has it.
        pointer: JSON pointer to it in this document, such as `/definitions/a/properties/xdm:b/oneOf`.
    """

    component: str
    pointer: str


def compose(
    schema: dict[str, Any], lookup: Lookup, left_out: Callable[[LeftOut], object] | None = None
) -> dict[str, Any]:
    """Resolve all `$ref` and `allOf` of a schema, merge what they bring, and rename it.

    Args:
        schema: A schema, class, field group or data type, with its own `definitions` if it has any.
        lookup: Finds the other components.
        left_out: Is told of each rule that is lost, once for every use of it.

    Returns:
        A new document: metadata of `schema`, all `properties`, `required`, and in `meta:extends` every component it
        is made of. Each renamed field tells its standard name in `meta:xdmField`, each field its `meta:xdmType`.

    Raises:
        CompositionError: A component is missing, points to itself, or contradicts another one.
    """
    composer = _Composer(lookup, left_out)
    resolved = composer.resolve(schema, _Place(schema), ())
    kept = {key: value for key, value in schema.items() if key not in _NOT_AN_ANSWER}
    document = {**kept, **resolved, "meta:xdmType": "object"}
    extends = list(dict.fromkeys(composer.parents(schema)))
    if extends:
        document["meta:extends"] = extends
    return document


def compatible_name(name: str) -> tuple[str, ...]:
    """Return the path that a field has in compatibility notation: one name, or several when it is put into objects.

    A name that is not in standard notation stays as it is. In others only the last step is put into camel case, as in
    the live registry: `_channels.directMail`, but `_experience.decisioning.content-references.contentReferencesMap`.
    """
    if name.startswith("@"):
        return ("_" + name[1:],)
    plain = name
    for prefix in ("https://", "http://", "ns.adobe.com/xdm/", "ns.adobe.com/", "xdm:"):
        plain = plain.removeprefix(prefix)
    if plain == name and ":" not in name:
        return (name,)
    steps = [step for step in re.split("[/:]", plain) if step]
    if not steps:
        return (name,)
    *outer, last = steps
    last = _DASH.sub(lambda match: match[1].upper(), last)
    return ("_" + outer[0], *outer[1:], last) if outer else (last,)


class _Place(NamedTuple):
    """A place in a document: the document, and the names and indices that lead to the place."""

    root: dict[str, Any]
    path: tuple[str | int, ...] = ()

    @property
    def component(self) -> str:
        return str(self.root.get("$id", "the schema"))

    @property
    def pointer(self) -> str:
        return pointer(self.path)

    def step(self, *steps: str | int) -> "_Place":
        return _Place(self.root, (*self.path, *steps))


class _Composer:
    def __init__(self, lookup: Lookup, left_out: Callable[[LeftOut], object] | None) -> None:
        self._lookup = lookup
        self._left_out = left_out

    def parents(self, schema: dict[str, Any]) -> Iterator[str]:
        """Yield the components that a schema is made of, each before those that it is made of itself."""
        extends = schema.get("meta:extends")
        stated = [each for each in extends if isinstance(each, str)] if isinstance(extends, list) else []
        for branch in schema.get("allOf", ()):
            target = branch.get("$ref", "") if isinstance(branch, dict) else ""
            if target and "#" not in target:
                yield target
                yield from self.parents(self._component(target, _Place(schema)))
        yield from stated

    def resolve(self, node: dict[str, Any], place: _Place, trail: tuple[str, ...]) -> dict[str, Any]:
        """Return what a subschema demands of a value. `place` is where it stands, `trail` the refs that led here."""
        result: dict[str, Any] = {}
        if "$ref" in node:
            target, target_place = self._target(node["$ref"], place)
            mark = f"{target_place.root.get('$id', '')}#{target_place.pointer}"
            if mark in trail:
                raise CompositionError(
                    f"the XDM schema is recursive: {' -> '.join((*trail, mark))}", target_place.component
                )
            brought = self.resolve(target, target_place, (*trail, mark))
            if "meta:refProperty" in node:
                try:
                    brought = only_fields(brought, node["meta:refProperty"], node["$ref"])
                except ValueError as error:
                    stands = f"{place.component}, #{place.pointer}/meta:refProperty"
                    raise CompositionError(f"{stands}: {error}", place.component) from None
            _merge(result, brought, target_place.component)
        for index, branch in enumerate(node.get("allOf", ())):
            brought = self.resolve(branch, place.step("allOf", index), trail)
            _merge(result, brought, branch.get("$ref", "").partition("#")[0] or place.component)
        own = {key: value for key, value in node.items() if key not in _OWN_MATTERS and key not in _DROPPED}
        if self._left_out is not None:
            for keyword in (*_DROPPED, "anyOf"):
                if keyword in node:
                    self._left_out(LeftOut(place.component, place.step(keyword).pointer))
        if "anyOf" in own:
            del own["anyOf"]
            own["type"] = "string"
        properties = own.pop("properties", {})
        required = own.pop("required", ())
        for keyword in ("items", "additionalProperties"):
            if isinstance(own.get(keyword), dict):
                own[keyword] = self._field(own[keyword], place.step(keyword), trail)
        if "$ref" in node:  # what stands beside a $ref describes it and demands nothing
            own = {key: value for key, value in own.items() if key.startswith("meta:")}
        _merge(result, own, place.component)
        for name, field in properties.items():
            if isinstance(field, dict):
                field_place = place.step("properties", name)
                _put(result, name, self._field(field, field_place, trail), field_place.component)
        for name in required:
            _require(result, name)
        return result

    def _field(self, node: dict[str, Any], place: _Place, trail: tuple[str, ...]) -> dict[str, Any]:
        """Return a resolved field, with the texts that stand where it is used."""
        resolved = self.resolve(node, place, trail)
        texts: dict[str, Any] = {key: node[key] for key in ("title", "description") if key in node}
        if "#" not in node.get("$ref", "#"):
            texts["meta:referencedFrom"] = node["$ref"]
        if "properties" in resolved:
            resolved.setdefault("type", "object")
        if isinstance(resolved.get("type"), str):
            resolved.setdefault("meta:xdmType", xdm_type(resolved))
        return {**texts, **resolved}

    def _target(self, reference: str, place: _Place) -> tuple[dict[str, Any], _Place]:
        """Return what a `$ref` at a place points to, and where that stands."""
        document_id, _, fragment = reference.partition("#")
        document = self._component(document_id, place) if document_id else place.root
        steps = steps_of("/" + fragment.strip("/")) if fragment.strip("/") else []
        node: Any = document
        for step in steps:
            node = node.get(step) if isinstance(node, dict) else None
        if not isinstance(node, dict):
            raise CompositionError(f"$ref {reference!r} in {place.component} points to nothing", place.component)
        return node, _Place(document, tuple(steps))

    def _component(self, component_id: str, place: _Place) -> dict[str, Any]:
        found = self._lookup(component_id)
        if found is None:
            raise CompositionError(
                f"{place.component}, #{place.pointer}: the XDM component {component_id!r} does not exist",
                place.component,
            )
        return found


def xdm_type(field: dict[str, Any]) -> str:
    """Return the `meta:xdmType` of a field that states none but has a `type` ("XDM field type constraints")."""
    kind = str(field["type"])
    if kind == "string" and field.get("format") in ("date", "date-time"):
        return str(field["format"])
    if kind == "integer":
        bounds = [field.get(bound) for bound in ("minimum", "maximum")]
        fits = all(_INT[0] <= bound <= _INT[1] for bound in bounds if isinstance(bound, int | float))
        return "int" if fits else "long"
    if kind == "object" and isinstance(field.get("additionalProperties"), dict) and "properties" not in field:
        return "map"
    return kind


def _put(target: dict[str, Any], name: str, field: dict[str, Any], component: str) -> None:
    """Add a field under its compatible name, in the objects that this name asks for."""
    path = compatible_name(name)
    for step in path[:-1]:
        target = _namespace_object(target, step)
    if path != (name,):
        field = {"meta:xdmField": name, **field}
    properties = target.setdefault("properties", {})
    if path[-1] in properties:
        _merge(properties[path[-1]], field, component, path)
    else:
        properties[path[-1]] = field


def _require(target: dict[str, Any], name: str) -> None:
    """Require a field by its compatible name; another branch may declare it, and is merged with this one later."""
    *outer, last = compatible_name(name)
    for step in outer:
        _require_one(target, step)
        target = _namespace_object(target, step)
    _require_one(target, last)


def _require_one(target: dict[str, Any], name: str) -> None:
    required = target.setdefault("required", [])
    if name not in required:
        required.append(name)


def _namespace_object(target: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the object in `target` that holds the fields of a namespace; create it if needed."""
    made = {"type": "object", "meta:xdmType": "object", "meta:xedConverted": True, "properties": {}}
    found: dict[str, Any] = target.setdefault("properties", {}).setdefault(name, made)
    return found


def _merge(target: dict[str, Any], source: dict[str, Any], component: str, path: tuple[str | int, ...] = ()) -> None:
    """Let `target` demand what `source`, out of a component, demands as well; texts of the later one win."""
    if "type" in target and "type" in source and target["type"] != source["type"]:
        mine, other = target["type"], source["type"]
        raise CompositionError(
            f"{component}{pointer(path)}: the type {other!r} contradicts the earlier type {mine!r}", component
        )
    for key, value in source.items():
        if key == "properties":
            fields = target.setdefault("properties", {})
            for name, field in value.items():
                if name in fields:
                    _merge(fields[name], field, component, (*path, name))
                else:
                    fields[name] = field
        elif key == "required":
            target["required"] = list(dict.fromkeys([*target.get("required", ()), *value]))
        elif key in ("items", "additionalProperties") and isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value, component, (*path, "*"))
        else:
            target[key] = value
