"""Access tokens for AEP from Adobe's Identity Management Service (IMS).

OAuth server-to-server (Adobe Developer Console, "Server to Server authentication", IMS API reference):
`POST {ims_url}/ims/token/v3` with `grant_type=client_credentials`, client id, secret and comma separated scopes
as a form. The reply has `access_token` and `expires_in`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

import orjson

from aep.errors import AuthenticationError, NetworkError, SecretError, TokenError
from aep.http import secrets
from aep.http.transport import Reply, Request, Transport

_LOG = logging.getLogger(__name__)

# A day in seconds is 86,400. IMS v3 counts seconds; v1, the unversioned path and the JWT exchange milliseconds.
_LONGEST_LIFE_SECONDS = 1_000_000
_REFRESH_AHEAD_SECONDS = 60.0
# An IMS that hangs holds up all requests until the time-out, which nobody should have to guess at.
_SAY_AFTER_SECONDS = 5.0
# How soon a token that was replaced is used, where AEP still takes the old one.
_READ_AGAIN_SECONDS = 60.0


class TokenSource(Protocol):
    """Source of a request's `Authorization` header, shared by all threads of a process."""

    def token(self) -> str:
        """Return a token that is valid now, fetched if need be."""
        ...

    def reject(self, token: str) -> bool:
        """Forget a token that AEP refused, unless another thread has already replaced it.

        Returns:
            Whether the next token will be fetched after this; one that has replaced it already may be refused too.
        """
        ...

    def take_renewals(self) -> int:
        """Return how many tokens were fetched or read since the last call, for counting."""
        ...


@dataclass(frozen=True)
class OAuthClient:
    """An OAuth server-to-server credential.

    Attributes:
        ims_url: URL of the identity service.
        client_id: Client id of the credential.
        client_secret: Secret reference, see `aep.http.secrets`.
        scopes: To ask for, separated by commas.
    """

    ims_url: str
    client_id: str
    client_secret: str
    scopes: str


class OAuthTokens:
    """Tokens of an OAuth client: one fetch for all threads, a minute ahead of expiry by a monotonic clock.

    If IMS is down, the caller gets a `TokenError`, waits and retries as for AEP itself.
    """

    def __init__(self, client: OAuthClient, transport: Transport, clock: Callable[[], float] = time.monotonic):
        self._client = client
        self._transport = transport
        self._clock = clock
        self._lock = threading.Lock()
        self._token: str | None = None
        self._refresh_at = 0.0
        self._renewals = 0
        self._failures = 0
        self._failure: NetworkError | None = None

    def token(self) -> str:
        """Return a valid token; the first caller fetches it while the others wait, and share its failure.

        Raises:
            NetworkError: IMS, or the service that keeps the client's secret, cannot be reached or is failing.
            ConfigurationError: IMS refuses the client, or there is no secret.
        """
        failures = self._failures
        with self._lock:
            if self._token is None or self._clock() >= self._refresh_at:
                if self._failure is not None and self._failures != failures:
                    # An IMS that hangs must not hang for each thread in turn.
                    raise type(self._failure)(str(self._failure))
                try:
                    self._token, life = self._fetch()
                except NetworkError as error:
                    self._failures += 1
                    self._failure = type(error)(str(error))
                    raise
                # A token shorter-lived than twice the margin is refreshed at half its life.
                self._refresh_at = self._clock() + max(life - _REFRESH_AHEAD_SECONDS, life / 2)
            return self._token

    def reject(self, token: str) -> bool:
        """Forget the token, so that the next `token()` fetches another; see `TokenSource.reject`."""
        with self._lock:
            if token == self._token:
                self._token = None
            return self._token is None

    def _fetch(self) -> tuple[str, float]:
        client = self._client
        secret = secrets.resolve(client.client_secret)
        form = urlencode(
            {
                "grant_type": "client_credentials",
                "client_id": client.client_id,
                "client_secret": secret,
                "scope": client.scopes,
            },
            errors="surrogateescape",
        )
        request = Request(
            f"{client.ims_url.rstrip('/')}/ims/token/v3",
            form.encode(),
            {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        )
        late = threading.Timer(
            _SAY_AFTER_SECONDS,
            lambda: _LOG.warning(
                "IMS at %s has not answered for %g s; waiting for it", client.ims_url, _SAY_AFTER_SECONDS
            ),
        )
        late.daemon = True
        late.start()
        try:
            reply = self._transport.send(request)
        except NetworkError as error:
            raise TokenError(f"IMS: {error}") from None
        finally:
            late.cancel()
        self._renewals += 1
        if reply.status != 200:
            reply = reply.without(secret)
        return read_token_reply(reply, client)

    def take_renewals(self) -> int:
        """Return how many tokens were fetched since the last call."""
        with self._lock:
            taken, self._renewals = self._renewals, 0
            return taken


class StaticToken:
    """A bearer token that is renewed elsewhere: the reference is read again every minute, and after a refusal.

    Args:
        reference: Where it is, see `aep.http.secrets`.
        clock: Monotonic seconds.
    """

    def __init__(self, reference: str, clock: Callable[[], float] = time.monotonic):
        self._reference = reference
        self._clock = clock
        self._lock = threading.Lock()
        self._token: str | None = None
        self._read_again_at = 0.0
        self._renewals = 0

    def token(self) -> str:
        """Return the token that the reference names.

        Raises:
            SecretError: There is none. If the last value was not refused, it is kept instead: a file that is being
                replaced may be away for a moment.
            NetworkError: The service that keeps it cannot be reached.
        """
        with self._lock:
            if self._token is None or self._clock() >= self._read_again_at:
                self._token = self._read()
                self._read_again_at = self._clock() + _READ_AGAIN_SECONDS
            return self._token

    def _read(self) -> str:
        try:
            token = secrets.resolve(self._reference)
        except (SecretError, NetworkError):
            if self._token is None:
                raise
            return self._token
        self._renewals += token != self._token
        return token

    def reject(self, token: str) -> bool:
        """Read the reference again the next time; see `TokenSource.reject`."""
        with self._lock:
            if token == self._token:
                self._token = None
            return self._token is None

    def take_renewals(self) -> int:
        """Return how often the token changed since the last call."""
        with self._lock:
            taken, self._renewals = self._renewals, 0
            return taken


def read_token_reply(reply: Reply, client: OAuthClient) -> tuple[str, float]:
    """Return the access token and its life in seconds.

    Raises:
        TokenError: IMS is failing (408, 429, 5xx): worth another try.
        AuthenticationError: IMS refuses the client; the message has its text. Or this is not a reply from IMS.
    """
    if reply.status in (408, 429) or reply.status >= 500:
        raise TokenError(f"IMS at {client.ims_url} answers {reply.status}")
    try:
        fields = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict):
        fields = {}
    if reply.status != 200:
        words = ": ".join(str(fields[name]) for name in ("error", "error_description") if fields.get(name))
        raise AuthenticationError(
            f"IMS at {client.ims_url} refuses the client {client.client_id} with {reply.status}"
            f"{f' ({words})' if words else ''}; check aep_client_id, aep_client_secret, aep_scopes and aep_ims_url"
        )
    token, life = fields.get("access_token"), fields.get("expires_in")
    if not isinstance(token, str) or not token or not isinstance(life, int | float) or life <= 0:
        raise AuthenticationError(
            f"{client.ims_url} answers 200 without access_token and expires_in; check aep_ims_url, it should be the "
            "host of IMS such as https://ims-na1.adobelogin.com"
        )
    return token, float(life / 1000 if life > _LONGEST_LIFE_SECONDS else life)
