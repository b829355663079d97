"""Compose a schema of classes, field groups and data types into one resolved schema in compatibility notation.

The Schema Registry does this for the `xed-full` media types ("Schema Registry API: getting started", "Basics of
schema composition"); the notation is that of "Compatibility mode" (appendix of the Schema Registry guide): `@id`
becomes `_id`, `xdm:timestamp` becomes `timestamp`, `repo:createDate` becomes `_repo.createDate`.
`meta:refProperty` selects fields of a component ("Add specific fields to a schema").
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from aep.xdm.merge import CompositionError, merge, put, require, xdm_type
from aep.xdm.pointers import pointer, steps_of
from aep.xdm.ref_property import only_fields

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
        """Return what a subschema demands of a value. `place` is its position, `trail` the refs that led here."""
        _check_shape(node, place)
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
            merge(result, brought, target_place.component)
        for index, branch in enumerate(node.get("allOf", ())):
            brought = self.resolve(branch, place.step("allOf", index), trail)
            merge(result, brought, branch.get("$ref", "").partition("#")[0] or place.component)
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
        merge(result, own, place.component)
        for name, field in properties.items():
            if isinstance(field, dict):
                field_place = place.step("properties", name)
                put(result, name, self._field(field, field_place, trail), field_place.component)
        for name in required:
            require(result, name)
        return result

    def _field(self, node: dict[str, Any], place: _Place, trail: tuple[str, ...]) -> dict[str, Any]:
        """Return a resolved field, with the texts from where it is used."""
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
        """Return the target of a `$ref` at a place, and the target's position."""
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


_SHAPES: tuple[tuple[str, type, str], ...] = (
    ("$ref", str, "a string"),
    ("allOf", list, "a list"),
    ("properties", dict, "an object"),
    ("required", list, "a list of strings"),
)


def _check_shape(node: Any, place: _Place) -> None:
    """Check the members of a subschema that composition follows: whoever wrote it may have put anything there."""
    where = f"{place.component}, #{place.pointer}"
    if not isinstance(node, dict):
        raise CompositionError(f"{where}: expected an object", place.component)
    for key, kind, called in _SHAPES:
        if key in node and not isinstance(node[key], kind):
            raise CompositionError(f"{where}/{key}: expected {called}", place.component)
    if not all(isinstance(each, str) for each in node.get("required", ())):
        raise CompositionError(f"{where}/required: expected a list of strings", place.component)
