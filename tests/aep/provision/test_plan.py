"""From what is wanted and what is there to steps."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from aep.platform.catalog import DataSet
from aep.provision.apply import field_group_body, schema_body
from aep.provision.fields import json_schema
from aep.provision.inventory import ExistingFlow, Inventory
from aep.provision.model import FieldSpec
from aep.provision.plan import make_plan
from aep.provision.steps import Action, EnableDataSet, EnableSchema, PatchFieldGroup, Plan
from aep.xdm.identities import identity_descriptor
from tests.aep.provisioning import PERSONAL, parsed, sample

CLASS = "https://ns.adobe.com/xdm/context/profile"
COMPONENTS: dict[str, dict[str, Any]] = {
    CLASS: {"properties": {"_id": {"type": "string"}}},
    PERSONAL: {"properties": {"personalEmail": {"properties": {"address": {"type": "string"}}}}},
}


def there(document: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments of `Inventory` for an organisation that has it all."""
    wanted = parsed(document)
    ids = {("field group", group.title): f"group {group.title}" for group in wanted.field_groups}
    schema_ids = {schema.title: f"schema {schema.title}" for schema in wanted.schemas}
    return {
        "titles": {
            **{group.title: ("field group", f"group {group.title}") for group in wanted.field_groups},
            **{title: ("schema", schema_id) for title, schema_id in schema_ids.items()},
        },
        "field_groups": {group.title: field_group_body(group) for group in wanted.field_groups},
        "schemas": {each.title: {**schema_body(each, ids), "meta:class": each.class_id} for each in wanted.schemas},
        "components": COMPONENTS,
        "descriptors": [
            identity_descriptor(schema_ids[each.title], one.field, one.namespace, one.primary)
            for each in wanted.schemas
            for one in each.identities
        ],
        "datasets": {
            each.name: [dataset(f"set {each.name}", schema_ids[each.schema_ or ""], profile=each.profile)]
            for each in wanted.datasets
        },
        "connections": {
            each.name: [connection(each.name, each.data_type, authenticated=each.authentication_required)]
            for each in wanted.connections
            if each.api == "flow_service"
        },
        "flows": {
            each.name: [
                ExistingFlow(
                    "flow",
                    "source",
                    "target",
                    f"connection {each.connection}",
                    f"set {each.dataset}",
                    frozenset((one.source, one.destination) for one in each.mappings),
                )
            ]
            for each in wanted.flows
        },
    }


def dataset(dataset_id: str, schema_id: str, *, profile: bool) -> DataSet:
    tags = {"unifiedProfile": ["enabled: true"]} if profile else {}
    return DataSet(dataset_id, "", schema_id, "", tags, {})


def connection(name: str, data_type: str, *, authenticated: bool) -> dict[str, Any]:
    parameters = {
        "inletId": "i",
        "inletUrl": "https://dcs.adobedc.net/collection/i",
        "dataType": data_type,
        "sourceId": name,
        "authenticationRequired": authenticated,
    }
    return {"id": f"connection {name}", "auth": {"params": parameters}}


def without_older() -> dict[str, Any]:
    """Return the sample without its connection of the older API."""
    document = sample()
    del document["connections"][2], document["routes"][2]
    return document


def plan_of(document: dict[str, Any], found: dict[str, Any], *, prune: bool = False) -> Plan:
    return make_plan(parsed(document), Inventory(**found), "acme", prune=prune)


def test_nothing_is_there() -> None:
    plan = make_plan(parsed(sample()), Inventory(components=COMPONENTS), "acme")
    assert plan.problems == []
    assert {step.action for step in plan.steps} == {Action.CREATE}
    assert [step.kind for step in plan.steps] == [
        *("field group", "schema", "identity", "identity", "dataset", "connection", "connection", "connection"),
        *("source connection", "target connection", "dataflow") * 2,
    ]


def test_everything_is_there() -> None:
    plan = plan_of(without_older(), there(without_older()))
    assert (plan.problems, plan.work) == ([], [])
    assert {step.action for step in plan.steps} == {Action.RIGHT}


def test_what_is_there_besides_is_nobody_s_concern() -> None:
    found = there(without_older())
    document = without_older()
    del document["field_groups"][0]["fields"]["_{TENANT_ID}"]["fields"]["loyalty"]["fields"]["points"]
    document["schemas"][0]["field_groups"].remove(PERSONAL)
    del document["schemas"][0]["identities"][1]
    assert plan_of(document, found).work == []


class TestFieldGroups:
    def change(self, **fields: Any) -> tuple[Plan, dict[str, Any]]:
        found = there(without_older())
        document = without_older()
        document["field_groups"][0]["fields"]["_{TENANT_ID}"]["fields"]["loyalty"]["fields"].update(fields)
        return plan_of(document, found), found

    def test_new_fields(self) -> None:
        plan, _ = self.change(level="string", joined={"type": "date", "required": True})
        (step,) = plan.work
        place = "/definitions/customFields/properties/_acme/properties/loyalty"
        assert step.reasons == (
            "adds _acme.loyalty.level (string)",
            "adds _acme.loyalty.joined (date, required: from then on AEP rejects records without it)",
        )
        assert step.work == PatchFieldGroup(
            "group Member details",
            (
                {"op": "add", "path": f"{place}/properties/level", "value": json_schema(FieldSpec(type="string"))},
                {"op": "add", "path": f"{place}/properties/joined", "value": json_schema(FieldSpec(type="date"))},
                {"op": "add", "path": f"{place}/required/-", "value": "joined"},
            ),
        )

    def test_the_first_required_fields_of_an_object(self) -> None:
        found, document = there(without_older()), without_older()
        required = {"type": "int", "required": True}
        document["field_groups"][0]["fields"]["_{TENANT_ID}"]["fields"].update(a=required, b=required)
        (step,) = plan_of(document, found).work
        assert isinstance(step.work, PatchFieldGroup)
        place = "/definitions/customFields/properties/_acme/required"
        assert [(each["path"], each["value"]) for each in step.work.operations if "required" in each["path"]] == [
            (place, ["a"]),
            (f"{place}/-", "b"),
        ]

    @pytest.mark.parametrize(
        ("fields", "path"),
        [
            ({"points": "string"}, ("points",)),
            ({"points": "long"}, ("points",)),
            ({"tags": {"type": "array", "items": "int"}}, ("tags", "items")),
        ],
    )
    def test_a_field_keeps_its_type(self, fields: dict[str, Any], path: tuple[str, ...]) -> None:
        plan, _ = self.change(**fields)
        (problem,) = plan.problems
        inside = ("field_groups", 0, "fields", "_acme", "fields", "loyalty", "fields")
        assert problem.path == (*inside, *path)
        assert "a field keeps its type" in problem.text

    def test_other_differences_are_told(self) -> None:
        plan, _ = self.change(memberId={"type": "string", "maxLength": 5})
        assert (plan.problems, plan.work) == ([], [])
        (step,) = [step for step in plan.steps if step.action is Action.DIFFERS]
        assert step.reasons[:2] == (
            "_acme.loyalty.memberId is required",
            "_acme.loyalty.memberId has no maxLength",
        )

    def test_fields_in_a_form_of_its_own(self) -> None:
        found = there(without_older())
        found["field_groups"]["Member details"] = {"allOf": [{"$ref": "https://ns.adobe.com/acme/datatypes/1"}]}
        plan = plan_of(without_older(), found)
        assert plan.work == []
        assert "none can be added" in plan.steps[0].reasons[1]

    def test_a_title_of_another_kind(self) -> None:
        found = there(without_older())
        found["titles"]["Member details"] = ("data type", "https://ns.adobe.com/acme/datatypes/1")
        problems = plan_of(without_older(), found).problems
        assert problems[0].path == ("field_groups", 0, "title")
        assert "taken by a data type" in problems[0].text


class TestSchemas:
    def test_what_may_be_added(self) -> None:
        found = there(without_older())
        found["schemas"]["Member"].pop("meta:immutableTags")
        found["schemas"]["Member"]["allOf"].pop()
        found["descriptors"] = []
        found["datasets"]["Members"] = [dataset("set Members", "schema Member", profile=False)]
        steps = plan_of(without_older(), found).work
        assert [(step.kind, step.reasons) for step in steps] == [
            ("schema", (f"adds the field group {PERSONAL}",)),
            (
                "identity",
                (
                    "Loyalty, primary",
                    "Loyalty is a namespace of your own: create it in AEP first if it does not exist",
                    "required: from then on AEP rejects records without it",
                ),
            ),
            ("identity", ("Email",)),
            ("schema", ("enables it for Profile",)),
            ("dataset", ("enables it for Profile",)),
        ]
        assert steps[3].work == EnableSchema("schema Member")
        assert steps[4].work == EnableDataSet("set Members")

    def test_a_field_group_of_which_only_some_fields_are_taken(self) -> None:
        found = there(without_older())
        found["schemas"]["Member"]["allOf"][-1]["meta:refProperty"] = "/personalEmail/address"
        plan = plan_of(without_older(), found)
        assert (plan.problems, plan.work) == ([], [])
        (step,) = [step for step in plan.steps if step.action is Action.DIFFERS]
        assert step.reasons[0] == f"takes only some fields of the field group {PERSONAL}"

    def test_another_class(self) -> None:
        found = there(without_older())
        found["schemas"]["Member"].update(
            allOf=[], **{"meta:class": "https://ns.adobe.com/xdm/context/experienceevent"}
        )
        assert plan_of(without_older(), found).problems[0].path == ("schemas", 0, "class")

    def test_another_primary_identity(self) -> None:
        found = there(without_older())
        found["descriptors"] = [identity_descriptor("schema Member", "/_id", "X", primary=True)]
        (problem,) = plan_of(without_older(), found).problems
        assert problem.path == ("schemas", 0, "identities", 0, "primary")
        assert "/_id is the primary identity" in problem.text

    def test_an_identity_that_differs(self) -> None:
        found = there(without_older())
        found["descriptors"][1].update({"xdm:namespace": "Phone"})
        plan = plan_of(without_older(), found)
        assert plan.work == []
        assert [step.reasons[0] for step in plan.steps if step.action is Action.DIFFERS] == ["has the namespace Phone"]

    def test_an_identity_in_no_part_of_the_schema(self) -> None:
        document = without_older()
        document["schemas"][0]["identities"][1]["field"] = "/personalEmail/adress"
        (problem,) = make_plan(parsed(document), Inventory(components=COMPONENTS), "acme").problems
        assert problem.path == ("schemas", 0, "identities", 1, "field")


class TestTheRest:
    @pytest.mark.parametrize(
        ("kind", "change", "path"),
        [
            ("datasets", {"Members": [dataset("d", "other", profile=True)]}, ("datasets", 0, "schema")),
            (
                "datasets",
                {"Members": [dataset(name, "schema Member", profile=True) for name in "ab"]},
                ("datasets", 0, "name"),
            ),
            (
                "connections",
                {"Stream": [connection("Stream", "raw", authenticated=True)]},
                ("connections", 0, "data_type"),
            ),
            ("connections", {"Stream": [connection("S", "xdm", authenticated=True)] * 2}, ("connections", 0, "name")),
            ("flows", {"Members": [ExistingFlow("f", "", "", "other", "set Members", None)]}, ("flows", 0, "name")),
        ],
    )
    def test_what_would_make_the_result_wrong(self, kind: str, change: dict[str, Any], path: tuple[Any, ...]) -> None:
        found = there(without_older())
        found[kind] = {**found[kind], **change}
        assert plan_of(without_older(), found).problems[0].path == path

    def test_what_differs_and_does_no_harm(self) -> None:
        found = there(without_older())
        found["connections"]["Stream"] = [connection("Stream", "xdm", authenticated=False)]
        found["flows"]["Raw members"] = [found["flows"]["Raw members"][0]._replace(mappings=frozenset())]
        plan = plan_of(without_older(), found)
        assert (plan.problems, plan.work) == ([], [])
        told = [(step.name, step.reasons[0]) for step in plan.steps if step.action is Action.DIFFERS]
        assert told == [("Stream", "wants no access token"), ("Raw members", "maps otherwise")]

    def test_a_dataflow_that_is_disabled_is_told(self) -> None:
        found = there(without_older())
        found["flows"]["Members"] = [found["flows"]["Members"][0]._replace(state="disabled")]
        found["flows"]["Raw members"] = [found["flows"]["Raw members"][0]._replace(state="enabled")]
        (told,) = [step for step in plan_of(without_older(), found).steps if step.action is Action.DIFFERS]
        assert (told.name, told.reasons[0]) == ("Members", "is disabled, so that it takes no data")

    def test_a_flow_of_which_a_part_is_there(self) -> None:
        found = there(without_older())
        found["sources"] = {"Members": [{"id": "s", "baseConnectionId": "connection Stream"}]}
        found["targets"] = {"Members": [{"id": "t", "params": {"dataSetId": "another"}}]}
        found["flows"]["Members"] = []
        plan = plan_of(without_older(), found)
        assert [step.kind for step in plan.work] == ["target connection", "dataflow"]
        assert plan.ids["source connection", "Members"] == "s"

    @pytest.mark.parametrize("prune", [False, True])
    def test_deletion_has_to_be_asked_for(self, prune: bool) -> None:
        found = there(without_older())
        document = deepcopy(without_older())
        document["routes"] = []
        for kind in ("field_groups", "schemas", "datasets", "connections", "flows"):
            for each in document[kind]:
                each["delete"] = True
        plan = plan_of(document, found, prune=prune)
        assert [step.kind for step in plan.steps] == [
            *("dataflow", "dataflow", "connection", "connection", "dataset", "schema", "field group")
        ]
        assert {step.action for step in plan.steps} == {Action.DELETE if prune else Action.KEPT}
        assert len(plan.work) == (7 if prune else 0)
