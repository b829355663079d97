"""Pure decisions of the Profile store: whom a record is about, how entities merge, when an event was."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.state.datasets import Identity
from emulator.state.identities import identities_in, merge_into, named, pick
from emulator.state.ingestion import epoch_ms

EMAIL = Identity(("_t", "email"), "Email", True)
PHONE = Identity(("_t", "phone"), "Phone", False)


@pytest.mark.parametrize(
    ("entity", "expected"),
    [
        ({"_t": {"email": "a", "phone": 12}}, [("email", "a"), ("phone", "12")]),
        ({"_t": {"phone": "12"}}, []),
        ({"_t": {"email": ""}}, []),
        ({"_t": "text"}, []),
        ({"identityMap": {"ECID": [{"id": "1"}]}}, [("ecid", "1")]),
        ({"identityMap": {"ECID": [{"id": "1"}, {"id": "2", "primary": True}]}}, [("ecid", "2"), ("ecid", "1")]),
        ({"identityMap": {"ECID": [{"id": "1"}], "CRM": [{"id": "2"}]}}, []),
        ({"_t": {"email": "a"}, "identityMap": {"email": [{"id": "a", "primary": True}]}}, [("email", "a")]),
        (
            {"_t": {"email": "a"}, "identityMap": {"CRM": [{"id": "2", "primary": True}]}},
            [("email", "a"), ("crm", "2")],
        ),
        ({"identityMap": {"ECID": "x", "CRM": [1, {"id": 5}, {}]}}, []),
        ({"identityMap": []}, []),
    ],
)
def test_identities(entity: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert [tuple(each) for each in identities_in(entity, [EMAIL, PHONE])] == expected


def test_native_ids() -> None:
    assert named("Email", "a").xid == named("EMAIL", "a").xid
    assert len({named("Email", "a").xid, named("Email", "b").xid, named("Phone", "a").xid}) == 3


def test_merge() -> None:
    target = {"a": {"b": 1, "c": [1]}, "d": 1}
    merge_into(target, {"a": {"c": [2], "e": 3}, "d": {"f": 1}})
    assert target == {"a": {"b": 1, "c": [2], "e": 3}, "d": {"f": 1}}


def test_pick() -> None:
    assert pick({"a": {"b": 1, "c": 2}, "d": 3}, ["a.b", " d", "x.y"]) == {"a": {"b": 1}, "d": 3}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1000),
        ("1970-01-01T00:00:01.5Z", 1500),
        ("1970-01-01T00:00:01.123456789Z", 1123),
        ("1970-01-01T01:00:01.25+01:00", 1250),
        ("1970-01-01T00:00:00-02:00", 7_200_000),
    ],
)
def test_epoch(text: str, expected: int) -> None:
    assert epoch_ms(text) == expected
