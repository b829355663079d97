"""Pure decisions of the Profile store: whom a record is about, how entities merge, when an event was."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.state.datasets import Identity
from emulator.state.identities import MAX_GRAPH_IDENTITIES, Named, identities_in, merge_into, named, pick, surplus
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


def graph(*namespaces: str) -> dict[Named, int]:
    """Return a full graph and a little more, in the order of age: these namespaces, then email addresses."""
    found = [named(namespace, str(number)) for number, namespace in enumerate(namespaces)]
    emails = [named("Email", str(number)) for number in range(MAX_GRAPH_IDENTITIES + 2 - len(found))]
    return {identity: age for age, identity in enumerate([*found, *emails])}


@pytest.mark.parametrize(
    ("namespaces", "leaving"),
    [
        ((), [("email", "0"), ("email", "1")]),
        (("CRM", "Phone", "IDFA", "GAID"), [("idfa", "2"), ("gaid", "3")]),
        (("CRM", "IDFA", "ECID"), [("ecid", "2"), ("idfa", "1")]),
        (("CRM", "ecid", "ECID", "TNTID"), [("ecid", "1"), ("ecid", "2")]),
    ],
)
def test_what_leaves_a_full_graph(namespaces: tuple[str, ...], leaving: list[tuple[str, str]]) -> None:
    assert surplus(graph(*namespaces), []) == leaving


def test_the_newest_stay_in_a_full_graph_whatever_they_are() -> None:
    linked = graph("ECID", "ECID", "ECID")
    newest = [named("ECID", "0"), named("ECID", "1")]
    assert surplus(linked, newest) == [("ecid", "2"), ("email", "0")]
    assert surplus(dict(list(linked.items())[:MAX_GRAPH_IDENTITIES]), newest) == []


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
