"""What an activation changes in a destination's dataflow, as a JSON Patch."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aep.platform.destinations import (
    Audience,
    KinesisCredentials,
    actions_of,
    activation,
    attributes_of,
    audiences_of,
    destination_flow,
)
from aep.platform.policies import action_of, enforcement_reference
from emulator.api.json_patch import apply_patch

SEGMENTS = "/transformations/0/params/segmentSelectors/selectors"
PROFILES = "/transformations/0/params/profileSelectors/selectors"


def flow(*audiences: str, attributes: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    made = destination_flow("f", "", "source", "target")
    selectors = made["transformations"][0]["params"]
    selectors["segmentSelectors"]["selectors"] = [
        {"type": "PLATFORM_SEGMENT", "value": {"id": each}} for each in audiences
    ]
    selectors["profileSelectors"]["selectors"] = [{"type": "JSON_PATH", "value": {"path": each}} for each in attributes]
    return {**made, **more}


def changes(there: dict[str, Any], *audiences: str, attributes: tuple[str, ...] = (), actions: Any = ()) -> list[Any]:
    operations = activation(there, [Audience(each, each.upper()) for each in audiences], attributes, actions)
    return [(each["op"], each["path"]) for each in operations]


def test_selectors_are_removed_from_the_highest_index_down() -> None:
    there = flow("a", "b", "c", "d", attributes=("x", "y"))
    assert changes(there, "c") == [
        ("remove", f"{SEGMENTS}/3"),
        ("remove", f"{SEGMENTS}/1"),
        ("remove", f"{SEGMENTS}/0"),
        ("remove", f"{PROFILES}/1"),
        ("remove", f"{PROFILES}/0"),
    ]


def test_what_is_right_is_left_alone() -> None:
    policy = {"enforcementRefs": ["/dulepolicy/marketingActions/core/analytics/constraints"]}
    there = flow("a", "b", attributes=("x",), policy=policy)
    assert changes(there, "b", "a", attributes=("x",), actions=["core/analytics"]) == []


def test_the_bodies_are_those_of_the_tutorial() -> None:
    operations = activation(flow(), [Audience("id", "name", "text")], ["person.lastName"], [])
    assert operations == [
        {
            "op": "add",
            "path": f"{SEGMENTS}/-",
            "value": {"type": "PLATFORM_SEGMENT", "value": {"name": "name", "description": "text", "id": "id"}},
        },
        {
            "op": "add",
            "path": f"{PROFILES}/-",
            "value": {"type": "JSON_PATH", "value": {"operator": "EXISTS", "path": "person.lastName"}},
        },
    ]


def test_a_policy_keeps_what_it_has_besides() -> None:
    (added,) = activation(flow(), [], [], ["custom/sell"])
    value = {"enforcementRefs": ["/dulepolicy/marketingActions/custom/sell"]}
    assert added == {"op": "add", "path": "/policy", "value": value}
    (replaced,) = activation(flow(policy={"duleLabels": ["C1"], "enforcementRefs": []}), [], [], ["custom/sell"])
    assert replaced == {"op": "replace", "path": "/policy", "value": {"duleLabels": ["C1"], **value}}


def test_the_transformation_with_the_selectors_need_not_be_the_first() -> None:
    there = flow("a")
    there["transformations"].insert(0, {"name": "Other", "params": {}})
    assert changes(there) == [("remove", f"{SEGMENTS.replace('0', '1')}/0")]


def test_marketing_actions_are_written_in_two_ways() -> None:
    reference = enforcement_reference("core/x")
    assert reference == "/dulepolicy/marketingActions/core/x"
    assert action_of(reference) == action_of(f"{reference}/constraints") == "core/x"


def test_credentials_do_not_show() -> None:
    credentials = KinesisCredentials("AKIA", "s3cr3t", "eu-west-1")
    assert repr(credentials) == "KinesisCredentials(region='eu-west-1')"


IDS = st.lists(st.sampled_from("abcdefgh"), unique=True)


@given(mapped=IDS, wanted=IDS, exported=IDS, attributes=IDS, actions=IDS)
def test_an_activation_comes_to_what_is_wanted(
    mapped: list[str], wanted: list[str], exported: list[str], attributes: list[str], actions: list[str]
) -> None:
    """By RFC 6902, as the emulator applies a patch: nothing is missing, nothing is left, what stays keeps its order."""
    there = flow(*mapped, attributes=tuple(exported), policy={"enforcementRefs": [enforcement_reference("core/a")]})
    kinds = [f"core/{each}" for each in actions]
    after = apply_patch(there, activation(there, [Audience(each, "") for each in wanted], attributes, kinds))
    assert audiences_of(after) == [each for each in mapped if each in wanted] + [
        each for each in wanted if each not in mapped
    ]
    assert set(attributes_of(after)) == set(attributes)
    assert len(attributes_of(after)) == len(attributes)
    assert actions_of(after) == set(kinds)
