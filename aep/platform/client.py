"""Call Experience Platform's management APIs, all behind one gateway.

Each call carries `Authorization`, `x-api-key`, `x-gw-ims-org-id` and `x-sandbox-name` ("Authenticate and
access Experience Platform APIs"). Errors are those of `aep.errors`: `PlatformError` for what an API answers,
`NetworkError` when no answer came.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import orjson

from aep.errors import ConfigurationError, ConnectError, NetworkError, PlatformError, StoppedError, TokenError
from aep.http.auth import TokenSource
from aep.http.backoff import full_jitter, sleep
from aep.http.transport import Reply, Request, Transport
from aep.platform.problem import Problem, read_problem

_LOG = logging.getLogger(__name__)

TRIES = 4
_BASE_SECONDS = 0.5
_MAX_SECONDS = 20.0

# What may pass.
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
# What may be done twice. A POST creates another object; a PATCH may append its value once more.
_IDEMPOTENT = frozenset({"GET", "PUT", "DELETE"})
# After one of these nothing has been done, so that anything may be sent again.
_NOTHING_DONE = frozenset({429, 503})

Query = Mapping[str, str | int | None]  # a parameter that is None is left out


class PlatformClient:
    """Calls the management APIs for one organisation and sandbox. Thread safe; it holds tokens, so it is not pickled.

    A call that fails for a transient reason is tried four times in all, if a repetition does no harm.

    Args:
        base_url: URL of the gateway, such as `https://platform.adobe.io`.
        tokens: Access tokens of the credential.
        api_key: Client id of the credential.
        org_id: Organisation, such as `...@AdobeOrg`.
        sandbox: Its name.
        transport: Sends requests.
        wall_clock: Epoch seconds, for a `Retry-After` that is a date.
        wait: Sleeps the given seconds; returns True if the process is asked to end meanwhile.
        random_unit: Evenly from 0 to 1, for the back-off.

    Raises:
        ConfigurationError: `base_url` is not an address of a gateway.
    """

    def __init__(
        self,
        base_url: str,
        tokens: TokenSource,
        api_key: str,
        org_id: str,
        sandbox: str,
        transport: Transport,
        wall_clock: Callable[[], float] = time.time,
        wait: Callable[[float], bool] | None = None,
        random_unit: Callable[[], float] = random.random,
    ):
        self._base_url = checked_base_url(base_url)
        self._tokens = tokens
        self._headers = {
            "Accept": "application/json",
            "x-api-key": api_key,
            "x-gw-ims-org-id": org_id,
            "x-sandbox-name": sandbox,
        }
        self._transport = transport
        self._wall_clock = wall_clock
        self._wait = wait or sleep
        self._random_unit = random_unit

    def send(
        self,
        method: str,
        path: str,
        content: object = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        secrets: Sequence[str] = (),
    ) -> Reply:
        """Make a call and return its reply, which is a success.

        Args:
            method: GET, POST, PUT, PATCH or DELETE.
            path: Below the gateway; ids in it went through `segment`.
            content: Sent as JSON; None sends no body.
            query: Parameters.
            headers: Besides those that each call has, and before them.
            secrets: Values in the body that no error may repeat.

        Raises:
            PlatformError: The API refuses the call, or is failing.
            NetworkError: No complete reply came.
            ConfigurationError: There can be no token, or no connection.
            StoppedError: The process is ending.
        """
        body = b"" if content is None else orjson.dumps(content)
        parameters = urlencode({name: value for name, value in (query or {}).items() if value is not None})
        url = f"{self._base_url}{path}"
        about = self._headers if content is None else {**self._headers, "Content-Type": "application/json"}
        request = Request(f"{url}?{parameters}" if parameters else url, body, {**about, **(headers or {})}, method)
        number, refreshed, arrived = 1, False, False
        while True:
            reply, token = self._once(request)
            outcome: Problem | NetworkError
            if isinstance(reply, Reply):
                if 200 <= reply.status < 300 or (reply.status == 404 and method == "DELETE" and arrived):
                    return reply
                for secret in (token, *secrets):
                    reply = reply.without(secret)
                outcome = read_problem(reply, self._wall_clock)
                if outcome.token_refused and not refreshed:
                    refreshed = self._tokens.reject(token)
                    continue
            else:
                outcome = reply
            if number == TRIES or not sent_again(method, outcome):
                raise _with_advice(outcome) if isinstance(outcome, NetworkError) else outcome.error(method, url)
            arrived = arrived or may_have_arrived(outcome)
            self._pause(number, outcome, method, url)
            number += 1

    def json(
        self,
        method: str,
        path: str,
        content: object = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        needs: tuple[str, ...] = (),
        secrets: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Make a call that is answered with a JSON object; see `send`.

        Raises:
            PlatformError: Also if the reply is not a JSON object, or lacks a member that it `needs`.
        """
        reply = self.send(method, path, content, query, headers, secrets)
        found = self.parsed(method, path, reply)
        if not isinstance(found, dict):
            raise self.misfit(method, path, reply, "not a JSON object")
        for name in needs:
            if name not in found:
                raise self.misfit(method, path, reply, f"without {name!r}")
        return found

    def parsed(self, method: str, path: str, reply: Reply) -> Any:
        """Return the JSON of a reply.

        Raises:
            PlatformError: It is none.
        """
        try:
            return orjson.loads(reply.body)
        except orjson.JSONDecodeError:
            raise self.misfit(method, path, reply, "not JSON") from None

    def misfit(self, method: str, path: str, reply: Reply, what: str) -> PlatformError:
        """Return the error for a reply whose status is a success but whose content is not as documented."""
        detail = f"the reply is {what}; is {self._base_url} the address of the gateway?"
        return PlatformError(
            reply.status, "", "", detail, read_problem(reply).request_id, method, self._base_url + path
        )

    def pages(
        self,
        path: str,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        following: Callable[[dict[str, Any]], Query | None] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield the pages of a list, each fetched when it is asked for.

        Args:
            path: Path of the list.
            query: Query of the first page; it stays the same for all.
            headers: Headers of each call.
            following: Parameters that the next page has besides, None after the last; by default those of
                `_links.next.href`. Only parameters are taken from a link: a token goes to no other host.

        Raises:
            PlatformError: Also if a page links back to one that was read.
        """
        following = following or next_link
        first = {name: value for name, value in (query or {}).items() if value is not None}
        more: Query | None = {}
        seen = set()
        while more is not None:
            if tuple(more.items()) in seen:
                raise PlatformError(200, "", "", "the pages of the list form a loop", "", "GET", self._base_url + path)
            seen.add(tuple(more.items()))
            page = self.json("GET", path, query={**more, **first}, headers=headers)
            yield page
            more = following(page)

    def listed(
        self, path: str, page: Mapping[str, Any], name: str, needs: tuple[str, ...] = ()
    ) -> list[dict[str, Any]]:
        """Return the objects in a member of a page, each with the members that it `needs`.

        Raises:
            PlatformError: The member is not a list of such objects; skipping some would make them look absent.
        """
        found = page.get(name) or []
        good = isinstance(found, list) and all(isinstance(each, dict) and each.keys() >= {*needs} for each in found)
        if not good:
            what = f"the reply's {name!r} is not a list of objects" + (f" with {', '.join(needs)}" if needs else "")
            raise PlatformError(200, "", "", what, "", "GET", self._base_url + path)
        return list(found)

    def _once(self, request: Request) -> tuple[Reply | NetworkError, str]:
        """Send a request with a token; return what came of it, and the token."""
        try:
            token = self._tokens.token()
        except NetworkError as error:
            return error.with_traceback(None), ""
        headers = {**request.headers, "Authorization": f"Bearer {token}"}
        try:
            return self._transport.send(Request(request.url, request.body, headers, request.method)), token
        except NetworkError as error:
            return error.with_traceback(None), token

    def _pause(self, number: int, outcome: Problem | NetworkError, method: str, url: str) -> None:
        seconds = full_jitter(number, _BASE_SECONDS, _MAX_SECONDS, self._random_unit)
        if isinstance(outcome, Problem):
            why = str(outcome.error(method, url))
            seconds += outcome.retry_after
        else:
            why = f"{method} {url}: {outcome}"
        _LOG.warning("%s; trying again in %.1f s", why, seconds)
        self.wait(seconds, why)

    def wait(self, seconds: float, why: str) -> None:
        """Wait before a call is made again.

        Raises:
            StoppedError: The process is ending.
        """
        if self._wait(seconds):
            raise StoppedError(f"stopped before a call could be retried: {why}")


def sent_again(method: str, outcome: Problem | NetworkError) -> bool:
    """Return whether a call of this method may be repeated after this outcome."""
    if isinstance(outcome, NetworkError):
        return method in _IDEMPOTENT or not may_have_arrived(outcome)
    return outcome.status in (_TRANSIENT if method in _IDEMPOTENT else _NOTHING_DONE)


def _with_advice(error: NetworkError) -> NetworkError:
    option = "aep_ims_url" if isinstance(error, TokenError) else "aep_platform_url"
    return type(error)(f"{error}; check {option} and the network")


def may_have_arrived(outcome: Problem | NetworkError) -> bool:
    """Return whether the API may have carried out the call without saying so."""
    if isinstance(outcome, NetworkError):
        return not isinstance(outcome, ConnectError | TokenError)
    return outcome.status not in _NOTHING_DONE


def next_link(page: dict[str, Any]) -> Query | None:
    """Return the parameters of the link to the next page, None if there is none."""
    links = page.get("_links")
    link = links.get("next") if isinstance(links, dict) else None
    href = link.get("href") if isinstance(link, dict) else None
    return dict(parse_qsl(urlsplit(href).query)) or None if isinstance(href, str) else None


def segment(name: str) -> str:
    """Return an id as one segment of a path.

    Raises:
        ConfigurationError: It is empty or consists of dots, which would change the path.
    """
    if name.strip(".") == "":
        raise ConfigurationError(f"{name!r}: invalid id")
    return quote(name, safe="")


def checked_base_url(url: str) -> str:
    """Return the address of the gateway without a slash at its end.

    Raises:
        ConfigurationError: It is not an http(s) address, or has a user, a query or a fragment. It is not repeated,
            since it may hold a password.
    """
    try:
        parts = urlsplit(url.strip())
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.username is not None or parts.query or parts.fragment:
        raise ConfigurationError(
            "the address of the gateway must be http(s)://HOST optionally followed by a path, "
            "such as https://platform.adobe.io"
        )
    return url.strip().rstrip("/")
