"""The records and rules on the page about exports are what comes out, and what can be evaluated."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from aep.formats.exported_profile import check_shape, membership_of
from emulator.api.faults import Faults
from emulator.export.records import Change, ProfileState, concerns, exported
from emulator.segments.memberships import Membership, Segment
from emulator.segments.parser import parse_rule
from emulator.state.destinations import Destination, MappedAudience
from emulator.state.identities import Named

PAGE = (Path(__file__).parents[3] / "docs" / "profile-export.md").read_text()
RECORDS = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
MAPPED, OTHER = "7841ba61-23c1-4bb3-a495-00d3a5fe1e93", "59bd2fbd-3c48-4b18-bf56-4f5c5e6967ae"
SEGMENTS = {each: Segment(each, each, parse_rule("a = 1"), "policy", True, 0, 0) for each in (MAPPED, OTHER)}
DESTINATION = Destination(
    "flow",
    "org",
    "name",
    {MAPPED: MappedAudience(MAPPED, "", 0, 0)},
    ("person.name.firstName", "homeAddress.city"),
    False,
    False,
    "stream",
    "us-east-1",
    "key",
    "secret",
)


def state(city: str, **mapped: Any) -> ProfileState:
    person = {"name": {"firstName": "Jane", "lastName": "Doe"}}
    identities = [Named("ecid", "14575006536349286404619648085736425115"), Named("email", "jane@example.com")]
    since = int(datetime.fromisoformat("2026-01-02T23:37:33+00:00").timestamp() * 1000)
    memberships = {MAPPED: Membership(**mapped), OTHER: Membership("realized", since)}
    return ProfileState({"person": person, "homeAddress": {"city": city}}, identities, memberships)


def at(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp() * 1000)


@pytest.mark.parametrize(
    ("record", "profile", "change"),
    [
        (
            RECORDS[0],
            state("Rome", status="realized", since_ms=at("2026-01-11T21:24:39+00:00")),
            Change([MAPPED]),
        ),
        (
            RECORDS[1],
            state("Paris", status="realized", since_ms=at("2026-01-11T21:24:39+00:00")),
            Change((), written={"homeAddress": {"city": "Paris"}}),
        ),
        (
            RECORDS[2],
            state("Paris", status="exited", since_ms=at("2026-01-15T08:00:00+00:00")),
            Change([MAPPED]),
        ),
    ],
)
def test_records(record: dict[str, Any], profile: ProfileState, change: Change) -> None:
    assert concerns(DESTINATION, profile, change)
    assert exported(DESTINATION, SEGMENTS, profile, change.segments, "realized/exited") == record


def test_what_the_pipelines_read_from_them() -> None:
    """The emulator and the pipelines have a reading of Adobe's samples each."""
    assert [check_shape(record) for record in RECORDS] == [None, None, None]
    assert [membership_of(record) for record in RECORDS] == ["entered", "entered", "left"]


def test_rules() -> None:
    (table,) = re.findall(r"\| part \| examples \|\n(.*?)\n\n", PAGE, re.DOTALL)
    rules = [rule for rule in re.findall(r"`([^`]+)`", table) if rule not in ("and", "or", "not", "!")]
    assert len(rules) == 10
    for rule in rules:
        parse_rule(rule)


def test_switches() -> None:
    (table,) = re.findall(r"\| switch \| default \| meaning \|\n(.*?)\n\n", PAGE, re.DOTALL)
    for name, default in re.findall(r"^\| `(\w+)` \| `?([^|`]+)`? \|", table, re.MULTILINE):
        assert str(Faults.model_fields[name].default) == default.strip()
