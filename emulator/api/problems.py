"""Error bodies of the collection service.

Documented by Adobe are the 400 and 401 bodies ("Retrieving failed batches", "Streaming validation", "Create an
HTTP API streaming connection") and the texts of "Sending multiple messages in a single HTTP request". The bodies
of 403, 404, 413, 415, 429, 500, 501 and 503 are not published: those here keep Adobe's shape with our words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

INLET_TYPE = "http://ns.adobe.com/adobecloud/problem/data-collection-service/inlet"
AUTHORIZATION_TYPE = "https://ns.adobe.com/adobecloud/problem/data-collection-service-authorization"

TITLES = {
    400: "Invalid XDM Message Format",
    401: "Authorization",
    403: "Authorization",
    404: "Not found",
    405: "Method not allowed",
    413: "Payload too large",
    415: "Unsupported media type",
    429: "Too many requests",
    500: "Internal server error",
    501: "Not implemented",
    503: "Service unavailable",
}

MESSAGES = {
    400: "Bad request",
    401: "Ims service token is empty",
    403: "Provided authorization token is invalid or expired",
    413: "Payload too large - thrown when the total payload request is greater than 1MB",
    429: "Too many requests within specified time duration",
    500: "Error in processing payload",
    501: "Synchronous validation is not supported for this location",
    503: "The service is temporarily unavailable",
}


def json_response(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Make a JSON response with orjson."""
    return Response(orjson.dumps(content), status, headers, media_type="application/json")


def problem_body(status: int, message: str, cause: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Make Adobe's problem body: for 401 and 403 its `status` is a string, else a number, as documented."""
    authorization = status in (401, 403)
    report: dict[str, Any] = {"message": message}
    if cause is not None:
        report["cause"] = cause
    return {
        "type": AUTHORIZATION_TYPE if authorization else INLET_TYPE,
        "status": str(status) if authorization else status,
        "title": TITLES.get(status, "Error"),
        "report": report,
    }


def problem(
    status: int,
    message: str | None = None,
    cause: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Make the response of a refused request; without `message` the text that belongs to the status."""
    return json_response(
        problem_body(status, message or MESSAGES.get(status, f"HTTP {status}"), cause), status, headers
    )
