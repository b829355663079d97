"""The older API for streaming connections.

Sources: [G2019] "Getting started with streaming ingestion" of 2019, [PM] Postman collection for ISVs.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.emulator.conftest import Client
from tests.emulator.management import INLET, PROFILE, Platform

BODY: dict[str, Any] = {
    "name": "My website",
    "description": "Clicks",
    "sourceId": "website",
    "dataType": "xdm",
    "authenticationRequired": False,
}


def test_created(platform: Platform) -> None:
    """[G2019] the body of a new inlet."""
    answer = platform.call("POST", INLET, BODY)
    assert answer.status_code == 200
    body = answer.json()
    assert re.fullmatch("[0-9a-f]{64}", body["inletId"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["createdAt"])
    assert body == {
        **BODY,
        "inletId": body["inletId"],
        "imsOrg": platform.org_id,
        "createdAt": body["createdAt"],
        "createdBy": platform.headers["x-api-key"],
        "modifiedAt": body["createdAt"],
        "modifiedBy": platform.headers["x-api-key"],
        "validationRequired": True,
        "inletUrl": f"{platform.emulator.url}/collection/{body['inletId']}",
    }


def test_listed(platform: Platform) -> None:
    """[G2019] the list of inlets."""
    created = platform.call("POST", INLET, BODY).json()
    assert platform.get(INLET) == {"items": [created], "total": 1}
    assert platform.get(f"{INLET}/{created['inletId']}") == created


@pytest.mark.parametrize(
    "changes", [{"name": ""}, {"sourceId": None}, {"dataType": "csv"}, {"authenticationRequired": "no"}]
)
def test_refused(platform: Platform, changes: dict[str, Any]) -> None:
    """Our choice: Adobe does not show a refusal."""
    assert platform.call("POST", INLET, {**BODY, **changes}).status_code == 400
    assert platform.get(INLET)["total"] == 0


def test_takes_messages(platform: Platform, client: Client) -> None:
    """[PM] 3a: messages go to `inletUrl`, without authorisation."""
    url = platform.call("POST", INLET, BODY).json()["inletUrl"]
    schema_id = platform.schema(PROFILE)
    dataset_id = platform.dataset(schema_id, profile=False)
    message = platform.message(schema_id, dataset_id, {"personID": "p1"})
    assert client.post(url, message).status_code == 200
    assert platform.records(dataset_id) == [{"personID": "p1"}]
    wrong = {**message, "header": {**message["header"], "imsOrgId": "OTHER@AdobeOrg"}}
    assert "wrong ims org" in client.post(url, wrong).json()["report"]["message"]


def test_authentication_required(platform: Platform, client: Client) -> None:
    """[G2019] `authenticationRequired`."""
    url = platform.call("POST", INLET, {**BODY, "authenticationRequired": True}).json()["inletUrl"]
    assert client.post(url, {}).status_code == 401
    assert client.post(url, {}, Authorization=platform.headers["Authorization"]).status_code == 400
