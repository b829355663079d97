"""The segment definitions of the Segmentation Service.

Sources: "Segment definitions endpoint", "Streaming segmentation", OpenAPI document of the Segmentation Service.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from testing.services.emulator import Emulator
from tests.emulator.management import ENTITIES, Platform

SEGMENTS = "/data/core/ups/segment/definitions"
RULE = 'workAddress.country = "US"'


def definition(name: str = "People in the US", rule: str = RULE, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "description": "work address",
        "expression": {"type": "PQL", "format": "pql/text", "value": rule},
        "schema": {"name": "_xdm.context.profile"},
        **more,
    }


def create(platform: Platform, name: str = "People in the US", **more: Any) -> dict[str, Any]:
    answer = platform.call("POST", SEGMENTS, definition(name, **more))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def names(platform: Platform, query: str) -> list[str]:
    return [each["name"] for each in platform.get(f"{SEGMENTS}?{query}")["segments"]]


def messages(answer: Any) -> list[str]:
    (errors,) = answer.json()["errors"].values()
    return [each["message"] for each in errors]


def test_created(platform: Platform) -> None:
    answer = platform.call("POST", SEGMENTS, definition(evaluationInfo={"continuous": {"enabled": True}}))
    assert answer.status_code == 200
    created = answer.json()
    assert answer.headers["X-Location"] == f"{platform.emulator.url}{SEGMENTS}/{created['id']}"
    assert created == {
        **definition(),
        "id": created["id"],
        "imsOrgId": platform.org_id,
        "sandbox": {"sandboxId": "prod", "sandboxName": "prod", "type": "production", "default": True},
        "ttlInDays": 30,
        "mergePolicyId": created["mergePolicyId"],
        "evaluationInfo": {
            "batch": {"enabled": False},
            "continuous": {"enabled": True},
            "synchronous": {"enabled": False},
        },
        "dataGovernancePolicy": {"excludeOptOut": True},
        "creationTime": created["creationTime"],
        "updateTime": created["creationTime"],
        "updateEpoch": created["creationTime"] // 1000,
    }
    assert platform.get(f"{SEGMENTS}/{created['id']}") == created


@pytest.mark.parametrize("given", [{}, {"evaluationInfo": {}}])
def test_without_evaluation_info_it_is_a_batch_one(platform: Platform, given: dict[str, Any]) -> None:
    info = create(platform, **given)["evaluationInfo"]
    assert [name for name, way in info.items() if way["enabled"]] == ["batch"]


def test_the_merge_policy_is_that_of_profile_access(platform: Platform) -> None:
    path = f"{ENTITIES}"
    body = {
        "schema": {"name": "_xdm.context.profile"},
        "identities": [{"entityId": "x", "entityIdNS": {"code": "ECID"}}],
    }
    (profile,) = platform.call("POST", path, body).json().values()
    assert create(platform)["mergePolicyId"] == profile["mergePolicy"]["id"]


def test_a_name_is_taken_once(platform: Platform) -> None:
    created = create(platform)
    answer = platform.call("POST", SEGMENTS, definition(rule="a = 1"))
    assert answer.status_code == 422
    assert created["id"] in messages(answer)[0]
    other = create(platform, "Others")
    answer = platform.call("PATCH", f"{SEGMENTS}/{other['id']}", {"name": created["name"]})
    assert answer.status_code == 422
    stranger = Platform(platform.emulator)
    assert create(stranger)["id"] != created["id"]


def test_patched(platform: Platform) -> None:
    created = create(platform)
    expression = {"type": "PQL", "format": "pql/text", "value": 'workAddress.country = "CA"'}
    body = {"id": "another", "name": "Updated", "expression": expression, "creationTime": 0, "updateTime": 0}
    answer = platform.call("PATCH", f"{SEGMENTS}/{created['id']}", body)
    assert answer.status_code == 200
    changed = answer.json()
    assert changed["updateTime"] > created["updateTime"]
    times = {key: changed[key] for key in ("updateTime", "updateEpoch")}
    assert changed == {**created, "name": "Updated", "expression": expression, **times}
    assert platform.get(f"{SEGMENTS}/{created['id']}") == changed


def test_deleted(platform: Platform) -> None:
    created = create(platform)
    answer = platform.call("DELETE", f"{SEGMENTS}/{created['id']}")
    assert (answer.status_code, answer.content) == (200, b"")
    for method in ("GET", "DELETE"):
        assert platform.call(method, f"{SEGMENTS}/{created['id']}").status_code == 404
    assert names(platform, "") == []
    create(platform)


def test_another_organisation_sees_none(platform: Platform) -> None:
    created = create(platform)
    stranger = Platform(platform.emulator)
    assert stranger.call("GET", f"{SEGMENTS}/{created['id']}").status_code == 404
    assert stranger.call("PATCH", f"{SEGMENTS}/{created['id']}", {"name": "x"}).status_code == 404
    assert names(stranger, "") == []


def test_listed(platform: Platform) -> None:
    create(platform, "B", evaluationInfo={"continuous": {"enabled": True}, "batch": {"enabled": True}})
    create(platform, "A")
    create(platform, "C", evaluationInfo={"synchronous": {"enabled": True}})
    assert names(platform, "sort=name:asc") == ["A", "B", "C"]
    assert names(platform, "sort=name:desc&limit=2") == ["C", "B"]
    assert names(platform, "sort=name&limit=2&page=2") == ["C"]
    assert names(platform, "sort=name&limit=2&start=1") == ["B", "C"]
    assert names(platform, "evaluationInfo.continuous.enabled=true") == ["B"]
    assert names(platform, "evaluationInfo.continuous.enabled=True") == ["B"]
    assert names(platform, "evaluationInfo.batch.enabled=false") == ["C"]
    listed = platform.get(f"{SEGMENTS}?limit=2")
    assert listed["page"] == {
        "totalCount": 3,
        "totalPages": 2,
        "sortField": "creationTime",
        "sort": "desc",
        "pageSize": 2,
        "limit": 2,
    }
    assert listed["link"] == {}


@pytest.mark.parametrize("query", ["limit=x", "start=-1", "sort=rule", "evaluationInfo.batch.enabled=1"])
def test_a_wrong_query_is_refused(platform: Platform, query: str) -> None:
    assert platform.call("GET", f"{SEGMENTS}?{query}").status_code == 400


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"name": ""}, "name is required"),
        ({"description": 1}, "description must be a string"),
        ({"schema": {"name": "_xdm.context.account"}}, 'schema must be {"name": "_xdm.context.profile"}'),
        ({"expression": None}, "expression with type, format and value is required"),
        (
            {"expression": {"type": "PQL", "format": "pql/json", "value": "{}"}},
            'expression.type must be "PQL" and expression.format "pql/text"',
        ),
        (
            {"expression": {"type": "PQL", "format": "pql/text", "value": "a = 1 and"}},
            "expression.value cannot be evaluated here: position 10: expected a condition, got the end",
        ),
        (
            {"evaluationInfo": {"batch": {"enabled": False}}},
            "evaluationInfo must enable one of batch, continuous, synchronous",
        ),
        ({"evaluationInfo": {"edge": {"enabled": True}}}, "evaluationInfo has no edge, only batch, continuous"),
        ({"evaluationInfo": "batch"}, "evaluationInfo must be an object"),
        ({"evaluationInfo": {"batch": True}}, 'evaluationInfo.batch must be {"enabled": true} or'),
        ({"mergePolicyId": 7}, "mergePolicyId must be a string"),
    ],
)
def test_a_wrong_definition_is_refused(platform: Platform, change: dict[str, Any], text: str) -> None:
    answer = platform.call("POST", SEGMENTS, {**definition(), **change})
    assert answer.status_code == 400
    assert messages(answer)[0].startswith(text)
    created = create(platform)
    assert platform.call("PATCH", f"{SEGMENTS}/{created['id']}", change).status_code == 400
    assert platform.get(f"{SEGMENTS}/{created['id']}") == created


def test_definitions_outlive_a_restart(tmp_path: Path) -> None:
    with Emulator(state=tmp_path / "state.db") as emulator:
        platform = Platform(emulator)
        created = create(platform)
        emulator.kill()
        emulator.start()
        again = Platform(emulator, platform.org_id)
        assert again.get(f"{SEGMENTS}/{created['id']}") == created
