from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.emulator.conftest import Client
from tests.services.emulator import CLIENT_ID, CLIENT_SECRET, Emulator

SCOPE = "openid,AdobeID,read_organizations,additional_info.projectedProductContext,session"
GOOD = {
    "grant_type": "client_credentials",
    "client_id": CLIENT_ID,
    "client_secret": CLIENT_SECRET,
    "scope": SCOPE,
}


def ask(emulator: Emulator, client: Client, path: str = "/ims/token/v3", **parameters: Any) -> requests.Response:
    return client.session.post(emulator.url + path, timeout=10, **parameters)


@pytest.mark.parametrize(
    ("path", "expires_in"),
    [
        ("/ims/token/v3", 86_399),
        ("/ims/token/v2", 86_399),
        ("/ims/token/v1", 86_399_000),
        ("/ims/token", 86_399_000),
    ],
)
def test_token(emulator: Emulator, client: Client, path: str, expires_in: int) -> None:
    answer = ask(emulator, client, path, data=GOOD)
    body = answer.json()
    assert answer.status_code == 200
    assert (body["token_type"], body["expires_in"]) == ("bearer", expires_in)
    assert len(body["access_token"]) > 40
    assert list(body) == ["access_token", "token_type", "expires_in"]


def test_milliseconds_where_it_should_be_seconds(emulator: Emulator, client: Client) -> None:
    emulator.faults(token_milliseconds=True, token_ttl_s=7)
    assert ask(emulator, client, data=GOOD).json()["expires_in"] == 7_000


def test_parameters_in_the_query(emulator: Emulator, client: Client) -> None:
    assert ask(emulator, client, params=GOOD).status_code == 200


def test_client_id_in_the_query_and_the_rest_in_the_body(emulator: Emulator, client: Client) -> None:
    body = {key: value for key, value in GOOD.items() if key != "client_id"}
    assert ask(emulator, client, params={"client_id": CLIENT_ID}, data=body).status_code == 200


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_secret": None}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 400, "invalid_client"),
        ({"client_id": None}, 400, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": None}, 400, "unsupported_grant_type"),
        ({"scope": "openid AdobeID"}, 400, "invalid_scope"),
        ({"scope": "openid,everything"}, 400, "invalid_scope"),
        ({"scope": None}, 400, "invalid_scope"),
    ],
)
def test_refused(emulator: Emulator, client: Client, changes: dict[str, Any], status: int, error: str) -> None:
    answer = ask(emulator, client, data={**GOOD, **changes})
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json()["error_description"]
    assert CLIENT_SECRET not in answer.text


def test_blanks_between_scopes(emulator: Emulator, client: Client) -> None:
    assert ask(emulator, client, data={**GOOD, "scope": "openid, AdobeID"}).status_code == 200


def test_faults(emulator: Emulator, client: Client) -> None:
    emulator.faults(ims_status=500)
    answer = ask(emulator, client, data=GOOD)
    assert answer.status_code == 500
    assert answer.json() == {"error": "internal_error", "error_description": "Please try again later"}
    emulator.faults(ims_status=None, token_ttl_s=5)
    assert ask(emulator, client, data=GOOD).json()["expires_in"] == 5
    assert ask(emulator, client, "/ims/token/v1", data=GOOD).json()["expires_in"] == 5000
    stats = emulator.stats()
    assert (stats["token_requests"], stats["tokens_issued"]) == (3, 2)


def test_further_client(emulator: Emulator, client: Client) -> None:
    emulator.local("POST", "clients", {"client_id": "another", "client_secret": "its-own"})
    assert emulator.local("GET", "clients") == {"clients": [CLIENT_ID, "another"]}
    assert ask(emulator, client, data={**GOOD, "client_id": "another"}).status_code == 401
    assert ask(emulator, client, data={**GOOD, "client_id": "another", "client_secret": "its-own"}).ok
