"""Provisioning a destination to Kinesis in the emulator: from nothing, again, interrupted, changed, deleted."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from aep.errors import ReplyError, SecretError
from aep.platform.destinations import actions_of, attributes_of, audience_names_of
from aep.platform.policies import PATH as ACTIONS
from aep.platform.segments import SegmentDefinitions, is_streaming, rule_of
from aep.provision.apply import apply
from aep.provision.inventory import look
from aep.provision.plan import make_plan
from aep.provision.steps import Action
from testing.services.emulator import CLIENT_SECRET
from testing.services.kinesis import Kinesis
from tests.aep.management import Organisation
from tests.aep.provisioning import Severed, carried_out, exporting, parsed, planned, services_of
from tests.emulator.destination import have_stream

NAME = "Members to Kinesis"
MADE = {"segments": 2, "connections": 2, "sources": 1, "targets": 1, "flows": 1}


@pytest.fixture
def organisation(kinesis: Kinesis, monkeypatch: pytest.MonkeyPatch) -> Organisation:
    """An organisation with secrets and streams for its destinations."""
    for name, secret in (("EMULATOR", CLIENT_SECRET), ("STREAM", "s3cr3t")):
        monkeypatch.setenv(f"{name}_SECRET", secret)
    monkeypatch.setenv("STREAM_KEY_ID", "AKIAEXAMPLE")
    have_stream(kinesis, "members", "others", region="eu-west-1")
    have_stream(kinesis, "members", region="us-east-1")
    return Organisation(kinesis)


def made(organisation: Organisation) -> dict[str, int]:
    """Count what a destination is made of."""
    flows = organisation.flow_service
    entities: dict[str, Any] = {
        "segments": SegmentDefinitions(organisation.client),
        "connections": flows.connections,
        "sources": flows.source_connections,
        "targets": flows.target_connections,
        "flows": flows.flows,
    }
    return {kind: sum(1 for _ in each.list()) for kind, each in entities.items()}


def flow_of(organisation: Organisation, name: str = NAME) -> dict[str, Any]:
    (flow,) = organisation.flow_service.flows.named(name)
    return flow


def target_of(organisation: Organisation) -> dict[str, Any]:
    (target,) = organisation.flow_service.target_connections.named(NAME)
    return dict(target["params"])


def test_from_nothing_and_again(organisation: Organisation) -> None:
    carried_out(exporting(), organisation)
    assert made(organisation) == MADE
    flow = flow_of(organisation)
    assert (flow["state"], flow["description"]) == ("enabled", "for the warehouse")
    assert list(audience_names_of(flow).values()) == ["Rich", "Acme"]
    assert attributes_of(flow) == ["personalEmail.address", f"_{organisation.name}.loyalty.points"]
    assert actions_of(flow) == {"core/exportToThirdParty"}
    where = {"stream": "members", "region": "eu-west-1"}
    assert target_of(organisation) == {**where, "includeSegmentNames": True}
    plan = planned(exporting(), organisation)
    assert (plan.problems, plan.work) == ([], [])
    rows = {(step.kind, step.name) for step in plan.steps}
    assert {("segment", "Rich"), ("segment", "Acme"), ("destination", NAME)} <= rows
    assert {step.action for step in plan.steps} == {Action.RIGHT}


def writes_of_a_run(organisation: Organisation) -> list[int]:
    """Return which of the calls change something, counted from 1."""
    counting = Severed(organisation.transport, 1_000, arrives=True)
    wanted, services = parsed(exporting(), organisation.name), services_of(organisation, counting)
    apply(make_plan(wanted, look(wanted, services), organisation.name), services, lambda step, object_id: None)
    return [number for number, method in enumerate(counting.methods, 1) if method != "GET"]


@pytest.mark.parametrize("arrives", [True, False])
def test_interrupted_at_each_step(organisation: Organisation, arrives: bool) -> None:
    writes = writes_of_a_run(organisation)
    of_destinations = writes[-8:]  # two segments, five objects, the activation
    for at in of_destinations:
        interrupted = Organisation(organisation.emulator)
        wanted = parsed(exporting(), interrupted.name)
        services = services_of(interrupted, Severed(interrupted.transport, at, arrives=arrives))
        plan = make_plan(wanted, look(wanted, services), interrupted.name)
        with pytest.raises(ReplyError):
            apply(plan, services, lambda step, object_id: None)
        carried_out(exporting(), interrupted)
        assert made(interrupted) == MADE, f"after an interruption at call {at}"
        assert list(audience_names_of(flow_of(interrupted)).values()) == ["Rich", "Acme"]
        assert planned(exporting(), interrupted).work == []


def test_a_target_that_an_interrupted_run_left_gets_what_the_file_says_now(organisation: Organisation) -> None:
    writes = writes_of_a_run(organisation)
    interrupted = Organisation(organisation.emulator)
    wanted = parsed(exporting(), interrupted.name)
    services = services_of(interrupted, Severed(interrupted.transport, writes[-2], arrives=False))
    with pytest.raises(ReplyError):
        apply(make_plan(wanted, look(wanted, services), interrupted.name), services, lambda step, object_id: None)
    document = exporting()
    document["destinations"][0]["stream"] = "others"
    carried_out(document, interrupted)
    assert made(interrupted) == MADE
    assert target_of(interrupted)["stream"] == "others"


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        (lambda entry: entry.update(stream="others"), ["stream: members becomes others"]),
        (
            lambda entry: entry.update(include_names=False, include_timestamps=True),
            ["include_names: true becomes false", "include_timestamps: false becomes true"],
        ),
        (lambda entry: entry["audiences"].remove("Rich"), ["removes audience Rich"]),
        (lambda entry: entry["audiences"].clear(), ["removes audience Rich", "removes audience Acme"]),
        (
            lambda entry: entry.update(attributes=["personalEmail.address", "personID"]),
            ["adds attribute personID", "removes attribute _{TENANT_ID}.loyalty.points"],
        ),
        (
            lambda entry: entry.update(marketing_actions=["core/emailTargeting"]),
            ["adds marketing action core/emailTargeting", "removes marketing action core/exportToThirdParty"],
        ),
        (lambda entry: entry.update(marketing_actions=[]), ["removes marketing action core/exportToThirdParty"]),
        (lambda entry: entry.update(enabled=False), ["disables it"]),
    ],
)
@pytest.mark.parametrize("reply", ["200", "202"])
def test_what_may_change_is_changed_and_changed_back(
    organisation: Organisation, change: Change, reasons: list[str], reply: str
) -> None:
    carried_out(exporting(), organisation)
    document = exporting()
    change(document["destinations"][0])
    organisation.emulator.faults(activation_reply=reply)
    try:
        (step,) = planned(document, organisation).work
        assert list(step.reasons) == [each.replace("{TENANT_ID}", organisation.name) for each in reasons]
        carried_out(document, organisation)
        assert planned(document, organisation).work == []
        carried_out(exporting(), organisation)
    finally:
        organisation.emulator.clear_faults()
    assert planned(exporting(), organisation).work == []
    assert made(organisation) == MADE


def test_a_destination_that_is_not_enabled_is_disabled_before_it_is_activated(organisation: Organisation) -> None:
    document = exporting()
    document["destinations"][0]["enabled"] = False
    told = [(step.kind, *step.reasons) for step in planned(document, organisation).work][-3:]
    assert [reasons[0] for reasons in told] == ["destination"] * 3
    assert [reasons[1:2] for reasons in told] == [(), ("disables it",), ("adds audience Rich",)]
    carried_out(document, organisation)
    assert flow_of(organisation)["state"] == "disabled"
    assert planned(document, organisation).work == []


def test_it_is_disabled_before_its_other_changes_and_enabled_after_them(organisation: Organisation) -> None:
    carried_out(exporting(), organisation)
    document = exporting()
    (entry,) = document["destinations"]
    entry.update(enabled=False, stream="others", include_names=False, audiences=["Rich"])
    told = [(step.kind, step.reasons[0]) for step in planned(document, organisation, rotate=True).work]
    assert told == [
        ("destination", "disables it"),
        ("Kinesis connection", "sends its credentials again"),
        ("Kinesis target", "stream: members becomes others"),
        ("destination", "removes audience Acme"),
    ]
    carried_out(document, organisation)
    told = [(step.kind, step.reasons[0]) for step in planned(exporting(), organisation, rotate=True).work]
    assert told == [
        ("Kinesis connection", "sends its credentials again"),
        ("Kinesis target", "stream: others becomes members"),
        ("destination", "adds audience Acme"),
        ("destination", "enables it"),
    ]
    carried_out(exporting(), organisation)
    assert planned(exporting(), organisation).work == []


def test_a_segment_is_changed(organisation: Organisation) -> None:
    carried_out(exporting(), organisation)
    document = exporting()
    rich, acme = document["segments"]
    rich.update(rule="_{TENANT_ID}.loyalty.points > 1000", evaluation="batch", description="very many points")
    changed, *others = planned(document, organisation).work
    assert changed.reasons == ("changes its rule", "evaluates it as batch", "changes its description")
    assert others == []
    carried_out(document, organisation)
    there = {each["name"]: each for each in SegmentDefinitions(organisation.client).list()}
    assert rule_of(there["Rich"]) == f"_{organisation.name}.loyalty.points > 1000"
    assert (is_streaming(there["Rich"]), there["Rich"]["description"]) == (False, "very many points")
    assert rule_of(there["Acme"]) == acme["rule"]
    assert planned(document, organisation).work == []


def test_a_changed_rule_leaves_the_rest_of_a_segment_as_it_is(organisation: Organisation) -> None:
    """The file says nothing of a description, nor of evaluation on the edge."""
    carried_out(exporting(), organisation)
    definitions = SegmentDefinitions(organisation.client)
    there = {each["name"]: each for each in definitions.list()}["Rich"]
    ways = {**there["evaluationInfo"], "synchronous": {"enabled": True}}
    definitions.patch(there["id"], {"description": "written in AEP", "evaluationInfo": ways})
    document = exporting()
    document["segments"][0].pop("description", None)
    assert planned(document, organisation).work == []
    document["segments"][0]["rule"] = "_{TENANT_ID}.loyalty.points > 1000"
    (step,) = planned(document, organisation).work
    assert step.reasons == ("changes its rule",)
    carried_out(document, organisation)
    changed = {each["name"]: each for each in definitions.list()}["Rich"]
    assert rule_of(changed) == f"_{organisation.name}.loyalty.points > 1000"
    assert (changed["description"], changed["evaluationInfo"]) == ("written in AEP", ways)


def test_audiences_by_name_and_by_id_without_segments(organisation: Organisation) -> None:
    """Those that somebody else has made; more than a page of them."""
    segments = SegmentDefinitions(organisation.client)
    ids = {}
    for number in range(101):
        rule = {"type": "PQL", "format": "pql/text", "value": 'homeAddress.country = "US"'}
        definition = {"name": f"theirs {number}", "expression": rule, "schema": {"name": "_xdm.context.profile"}}
        ids[number] = segments.create(definition)
    document = exporting()
    del document["segments"]
    document["destinations"][0]["audiences"] = ["theirs 0", ids[100]]
    carried_out(document, organisation)
    assert audience_names_of(flow_of(organisation)) == {ids[0]: "theirs 0", ids[100]: "theirs 100"}
    assert planned(document, organisation).work == []
    document["destinations"][0]["audiences"] = ["theirs 0", ids[0]]
    (problem,) = planned(document, organisation).problems
    assert problem.path == ("destinations", 0, "audiences", 1)
    assert "duplicate audience theirs 0" in problem.text


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        (lambda entry: entry["audiences"].append("Poor"), ("audiences", 2), "Poor: no audience has this name or id"),
        (
            lambda entry: entry["attributes"].append("person.name.fullName"),
            ("attributes", 2),
            "person.name.fullName is not a field of the union schema",
        ),
        (
            lambda entry: entry["marketing_actions"].append("sell"),
            ("marketing_actions", 1),
            "sell: no such marketing action (known: analytics, ",
        ),
    ],
)
@pytest.mark.parametrize("there", [False, True])
def test_what_a_destination_may_not_name(
    organisation: Organisation, change: Change, key: tuple[Any, ...], words: str, there: bool
) -> None:
    if there:
        carried_out(exporting(), organisation)
    document = exporting()
    change(document["destinations"][0])
    (problem,) = planned(document, organisation).problems
    assert problem.path == ("destinations", 0, *key)
    assert words in problem.text


def test_custom_marketing_actions(organisation: Organisation) -> None:
    for name in ("sell", "analytics"):
        organisation.client.json("PUT", f"{ACTIONS}/custom/{name}", {"name": name})
    document = exporting()
    document["destinations"][0]["marketing_actions"] = ["sell", "analytics"]
    (problem,) = planned(document, organisation).problems
    assert problem.text == "analytics: give core/analytics or custom/analytics"
    document["destinations"][0]["marketing_actions"] = ["sell", "custom/analytics"]
    carried_out(document, organisation)
    assert actions_of(flow_of(organisation)) == {"custom/sell", "custom/analytics"}
    assert planned(document, organisation).work == []


def test_both_spellings_of_a_marketing_action_are_the_same(organisation: Organisation) -> None:
    carried_out(exporting(), organisation)
    flow = flow_of(organisation)
    reference = "/dulepolicy/marketingActions/core/exportToThirdParty/constraints"
    patch = [{"op": "replace", "path": "/policy", "value": {"enforcementRefs": [reference]}}]
    organisation.flow_service.flows.patch(flow["id"], flow["etag"], patch)
    assert planned(exporting(), organisation).work == []


class TestCredentials:
    def test_they_are_sent_again_only_when_asked_for(self, organisation: Organisation) -> None:
        carried_out(exporting(), organisation)
        before = organisation.flow_service.connections.named(NAME)
        etags = {each["id"]: each["etag"] for each in before}
        assert planned(exporting(), organisation).work == []
        (step,) = planned(exporting(), organisation, rotate=True).work
        assert (step.kind, step.reasons) == ("Kinesis connection", ("sends its credentials again",))
        carried_out(exporting(), organisation, rotate=True)
        after = {each["id"]: each["etag"] for each in organisation.flow_service.connections.named(NAME)}
        assert sum(etags[each] != after[each] for each in after) == 1
        assert planned(exporting(), organisation).work == []

    def test_a_destination_is_moved_to_another_region_with_them(self, organisation: Organisation) -> None:
        carried_out(exporting(), organisation)
        document = exporting()
        document["destinations"][0]["region"] = "us-east-1"
        (problem,) = planned(document, organisation).problems
        assert problem.path == ("destinations", 0, "region")
        assert problem.text.endswith(
            "is in eu-west-1, and its credentials are needed to change it: give --rotate-credentials"
        )
        carried_out(document, organisation, rotate=True)
        assert target_of(organisation)["region"] == "us-east-1"
        assert planned(document, organisation).work == []

    def test_they_are_looked_up_before_anything_is_done(
        self, organisation: Organisation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("STREAM_SECRET")
        with pytest.raises(SecretError, match="STREAM_SECRET is not set"):
            carried_out(exporting(), organisation)
        assert made(organisation) == dict.fromkeys(MADE, 0)


class TestDeletion:
    def doomed(self) -> dict[str, Any]:
        document = exporting()
        for entry in (*document["destinations"], *document["segments"]):
            entry["delete"] = True
        return document

    def test_pruned(self, organisation: Organisation) -> None:
        carried_out(exporting(), organisation)
        assert planned(self.doomed(), organisation).work == []
        assert made(organisation) == MADE
        carried_out(self.doomed(), organisation, prune=True)
        assert made(organisation) == dict.fromkeys(MADE, 0)
        assert planned(self.doomed(), organisation, prune=True).work == []

    @pytest.mark.parametrize("at", range(1, 8))
    def test_pruning_that_is_interrupted_is_continued(self, organisation: Organisation, at: int) -> None:
        carried_out(exporting(), organisation)
        wanted = parsed(self.doomed(), organisation.name)
        plan = make_plan(wanted, look(wanted, services_of(organisation)), organisation.name, prune=True)
        with pytest.raises(ReplyError):
            apply(plan, services_of(organisation, Severed(organisation.transport, at, arrives=True)), lambda *_: None)
        carried_out(self.doomed(), organisation, prune=True)
        assert made(organisation) == dict.fromkeys(MADE, 0)

    def test_what_another_destination_uses_stays(self, organisation: Organisation) -> None:
        carried_out(exporting(), organisation)
        flows = organisation.flow_service
        (target,) = flows.target_connections.named(NAME)
        other = {key: target[key] for key in ("baseConnectionId", "connectionSpec", "data", "params")}
        flows.target_connections.create({**other, "name": "somebody's"})
        document = exporting()
        document["destinations"][0]["delete"] = True
        carried_out(document, organisation, prune=True)
        (left,) = flows.connections.list()
        assert left["id"] == target["baseConnectionId"]
        assert [each["name"] for each in flows.target_connections.list()] == ["somebody's"]

    def test_dataflows_of_the_same_name_are_left_alone(self, organisation: Organisation) -> None:
        """A source's dataflow may be called as a destination is."""
        document = exporting()
        document |= {
            "datasets": [{"name": "Members", "schema": "Member", "profile": True}],
            "connections": [{"name": NAME}],
            "flows": [{"name": NAME, "connection": NAME, "dataset": "Members"}],
        }
        carried_out(document, organisation)
        assert planned(document, organisation).work == []
        document["destinations"][0]["delete"] = True
        carried_out(document, organisation, prune=True)
        assert planned(document, organisation, prune=True).work == []
        assert made(organisation) == {**MADE, "connections": 1}
        again = deepcopy(document)
        again["destinations"][0]["delete"] = False
        again["flows"][0]["delete"] = again["connections"][0]["delete"] = True
        carried_out(again, organisation, prune=True)
        assert made(organisation) == MADE


def test_two_destinations_of_one_name_in_aep(organisation: Organisation) -> None:
    carried_out(exporting(), organisation)
    flow = flow_of(organisation)
    kept = ("name", "flowSpec", "sourceConnectionIds", "targetConnectionIds", "transformations")
    second = organisation.flow_service.flows.create({key: flow[key] for key in kept})
    (problem,) = planned(exporting(), organisation).problems
    assert problem.path == ("destinations", 0, "name")
    assert problem.text == f"name: 2 destinations are called {NAME} ({flow['id']}, {second.id}): rename the others"
    document = exporting()
    document["destinations"][0]["delete"] = True
    (problem,) = planned(document, organisation, prune=True).problems
    assert problem.path == ("destinations", 0, "name")
    assert planned(document, organisation).problems == []
