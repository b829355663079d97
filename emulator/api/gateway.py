"""The gateway in front of the management APIs (platform.adobe.io): what each call must carry, and its refusals.

Sources: "Experience Platform troubleshooting guide" (request header errors), "Authenticate and access Experience
Platform APIs". The guide prints codes and texts; that the first three digits of a code are the HTTP status is our
reading. Organisations and sandboxes need not be made known: any is taken, and all sandboxes are one.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.api.ims import Ims
from emulator.api.numbers import is_whole_number
from emulator.api.problems import json_response
from emulator.state.depth import is_too_deep
from emulator.state.errors import ApiError, bad_request

_BEARER = re.compile(r"bearer\s+", re.IGNORECASE)


@dataclass(frozen=True)
class Call:
    """One authorised call of a management API.

    Attributes:
        request: The request, for its headers, query and path parameters.
        content: Its body.
        org_id: Organisation that it is made for.
        client_id: Its API key.
        sandbox: Sandbox that it names, `prod` if none.
    """

    request: Request
    content: bytes
    org_id: str
    client_id: str
    sandbox: str

    @property
    def base_url(self) -> str:
        """The address that the caller used for this server."""
        return str(self.request.base_url).rstrip("/")

    @property
    def query(self) -> Mapping[str, str]:
        return self.request.query_params

    def path(self, name: str) -> str:
        return str(self.request.path_params[name]).rstrip("/")

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            ApiError: It is none, or not said to be, or nested too deeply.
        """
        content_type = self.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != "application/json" and not content_type.endswith("+json"):
            raise bad_request("A valid content-type must be specified")
        try:
            body = orjson.loads(self.content)
        except orjson.JSONDecodeError as error:
            raise bad_request(f"The request body is not JSON: {error}") from error
        if is_too_deep(body):
            raise bad_request("The request body is nested too deeply")
        return body

    def json_object(self) -> dict[str, Any]:
        """Return the body as a JSON object.

        Raises:
            ApiError: It is none.
        """
        body = self.json()
        if not isinstance(body, dict):
            raise bad_request("The request body must be a JSON object")
        return body

    def whole_number(self, name: str, default: int) -> int:
        """Return a whole number of 0 or more in the query.

        Raises:
            ApiError: It is none, or larger than any that has a meaning.
        """
        text = self.query.get(name, "").strip()
        if text and not is_whole_number(text):
            raise bad_request(f"{name} must be a whole number, not {text[:40]!r}")
        return int(text or default)


Answer = Callable[[Call], Response | Awaitable[Response]]


class Gateway:
    """Checks calls before they reach an API."""

    def __init__(self, ims: Ims) -> None:
        self._ims = ims

    def routes(self, base: str, endpoints: Iterable[tuple[str, str, Answer]]) -> list[Route]:
        """Routes for (method, path below `base`, answer); a trailing slash makes no difference."""
        routes = []
        for method, path, answer in endpoints:
            endpoint = self._endpoint(answer)
            routes += [Route(base + path + end, endpoint, methods=[method]) for end in ("", "/")]
        return routes

    def _endpoint(self, answer: Answer) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            content = await request.body()
            try:
                answered = answer(self._authorise(request, content))
                return await answered if isinstance(answered, Awaitable) else answered
            except ApiError as error:
                return json_response(error.body, error.status)

        return endpoint

    def _authorise(self, request: Request, content: bytes) -> Call:
        headers = request.headers
        token = _BEARER.sub("", headers.get("authorization", "").strip(), count=1)
        if not token:
            raise _refused("403010", "Oauth token is missing.")
        if not self._ims.is_valid(token):
            raise _refused("401013", "Oauth token is not valid")
        api_key = headers.get("x-api-key")
        if not api_key:
            raise _refused("403000", "Api Key is required")
        if api_key not in self._ims.client_ids:
            raise _refused("403003", "Api Key is invalid")
        org_id = headers.get("x-gw-ims-org-id")
        if not org_id:
            raise _refused("400003", "Missing header")
        return Call(request, content, org_id, api_key, headers.get("x-sandbox-name") or "prod")


def _refused(code: str, message: str) -> ApiError:
    return ApiError(int(code[:3]), {"error_code": code, "message": message})
