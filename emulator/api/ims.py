"""Adobe's Identity Management Service (IMS): access tokens for OAuth server-to-server credentials.

Sources: "Server to Server Authentication" of the Adobe Developer Console (v3: seconds), "Authenticate and access
Experience Platform APIs" (24 hours), the aio-lib-ims library (v2: seconds). The older paths give milliseconds, as
the older OAuth guide shows. Adobe publishes no error table for the client_credentials grant; names and statuses
follow OAuth 2.0 and the table of the JWT guide.

The exchange of a JSON Web Token is served for older clients, though Adobe ended those credentials in 2025. Its claims
are checked as the JWT guide has it, its signature is not: there is no certificate to check it with. The older
grant of an authorization code is served as well; any code is taken, since nobody can get one here.

Tokens are JSON Web Tokens, as aio-lib-ims takes for granted: it reads from their claims how long they live.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.api.faults import FaultState
from emulator.api.problems import json_response
from emulator.state.store import Store

DEFAULT_CLIENT_ID = "emulator-client"
DEFAULT_CLIENT_SECRET = "emulator-secret"  # noqa: S105 - the published default of a test bench
TOKEN_LIFE_S = 86_399
CLIENT_CREDENTIALS = "client_credentials"
AUTHORIZATION_CODE = "authorization_code"
SCOPES = frozenset(
    [
        "openid",
        "AdobeID",
        "read_organizations",
        "additional_info.projectedProductContext",
        "session",
        "additional_info.roles",
        "email",
        "profile",
    ]
)


class Ims:
    """Clients and access tokens."""

    def __init__(self, store: Store, faults: FaultState, clock: Callable[[], float]) -> None:
        self._store = store
        self._faults = faults
        self._clock = clock
        self._clients: dict[str, str] = {DEFAULT_CLIENT_ID: DEFAULT_CLIENT_SECRET, **dict(store.definitions("client"))}
        self._expiry: dict[str, float] = dict(store.definitions("token"))
        self.requests = 0
        self.tokens_issued = 0

    def routes(self) -> list[Route]:
        """Return the token endpoints: /ims/token and its versions."""
        return [
            Route("/ims/token/v3", self._token_in_seconds, methods=["POST"]),
            Route("/ims/token/v2", self._token_in_seconds, methods=["POST"]),
            Route("/ims/token/v1", self._token_in_milliseconds, methods=["POST"]),
            Route("/ims/token", self._token_in_milliseconds, methods=["POST"]),
            Route("/ims/exchange/jwt", self._exchange, methods=["POST"]),
            Route("/ims/exchange/jwt/", self._exchange, methods=["POST"]),
        ]

    @property
    def client_ids(self) -> list[str]:
        """The clients that may ask for tokens."""
        return list(self._clients)

    def add_client(self, client_id: str, client_secret: str) -> None:
        """Make a client known, or change its secret."""
        self._clients[client_id] = client_secret
        self._store.define("client", client_id, client_secret)

    def is_valid(self, token: str) -> bool:
        """Return whether an access token was issued here, has not expired and was not revoked."""
        return self._clock() < self._expiry.get(token, 0)

    def revoke_all(self) -> int:
        """Revoke every token; return how many were still valid."""
        valid = sum(self.is_valid(token) for token in self._expiry)
        self._expiry.clear()
        self._store.undefine("token")
        return valid

    def reset_counts(self) -> None:
        """Forget how many tokens were asked for and issued."""
        self.requests = self.tokens_issued = 0

    async def _token_in_seconds(self, request: Request) -> Response:
        return await self._token(request, units_per_second=1)

    async def _token_in_milliseconds(self, request: Request) -> Response:
        return await self._token(request, units_per_second=1000)

    async def _exchange(self, request: Request) -> Response:
        return await self._token(request, units_per_second=1000, refusal=self._refusal_of_exchange)

    async def _token(
        self,
        request: Request,
        units_per_second: int,
        refusal: Callable[[dict[str, str]], Response | None] | None = None,
    ) -> Response:
        self.requests += 1
        faults = self._faults.effective()
        if faults.ims_status is not None:
            return _error(faults.ims_status, "internal_error", "Please try again later")
        form = form_fields(request.headers.get("content-type", ""), await request.body())
        parameters = {**request.query_params, **form}
        error = (refusal or self._refusal)(parameters)
        if error is not None:
            return error
        life_s = faults.token_ttl_s or TOKEN_LIFE_S
        if faults.token_milliseconds:
            units_per_second = 1000
        answer = {
            "access_token": self._issue(parameters["client_id"], life_s),
            "token_type": "bearer",
            "expires_in": int(life_s * units_per_second),
        }
        if parameters.get("grant_type") == AUTHORIZATION_CODE:
            answer["refresh_token"] = new_token("refresh_token", parameters["client_id"], self._clock(), life_s)
        return json_response(answer)

    def _refusal(self, parameters: dict[str, str]) -> Response | None:
        grant = parameters.get("grant_type")
        if grant not in (CLIENT_CREDENTIALS, AUTHORIZATION_CODE):
            expected = f"grant_type must be {CLIENT_CREDENTIALS} or {AUTHORIZATION_CODE}"
            return _error(400, "unsupported_grant_type", expected)
        wrong_client = self._refusal_of_client(parameters)
        if wrong_client is not None:
            return wrong_client
        if grant == AUTHORIZATION_CODE:
            return None if parameters.get("code") else _error(400, "invalid_request", "code is missing")
        scopes = {scope.strip() for scope in parameters.get("scope", "").split(",")}
        if not scopes <= SCOPES:
            return _error(400, "invalid_scope", "scope must be a comma separated list of known scopes")
        return None

    def _refusal_of_client(self, parameters: dict[str, str]) -> Response | None:
        client_id = parameters.get("client_id")
        if client_id not in self._clients:
            return _error(400, "invalid_client", "client_id is missing or unknown")
        if parameters.get("client_secret") != self._clients[client_id]:
            return _error(401, "invalid_client", "client_secret does not belong to this client_id")
        return None

    def _refusal_of_exchange(self, parameters: dict[str, str]) -> Response | None:
        wrong_client = self._refusal_of_client(parameters)
        if wrong_client is not None:
            return wrong_client
        claims = read_claims(parameters.get("jwt_token", ""))
        if claims is None:
            return _error(400, "invalid_token", "jwt_token is missing or cannot be decoded")
        expiry = claims.get("exp")
        if not isinstance(expiry, int):
            return _error(400, "invalid_token", "exp must be an integer")
        if expiry <= self._clock():
            return _error(400, "invalid_token", "The token has expired")
        for name, ending in (("iss", "@AdobeOrg"), ("sub", "@techacct.adobe.com")):
            if not str(claims.get(name, "")).endswith(ending):
                return _error(400, "bad_request", f"{name} must end with {ending}")
        if not str(claims.get("aud", "")).endswith(f"/c/{parameters['client_id']}"):
            return _error(400, "invalid_client", "client_id and aud differ")
        if not any("/s/ent_" in name and granted for name, granted in claims.items()):
            return _error(400, "invalid_scope", "The token claims no metascope")
        return None

    def _issue(self, client_id: str, life_s: float) -> str:
        for expired in [token for token in self._expiry if not self.is_valid(token)]:
            del self._expiry[expired]
            self._store.undefine("token", expired)
        token = new_token("access_token", client_id, self._clock(), life_s)
        self._expiry[token] = self._clock() + life_s
        self._store.define("token", token, self._expiry[token])
        self.tokens_issued += 1
        return token


def new_token(kind: str, client_id: str, now: float, life_s: float) -> str:
    """Return a JSON Web Token that says when it was made and how long it lives, in milliseconds; its signature is made
    up.
    """
    claims = {
        "id": secrets.token_hex(16),
        "type": kind,
        "as": "ims-na1",
        "client_id": client_id,
        "created_at": str(int(now * 1000)),
        "expires_in": str(int(life_s * 1000)),
    }
    parts = [orjson.dumps({"alg": "RS256"}), orjson.dumps(claims), secrets.token_bytes(32)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def form_fields(content_type: str, body: bytes) -> dict[str, str]:
    """Return the fields of a form, URL-encoded or multipart."""
    if not content_type.lower().startswith("multipart/form-data"):
        return dict(parse_qsl(body.decode("utf-8", "replace")))
    parts = message_from_bytes(b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n" + body).walk()
    fields = {}
    for part in parts:
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            fields[name] = content.decode("utf-8", "replace").strip()
    return fields


def read_claims(token: str) -> dict[str, Any] | None:
    """Return the claims of a JSON Web Token, without checking its signature; None if it is not one."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return claims if isinstance(claims, dict) else None


def _error(status: int, error: str, description: str) -> Response:
    return json_response({"error": error, "error_description": description}, status)
