from __future__ import annotations

import base64
import time
from typing import Any, ClassVar

import orjson
import pytest
import requests

from testing.services.emulator import CLIENT_ID, CLIENT_SECRET, Emulator
from testing.services.process import PATIENCE_SECONDS
from tests.emulator.conftest import Client, make_message

SCOPE = "openid,AdobeID,read_organizations,additional_info.projectedProductContext,session"
GOOD = {
    "grant_type": "client_credentials",
    "client_id": CLIENT_ID,
    "client_secret": CLIENT_SECRET,
    "scope": SCOPE,
}


def ask(emulator: Emulator, client: Client, path: str = "/ims/token/v3", **parameters: Any) -> requests.Response:
    return client.session.post(emulator.url + path, timeout=PATIENCE_SECONDS, **parameters)


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


def test_what_a_token_says(emulator: Emulator, client: Client) -> None:
    """[AIO-IMS] A JSON Web Token; with `created_at` and `expires_in` in milliseconds, each as text."""
    emulator.faults(token_ttl_s=7)
    before = int(time.time() * 1000)
    token = ask(emulator, client, data=GOOD).json()["access_token"]
    _, payload, _ = token.split(".")
    claims = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert before <= int(claims["created_at"]) <= int(time.time() * 1000)
    assert (claims["type"], claims["client_id"], claims["expires_in"]) == ("access_token", CLIENT_ID, "7000")


@pytest.mark.parametrize(("path", "expires_in"), [("/ims/token/v1", 86_399_000), ("/ims/token/v3", 86_399)])
def test_authorization_code(emulator: Emulator, client: Client, path: str, expires_in: int) -> None:
    """[IO-AUTH] [SC] The grant of older clients, who are given a code once: with a refresh token."""
    form = {"grant_type": "authorization_code", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "code": "c"}
    answer = ask(emulator, client, path, data=form)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("bearer", expires_in)
    assert body["refresh_token"] not in ("", body["access_token"])
    inlet = emulator.create_inlet(authentication_required=True, validation="off")
    bearer = f"Bearer {body['access_token']}"
    assert client.single(inlet, make_message(inlet, "a"), Authorization=bearer).status_code == 200
    for changes, error in (({"code": None}, "invalid_request"), ({"client_secret": "wrong"}, "invalid_client")):
        assert ask(emulator, client, path, data={**form, **changes}).json()["error"] == error


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
    assert {CLIENT_ID, "another"} <= set(emulator.local("GET", "clients")["clients"])  # other tests may add more
    assert ask(emulator, client, data={**GOOD, "client_id": "another"}).status_code == 401
    assert ask(emulator, client, data={**GOOD, "client_id": "another", "client_secret": "its-own"}).ok


CLAIMS: dict[str, Any] = {
    "exp": int(time.time()) + 3600,
    "iss": "ACME@AdobeOrg",
    "sub": "1234@techacct.adobe.com",
    "aud": f"https://ims-na1.adobelogin.com/c/{CLIENT_ID}",
    "https://ims-na1.adobelogin.com/s/ent_dataservices_sdk": True,
}


def make_jwt(**changes: Any) -> str:
    claims = {key: value for key, value in {**CLAIMS, **changes}.items() if value is not None}
    parts = [base64.urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=").decode() for part in ({"alg": "RS256"}, claims)]
    return ".".join([*parts, "signature"])


class TestJwtExchange:
    """[AUTH] [PM] "Authenticate and access Experience Platform APIs", and the Postman collection for ISVs."""

    FORM: ClassVar[dict[str, str]] = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}

    @pytest.mark.parametrize("path", ["/ims/exchange/jwt", "/ims/exchange/jwt/"])
    @pytest.mark.parametrize("way", ["form", "multipart", "query"])
    def test_token_in_milliseconds(self, emulator: Emulator, client: Client, path: str, way: str) -> None:
        form = {**self.FORM, "jwt_token": make_jwt()}
        ways: dict[str, dict[str, Any]] = {
            "form": {"data": form},
            "multipart": {"files": {key: (None, value) for key, value in form.items()}},
            "query": {"params": form},
        }
        answer = ask(emulator, client, path, **ways[way])
        assert answer.status_code == 200, answer.text
        assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("bearer", 86_399_000)

    @pytest.mark.parametrize(
        ("form", "status", "error"),
        [
            ({"client_id": "nobody"}, 400, "invalid_client"),
            ({"client_secret": "wrong"}, 401, "invalid_client"),
            ({"jwt_token": ""}, 400, "invalid_token"),
            ({"jwt_token": "a.b.c"}, 400, "invalid_token"),
            ({"jwt_token": make_jwt(exp=1)}, 400, "invalid_token"),
            ({"jwt_token": make_jwt(exp="soon")}, 400, "invalid_token"),
            ({"jwt_token": make_jwt(aud="https://ims-na1.adobelogin.com/c/other")}, 400, "invalid_client"),
            ({"jwt_token": make_jwt(iss="ACME")}, 400, "bad_request"),
            ({"jwt_token": make_jwt(sub=None)}, 400, "bad_request"),
            (
                {"jwt_token": make_jwt(**{"https://ims-na1.adobelogin.com/s/ent_dataservices_sdk": None})},
                400,
                "invalid_scope",
            ),
        ],
    )
    def test_refused(self, emulator: Emulator, client: Client, form: dict[str, str], status: int, error: str) -> None:
        """[IO-AUTH] the error table of the JWT guide."""
        answer = ask(emulator, client, "/ims/exchange/jwt", data={**self.FORM, "jwt_token": make_jwt(), **form})
        assert (answer.status_code, answer.json()["error"]) == (status, error)
