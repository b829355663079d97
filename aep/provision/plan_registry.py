"""Changes to the Schema Registry: field groups, schemas and identities, compared with the existing resources. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aep.provision.checks import own_field
from aep.provision.fields import Missing, Retyped, differences, inside, is_own, json_schema, type_of
from aep.provision.inventory import Inventory
from aep.provision.model import CLASSES, FieldGroup, FieldSpec, IdentityField, Path, Problem, Provision, Schema
from aep.provision.steps import (
    Action,
    AddFieldGroups,
    CreateFieldGroup,
    CreateIdentity,
    CreateSchema,
    EnableSchema,
    PatchFieldGroup,
    Plan,
    Step,
    settle,
    text_notes,
)
from aep.xdm.pointers import pointer, steps_of

# Those that every organisation has, in small letters (Privacy Service API guide, appendix; the hashed e-mail address:
# "Amazon Kinesis connection", sample).
_STANDARD_NAMESPACES = frozenset(
    ("adcloud", "core", "ecid", "email", "email_lc_sha256", "gaid", "idfa", "phone", "tntid", "waid")
)


# Of what a schema gets that may have data already ("Basics of schema composition", "Ingest streaming record data").
_THEN_REQUIRED = "required: from then on AEP rejects records without it"


def plan_field_group(plan: Plan, group: FieldGroup, inventory: Inventory, own: str, path: Path) -> None:
    """Plan a field group: create it, or add the fields that it lacks."""
    if not _titled(plan, "field group", group.title, inventory, path):
        plan.steps.append(Step("field group", group.title, Action.CREATE, work=CreateFieldGroup(group)))
        return
    there = inventory.field_groups[group.title]
    notes, added = text_notes(there, group.description), []
    meant = there.get("meta:intendedToExtend") or ()
    notes += [f"is not meant to extend {name}" for name in group.classes if CLASSES.get(name, name) not in meant]
    operations: list[dict[str, Any]] = []
    holder = own_node(there, {own, *group.fields})
    if holder is None:
        notes.append(f"does not have its fields under {own} in one definition of its own, so none can be added")
    else:
        place, node = holder
        for each in differences(group.fields, node, place):
            dotted = ".".join(each.path)
            if isinstance(each, Missing):
                operations += _addition(each, {op["path"] for op in operations})
                kind = f"{each.spec.type}, {_THEN_REQUIRED}" if each.spec.required else each.spec.type
                added.append(f"adds {dotted} ({kind})")
            elif isinstance(each, Retyped):
                text = f"{dotted}: is of type {each.existing}, and "
                text += f"a field keeps its type: {each.wanted} needs another name"
                plan.problems.append(Problem((*path, *field_path(each.path)), text))
            else:
                notes.append(f"{dotted} {each.what}")
    if operations:
        work = PatchFieldGroup(plan.ids["field group", group.title], tuple(operations))
        plan.steps.append(Step("field group", group.title, Action.CHANGE, tuple(added), work))
    settle(plan, "field group", group.title, notes, changed=bool(operations))


def field_path(names: Sequence[str]) -> Path:
    """Return where in the entry of a field group a field is declared."""
    path: list[str | int] = ["fields", names[0]]
    for name in names[1:]:
        path += ["items"] if name == "*" else ["fields", name]
    return tuple(path)


def _addition(missing: Missing, places: set[str]) -> Iterator[dict[str, Any]]:
    """Yield operations that add a field, and to `required` if it must be there."""
    name = missing.path[-1]
    yield {"op": "add", "path": f"{missing.place}/properties/{name}", "value": json_schema(missing.spec)}
    required = f"{missing.place}/required"
    if missing.spec.required and missing.first_required and required not in places:
        yield {"op": "add", "path": required, "value": [name]}
    elif missing.spec.required:
        yield {"op": "add", "path": f"{required}/-", "value": name}


def plan_schema(plan: Plan, wanted: Provision, schema: Schema, inventory: Inventory, path: Path) -> None:
    """Plan a schema with its identities: create it, or add what it lacks."""
    faults = list(part_faults(schema, inventory, path))
    plan.problems += faults or holder_faults(wanted, schema, inventory)
    if not faults:
        plan.problems += identity_faults(wanted, schema, inventory, path)
    if not _titled(plan, "schema", schema.title, inventory, path):
        words = ("for Profile",) if schema.profile else ()
        plan.steps.append(Step("schema", schema.title, Action.CREATE, words, CreateSchema(schema)))
        for identity in schema.identities:
            plan.steps.append(_new_identity(schema, identity))
        return
    there, schema_id = inventory.schemas[schema.title], plan.ids["schema", schema.title]
    notes, changed = text_notes(there, schema.description), False
    branches = [each for each in there.get("allOf") or () if isinstance(each, Mapping)]
    references = [each.get("$ref") for each in branches]
    if schema.class_id not in (there.get("meta:class"), *references):
        text = f"class: {schema.title} exists with the class {there.get('meta:class')}: give another title"
        plan.problems.append(Problem((*path, "class"), text))
    ids = {name: plan.ids.get(("field group", name), name) for name in schema.field_groups}
    names = tuple(name for name in schema.field_groups if ids[name] not in references)
    whole = [each.get("$ref") for each in branches if "meta:refProperty" not in each]
    in_part = [name for name in schema.field_groups if name not in names and ids[name] not in whole]
    notes += [f"takes only some fields of the field group {name}" for name in in_part]
    if names:
        reasons = tuple(f"adds the field group {name}" for name in names)
        plan.steps.append(Step("schema", schema.title, Action.CHANGE, reasons, AddFieldGroups(schema_id, names)))
        changed = True
    _described(plan, schema, schema_id, inventory, path)
    united = "union" in (there.get("meta:immutableTags") or ())
    if schema.profile and not united:
        step = Step("schema", schema.title, Action.CHANGE, ("enables it for Profile",), EnableSchema(schema_id))
        plan.steps.append(step)
        changed = True
    elif united and not schema.profile:
        notes.append("is enabled for Profile, which cannot be undone")
    settle(plan, "schema", schema.title, notes, changed=changed)


def _new_identity(schema: Schema, identity: IdentityField) -> Step:
    words = [f"{identity.namespace}{', primary' if identity.primary else ''}"]
    if identity.namespace.lower() not in _STANDARD_NAMESPACES:
        words.append(f"{identity.namespace} is a namespace of your own: create it in AEP first if it does not exist")
    name = f"{schema.title}: {identity.field}"
    return Step("identity", name, Action.CREATE, tuple(words), CreateIdentity(schema.title, identity))


def _described(plan: Plan, schema: Schema, schema_id: str, inventory: Inventory, path: Path) -> None:
    """Plan the identity descriptors of an existing schema."""
    there = {
        str(each.get("xdm:sourceProperty")): each
        for each in inventory.descriptors
        if each.get("xdm:sourceSchema") == schema_id
    }
    primary = next((place for place, each in there.items() if each.get("xdm:isPrimary")), None)
    for number, identity in enumerate(schema.identities):
        known = there.get(identity.field)
        if known is None:
            if identity.primary and primary is not None:
                text = f"primary: {primary} is the primary identity of {schema.title} already, and a schema has one"
                plan.problems.append(Problem((*path, "identities", number, "primary"), text))
            step = _new_identity(schema, identity)
            plan.steps.append(replace(step, reasons=(*step.reasons, _THEN_REQUIRED)) if identity.primary else step)
            continue
        notes = []
        if str(known.get("xdm:namespace")) != identity.namespace:
            notes.append(f"has the namespace {known.get('xdm:namespace')}")
        if bool(known.get("xdm:isPrimary")) != identity.primary:
            notes.append("is not primary" if identity.primary else "is primary")
        settle(plan, "identity", f"{schema.title}: {identity.field}", notes)


def _titled(plan: Plan, kind: str, title: str, inventory: Inventory, path: Path) -> bool:
    """Note the id of a resource of the registry; False if there is none, or its title is another kind's."""
    there = inventory.titles.get(title)
    if there is not None and there[0] != kind:
        text = f"title: {title} is taken by a {there[0]}, and titles must be unique: give another ({there[1]})"
        plan.problems.append(Problem((*path, "title"), text))
    if there is None or there[0] != kind:
        return False
    plan.ids[kind, title] = there[1]
    return True


_HERE = "#/definitions/"


def own_node(group: Mapping[str, Any], names: Collection[str]) -> tuple[str, Mapping[str, Any]] | None:
    """Find the one node of an unresolved field group that declares fields of the organisation.

    Args:
        group: The field group.
        names: The organisation's own field, and the standard fields that contain it.

    Returns:
        Its JSON pointer in the field group, and the node; None if there is none, or several.
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


def part_faults(schema: Schema, inventory: Inventory, path: Path) -> Iterator[Problem]:
    """Yield the `$id`s that a schema is to be made of and that the registry does not have."""
    if schema.class_id not in inventory.components:
        yield Problem((*path, "class"), f"class: the registry has no class {schema.class_id}")
    for number, name in enumerate(schema.field_groups):
        if name in schema.parts_elsewhere and name not in inventory.components:
            yield Problem((*path, "field_groups", number), f"{name}: the registry has no such field group")


def holder_faults(wanted: Provision, schema: Schema, inventory: Inventory) -> Iterator[Problem]:
    """Find own fields in objects and arrays that the class and the other field groups of a schema do not have."""
    parts = [inventory.components[each] for each in schema.parts_elsewhere if each in inventory.components]
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


def identity_faults(wanted: Provision, schema: Schema, inventory: Inventory, path: Path) -> Iterator[Problem]:
    """Yield the identities of a schema whose field is in none of its parts."""
    for number, identity in enumerate(schema.identities):
        steps = steps_of(identity.field)
        if own_field(wanted, schema, steps) is not None:
            continue
        parts = [inventory.components.get(each) for each in schema.parts_elsewhere]
        if not any(part is not None and leads(part, steps) for part in parts):
            text = f"field: {identity.field} is not a field of schema {schema.title}, nor of its class or field groups"
            yield Problem((*path, "identities", number, "field"), text)


def leads(node: Any, steps: Sequence[str]) -> bool:
    """Return whether a path of names leads to a field of a resolved schema or field group."""
    for step in steps:
        node = (node.get("properties") or {}).get(step) if isinstance(node, Mapping) else None
    return node is not None
