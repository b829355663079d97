"""What the gateway refuses. Source: [LAND-TRB] "Experience Platform troubleshooting guide"."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from tests.emulator.management import (
    CATALOG,
    ENTITIES,
    EXPORT,
    FLOW_SERVICE,
    HTTP_STREAMING,
    INLET,
    PROFILE,
    PROFILE_STORE,
    REGISTRY,
    XED,
    Platform,
)

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


BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "schema": (f"{REGISTRY}/tenant/schemas", {"title": "S", "allOf": [{"$ref": PROFILE}], "meta:immutableTags": []}),
    "field group": (f"{REGISTRY}/tenant/fieldgroups", {"title": "G", "allOf": [{"properties": {}, "required": []}]}),
    "connection": (f"{FLOW_SERVICE}/connections", {"name": "c", "connectionSpec": {"id": HTTP_STREAMING}, "auth": {}}),
    "store": (
        f"{FLOW_SERVICE}/connections",
        {"name": "c", "connectionSpec": {"id": PROFILE_STORE, "version": "1.0"}, "auth": {"params": {"inletId": "x"}}},
    ),
    "older inlet": (INLET, {"name": "i", "sourceId": "s"}),
}
JUNK: list[Any] = [None, 0, True, "", "x", [], [None], [[]], [{}], {}, {"x": 1}, {"id": None}]


def variants(value: Any) -> Iterator[Any]:
    """Yield a body with junk in the place of each of its parts."""
    yield from JUNK
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        for each in variants(value[key]):
            changed = copy.copy(value)
            changed[key] = each
            yield changed


@pytest.mark.parametrize("name", BODIES)
def test_whatever_a_body_holds_is_taken_or_refused(platform: Platform, name: str) -> None:
    """The emulator does not fail on it, nor on what it has kept of it."""
    path, body = BODIES[name]
    for number, each in enumerate(variants(body)):
        if isinstance(each, dict) and each.get("title") == body.get("title") is not None:
            each["title"] = f"{each['title']} {number}"  # no two resources may have the same
        answer = platform.call("POST", path, each)
        assert answer.status_code < 500, each
    assert platform.call("GET", path, Accept=XED).status_code == 200


@pytest.mark.parametrize("path", [f"{REGISTRY}/tenant/schemas", f"{CATALOG}/dataSets", f"{FLOW_SERVICE}/connections"])
def test_a_body_too_deep_to_be_shown_is_refused(platform: Platform, path: str) -> None:
    schema_id = platform.schema(PROFILE)
    _, connection = BODIES["store"]
    body = {**connection, "title": "deep", "allOf": [{"$ref": PROFILE}], "schemaRef": {"id": schema_id}}
    for levels in (200, 300):  # the second can be read, and not written
        deep = {**body, "title": f"deep {levels}", "more": orjson.Fragment(b"[" * levels + b"]" * levels)}
        answer = platform.call("POST", path, deep)
        assert answer.status_code == (201 if levels == 200 else 400), answer.text
    assert platform.call("GET", path, Accept=XED).status_code == 200


@pytest.mark.parametrize("number", ["9" * 25, "1" * 5000], ids=["beyond 64 bits", "beyond Python"])
@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{CATALOG}/batches?createdAfter=", 400),
        (f"{CATALOG}/dataSets?limit=", 400),
        (f"{ENTITIES}?schema.name=_xdm.context.profile&entityId=a&entityIdNS=email&startTime=", 400),
        (f"{REGISTRY}/tenant/schemas?limit=", 200),
        ("/__local/messages?inlet={}&after=", 400),
        ("/events/", 404),
    ],
)
def test_numbers_too_large_to_be_counted(platform: Platform, path: str, number: str, status: int) -> None:
    inlet = platform.emulator.create_inlet()
    answer = platform.call("GET", path.format(inlet["inletId"]) + number, Accept=XED)
    assert answer.status_code == status


@pytest.mark.parametrize("expression", ["title~" + "(" * 5000, "title~a{99999999999999}"])
def test_regular_expressions_that_cannot_be_read(platform: Platform, expression: str) -> None:
    assert platform.call("GET", f"{REGISTRY}/tenant/schemas?property={expression}", Accept=XED).status_code == 400
