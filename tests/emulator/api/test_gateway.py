"""What the gateway refuses. Source: [LAND-TRB] "Experience Platform troubleshooting guide"."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.management import CATALOG, ENTITIES, EXPORT, FLOW_SERVICE, INLET, REGISTRY, Platform

APIS = [
    f"{REGISTRY}/stats",
    f"{CATALOG}/dataSets",
    f"{CATALOG}/batches",
    f"{EXPORT}/batches/x/failed",
    f"{FLOW_SERVICE}/connections",
    "/data/foundation/mappingSets",
    "/data/foundation/conversion/mappingSets",
    INLET,
    ENTITIES,
]


@pytest.mark.parametrize("path", APIS)
@pytest.mark.parametrize(
    ("headers", "status", "body"),
    [
        ({"Authorization": ""}, 403, {"error_code": "403010", "message": "Oauth token is missing."}),
        ({"Authorization": "Bearer wrong"}, 401, {"error_code": "401013", "message": "Oauth token is not valid"}),
        ({"x_api_key": ""}, 403, {"error_code": "403000", "message": "Api Key is required"}),
        ({"x_api_key": "nobody"}, 403, {"error_code": "403003", "message": "Api Key is invalid"}),
        ({"x_gw_ims_org_id": ""}, 400, {"error_code": "400003", "message": "Missing header"}),
    ],
    ids=["no token", "wrong token", "no key", "wrong key", "no organisation"],
)
def test_refused(platform: Platform, path: str, headers: dict[str, str], status: int, body: dict[str, Any]) -> None:
    """[LAND-TRB] each refusal, at each API."""
    answer = platform.call("GET", path, **headers)
    assert (answer.status_code, answer.json()) == (status, body)


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
def test_bearer_in_any_case(platform: Platform, scheme: str) -> None:
    """[PM] the Postman collection writes "bearer" in small letters."""
    token = platform.headers["Authorization"].removeprefix("Bearer ")
    assert platform.call("GET", f"{CATALOG}/dataSets", Authorization=f"{scheme} {token}").status_code == 200


def test_revoked_token(platform: Platform) -> None:
    """[LAND-TRB] a token that was valid once."""
    platform.emulator.revoke_tokens()
    assert platform.call("GET", f"{CATALOG}/dataSets").json()["error_code"] == "401013"


@pytest.mark.parametrize("sandbox", ["", "prod", "dev-1"])
def test_sandbox_is_optional(platform: Platform, sandbox: str) -> None:
    """[AUTH] the sandbox header; without it the call is for prod."""
    assert platform.call("GET", f"{CATALOG}/dataSets", x_sandbox_name=sandbox).status_code == 200


@pytest.mark.parametrize(("content_type", "body"), [("text/plain", b"{}"), ("", b"{}")])
def test_content_type(platform: Platform, content_type: str, body: bytes) -> None:
    """[LAND-TRB] a body of a wrong or of no type."""
    answer = platform.call("POST", f"{CATALOG}/dataSets", body, Content_Type=content_type)
    assert answer.status_code == 400
    assert answer.json() == {
        "type": "/placeholder/type/uri",
        "status": 400,
        "title": "BadRequestError",
        "detail": "A valid content-type must be specified",
    }


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"'])
def test_body_that_is_no_object(platform: Platform, body: bytes) -> None:
    """Our choice: Adobe does not say what a malformed body gets."""
    assert platform.call("POST", f"{REGISTRY}/tenant/schemas", body).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "status", "title"),
    [
        ("GET", "/data/foundation/import/batches", 404, "NotFoundError"),
        ("PUT", "/data/foundation/schemaregistry/stats", 405, "Method Not Allowed"),
        ("GET", "/nowhere", 404, "NotFoundError"),
    ],
)
def test_what_the_emulator_lacks(platform: Platform, method: str, path: str, status: int, title: str) -> None:
    """It says so itself, not in the name of the collection service."""
    answer = platform.call(method, path)
    assert answer.status_code == status
    detail = f"The emulator has no {method} {path}"
    assert answer.json() == {"type": "/placeholder/type/uri", "status": status, "title": title, "detail": detail}


def test_organisations_are_apart(platform: Platform) -> None:
    """What one organisation has, another does not see."""
    other = Platform(platform.emulator)
    platform.connection()
    assert len(platform.get(f"{FLOW_SERVICE}/connections")["items"]) == 1
    assert other.get(f"{FLOW_SERVICE}/connections")["items"] == []
