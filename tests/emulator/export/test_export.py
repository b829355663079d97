"""From messages to the collection service to records on a stream: what AEP exports, and when."""

from __future__ import annotations

from typing import Any

import pytest

from testing.services.kinesis import Kinesis
from tests.emulator.export.scenario import Members, read

GOLD = 'TENANT.tier = "gold"'


@pytest.fixture
def members(kinesis: Kinesis) -> Any:
    yield Members(kinesis)
    kinesis.clear_faults()


@pytest.fixture
def stream(kinesis: Kinesis) -> str:
    return kinesis.create_stream()


def test_entered_and_left(members: Members, stream: str) -> None:
    gold = members.audience(GOLD)
    members.destination(stream, gold, attributes=("tier", "city"))
    members.record("jane@x.de", {"ECID": [{"id": "1" * 38}]}, tier="silver", city="Rome")
    members.record("jane@x.de", tier="gold", city="Rome")
    members.record("jane@x.de", tier="silver", city="Rome")
    entered, left = members.exported(stream)
    membership = entered["segmentMembership"]["ups"][gold]
    assert entered == {
        members.tenant: {"tier": "gold", "city": "Rome"},
        "segmentMembership": {"ups": {gold: {**membership, "status": "realized"}}},
        "identityMap": {"ecid": [{"id": "1" * 38}], "email": [{"id": "jane@x.de"}]},
    }
    assert membership["lastQualificationTime"].endswith("Z")
    assert left[members.tenant] == {"tier": "silver", "city": "Rome"}
    assert left["segmentMembership"]["ups"][gold]["status"] == "exited"


def test_a_profile_that_has_left_is_exported_no_more(members: Members, stream: str) -> None:
    gold = members.audience(GOLD)
    members.destination(stream, gold, attributes=("city",))
    members.record("a@x.de", tier="gold", city="Rome")
    members.record("a@x.de", tier="silver", city="Rome")
    members.record("a@x.de", tier="silver", city="Paris")
    members.record("b@x.de", tier="silver", city="Paris")
    assert members.statuses(stream) == [{gold: "realized"}, {gold: "exited"}]


def test_a_mapped_attribute_is_written_also_with_the_same_value(members: Members, stream: str) -> None:
    gold = members.audience(GOLD)
    members.destination(stream, gold, attributes=("city",))
    members.record("a@x.de", tier="gold", city="Rome", phone="1")
    members.record("a@x.de", tier="gold", city="Rome")
    members.record("a@x.de", tier="gold")
    members.record("a@x.de", tier="gold")
    cities = [each.get(members.tenant) for each in members.exported(stream)]
    # entered, written again, gone; the last one changes nothing that is mapped
    assert cities == [{"city": "Rome"}, {"city": "Rome"}, None]


def test_an_identity_is_added(members: Members, stream: str) -> None:
    gold = members.audience(GOLD)
    members.destination(stream, gold)
    members.record("a@x.de", tier="gold")
    members.event({"Email": [{"id": "a@x.de", "primary": True}], "ECID": [{"id": "2" * 38}]})
    members.event({"Email": [{"id": "a@x.de"}], "ECID": [{"id": "2" * 38, "primary": True}]})
    first, second = members.exported(stream)
    assert first["identityMap"] == {"email": [{"id": "a@x.de"}]}
    assert second["identityMap"] == {"ecid": [{"id": "2" * 38}], "email": [{"id": "a@x.de"}]}
    assert {key for key, _ in read(members.kinesis, stream)} == {"a@x.de"}


def test_profiles_are_merged(members: Members, stream: str) -> None:
    """The member's profile becomes part of an older one, which then belongs to the audience."""
    gold = members.audience(GOLD)
    buyers = members.audience("exists E from xEvent where E.TENANT.total > 5", "Buyers")
    members.event("old@x.de", total=9)
    members.record("new@x.de", tier="gold")
    members.settle()
    members.destination(stream, gold)
    assert members.statuses(stream) == [{gold: "realized"}]
    members.event({"Email": [{"id": "old@x.de", "primary": True}, {"id": "new@x.de"}]})
    _, merged = members.exported(stream)
    assert merged["identityMap"] == {"email": [{"id": "new@x.de"}, {"id": "old@x.de"}]}
    assert {key: each["status"] for key, each in merged["segmentMembership"]["ups"].items()} == {
        gold: "realized",
        buyers: "realized",
    }
    members.record("new@x.de", tier="silver")
    assert members.statuses(stream)[2:] == [{gold: "exited", buyers: "realized"}]


def test_an_event_alone(members: Members, stream: str) -> None:
    buyers = members.audience("exists E from xEvent where E.TENANT.total > 5", "Buyers")
    members.destination(stream, buyers, attributes=("tier",))
    members.event("a@x.de", total=5)
    members.event("a@x.de", total=6)
    members.event("a@x.de", total=7)
    (only,) = members.exported(stream)
    assert only.keys() == {"segmentMembership", "identityMap"}


@pytest.mark.parametrize(
    ("statuses", "stayed"), [("realized/exited", "realized"), ("realized/existing/exited", "existing")]
)
def test_dialects(members: Members, stream: str, statuses: str, stayed: str) -> None:
    members.kinesis.faults(membership_statuses=statuses)
    gold = members.audience(GOLD)
    romans = members.audience('TENANT.city = "Rome"', "Romans")
    elsewhere = members.audience('TENANT.city = "Rome"', "By another merge policy", mergePolicyId="another")
    members.destination(stream, gold)
    members.record("a@x.de", tier="silver", city="Rome")
    members.record("a@x.de", tier="gold", city="Rome")
    members.record("a@x.de", {"Phone": [{"id": "1"}]}, tier="gold", city="Rome")
    found = members.statuses(stream)
    assert found == [{gold: "realized", romans: stayed}, {gold: stayed, romans: stayed}]
    assert elsewhere not in found[0]


def test_names_and_times(members: Members, stream: str) -> None:
    gold = members.audience(GOLD)
    romans = members.audience('TENANT.city = "Rome"', "Romans")
    members.destination(stream, gold, includeSegmentNames=True)
    members.record("a@x.de", tier="gold", city="Rome")
    (only,) = members.exported(stream)
    shown = only["segmentMembership"]["ups"]
    assert shown[gold].keys() - shown[romans].keys() == {"name", "mappingCreatedAt", "mappingUpdatedAt"}
    assert shown[gold]["name"] == "Gold members"
    assert shown[romans]["createdAt"] <= shown[romans]["updatedAt"]


def test_earlier_members_are_exported_after_the_activation(members: Members, stream: str) -> None:
    gold = members.audience(GOLD)
    romans = members.audience('TENANT.city = "Rome"', "Romans")
    members.gold(range(0, 250, 2), city="Rome")
    members.gold(range(1, 250, 2), city="Paris")
    members.record("silver@x.de", tier="silver", city="Paris")
    members.settle()
    destination = members.destination(stream, gold, romans)
    found = members.exported(stream)
    assert sorted(each["identityMap"]["email"][0]["id"] for each in found) == sorted(f"{n}@x.de" for n in range(250))
    assert members.run(destination) == {"inputRecordCount": 250, "outputRecordCount": 250, "failedRecordCount": 0}


def test_the_time_until_the_backfill(members: Members, stream: str) -> None:
    members.kinesis.faults(backfill_s=3600)
    gold = members.audience(GOLD)
    members.record("before@x.de", tier="gold")
    members.settle()
    members.destination(stream, gold)
    members.record("after@x.de", tier="gold")
    waiting = members.kinesis.local("GET", "exports")
    assert waiting["backfills"] == 1
    members.kinesis.faults(backfill_s=0)
    found = [each["identityMap"]["email"][0]["id"] for each in members.exported(stream)]
    assert found == ["after@x.de", "before@x.de"]


def test_disabled_and_enabled_again(members: Members, stream: str) -> None:
    gold = members.audience(GOLD)
    destination = members.destination(stream, gold)
    action = f"/data/foundation/flowservice/flows/{destination.flow_id}/action?op="
    members.record("a@x.de", tier="gold")
    assert len(members.exported(stream)) == 1
    assert members.platform.call("POST", action + "disable").status_code == 200
    members.record("b@x.de", tier="gold")
    assert len(members.exported(stream)) == 1
    assert members.platform.call("POST", action + "enable").status_code == 200
    found = [each["identityMap"]["email"][0]["id"] for each in members.exported(stream)]
    assert found == ["a@x.de", "a@x.de", "b@x.de"]


def test_a_backfill_that_waits_ends_with_its_dataflow(members: Members, stream: str) -> None:
    members.kinesis.faults(backfill_s=3600)
    gold = members.audience(GOLD)
    members.record("a@x.de", tier="gold")
    members.settle()
    destination = members.destination(stream, gold)
    action = f"/data/foundation/flowservice/flows/{destination.flow_id}/action?op="
    for operation, backfills in (("disable", 0), ("enable", 1)):
        assert members.platform.call("POST", action + operation).status_code == 200
        assert members.kinesis.local("GET", "exports") == {"waiting": 0, "backfills": backfills}
    members.kinesis.faults(backfill_s=0)
    assert members.statuses(stream) == [{gold: "realized"}]


def test_scheduled_evaluation(members: Members, stream: str) -> None:
    gold = members.audience(GOLD, evaluationInfo={"batch": {"enabled": True}})
    buyers = members.audience(
        "exists E from xEvent where E.TENANT.total > 5", "Buyers", evaluationInfo={"batch": {"enabled": True}}
    )
    members.destination(stream, gold, buyers)
    members.record("a@x.de", tier="gold")
    members.event("b@x.de", total=9)
    assert members.exported(stream) == []
    found = members.kinesis.local("POST", "evaluate")
    assert found["entered"] == 2
    assert sorted(map(list, members.statuses(stream))) == sorted([[gold], [buyers]])
    assert members.kinesis.local("POST", "evaluate")["entered"] == 0
    members.record("a@x.de", tier="silver")
    assert members.kinesis.local("POST", "evaluate")["left"] == 1
    assert members.statuses(stream)[2:] == [{gold: "exited"}]


def test_a_changed_rule_forgets_which_events_met_the_old_one(members: Members, stream: str) -> None:
    rule = "exists E from xEvent where E.TENANT.total > LEAST"
    buyers = members.audience(rule.replace("LEAST", "5"), "Buyers")
    members.destination(stream, buyers)
    members.event("a@x.de", total=6)
    members.event("b@x.de", total=9)
    members.settle()
    value = rule.replace("LEAST", "8").replace("TENANT", members.tenant)
    expression = {"type": "PQL", "format": "pql/text", "value": value}
    path = f"/data/core/ups/segment/definitions/{buyers}"
    assert members.platform.call("PATCH", path, {"expression": expression}).status_code == 200
    assert members.kinesis.local("POST", "evaluate")["left"] == 1
    assert members.statuses(stream) == [{buyers: "realized"}, {buyers: "realized"}, {buyers: "exited"}]
    assert read(members.kinesis, stream)[-1][0] == "a@x.de"


def test_an_activated_audience_cannot_be_deleted(members: Members, stream: str) -> None:
    gold = members.audience(GOLD)
    destination = members.destination(stream, gold)
    path = f"/data/core/ups/segment/definitions/{gold}"
    answer = members.platform.call("DELETE", path)
    assert answer.status_code == 400
    assert "a destination activates it" in answer.text
    members.platform.call("DELETE", f"/data/foundation/flowservice/flows/{destination.flow_id}")
    assert members.platform.call("DELETE", path).status_code == 200


def test_a_deleted_profile_is_forgotten(members: Members, stream: str) -> None:
    gold = members.audience(GOLD)
    members.destination(stream, gold)
    members.record("a@x.de", tier="gold")
    assert len(members.exported(stream)) == 1
    path = "/data/core/ups/access/entities?schema.name=_xdm.context.profile&entityId=a@x.de&entityIdNS=email"
    assert members.platform.call("DELETE", path).status_code == 202
    members.record("b@x.de", tier="silver")
    members.record("b@x.de", tier="gold")
    assert members.statuses(stream) == [{gold: "realized"}, {gold: "realized"}]
