"""What can be told of resources that are in the registry already: where their fields are, and which there are. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from aep.provision.checks import own_field
from aep.provision.field_checks import inside, is_own
from aep.provision.fields import type_of
from aep.provision.found import Found
from aep.provision.model import FieldSpec, Provision, Schema
from aep.provision.problem import Path, Problem
from aep.xdm.pointers import pointer, steps_of

_HERE = "#/definitions/"


def own_node(group: Mapping[str, Any], names: Collection[str]) -> tuple[str, Mapping[str, Any]] | None:
    """Find the one node of an unresolved field group that declares fields of the organisation.

    Args:
      group: the field group.
      names: the organisation's own field, and the standard fields that contain it.

    Returns:
      its JSON pointer in the field group, and the node; None if there is none, or several.
    """
    nodes: list[tuple[str, Any]] = [("", group)]
    for index, branch in enumerate(group.get("allOf") or ()):
        reference = branch.get("$ref", "") if isinstance(branch, Mapping) else ""
        if reference.startswith(_HERE):
            name = reference.removeprefix(_HERE)
            nodes.append((pointer(("definitions", name)), (group.get("definitions") or {}).get(name)))
        else:
            nodes.append((pointer(("allOf", index)), branch))
    holding = [
        (place, node)
        for place, node in nodes
        if isinstance(node, Mapping) and any(name in names for name in node.get("properties") or ())
    ]
    return holding[0] if len(holding) == 1 else None


def part_faults(schema: Schema, found: Found, path: Path) -> Iterator[Problem]:
    """The `$id`s that a schema is to be made of and that the registry does not have."""
    if schema.class_id not in found.components:
        yield Problem((*path, "class"), f"class: the registry has no class {schema.class_id}")
    for number, name in enumerate(schema.field_groups):
        if name in schema.parts_elsewhere and name not in found.components:
            yield Problem((*path, "field_groups", number), f"{name}: the registry has no such field group")


def holder_faults(wanted: Provision, schema: Schema, found: Found) -> Iterator[Problem]:
    """Find own fields in objects and arrays that the class and the other field groups of a schema do not have."""
    parts = [found.components[each] for each in schema.parts_elsewhere if each in found.components]
    for index, group in enumerate(wanted.field_groups):
        if group.title in schema.field_groups:
            yield from _holder_faults(group.fields, parts, schema, ("field_groups", index))


def _holder_faults(
    fields: Mapping[str, FieldSpec], nodes: Sequence[Mapping[str, Any]], schema: Schema, path: Path
) -> Iterator[Problem]:
    for name, spec in fields.items():
        place = (*path, "fields", name)
        inner = inside(spec, place)
        if is_own(name) or inner is None:
            continue
        there = [fields_there[name] for node in nodes if name in (fields_there := node.get("properties") or {})]
        if not there or any(type_of(node) != spec.type for node in there):
            kind = (
                f"{name} is of type {type_of(there[0])}, not {spec.type}" if there else f"there is no {name} to extend"
            )
            yield Problem(place, f"{name}: {kind} in the class and the other field groups of schema {schema.title}")
        else:
            yield from _holder_faults(inner[0], [_innermost(node) for node in there], schema, inner[1])


def _innermost(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object itself, or the objects in an array."""
    while isinstance(node.get("items"), Mapping):
        node = node["items"]
    return node


def identity_faults(wanted: Provision, schema: Schema, found: Found, path: Path) -> Iterator[Problem]:
    """The identities of a schema whose field is in none of its parts."""
    for number, identity in enumerate(schema.identities):
        steps = steps_of(identity.field)
        if own_field(wanted, schema, steps) is not None:
            continue
        parts = [found.components.get(each) for each in schema.parts_elsewhere]
        if not any(part is not None and _leads(part, steps) for part in parts):
            text = f"field: {identity.field} is no field of schema {schema.title}, nor of what it is made of"
            yield Problem((*path, "identities", number, "field"), text)


def _leads(node: Any, steps: list[str]) -> bool:
    for step in steps:
        node = (node.get("properties") or {}).get(step) if isinstance(node, Mapping) else None
    return node is not None
