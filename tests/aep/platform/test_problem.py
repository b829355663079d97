from __future__ import annotations

import pickle
from typing import Any

import pytest

from aep.errors import (
    ConflictError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    PlatformError,
    UnavailableError,
)
from aep.platform.problem import read_problem
from tests.aep.management import answer

PLACEHOLDER = "/placeholder/type/uri"
STALE = "Supplied version=[a] does not match the current version on entity=[b]"
TAKEN = "Title must be unique. An object https://ns.adobe.com/x/schemas/1 already exists with the same title."
SENTENCE = "Requested resource https://ns.adobe.com/x/schemas/1 with version 1 is not found"
REGISTRY: dict[str, Any] = {
    "type": "http://ns.adobe.com/aep/errors/XDM-1012-404",
    "title": "Resource Not Found",
    "status": 404,
    "report": {"registryRequestId": "a6773f98", "detailed-message": SENTENCE, "sub-errors": []},
}


@pytest.mark.parametrize(
    ("status", "body", "code", "title", "detail", "request_id"),
    [
        (403, {"error_code": "403003", "message": "Api Key is invalid"}, "403003", "", "Api Key is invalid", ""),
        (
            400,
            {"type": PLACEHOLDER, "status": 400, "title": "BadRequestError", "detail": TAKEN},
            "",
            "BadRequestError",
            TAKEN,
            "",
        ),
        (404, {**REGISTRY, "detail": SENTENCE}, "XDM-1012-404", "Resource Not Found", SENTENCE, "a6773f98"),
        (404, REGISTRY, "XDM-1012-404", "Resource Not Found", SENTENCE, "a6773f98"),
        # The detail names no field; the reasons do.
        (
            400,
            {
                **REGISTRY,
                "type": "http://ns.adobe.com/aep/errors/XDM-1521-400",
                "title": "Data type is invalid",
                "detail": "The request is invalid.",
                "report": {
                    **REGISTRY["report"],
                    "additionalDetails": [
                        {"errorReason": "/properties/a: unknown type\n'text'"},
                        {"errorReason": "/properties/b: no title"},
                        {"errorReason": "/properties/b: no title"},
                        {"errorReason": "The request is invalid."},
                        {"errorReason": ""},
                        {"errorReason": {"no": "text"}},
                        "no object",
                        {},
                    ],
                },
            },
            "XDM-1521-400",
            "Data type is invalid",
            "The request is invalid: /properties/a: unknown type 'text'; /properties/b: no title",
            "a6773f98",
        ),
        (
            400,
            {"title": "Bad", "status": 400, "report": {"additionalDetails": [{"errorReason": "no title"}]}},
            "",
            "Bad",
            "no title",
            "",
        ),
        (400, {"title": "Bad", "status": 400, "report": {"additionalDetails": "no list"}}, "", "Bad", "", ""),
        (412, {"errorMessage": STALE}, "", "", STALE, ""),
        (
            422,
            {"message": "UPS-MRG-1000001:Identities cannot be retrieved", "cause": "Code - 400", "statusCode": "422"},
            "UPS-MRG-1000001",
            "",
            "Identities cannot be retrieved (cause: Code - 400)",
            "",
        ),
        (
            403,
            {"message": "UPS-ACC-1000004: IMS Org is not provisioned.", "statusCode": "403"},
            "UPS-ACC-1000004",
            "",
            "IMS Org is not provisioned.",
            "",
        ),
        (404, {"statusCode": "404"}, "", "", "", ""),
        (429, [{"message": "Too many requests", "retryAfterMs": "500"}], "", "", "Too many requests", ""),
        (
            401,
            {
                "type": "https://ns.adobe.com/adobecloud/problem/data-collection-service-authorization",
                "status": "401",
                "title": "Authorization",
                "report": {"message": "[id] Ims service token is empty"},
            },
            "",
            "Authorization",
            "[id] Ims service token is empty",
            "",
        ),
        (502, b"<html>\n  Bad  Gateway</html>", "", "", "<html> Bad Gateway</html>", ""),
        (500, {"unheard": "of"}, "", "", '{"unheard":"of"}', ""),
        (500, b"\xff\xfe", "", "", "\ufffd\ufffd", ""),
        (500, [], "", "", "[]", ""),
        (500, b"", "", "", "", ""),
        (400, {"message": {"not": "text"}, "title": None, "report": [], "status": 400}, "", "", "", ""),
    ],
)
def test_every_form_of_body(status: int, body: Any, code: str, title: str, detail: str, request_id: str) -> None:
    problem = read_problem(answer(body, status))
    assert problem[:5] == (status, code, title, detail, request_id)


def test_the_request_id_of_a_header() -> None:
    assert read_problem(answer({"title": "x"}, 500, x_request_id="r-1")).request_id == "r-1"
    assert read_problem(answer(REGISTRY, 404, x_request_id="r-1")).request_id == "a6773f98"


@pytest.mark.parametrize(
    ("body", "headers", "seconds"),
    [
        (None, {}, 0),
        (None, {"retry-after": "7"}, 7),
        (None, {"retry-after": "Mon, 12 Jan 1970 13:46:50 GMT"}, 10),
        (None, {"retry-after": "soon"}, 0),
        (None, {"retry-after": "86400"}, 120),
        ([{"retryAfterMs": "1500"}], {}, 1.5),
        ([{"retryAfterMs": "1500"}], {"retry-after": "7"}, 7),
        ([{"retryAfterMs": "99999999999"}], {}, 120),
        ([{"retryAfterMs": "-1"}], {}, 0),
    ],
)
def test_how_long_it_asks_to_wait(body: Any, headers: dict[str, str], seconds: float) -> None:
    assert read_problem(answer(body, 429, **headers), lambda: 1_000_000.0).retry_after == seconds


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, None, InvalidRequestError),
        (422, None, InvalidRequestError),
        (406, {"title": "NotAcceptableError"}, InvalidRequestError),
        (401, None, ForbiddenError),
        (403, None, ForbiddenError),
        (404, None, NotFoundError),
        (409, None, ConflictError),
        (412, None, ConflictError),
        (400, {"errorMessage": STALE}, ConflictError),
        (400, {"detail": TAKEN}, ConflictError),
        (429, None, UnavailableError),
        (408, None, UnavailableError),
        (500, None, UnavailableError),
        (503, None, UnavailableError),
        (500, {"errorMessage": STALE}, UnavailableError),
        (302, None, PlatformError),
    ],
)
def test_the_class_of_the_error(status: int, body: Any, kind: type[PlatformError]) -> None:
    assert type(read_problem(answer(body, status)).error("GET", "https://h/p")) is kind


@pytest.mark.parametrize(
    ("status", "body", "refused"),
    [
        (401, None, True),
        (403, {"error_code": "403010", "message": "Oauth token is missing."}, True),
        (403, {"error_code": "401013", "message": "Oauth token is not valid"}, True),
        (403, {"report": {"message": "Provided authorization token is invalid or expired"}}, True),
        (403, {"error_code": "403000", "message": "Api Key is required"}, False),
        (403, {"error_code": "403025", "message": "Profile is not valid"}, False),
        (400, {"message": "unexpected token"}, False),
    ],
)
def test_whether_another_token_may_help(status: int, body: Any, refused: bool) -> None:
    assert read_problem(answer(body, status)).token_refused is refused


def test_the_error_says_what_where_and_what_to_do() -> None:
    missing = read_problem(answer({**REGISTRY, "detail": SENTENCE}, 404)).error("GET", "https://h/p")
    assert str(missing) == (
        f"GET https://h/p answers 404: Resource Not Found: {SENTENCE} (code XDM-1012-404, request id a6773f98)"
    )
    assert str(read_problem(answer(None, 500)).error("PUT", "https://h/p")) == "PUT https://h/p answers 500"
    forbidden = read_problem(answer({"error_code": "403003", "message": "Api Key is invalid"}, 403))
    assert "(code 403003); check the client id, the organisation" in str(forbidden.error("GET", "https://h/p"))


def test_words_are_shortened() -> None:
    assert len(read_problem(answer({"detail": "x" * 10_000}, 400)).detail) == 500
    assert len(read_problem(answer(b"y" * 10_000, 400)).detail) == 500


def test_the_error_survives_pickling() -> None:
    error = read_problem(answer(REGISTRY, 404)).error("GET", "https://h/p")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.code) == (NotFoundError, str(error), "XDM-1012-404")


def test_reasons_are_shown_after_a_long_detail_and_shortened() -> None:
    report = {"additionalDetails": [{"errorReason": "a: no title"}, {"errorReason": "b" * 2_000}]}
    found = read_problem(answer({"detail": "x" * 2_000, "report": report}, 400))
    assert found.detail.startswith("x" * 500 + ": a: no title; bbb")
    assert len(found.detail) == 1_002
