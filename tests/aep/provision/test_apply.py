"""Provisioning an organisation of the emulator: from nothing, again, interrupted at each call, changed, deleted."""

from __future__ import annotations

import os
from copy import deepcopy
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aep.errors import ConfigurationError, NotFoundError, ReplyError
from aep.http.transport import Reply, Request, Transport
from aep.platform.catalog import Catalog
from aep.platform.inlets import InletApi
from aep.platform.schema_registry import Accept
from aep.platform.schema_source import RegistrySchemaSource
from aep.provision.apply import apply
from aep.provision.inventory import look
from aep.provision.plan import make_plan
from aep.provision.routes import read_documents, route_values, schema_files
from aep.provision.steps import Action, Plan
from aep.xdm.rules import XdmRules
from aep.xdm.validate import XdmValidator
from testing.defaults import by_default
from testing.services.emulator import CLIENT_SECRET, Emulator
from tests.aep.management import Organisation
from tests.aep.provisioning import IDENTITY_MAP, Severed, carried_out, parsed, planned, sample, services_of

_ANY = 1_000  # more calls than provisioning makes


def counts(organisation: Organisation) -> dict[str, int]:
    """Return how many objects of each kind an organisation has."""
    registry, flows = organisation.registry, organisation.flow_service
    shelves: dict[str, Any] = {
        "field groups": registry.field_groups.list(),
        "schemas": registry.schemas.list(),
        "descriptors": registry.descriptors.list(),
        "datasets": organisation.catalog.datasets(),
        "connections": flows.connections.list(),
        "inlets": InletApi(organisation.client).list(),
        "sources": flows.source_connections.list(),
        "targets": flows.target_connections.list(),
        "flows": flows.flows.list(),
    }
    return {kind: sum(1 for _ in found) for kind, found in shelves.items()}


ALL = {
    "field groups": 1,
    "schemas": 1,
    "descriptors": 2,
    "datasets": 1,
    "connections": 2,
    "inlets": 1,
    "sources": 2,
    "targets": 2,
    "flows": 2,
}


def test_from_nothing_and_again(organisation: Organisation) -> None:
    carried_out(sample(), organisation)
    assert counts(organisation) == ALL
    plan = planned(sample(), organisation)
    assert (plan.problems, plan.work) == ([], [])
    assert {step.action for step in plan.steps} == {Action.RIGHT}


COMMERCE = "https://ns.adobe.com/xdm/context/experienceevent-commerce"
WITH_EACH_ITEM: dict[str, Any] = {
    "field_groups": [
        {
            "title": "Basket details",
            "classes": ["experienceevent"],
            "fields": {
                "productListItems": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "fields": {"_{TENANT_ID}": {"type": "object", "fields": {"core": "string"}}},
                    },
                },
            },
        }
    ],
    "schemas": [{"title": "Basket", "class": "experienceevent", "field_groups": ["Basket details", COMMERCE]}],
}


def test_own_fields_in_standard_objects_are_provisioned_added_to_and_validated(organisation: Organisation) -> None:
    ids = carried_out(WITH_EACH_ITEM, organisation)
    assert planned(WITH_EACH_ITEM, organisation).work == []

    more = deepcopy(WITH_EACH_ITEM)
    holder = more["field_groups"][0]["fields"]
    holder["productListItems"]["items"]["fields"]["_{TENANT_ID}"]["fields"]["edge"] = "int"
    holder["commerce"] = {"type": "object", "fields": {"_{TENANT_ID}": {"type": "object", "fields": {"till": "int"}}}}
    plan = planned(more, organisation)
    (step,) = plan.work
    assert sorted(step.reasons) == [
        "adds commerce (object)",
        f"adds productListItems.*._{organisation.name}.edge (int)",
    ]
    carried_out(more, organisation)
    assert planned(more, organisation).work == []

    validator = XdmValidator(
        RegistrySchemaSource(organisation.registry, ids["schema", "Basket"]).current(), by_default(XdmRules)
    )
    own = f"_{organisation.name}"
    event = {"_id": "e", "timestamp": "2026-01-02T03:04:05Z", "commerce": {own: {"till": 3}}}
    assert validator.check({**event, "productListItems": [{"SKU": "s", own: {"core": "c", "edge": 1}}]}) is None
    for item, place in (
        ({"SKU": "s", own: {"edge": "far"}}, f"/productListItems/0/{own}/edge"),
        ({"SKU": "s", own: {"rind": 1}}, f"/productListItems/0/{own}"),
    ):
        refused = validator.check({**event, "productListItems": [item]})
        assert refused is not None
        assert refused.pointer == place


def test_own_fields_need_a_standard_object_that_the_schema_has(organisation: Organisation) -> None:
    without = deepcopy(WITH_EACH_ITEM)
    without["schemas"][0]["field_groups"].remove(COMMERCE)
    (problem,) = planned(without, organisation).problems
    assert problem.path == ("field_groups", 0, "fields", "productListItems")
    assert (
        "there is no productListItems to extend in the class and the other field groups of schema Basket"
        in problem.text
    )
    otherwise = deepcopy(WITH_EACH_ITEM)
    fields = otherwise["field_groups"][0]["fields"]
    fields["productListItems"] = fields["productListItems"]["items"]
    (problem,) = planned(otherwise, organisation).problems
    assert "productListItems is of type array, not object in the class" in problem.text


def test_what_the_registry_does_not_show_at_once_is_waited_for(
    organisation: Organisation, caplog: pytest.LogCaptureFixture
) -> None:
    organisation.emulator.faults(unseen_lookups=3)
    try:
        carried_out(sample(), organisation)
    finally:
        organisation.emulator.clear_faults()
    assert counts(organisation) == ALL
    lines = [record.getMessage() for record in caplog.records if "only just been created" in record.getMessage()]
    assert len(lines) == 2  # once for the field group and once for the schema
    assert lines[0].endswith("in case it has only just been created, asking for another 30 s")


def test_what_the_registry_never_shows_is_found_by_the_next_run(organisation: Organisation) -> None:
    organisation.emulator.faults(unseen_lookups=31)
    try:
        with pytest.raises(NotFoundError, match="answers 404"):
            carried_out(sample(), organisation)
    finally:
        organisation.emulator.clear_faults()
    assert counts(organisation)["field groups"] == 1
    carried_out(sample(), organisation)
    assert counts(organisation) == ALL


def writes_of_a_run(organisation: Organisation) -> list[int]:
    """Which of the calls change something, counted from 1."""
    counting = Severed(organisation.transport, _ANY, arrives=True)
    wanted = parsed(sample(), organisation.name)
    services = services_of(organisation, counting)
    apply(make_plan(wanted, look(wanted, services), organisation.name), services, lambda step, object_id: None)
    return [number for number, method in enumerate(counting.methods, 1) if method != "GET"]


@pytest.mark.parametrize("arrives", [True, False])
def test_interrupted_at_each_step(emulator: Emulator, organisation: Organisation, arrives: bool) -> None:
    writes = writes_of_a_run(organisation)
    assert len(writes) == sum(ALL.values()) + 1  # the mapping set
    for at in writes:
        interrupted = Organisation(emulator)
        wanted = parsed(sample(), interrupted.name)
        services = services_of(interrupted, Severed(interrupted.transport, at, arrives=arrives))
        plan = make_plan(wanted, look(wanted, services), interrupted.name)
        with pytest.raises(ReplyError):
            apply(plan, services, lambda step, object_id: None)
        carried_out(sample(), interrupted)
        assert counts(interrupted) == ALL, f"after an interruption at call {at}"
        assert planned(sample(), interrupted).work == []


def test_steps_are_told_as_they_are_done(organisation: Organisation) -> None:
    plan, told = planned(sample(), organisation), []
    ids = apply(plan, services_of(organisation), lambda step, object_id: told.append((step, object_id)))
    assert [step for step, _ in told] == plan.work
    assert told[-1][1] == ids["dataflow", "Raw members"]


def test_what_may_change_is_changed(organisation: Organisation) -> None:
    before = sample()
    before["schemas"][0].update(profile=False, identities=[], field_groups=["Member details"])
    before["datasets"][0].update(profile=False)
    carried_out(before, organisation)
    after = sample()
    loyalty = after["field_groups"][0]["fields"]["_{TENANT_ID}"]["fields"]["loyalty"]["fields"]
    loyalty.update(level={"type": "string", "required": True, "enum": ["a"]})
    ids = carried_out(after, organisation)
    assert planned(after, organisation).work == []
    schema = organisation.registry.schemas.look_up(ids["schema", "Member"], accept=Accept.FULL)
    own = schema["properties"][f"_{organisation.name}"]["properties"]["loyalty"]
    assert own["properties"]["level"]["enum"] == ["a"]
    assert own["required"] == ["memberId", "level"]
    assert "personalEmail" in schema["properties"]
    assert "union" in schema["meta:immutableTags"]
    assert next(Catalog(organisation.client).datasets("Members")).for_profile


def test_a_changed_type_is_refused(organisation: Organisation) -> None:
    carried_out(sample(), organisation)
    document = sample()
    document["field_groups"][0]["fields"]["_{TENANT_ID}"]["fields"]["loyalty"]["fields"]["points"] = "string"
    (problem,) = planned(document, organisation).problems
    assert problem.path[-1] == "points"
    assert "is of type int, and a field keeps its type" in problem.text


def test_a_field_group_that_the_registry_does_not_have(organisation: Organisation) -> None:
    document = sample()
    document["schemas"][0]["field_groups"].append("https://ns.adobe.com/xdm/context/no-such-group")
    (problem,) = planned(document, organisation).problems
    assert problem.path == ("schemas", 0, "field_groups", 2)


def test_an_identity_in_no_standard_field_group(organisation: Organisation) -> None:
    document = sample()
    document["schemas"][0]["identities"][1]["field"] = "/personalEmail/adress"
    (problem,) = planned(document, organisation).problems
    assert problem.path == ("schemas", 0, "identities", 1, "field")


class WithoutInlets:
    """Shows connections without their inlet: in lists, or wherever they are."""

    def __init__(self, transport: Transport, *, in_lists_only: bool):
        self._transport = transport
        self._in_lists_only = in_lists_only

    def send(self, request: Request) -> Reply:
        reply = self._transport.send(request)
        if "/connections?" in request.url or ("/connections/" in request.url and not self._in_lists_only):
            return replace(reply, body=reply.body.replace(b'"inletUrl"', b'"_"'))
        return reply


def test_a_connection_whose_inlet_is_not_shown_is_not_created_again(organisation: Organisation) -> None:
    carried_out(sample(), organisation)
    wanted = parsed(sample(), organisation.name)

    def plan(*, in_lists_only: bool) -> Plan:
        transport = WithoutInlets(organisation.transport, in_lists_only=in_lists_only)
        return make_plan(wanted, look(wanted, services_of(organisation, transport)), organisation.name)

    assert (plan(in_lists_only=True).problems, plan(in_lists_only=True).work) == ([], [])
    problems = plan(in_lists_only=False).problems
    assert [each.path for each in problems][:2] == [("connections", 0, "name"), ("connections", 1, "name")]
    assert problems[0].text.endswith("exists and has no inlet yet: run this again in a minute")


def test_routes(organisation: Organisation) -> None:
    ids = carried_out(sample(), organisation)
    wanted, services = parsed(sample(), organisation.name), services_of(organisation)
    entity, raw, older = route_values(wanted, services, ids, organisation.id, "oauth")
    assert (entity.schema_file, raw.schema_file, older.schema_file) == (
        "member.schema.json",
        None,
        "member.schema.json",
    )
    assert entity.values["auth"] == "oauth"
    assert entity.values["flow_id"] == ids["dataflow", "Members"]
    assert entity.values["dataset_id"] == older.values["dataset_id"] == ids["dataset", "Members"]
    assert (raw.values["payload"], raw.values["auth"]) == ("raw", "none")
    assert raw.values["flow_id"] == ids["dataflow", "Raw members"]
    assert raw.values["dataset_id"] == ids["dataset", "Members"]  # where its failed batches are
    assert "flow_id" not in older.values
    assert older.values["source_name"] == "older"
    assert len({each.values["inlet_url"] for each in (entity, raw, older)}) == 3
    (document,) = read_documents(wanted, services, ids)
    assert document.file == "member.schema.json"
    assert b'"personalEmail"' in document.content


def test_a_schema_file_is_not_written_before_the_registry_shows_its_identities(organisation: Organisation) -> None:
    wanted, ids = parsed(sample(), organisation.name), carried_out(sample(), organisation)
    registry = organisation.registry
    (email,) = [each for each in registry.descriptors.list() if each["xdm:sourceProperty"] == "/personalEmail/address"]
    registry.descriptors.delete(email["@id"])  # as if it were not shown yet
    with pytest.raises(
        ConfigurationError, match="does not show the identity /personalEmail/address of schema Member yet"
    ):
        list(read_documents(wanted, services_of(organisation), ids))


def test_titles_that_differ_in_signs_have_files_of_their_own() -> None:
    document = sample()
    document["schemas"].append({**document["schemas"][0], "title": "Member!"})
    document["datasets"].append({"name": "Second", "schema": "Member!", "profile": True})
    document["routes"].append({"name": "second", "connection": "Stream", "dataset": "Second"})
    assert set(schema_files(parsed(document)).values()) == {"member.schema.json", "member.2.schema.json"}


SCALARS = st.sampled_from(["string", "number", "long", "int", "short", "byte", "boolean", "date", "date-time"])
NAMES = st.from_regex(r"[a-z][A-Za-z0-9_]{0,6}", fullmatch=True)


def _fields(depth: int) -> st.SearchStrategy[dict[str, Any]]:
    kinds: list[st.SearchStrategy[Any]] = [
        SCALARS,
        st.fixed_dictionaries({"type": SCALARS, "required": st.booleans()}),
        st.fixed_dictionaries({"type": st.just("map"), "values": st.sampled_from(["string", "integer"])}),
        st.fixed_dictionaries({"type": st.just("array"), "items": SCALARS}),
    ]
    if depth:
        inner = {"type": st.just("object"), "required": st.booleans(), "fields": _fields(depth - 1)}
        kinds.append(st.fixed_dictionaries(inner))
    return st.dictionaries(NAMES, st.one_of(kinds), min_size=1, max_size=3)


def _file(fields: dict[str, Any], *, profile: bool, raw: bool, authenticated: bool) -> dict[str, Any]:
    flow = {"name": "F", "connection": "C", "dataset": "D"}
    return {
        "field_groups": [
            {
                "title": "G",
                "classes": ["profile"],
                "fields": {"_{TENANT_ID}": {"type": "object", "fields": fields}},
            }
        ],
        "schemas": [{"title": "S", "class": "profile", "field_groups": ["G", IDENTITY_MAP], "profile": profile}],
        "datasets": [{"name": "D", "schema": "S", "profile": profile}],
        "connections": [
            {"name": "C", "data_type": "raw" if raw else "xdm", "authentication_required": authenticated},
        ],
        "flows": [{**flow, "mappings": [{"source": "a", "destination": "_id"}]} if raw else flow],
    }


@settings(max_examples=15, deadline=None)
@given(_fields(2), _fields(2), st.booleans(), st.booleans(), st.booleans())
def test_nothing_is_left_to_do(
    emulator: Emulator,
    first: dict[str, Any],
    more: dict[str, Any],
    profile: bool,
    raw: bool,
    authenticated: bool,
) -> None:
    """The plan after what a plan says is empty, for a file and for an additive change of it."""
    with patch.dict(os.environ, EMULATOR_SECRET=CLIENT_SECRET):
        organisation = Organisation(emulator)
        before = _file(first, profile=False, raw=raw, authenticated=authenticated)
        carried_out(before, organisation)
        assert planned(before, organisation).work == []
        after = _file({**more, **first}, profile=profile, raw=raw, authenticated=authenticated)
        carried_out(after, organisation)
        plan = planned(after, organisation)
        assert {step.action for step in plan.steps} == {Action.RIGHT}
