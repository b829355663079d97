"""Deletions with `--prune` in an organisation of the emulator: all that an entry names, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aep.errors import ReplyError
from aep.http.transport import Reply, Request, Transport
from aep.platform.flow_service import (
    HTTP_STREAMING,
    MAPPING_FLOW,
    PLAIN_FLOW,
    data_lake_target,
    streaming_connection,
    streaming_flow,
    streaming_source,
)
from aep.provision.apply import apply
from aep.provision.inventory import look
from aep.provision.plan import make_plan
from aep.provision.steps import Action, Delete
from aep.xdm.schema import FULL_MEDIA_TYPE
from tests.aep.management import Organisation
from tests.aep.provision.test_apply import ALL, counts
from tests.aep.provisioning import Severed, carried_out, parsed, planned, sample, services_of


def test_pruned(organisation: Organisation) -> None:
    carried_out(sample(), organisation)
    document = sample()
    document["routes"] = []
    for kind in ("field_groups", "schemas", "datasets", "flows"):
        for each in document[kind]:
            each["delete"] = True
    document["connections"][0]["delete"] = document["connections"][1]["delete"] = True
    assert planned(document, organisation).work == []
    carried_out(document, organisation, prune=True)
    assert counts(organisation) == {**dict.fromkeys(ALL, 0), "inlets": 1}
    assert planned(document, organisation, prune=True).work == []


@pytest.mark.parametrize("at", range(1, 7))
def test_pruning_that_is_interrupted_is_continued(organisation: Organisation, at: int) -> None:
    document = sample()
    document["routes"] = []
    carried_out(document, organisation)
    document["flows"][0]["delete"] = document["flows"][1]["delete"] = True
    wanted = parsed(document, organisation.name)
    plan = make_plan(wanted, look(wanted, services_of(organisation)), organisation.name, prune=True)
    with pytest.raises(ReplyError):
        apply(plan, services_of(organisation, Severed(organisation.transport, at, arrives=True)), lambda *_: None)
    carried_out(document, organisation, prune=True)
    assert counts(organisation) == {**ALL, "sources": 0, "targets": 0, "flows": 0}
    assert planned(document, organisation, prune=True).work == []


def test_pruning_leaves_the_connections_of_other_dataflows(organisation: Organisation) -> None:
    document = sample()
    document["routes"] = []
    ids = carried_out(document, organisation)
    # Somebody has given the dataflow another name.
    flows = organisation.flow_service.flows
    flow = flows.look_up(ids["dataflow", "Members"])
    flows.patch(str(flow["id"]), str(flow["etag"]), [{"op": "replace", "path": "/name", "value": "Renamed"}])
    document["flows"][0]["delete"] = True
    assert planned(document, organisation, prune=True).work == []


class Elsewhere:
    """Makes connections and dataflows look like those of another source, such as Salesforce."""

    def __init__(self, transport: Transport):
        self._transport = transport

    def send(self, request: Request) -> Reply:
        reply = self._transport.send(request)
        body = reply.body
        for known in (HTTP_STREAMING, PLAIN_FLOW, MAPPING_FLOW):
            body = body.replace(known.encode(), b"cfc0fee1-7dc0-40ef-b73e-d8b134c436f5")
        return replace(reply, body=body)


def test_pruning_leaves_dataflows_of_other_sources_that_have_the_same_name(organisation: Organisation) -> None:
    document = sample()
    document["routes"] = []
    carried_out(document, organisation)
    document["flows"][0]["delete"] = document["flows"][1]["delete"] = True
    wanted = parsed(document, organisation.name)
    there = look(wanted, services_of(organisation, Elsewhere(organisation.transport)))
    plan = make_plan(wanted, there, organisation.name, prune=True)
    assert [step.kind for step in plan.work if step.action is Action.DELETE] == []
    told = [(step.name, step.reasons) for step in plan.steps if step.kind == "dataflow"]
    why = ("is not from a streaming connection, so it is not deleted",)
    assert told == [("Members", why), ("Raw members", why)]
    assert len(planned(document, organisation, prune=True).work) == 2


def test_pruning_leaves_a_connection_that_another_dataflow_has_as_well(organisation: Organisation) -> None:
    document = sample()
    document["routes"] = []
    ids = carried_out(document, organisation)
    source_id, target_id = ids["source connection", "Members"], ids["target connection", "Members"]
    other = organisation.flow_service.flows.create(streaming_flow("Somebody's", source_id, target_id))
    document["flows"][0]["delete"] = True
    carried_out(document, organisation, prune=True)
    assert counts(organisation) == ALL  # theirs in the place of ours
    assert planned(document, organisation, prune=True).work == []

    document["connections"][0]["delete"] = True
    (problem,) = planned(document, organisation, prune=True).problems
    assert problem.path == ("connections", 0, "delete")
    assert problem.text == f"delete: other dataflows use Stream ({other.id}): delete them first"


def test_pruning_leaves_a_schema_and_a_dataset_that_something_else_has(organisation: Organisation) -> None:
    document = sample()
    document["routes"] = document["flows"] = []
    ids = carried_out(document, organisation)
    schema_id, dataset_id = ids["schema", "Member"], ids["dataset", "Members"]
    other = organisation.catalog.create_dataset("Somebody's", schema_id, f"{FULL_MEDIA_TYPE};version=1")
    flows = organisation.flow_service
    source = flows.source_connections.create(streaming_source("Theirs", ids["connection", "Stream"]))
    target = flows.target_connections.create(data_lake_target("Theirs", dataset_id, schema_id))
    flow = flows.flows.create(streaming_flow("Theirs", source.id, target.id))
    document["datasets"][0]["delete"] = document["schemas"][0]["delete"] = True
    of_dataset, of_schema = planned(document, organisation, prune=True).problems
    assert (of_dataset.path, of_schema.path) == (("datasets", 0, "delete"), ("schemas", 0, "delete"))
    assert flow.id in of_dataset.text
    assert of_schema.text.endswith(f"delete them first: Somebody's ({other})")


@pytest.mark.parametrize("kind", ["datasets", "connections", "flows"])
def test_pruning_does_not_choose_among_several_of_one_name(organisation: Organisation, kind: str) -> None:
    document = sample()
    document["routes"] = []
    ids = carried_out(document, organisation)
    flows = organisation.flow_service
    if kind == "datasets":
        schema_id = ids["schema", "Member"]
        organisation.catalog.create_dataset("Members", schema_id, f"{FULL_MEDIA_TYPE};version=1")
    elif kind == "connections":
        flows.connections.create(streaming_connection("Stream", source_id="another"))
    else:
        made_of = ids["source connection", "Members"], ids["target connection", "Members"]
        flows.flows.create(streaming_flow("Members", *made_of))
    for each in (*document["flows"], *(document[kind] if kind != "flows" else ())):
        each["delete"] = True
    if kind == "connections":
        document["connections"][2]["delete"] = False
    plan = planned(document, organisation, prune=True)
    (problem,) = plan.problems
    assert problem.path == (kind, 0, "name")
    assert f"2 {'dataflows' if kind == 'flows' else kind} are called" in problem.text
    assert planned(document, organisation).problems == []  # it is only a note without --prune


def test_pruning_deletes_the_dataset_with_the_schema_of_its_entry(organisation: Organisation) -> None:
    document = sample()
    document["routes"] = document["flows"] = []
    ids = carried_out(document, organisation)
    other = organisation.catalog.create_dataset(
        "Members", organisation.create_schema("Another"), f"{FULL_MEDIA_TYPE};version=1"
    )
    document["datasets"][0]["delete"] = True
    (step,) = planned(document, organisation, prune=True).work
    assert step.work == Delete((("dataset", ids["dataset", "Members"]),))
    carried_out(document, organisation, prune=True)
    assert [each.id for each in organisation.catalog.datasets()] == [other]
    left = planned(document, organisation, prune=True)
    assert left.work == []
    assert left.steps[-1].reasons == ("has another schema than its entry, so it is not deleted",)


def test_what_somebody_else_deletes_meanwhile_does_not_stop_the_deletion(organisation: Organisation) -> None:
    document = sample()
    document["routes"] = []
    ids = carried_out(document, organisation)
    document["flows"][0]["delete"] = document["flows"][1]["delete"] = True
    plan = planned(document, organisation, prune=True)
    for flow in ("Members", "Raw members"):
        organisation.flow_service.flows.delete(ids["dataflow", flow])
    organisation.flow_service.source_connections.delete(ids["source connection", "Members"])
    apply(plan, services_of(organisation), lambda *_: None)
    assert counts(organisation) == {**ALL, "sources": 0, "targets": 0, "flows": 0}
