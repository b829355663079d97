"""Which changes go to a destination, and what it gets."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import pytest

from emulator.export.records import Change, Dialect, ProfileState, concerns, exported, exports, partition_key
from emulator.segments.memberships import Membership, Segment
from emulator.segments.parser import parse_rule
from emulator.state.destinations import Destination, MappedAudience
from emulator.state.identities import Named

RULE = parse_rule("a = 1")
# 2022-01-11T21:24:39Z
TIME_MS = 1_641_936_279_500
SEGMENTS = {
    each: Segment(each, f"Name of {each}", RULE, policy, True, 1000, 2000)
    for each, policy in (("gold", "p"), ("new", "p"), ("other", "p"), ("foreign", "q"))
}
ECID, EMAIL = Named("ecid", "123"), Named("email", "jane@example.com")
ENTITY = {
    "person": {"name": {"firstName": "Jane", "lastName": "Doe"}},
    "homeAddress": {"city": "Rome"},
    "identityMap": {"ECID": []},
}


def destination(*audiences: str, **changes: Any) -> Destination:
    mapped = {each: MappedAudience(each, "as mapped", 3, 4) for each in audiences or ("gold", "new")}
    made = Destination(
        "flow",
        "ACME@AdobeOrg",
        "name",
        mapped,
        ("person.name.firstName", "homeAddress", "personalEmail.address", "segmentMembership.status"),
        False,
        False,
        "stream",
        "us-east-1",
        "key",
        "secret",
    )
    return made._replace(**changes)


def profile(**statuses: Any) -> ProfileState:
    return ProfileState(ENTITY, [ECID, EMAIL], {key: Membership(status, TIME_MS) for key, status in statuses.items()})


class TestConcerns:
    def test_entered_or_left(self) -> None:
        assert concerns(destination(), profile(gold="realized"), Change(["gold"]))
        assert concerns(destination(), profile(gold="exited"), Change(["gold"]))

    def test_an_audience_that_is_not_mapped(self) -> None:
        assert not concerns(destination(), profile(other="realized"), Change(["other"]))
        assert not concerns(destination(), profile(gold="realized", other="realized"), Change(["other"]))

    def test_an_added_identity_of_a_member(self) -> None:
        assert concerns(destination(), profile(gold="realized"), Change((), identity_added=True))

    @pytest.mark.parametrize(
        "written", [{"person": {"name": {"firstName": "Jane"}}}, {"homeAddress": {"city": "Rome"}}]
    )
    def test_a_written_attribute_also_with_the_same_value(self, written: dict[str, Any]) -> None:
        assert concerns(destination(), profile(gold="realized"), Change((), False, written, [ENTITY]))

    def test_an_attribute_that_is_not_mapped(self) -> None:
        written = {"person": {"name": {"lastName": "Doe"}}, "segmentMembership": {"status": "x"}}
        assert not concerns(destination(), profile(gold="realized"), Change((), False, written, [ENTITY]))

    def test_an_attribute_that_is_gone(self) -> None:
        before = {**ENTITY, "personalEmail": {"address": "jane@example.com"}}
        assert concerns(destination(), profile(gold="realized"), Change((), False, {}, [before]))

    @pytest.mark.parametrize("status", [None, "exited"])
    def test_other_profiles_than_members_are_not_exported(self, status: Any) -> None:
        change = Change((), True, ENTITY, [])
        assert not concerns(destination(), profile(gold=status, other="realized"), change)

    def test_nothing(self) -> None:
        assert not concerns(destination(), profile(gold="realized"), Change((), False, {}, [ENTITY]))


class TestExported:
    def test_whole(self) -> None:
        found = exported(destination(), SEGMENTS, profile(gold="realized"), ["gold"], "realized/exited")
        assert found == {
            "person": {"name": {"firstName": "Jane"}},
            "homeAddress": {"city": "Rome"},
            "segmentMembership": {
                "ups": {"gold": {"lastQualificationTime": "2022-01-11T21:24:39Z", "status": "realized"}}
            },
            "identityMap": {"ecid": [{"id": "123"}], "email": [{"id": "jane@example.com"}]},
        }
        assert list(found) == ["person", "homeAddress", "segmentMembership", "identityMap"]

    @pytest.mark.parametrize(
        ("dialect", "stayed"), [("realized/exited", "realized"), ("realized/existing/exited", "existing")]
    )
    def test_statuses(self, dialect: Dialect, stayed: str) -> None:
        state = profile(gold="exited", new="realized", other="realized", foreign="realized")
        found = exported(destination(), SEGMENTS, state, ["gold", "new"], dialect)
        statuses = {key: each["status"] for key, each in found["segmentMembership"]["ups"].items()}
        assert statuses == {"gold": "exited", "new": "realized", "other": stayed}

    def test_only_members_beside_what_has_changed(self) -> None:
        state = profile(gold="exited", new="realized", other="exited", unknown="realized")
        found = exported(destination(), SEGMENTS, state, ["new"], "realized/exited")
        assert list(found["segmentMembership"]["ups"]) == ["new"]

    def test_names_and_times(self) -> None:
        state = profile(gold="realized", other="realized")
        times = {"createdAt": 1000, "updatedAt": 2000}
        mapped = {"mappingCreatedAt": 3000, "mappingUpdatedAt": 4000}
        status = {"lastQualificationTime": "2022-01-11T21:24:39Z", "status": "realized"}

        def shown(**options: bool) -> Any:
            return exported(destination(**options), SEGMENTS, state, ["gold"], "realized/exited")["segmentMembership"]

        assert shown(include_timestamps=True) == {
            "ups": {"gold": {**status, **times, **mapped}, "other": {**status, **times}}
        }
        assert shown(include_names=True) == {
            "ups": {"gold": {**status, **times, **mapped, "name": "Name of gold"}, "other": {**status, **times}}
        }


def test_each_destination_gets_its_own() -> None:
    one, other = destination("gold"), destination("new", flow_id="other", attributes=())
    state = profile(gold="realized", new="realized")
    (first,) = exports([one, other], SEGMENTS, state, Change(["gold"]), EMAIL, "realized/exited")
    assert (first.org_id, first.flow_id, first.partition_key) == ("ACME@AdobeOrg", "flow", "jane@example.com")
    assert orjson.loads(first.data) == exported(one, SEGMENTS, state, ["gold"], "realized/exited")
    both = exports([one, other], SEGMENTS, state, Change((), identity_added=True), EMAIL, "realized/exited")
    assert [each.flow_id for each in both] == ["flow", "other"]
    assert orjson.loads(both[1].data).keys() == {"segmentMembership", "identityMap"}


def test_a_long_identity_is_hashed_for_the_partition_key() -> None:
    assert partition_key(Named("a", "ü" * 256)) == "ü" * 256
    assert partition_key(Named("a", "ü" * 257)) == hashlib.sha256(("ü" * 257).encode()).hexdigest()
