"""From what is wanted and what is there to the steps between them. Pure.

Only what Adobe allows is changed: fields are added to field groups, field groups to schemas, descriptors to schemas;
schemas and datasets are enabled for Profile ("Basics of schema composition", rules of schema evolution; "Enable a
dataset for updates"). Other differences are reported and left alone. What would make the result wrong is a problem, and
with a problem nothing is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aep.platform.flow_service import inlet_of
from aep.provision.inventory import Inventory, dataset_of
from aep.provision.model import Connection, DataSetEntry, Flow, Path, Problem, Provision
from aep.provision.plan_deletions import plan_deletions
from aep.provision.plan_destinations import plan_destination, plan_segment
from aep.provision.plan_registry import plan_field_group, plan_schema
from aep.provision.steps import (
    Action,
    CreateConnection,
    CreateDataSet,
    CreateFlow,
    CreateSource,
    CreateTarget,
    EnableDataSet,
    Plan,
    Step,
    Work,
    ambiguous,
    settle,
    text_notes,
)


def make_plan(
    wanted: Provision, inventory: Inventory, tenant: str, *, prune: bool = False, rotate: bool = False
) -> Plan:
    """Compare the file with what exists.

    Args:
        wanted: What passed `checks.check`, with the tenant id in it.
        inventory: The existing objects.
        tenant: The tenant id.
        prune: Whether to delete what the file marks for it.
        rotate: Whether to send the credentials of destinations again.
    """
    plan = Plan()
    for index, group in enumerate(wanted.field_groups):
        if not group.delete:
            plan_field_group(plan, group, inventory, f"_{tenant}", ("field_groups", index))
    for index, schema in enumerate(wanted.schemas):
        if not schema.delete:
            plan_schema(plan, wanted, schema, inventory, ("schemas", index))
    for index, dataset in enumerate(wanted.datasets):
        if not dataset.delete:
            _dataset(plan, dataset, inventory, ("datasets", index))
    for index, connection in enumerate(wanted.connections):
        if not connection.delete:
            _connection(plan, connection, inventory, ("connections", index))
    for index, flow in enumerate(wanted.flows):
        if not flow.delete:
            _flow(plan, flow, inventory, ("flows", index))
    for index, segment in enumerate(wanted.segments):
        if not segment.delete:
            plan_segment(plan, segment, inventory.exports, ("segments", index))
    for index, destination in enumerate(wanted.destinations):
        if not destination.delete:
            plan_destination(plan, wanted, destination, inventory, ("destinations", index), rotate=rotate)
    plan_deletions(plan, wanted, inventory, prune=prune)
    return plan


def _dataset(plan: Plan, dataset: DataSetEntry, inventory: Inventory, path: Path) -> None:
    of_name = inventory.datasets.get(dataset.name, ())
    schema_id = plan.ids.get(("schema", dataset.schema_ or ""))
    fitting = [each for each in of_name if each.schema_id == schema_id]
    if not of_name:
        words = ("for Profile",) if dataset.profile else ()
        plan.steps.append(Step("dataset", dataset.name, Action.CREATE, words, CreateDataSet(dataset)))
        return
    if not fitting:
        text = f"schema: {dataset.name} exists with the schema {of_name[0].schema_id}: give another name"
        plan.problems.append(Problem((*path, "schema"), text))
        return
    if len(fitting) > 1:
        plan.problems.append(ambiguous("datasets", dataset.name, [each.id for each in fitting], path))
        return
    there = fitting[0]
    plan.ids["dataset", dataset.name] = there.id
    notes = text_notes(there.document, dataset.description)
    enable = dataset.profile and not there.for_profile
    if enable:
        work = EnableDataSet(there.id)
        plan.steps.append(Step("dataset", dataset.name, Action.CHANGE, ("enables it for Profile",), work))
    elif there.for_profile and not dataset.profile:
        notes.append("is enabled for Profile")
    settle(plan, "dataset", dataset.name, notes, changed=enable)


def _connection(plan: Plan, connection: Connection, inventory: Inventory, path: Path) -> None:
    if connection.api == "inlet":
        there = [(each.id, each) for each in inventory.inlets.get(connection.name, ())]
    else:
        of_name = inventory.connections.get(connection.name, ())
        there = [(str(each["id"]), inlet) for each in of_name if (inlet := inlet_of(each)) is not None]
        if of_name and not there:
            text = (
                f"name: {connection.name} ({of_name[0]['id']}) exists and has no inlet yet: run this again in a minute"
            )
            plan.problems.append(Problem((*path, "name"), text))
            return
    fitting = [(object_id, inlet) for object_id, inlet in there if inlet.data_type == connection.data_type]
    if not there:
        words = [connection.data_type, "authenticated" if connection.authentication_required else "without a token"]
        if connection.api == "inlet":
            words.append("by the older inlet API")
        work = CreateConnection(connection)
        plan.steps.append(Step("connection", connection.name, Action.CREATE, (", ".join(words),), work))
        return
    if not fitting:
        text = f"data_type: {connection.name} exists and takes {there[0][1].data_type}: give another name"
        plan.problems.append(Problem((*path, "data_type"), text))
        return
    if len(fitting) > 1:
        plan.problems.append(ambiguous("connections", connection.name, [each for each, _ in fitting], path))
        return
    ((plan.ids["connection", connection.name], inlet),) = fitting
    notes = []
    if inlet.authentication_required != connection.authentication_required:
        notes.append(f"{'wants an' if inlet.authentication_required else 'wants no'} access token")
    if connection.source_id is not None and inlet.source_id != connection.source_id:
        notes.append(f"has the source id {inlet.source_id}")
    settle(plan, "connection", connection.name, notes)


def _flow(plan: Plan, flow: Flow, inventory: Inventory, path: Path) -> None:
    of_name = inventory.flows.get(flow.name, ())
    connection_id = plan.ids.get(("connection", flow.connection or ""))
    dataset_id = plan.ids.get(("dataset", flow.dataset or ""))
    if of_name:
        fitting = [each for each in of_name if (each.connection_id, each.dataset_id) == (connection_id, dataset_id)]
        if len(fitting) == 1:
            plan.ids["dataflow", flow.name] = fitting[0].id
            declared = {(each.source, each.destination) for each in flow.mappings}
            known = fitting[0].mappings
            notes = ["maps otherwise"] if known is not None and known != declared else []
            if fitting[0].state not in ("", "enabled"):
                notes.append(f"is {fitting[0].state}, so that it takes no data")
            settle(plan, "dataflow", flow.name, notes)
        elif fitting:
            plan.problems.append(ambiguous("dataflows", flow.name, [each.id for each in fitting], path))
        else:
            text = (
                f"name: the dataflow {flow.name} exists and connects another connection or dataset: give another name"
            )
            plan.problems.append(Problem((*path, "name"), text))
        return
    source = next(
        (each for each in inventory.sources.get(flow.name, ()) if each.get("baseConnectionId") == connection_id), None
    )
    target = next((each for each in inventory.targets.get(flow.name, ()) if dataset_of(each) == dataset_id), None)
    parts: tuple[tuple[str, Mapping[str, Any] | None, Work], ...] = (
        ("source connection", source, CreateSource(flow)),
        ("target connection", target, CreateTarget(flow)),
    )
    for kind, there, work in parts:
        if there is None:
            plan.steps.append(Step(kind, flow.name, Action.CREATE, work=work))
        else:
            plan.ids[kind, flow.name] = str(there["id"])
            plan.steps.append(Step(kind, flow.name, Action.RIGHT))
    words = (f"{len(flow.mappings)} mappings",) if flow.mappings else ()
    plan.steps.append(Step("dataflow", flow.name, Action.CREATE, words, CreateFlow(flow)))
