"""Deletions: what the file marks for them and is there, those first that are made of others. Pure.

Most names are not unique in AEP, and a deletion cannot be undone. So nothing is deleted of which the entry does not
say whether it is meant: one of several with its name, a dataflow of another source, or what something else uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from aep.platform.catalog import DataSet
from aep.provision.inventory import Inventory
from aep.provision.inventory_destinations import DestinationInventory
from aep.provision.model import DataSetEntry, Path, Problem, Provision
from aep.provision.steps import Action, Delete, Part, Plan, Step, ambiguous

_Parts = tuple[tuple[str, str], ...]  # (kind, id), in the order of their deletion


class _Doomed(NamedTuple):
    """What is to be deleted at once: as a row of the plan has it, and what it is made of."""

    kind: str
    name: str
    parts: _Parts
    words: str = ""


def plan_deletions(plan: Plan, wanted: Provision, inventory: Inventory, *, prune: bool) -> None:
    """Plan the deletions; without `prune`, say of what they are."""
    doomed = list(_doomed(plan, wanted, inventory, prune=prune))
    if prune:
        plan.problems += _in_use(wanted, doomed, inventory)
    for kind, name, parts, words in doomed:
        if prune:
            plan.steps.append(Step(kind, name, Action.DELETE, (words,) if words else (), Delete(parts)))
        else:
            plan.steps.append(Step(kind, name, Action.KEPT, ("is marked delete: true: --prune deletes it",)))


def _doomed(plan: Plan, wanted: Provision, inventory: Inventory, *, prune: bool) -> Iterator[_Doomed]:
    exports = inventory.exports

    def one(kind: str, name: str, ids: Sequence[str], path: Path) -> None:
        if prune and len(ids) > 1:
            plan.problems.append(ambiguous(kind, name, ids, path))

    def kept(kind: str, name: str, why: str) -> None:
        plan.steps.append(Step(kind, name, Action.DIFFERS, (f"{why}, so it is not deleted",)))

    for index, destination in enumerate(wanted.destinations):
        if destination.delete:
            name = destination.name
            found = [str(each.flow["id"]) for each in exports.destinations.get(name, ()) if each.leads_to_kinesis]
            one("destinations", name, found, ("destinations", index))
            if made_of := _parts_of_destination(name, exports, inventory.users):
                yield _Doomed(Part.FLOW.value, name, made_of, "with its connections")
    for index, segment in enumerate(wanted.segments):
        ids = [str(each["id"]) for each in exports.segments if segment.delete and each["name"] == segment.name]
        one("segments", segment.name, ids, ("segments", index))
        for each in ids:
            yield _Doomed("segment", segment.name, (("segment", each),))
    for index, flow in enumerate(wanted.flows):
        if flow.delete:
            flows = inventory.flows.get(flow.name, ())
            ids = [each.id for each in flows if each.is_streaming]
            one("dataflows", flow.name, ids, ("flows", index))
            if flows and not ids:
                kept("dataflow", flow.name, "is not from a streaming connection")
            yield from _parts_of_flow(flow.name, inventory)
    for index, connection in enumerate(wanted.connections):
        if connection.delete:
            ids = [str(each["id"]) for each in inventory.connections.get(connection.name, ())]
            one("connections", connection.name, ids, ("connections", index))
            for each in ids:
                yield _Doomed("connection", connection.name, (("connection", each),))
    for index, dataset in enumerate(wanted.datasets):
        if dataset.delete:
            ids = [each.id for each in _of_its_schema(dataset, inventory)]
            one("datasets", dataset.name, ids, ("datasets", index))
            if inventory.datasets.get(dataset.name) and not ids:
                kept("dataset", dataset.name, "has another schema than its entry")
            for each in ids:
                yield _Doomed("dataset", dataset.name, (("dataset", each),), "with its data")
    for kind, titles in (
        ("schema", [each.title for each in wanted.schemas if each.delete]),
        ("field group", [each.title for each in wanted.field_groups if each.delete]),
    ):
        for title in titles:
            if inventory.titles.get(title, ("",))[0] == kind:
                yield _Doomed(kind, title, ((kind, inventory.titles[title][1]),))


def _of_its_schema(dataset: DataSetEntry, inventory: Inventory) -> list[DataSet]:
    """Return the datasets of the name of an entry, of its schema only if it has one."""
    of_name = inventory.datasets.get(dataset.name, ())
    if dataset.schema_ is None:
        return list(of_name)
    schema_id = inventory.titles.get(dataset.schema_, ("", ""))[1]
    return [each for each in of_name if each.schema_id == schema_id]


def _parts_of_flow(name: str, inventory: Inventory) -> Iterator[_Doomed]:
    """Yield the dataflows of a name with their connections, and the connections that an interrupted deletion left."""
    for flow in inventory.flows.get(name, ()):
        if flow.is_streaming:
            parts = {flow.id: "dataflow"}
            for kind, part in (("source connection", flow.source_id), ("target connection", flow.target_id)):
                _doom(parts, kind, part, inventory.users)
            yield _Doomed("dataflow", name, _in_order(parts))
    for kind, of_name in (("source connection", inventory.sources), ("target connection", inventory.targets)):
        for left in of_name.get(name, ()):
            if not inventory.users.get(str(left["id"])):
                yield _Doomed(kind, name, ((kind, str(left["id"])),), "which no dataflow has")


def _parts_of_destination(name: str, exports: DestinationInventory, users: Mapping[str, frozenset[str]]) -> _Parts:
    """Return what a destination is made of and nothing else uses.

    What an interrupted deletion or creation left is among it.
    """
    ends = [each for each in exports.destinations.get(name, ()) if each.leads_to_kinesis]
    order: list[tuple[str, Sequence[Mapping[str, Any]]]] = [
        ("dataflow", [each.flow for each in ends]),
        ("target connection", [*(each.target for each in ends), *exports.targets.get(name, ())]),
        ("source connection", [*(each.source for each in ends), *exports.sources.get(name, ())]),
    ]
    parts: dict[str, str] = {}
    for kind, entities in order:
        for entity in entities:
            _doom(parts, kind, str(entity.get("id", "")), users)
    bases = [str(end.get("baseConnectionId", "")) for each in ends for end in (each.target, each.source)]
    bases += [str(each["id"]) for of_name in (exports.streams, exports.stores) for each in of_name.get(name, ())]
    for base_id in bases:
        _doom(parts, "connection", base_id, users)
    return _in_order(parts)


def _doom(parts: dict[str, str], kind: str, object_id: str, users: Mapping[str, frozenset[str]]) -> None:
    """Add an object to those that are to be deleted, unless one uses it that is not."""
    if object_id and users.get(object_id, frozenset()) <= parts.keys():
        parts.setdefault(object_id, kind)


def _in_order(parts: Mapping[str, str]) -> _Parts:
    return tuple((kind, object_id) for object_id, kind in parts.items())


def _in_use(wanted: Provision, doomed: Sequence[_Doomed], inventory: Inventory) -> Iterator[Problem]:
    """Yield what something uses that is to stay. AEP would refuse halfway, or what stays would take no more data."""
    gone = {object_id for each in doomed for _, object_id in each.parts}
    users, none = inventory.users, frozenset[str]()
    for key, kind, names in (
        ("connections", "connection", [each.name for each in wanted.connections]),
        ("datasets", "dataset", [each.name for each in wanted.datasets]),
    ):
        for each in doomed:
            if each.kind == kind:
                ends = {end for _, part in each.parts for end in users.get(part, none)}
                flows = {flow for end in ends for flow in users.get(end, none)} - gone
                if flows:
                    text = f"delete: other dataflows use {each.name} ({', '.join(sorted(flows))}): delete them first"
                    yield Problem((key, names.index(each.name), "delete"), text)
    for index, schema in enumerate(wanted.schemas):
        schema_id = inventory.titles.get(schema.title, ("", ""))[1]
        left = [one for one in inventory.all_datasets if one.schema_id == schema_id and one.id not in gone]
        if schema.delete and left:
            named = ", ".join(f"{one.name} ({one.id})" for one in left)
            text = f"delete: other datasets have the schema {schema.title}: delete them first: {named}"
            yield Problem(("schemas", index, "delete"), text)
