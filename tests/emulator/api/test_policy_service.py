"""Marketing actions and policies, and what they mean for a destination.

Sources: [MA] "Marketing actions endpoint", [POL] "Policies endpoint", [LABELS] "Manage data usage labels using APIs",
[AUTO] "Automatic policy enforcement", [PS-API] Policy Service API (OpenAPI).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
import requests

from testing.services.kinesis import Kinesis
from tests.emulator.destination import Destination, have_stream
from tests.emulator.management import PROFILE, Platform

BASE = "/data/foundation/dulepolicy"
EXPORT = "core/exportToThirdParty"
REFERENCE = f"/dulepolicy/marketingActions/{EXPORT}"


@pytest.fixture
def platform(kinesis: Kinesis) -> Platform:
    have_stream(kinesis, "profiles")
    return Platform(kinesis)


def label(platform: Platform, dataset_id: str, *labels: str) -> None:
    answer = platform.call("PUT", f"/data/foundation/dataset/datasets/{dataset_id}/labels", {"labels": list(labels)})
    assert answer.status_code == 200, answer.text


def policy(platform: Platform, status: str = "ENABLED", deny: Any = None, action: str = EXPORT) -> str:
    body = {
        "name": "No export of contracts",
        "status": status,
        "marketingActionRefs": [f"https://platform.adobe.io{BASE}/marketingActions/{action}"],
        "deny": deny or {"label": "C1"},
    }
    return str(platform.make(f"{BASE}/policies/custom", body)["id"])


def enforce(destination: Destination, *references: str) -> requests.Response:
    """As the client aepp does, which has a capital R."""
    return destination.patch([{"op": "Replace", "path": "/policy", "value": {"enforcementRefs": list(references)}}])


def profiles(platform: Platform) -> str:
    """Create a dataset for Profile; return its id."""
    schema_id = platform.schema(
        PROFILE, platform.field_group(email={"type": "string", "meta:xdmType": "string"}), union=False
    )
    platform.identity(schema_id, f"/{platform.tenant}/email")
    path = f"/data/foundation/schemaregistry/tenant/schemas/{quote(schema_id, safe='')}"
    patch = [{"op": "add", "path": "/meta:immutableTags", "value": ["union"]}]
    assert platform.call("PATCH", path, patch).status_code == 200
    return platform.dataset(schema_id)


def test_core_actions(platform: Platform) -> None:
    """[MA] [PS-API]"""
    listed = platform.get(f"{BASE}/marketingActions/core")
    assert listed["_page"]["count"] == len(listed["children"])
    assert {"exportToThirdParty", "emailTargeting", "crossSiteTargeting"} <= {
        each["name"] for each in listed["children"]
    }
    one = platform.get(f"{BASE}/marketingActions/{EXPORT}")
    assert one["_links"]["self"]["href"] == f"{platform.emulator.url}{BASE}/marketingActions/{EXPORT}"
    missing = platform.call("GET", f"{BASE}/marketingActions/core/X")
    assert missing.status_code == 404
    assert missing.json() == {"detail": "https://platform.adobe.io:443/marketingActions/core/X not found"}


def test_custom_actions(platform: Platform) -> None:
    """[MA] 201 for a new one, 200 for a changed one; its name is that of the path; 400 while a policy names it."""
    path = f"{BASE}/marketingActions/custom/combineData"
    assert platform.call("PUT", path, {"name": "other"}).status_code == 400
    assert platform.call("PUT", path, {"name": "combineData"}).status_code == 201
    changed = platform.call("PUT", path, {"name": "combineData", "description": "Combine sources."})
    assert (changed.status_code, changed.json()["description"]) == (200, "Combine sources.")
    (listed,) = platform.get(f"{BASE}/marketingActions/custom")["children"]
    assert listed == changed.json()
    policy_id = policy(platform, action="custom/combineData")
    refused = platform.call("DELETE", path)
    assert (refused.status_code, policy_id in refused.json()["detail"]) == (400, True)
    assert platform.call("DELETE", f"{BASE}/policies/custom/{policy_id}").status_code == 200
    deleted = platform.call("DELETE", path)
    assert (deleted.status_code, deleted.content) == (200, b"")
    assert platform.call("GET", path).status_code == 404
    assert Platform(platform.emulator).get(f"{BASE}/marketingActions/custom")["children"] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"name": None},
        {"status": "ON"},
        {"marketingActionRefs": []},
        {"marketingActionRefs": ["/marketingActions/core/unknown"]},
        {"deny": {"operator": "NOT", "operands": [{"label": "C1"}]}},
        {"deny": {"operator": "AND", "operands": []}},
    ],
)
def test_refused_policies(platform: Platform, changes: dict[str, Any]) -> None:
    body = {"name": "p", "status": "DRAFT", "marketingActionRefs": [REFERENCE], "deny": {"label": "C1"}}
    assert platform.call("POST", f"{BASE}/policies/custom", {**body, **changes}).status_code == 400


@pytest.mark.parametrize("reference", [REFERENCE, f"{REFERENCE}/constraints"])
def test_marketing_actions_of_a_destination(platform: Platform, reference: str) -> None:
    """Both spellings are kept as they were sent."""
    destination = Destination(platform)
    assert destination.shown()["policy"] == {"enforcementRefs": []}
    assert enforce(destination, reference).status_code == 202
    assert destination.shown()["policy"] == {"enforcementRefs": [reference]}


def test_unknown_marketing_actions_are_refused(platform: Platform) -> None:
    destination = Destination(platform)
    for unknown in ("/dulepolicy/marketingActions/core/sell", "/dulepolicy/marketingActions/custom/sell", "sell"):
        answer = enforce(destination, unknown)
        assert (answer.status_code, unknown in answer.json()["errorMessage"]) == (400, True)
    assert destination.shown()["policy"] == {"enforcementRefs": []}


@pytest.mark.parametrize("deny", [{"label": "C1"}, {"operator": "AND", "operands": [{"label": "C1"}, {"label": "C2"}]}])
def test_a_policy_that_forbids_it(platform: Platform, deny: dict[str, Any]) -> None:
    """[AUTO] 409 with the violations; only enabled policies count."""
    dataset_id = profiles(platform)
    label(platform, dataset_id, "C1", "C2")
    policy_id = policy(platform, deny=deny)
    destination = Destination(platform)
    answer = enforce(destination, REFERENCE)
    assert (answer.status_code, answer.json()["title"]) == (409, "Violations Error")
    (violation,) = answer.json()["violations"]
    assert violation["enforcementRef"] == REFERENCE
    assert [each["id"] for each in violation["violatedPolicies"]] == [policy_id]
    assert [each["entityId"] for each in violation["entities"]] == [dataset_id]
    assert destination.shown()["policy"] == {"enforcementRefs": []}

    path = f"{BASE}/policies/custom/{policy_id}"
    body = {**platform.get(path), "status": "DISABLED"}
    assert platform.call("PUT", path, body).status_code == 200
    assert enforce(destination, REFERENCE).status_code == 202


def test_what_is_not_forbidden(platform: Platform) -> None:
    """[POL] another label, in another case, another marketing action, and data that Profile does not get."""
    label(platform, profiles(platform), "c1", "C3")
    other = platform.schema(PROFILE, title="Not for Profile", union=False)
    label(platform, platform.dataset(other, profile=False), "C1")
    policy(platform)
    policy(platform, deny={"label": "C3"}, action="core/emailTargeting")
    policy(platform, status="DRAFT", deny={"label": "C3"})
    assert enforce(Destination(platform), REFERENCE).status_code == 202


def test_labels(platform: Platform) -> None:
    """[LABELS] the form of the reply; the second change supplies the etag; 404 for no dataset."""
    dataset_id = platform.dataset(platform.schema(PROFILE, union=False), profile=False)
    path = f"/data/foundation/dataset/datasets/{dataset_id}/labels"
    assert platform.get(path) == {
        f"AEP:dataset:{dataset_id}": {"imsOrg": platform.org_id, "labels": [], "optionalLabels": []}
    }
    first = platform.call("PUT", path, {"labels": [["C1", "C2"]]})
    assert first.json()[f"AEP:dataset:{dataset_id}"]["labels"] == ["C1", "C2"]
    assert platform.call("PUT", path, {"labels": ["C3"]}).status_code == 412
    assert platform.call("PUT", path, {"labels": ["C3"]}, If_Match=first.headers["etag"]).status_code == 200
    assert platform.call("GET", "/data/foundation/dataset/datasets/none/labels").status_code == 404
