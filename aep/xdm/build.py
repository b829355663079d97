"""Build the schema that the Schema Registry would return, out of component files, for those without access to it.

A schema is one class, any field groups meant for it, and the organisation's own fields, which stand under the field of
its tenant ("Basics of schema composition"; "Schema Registry API: getting started"). What only a registry knows stays
unknown: labels, descriptors other than the identities given, and the version of its library.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from aep.xdm.components import Component, Components
from aep.xdm.compose import LeftOut, Lookup, compose
from aep.xdm.identities import FILE_FORM, Identity, identity_descriptor, with_descriptors
from aep.xdm.merge import CompositionError
from aep.xdm.own_fields import collision, fields_outside
from aep.xdm.pointers import steps_of
from aep.xdm.schema import ResolvedSchema, SchemaError, parse_schema

ALIASES = {
    "profile": "https://ns.adobe.com/xdm/context/profile",
    "experienceevent": "https://ns.adobe.com/xdm/context/experienceevent",
}
"""The two classes that most schemas are of, by a short name."""

BEHAVIOURS = frozenset(f"https://ns.adobe.com/xdm/data/{name}" for name in ("record", "time-series", "adhoc"))
_ADOBE = "https://ns.adobe.com/"
# Its alternatives rule names in standard notation, so nothing is lost with them.
_NAMES_RULE = "https://ns.adobe.com/xdm/common/extensible"
# What the `-notext` media types leave out, and suggested values, which are texts for people too.
_TEXTS = frozenset(["title", "description", "meta:enum"])


class Recipe(NamedTuple):
    """What a schema is to be made of.

    Attributes:
        schema_id: The `$id` of the new schema, which messages must name.
        title: Title of the new schema.
        class_: The class.
        field_groups: The field groups.
        namespace: The field that holds the organisation's own fields, such as `_acme`; None for none.
        own_groups: Those own fields, as `read_own_fields` returns them.
        identities: Its identity fields, written to `meta:descriptors`; empty writes none.
    """

    schema_id: str
    title: str
    class_: Component
    field_groups: Sequence[Component]
    namespace: str | None = None
    own_groups: Sequence[Component] = ()
    identities: Sequence[Identity] = ()


class Built(NamedTuple):
    """A schema, ready to be written to a file, and remarks for the user, a line each."""

    schema: ResolvedSchema
    warnings: tuple[str, ...]


def find_class(components: Components, name: str) -> Component:
    """Return the class of this `$id`, alias or file name.

    Raises:
        SchemaError: There is none, or it is not a class.
    """

    def is_class(component: Component) -> bool:
        return component.classes is None and bool(BEHAVIOURS & set(_lineage(components, component)))

    found = components.find(ALIASES.get(name, name), is_class)
    if not is_class(found):
        raise SchemaError(
            f"{found.path}: {found.id} is not a class: it is not based on a behaviour, such as time-series"
        )
    return found


def find_field_group(components: Components, name: str, class_: Component) -> Component:
    """Return the field group of this `$id` or file name.

    Raises:
        SchemaError: There is none, it is not a field group, or it is not meant for the class.
    """
    found = components.find(name, lambda component: component.classes is not None)
    if found.classes is None:
        raise SchemaError(f"{found.path}: {found.id} is not a field group: it has no meta:intendedToExtend")
    _check_meant_for(found, class_, components)
    return found


def build_schema(recipe: Recipe, components: Components, where: str) -> Built:
    """Compose the schema, without titles and descriptions. The same components give the same bytes.

    Args:
        recipe: What it is made of.
        components: Where all that the class and the field groups refer to is found.
        where: The file it will be written to, for messages.

    Raises:
        SchemaError: A component is missing, recursive or contradicts another; a field of one's own is outside the
            namespace or declared twice; an identity is not a string field of the schema; or records cannot be
            validated with the result.
    """
    components = components.including(recipe.own_groups)
    lost: dict[LeftOut, None] = {}

    def lookup(component_id: str) -> dict[str, Any] | None:
        found = components.get(component_id)
        return found.document if found else None

    def path_of(component_id: str) -> str:
        found = components.get(component_id)
        return found.path if found else component_id

    try:
        _check_own_fields(recipe, components, lookup)
        resolved = compose(_schema(recipe, recipe.own_groups), lookup, lambda rule: lost.setdefault(rule))
    except CompositionError as error:
        raise SchemaError(f"{path_of(error.component)}: {error}") from None
    resolved["properties"] = {name: _without_texts(field) for name, field in resolved["properties"].items()}
    _check_identities(recipe.identities, resolved)
    if recipe.identities:
        document = with_descriptors(
            resolved, [identity_descriptor(recipe.schema_id, *each) for each in recipe.identities]
        )
    else:
        document = orjson.dumps(resolved, option=FILE_FORM)
    warnings = [
        f"{each.path}: {each.id} is deprecated (meta:status)"
        for each in (recipe.class_, *recipe.field_groups)
        if each.document.get("meta:status") == "deprecated"
    ] + [
        f"{path_of(rule.component)}: left out #{rule.pointer}, which compatibility notation cannot express"
        for rule in lost
        if rule.component != _NAMES_RULE
    ]
    return Built(parse_schema(document, where), tuple(warnings))


def _schema(recipe: Recipe, own_groups: Sequence[Component]) -> dict[str, Any]:
    """Return the schema as the registry keeps it, not resolved."""
    parts = (recipe.class_, *recipe.field_groups, *own_groups)
    schema: dict[str, Any] = {
        "$id": recipe.schema_id,
        "meta:resourceType": "schemas",
        "version": "1.0",
        "title": recipe.title,
        "type": "object",
        "meta:class": recipe.class_.id,
        "meta:abstract": False,
        "meta:extensible": False,
        "meta:containerId": "tenant",
        "allOf": [{"$ref": each.id} for each in parts],
    }
    if recipe.schema_id.startswith(_ADOBE):
        schema["meta:altId"] = "_" + recipe.schema_id.removeprefix(_ADOBE).replace("/", ".")
    if recipe.namespace:
        schema["meta:tenantNamespace"] = recipe.namespace
    return schema


def _check_identities(identities: Sequence[Identity], resolved: dict[str, Any]) -> None:
    """Check that identities are string fields of the schema ("Define identity fields")."""
    for each in identities:
        field: Any = resolved
        for step in steps_of(each.pointer):
            field = field.get("properties", {}).get(step) if isinstance(field, dict) else None
        if field is None:
            raise SchemaError(f"identity {each.pointer}: the schema has no such field")
        if field.get("type") != "string":
            raise SchemaError(f"identity {each.pointer}: expected a string field, got type {field.get('type')}")


def _lineage(components: Components, component: Component) -> Iterator[str]:
    """Yield the `$id`s of all components that one is made of, itself left out."""
    waiting, seen = [component], set()
    while waiting:
        for branch in waiting.pop().document.get("allOf", ()):
            parent_id = branch.get("$ref", "").partition("#")[0]
            if parent_id and parent_id not in seen:
                seen.add(parent_id)
                yield parent_id
                parent = components.get(parent_id)
                waiting += [parent] if parent else []


def _check_meant_for(group: Component, class_: Component, components: Components) -> None:
    if group.classes and not set(group.classes) & {class_.id, *_lineage(components, class_)}:
        raise SchemaError(
            f"{group.path}: the field group {group.id} is not meant for {class_.id}, "
            f"but for {', '.join(group.classes)} (meta:intendedToExtend)"
        )


def _check_own_fields(recipe: Recipe, components: Components, lookup: Lookup) -> None:
    """Each own field is under the namespace, at the root or in a standard object or array, and declared once.

    "For custom fields, you must use a top level field named" after the tenant (Schema Registry troubleshooting guide);
    the registry takes it inside standard objects too, as `/person/name/_acme/nickName`.
    """
    namespace = recipe.namespace
    if namespace is None:
        return
    standard = compose(_schema(recipe, ()), lookup).get("properties", {})
    if "meta:xedConverted" in standard.get(namespace, ()):
        raise SchemaError(f"{namespace} is one of Adobe's own fields, not a tenant's: check the tenant")
    declared = [(recipe.class_.path, standard)]
    for group in recipe.own_groups:
        _check_meant_for(group, recipe.class_, components)
        branches = [each for each in group.document.get("allOf", ()) if each.get("$ref", "#").startswith("#")]
        fields = compose({**group.document, "allOf": branches}, lookup).get("properties", {})
        outside = next(fields_outside(fields, standard, namespace), None)
        if outside or not fields:
            what = f"the field {outside!r} is outside {namespace}" if outside else "it declares no fields"
            raise SchemaError(
                f"{group.path}: {what}; put your own fields under {namespace}, at the root or in an object of the "
                "class or a field group"
            )
        for path, others in declared:
            if place := collision(others, fields):
                raise SchemaError(f"{group.path}: the field {place} is also declared in {path}, differently")
        declared.append((group.path, fields))


def _without_texts(field: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in field.items() if key not in _TEXTS}
    for keyword in ("items", "additionalProperties"):
        if isinstance(kept.get(keyword), dict):
            kept[keyword] = _without_texts(kept[keyword])
    if "properties" in kept:
        kept["properties"] = {name: _without_texts(each) for name, each in kept["properties"].items()}
    return kept
