"""One HTTP request and its reply, with time limits that hold.

`Transport` is the interface: everything above it is tested without sockets, and all real requests go through
`RequestsTransport`.
"""

from __future__ import annotations

import gzip
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import requests
import urllib3

from aep.errors import AepError, ConfigurationError, ConnectError, ReplyError, StoppedError
from aep.http import secrets
from aep.http.deadline import DeadlineAdapter, Limits, ProxyConnectionError, TunnelError, header_limit_passed
from aep.http.failures import host_of, innermost, let_go, never_connected, tls_advice, tls_refused, words_of
from aep.http.network import Network, proxy_address, proxy_refusal

# A reply of AEP is a few kB; of a batch with thousands of failures a few MB. More is not a reply from AEP.
MAX_REPLY_BYTES = 32_000_000


@dataclass(frozen=True)
class Timeouts:
    """Seconds: `connect` to make a connection, `total` from the call to the last byte received.

    A reply that takes too long is given up at most `total` seconds after the request was sent, and sooner when no
    byte of it has come for `read` seconds, if that is given.
    """

    connect: float
    total: float
    read: float | None

    def __str__(self) -> str:
        silence = "" if self.read is None else f"{self.read:g} s without a byte, "
        return f"{self.connect:g} s to connect, {silence}{self.total:g} s in all"


@dataclass(frozen=True)
class Request:
    """A request, by default a POST. Headers may hold a token, so they stay out of the representation."""

    url: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    method: str = "POST"


@dataclass(frozen=True)
class Reply:
    """A complete reply; header names are in lower case. The body of IMS's holds a token, so it is not shown."""

    status: int
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)

    def without(self, secret: str) -> Reply:
        """Return the reply with any echoed secret redacted."""
        return replace(self, body=secrets.hide(self.body, secret)) if secret else self


class Transport(Protocol):
    """Sends a request and returns its reply, whatever its status.

    Raises:
        ConnectError: Nothing can have arrived.
        ReplyError: The request may have arrived.
        StoppedError: The process has no time left to send it.
        ConfigurationError: The URL, a header, the proxy or the peer's certificate is wrong.
    """

    def send(self, request: Request) -> Reply:
        """Send the request and read its reply."""
        ...


class _Session(requests.Session):
    """Sends requests of which mostly only the body is another one: preparing each takes a third of what a request does.

    Thread-local, as its connections.
    """

    def __init__(self) -> None:
        super().__init__()
        self._prepared: requests.PreparedRequest | None = None
        self._prepared_of: tuple[str, str, Mapping[str, str]] | None = None

    def exchange(
        self, request: Request, body: bytes, headers: Mapping[str, str], timeout: tuple[float, float]
    ) -> requests.Response:
        """Send a request as `request` does, without a second look at an address and headers that were sent before."""
        of = request.method, request.url, headers
        prepared = self._prepared
        # An empty body has no length, or does; and cookies, which proxies set, have their time.
        if prepared is None or of != self._prepared_of or not body or self.cookies:
            self._prepared_of = None
            prepared = self.prepare_request(requests.Request(request.method, request.url, dict(headers), data=body))
            if body and not self.cookies:
                self._prepared, self._prepared_of = prepared, of
        else:
            prepared.body = body
            prepared.headers["Content-Length"] = str(len(body))
        try:
            return self.send(prepared, timeout=timeout, allow_redirects=False, stream=True)
        finally:
            prepared.body = None  # a session should not keep it

    def get_redirect_target(self, response: requests.Response) -> None:
        """Return None: requests would otherwise parse Location and drain the body even with redirects off."""


class RequestsTransport:
    """`Transport` over requests: one session per thread, connections kept open, and used again within a minute.

    The session is rebuilt after a configuration error: a password may have been rotated.

    Redirects are not followed: they would carry the token elsewhere. `trust_env` is off, since a ~/.netrc entry
    for the host would replace the bearer token, and proxies would come from the environment unseen.

    Args:
        timeouts: Timeouts of each request.
        network: The way to the hosts.
        clock: Monotonic seconds, for the length of replies and of the time that a connection is idle.
        time_left: Seconds until the process has to end, infinite while nobody asks it to. Requests end by then, also
            those that were sent before. A connection being made is not given up before `Timeouts.connect` is over.
    """

    def __init__(
        self,
        timeouts: Timeouts,
        network: Network,
        clock: Callable[[], float] = time.monotonic,
        time_left: Callable[[], float] = lambda: float("inf"),
    ):
        self._timeouts = timeouts
        self._network = network
        self._clock = clock
        self._time_left = time_left
        self._local = threading.local()
        self._lock = threading.Lock()
        self._tls: ssl.SSLContext | None = None

    def send(self, request: Request) -> Reply:
        """Send the request; see `Transport`."""
        try:
            return self._send(request)
        except AepError as error:
            let_go(error)
            if isinstance(error, ConfigurationError):
                self._forget_session()
            raise

    def _send(self, request: Request) -> Reply:
        limits, network = self._timeouts, self._network
        left = self._time_left()
        if left <= 0:
            raise StoppedError(f"ended before a request could be sent to {host_of(request.url)}")
        session = self._session()
        failure: type[AepError]
        body, headers = request.body, dict(request.headers)
        if network.gzip and body:
            body = gzip.compress(body, compresslevel=1)
            headers["Content-Encoding"] = "gzip"
        deadline = self._clock() + limits.total
        try:
            times = min(limits.connect, left), min(limits.total, left)
            with session.exchange(request, body, headers, times) as response:
                if response.status_code == 407:
                    raise proxy_refusal(network, host_of(request.url), 407, "")
                received = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status_code, self._read(response, deadline), received)
        except TunnelError as error:
            raise proxy_refusal(network, host_of(request.url), error.status, str(error)) from None
        except ProxyConnectionError as error:
            failure = ConfigurationError if tls_refused(error) else ConnectError
            words = f"{words_of(error)}{tls_advice(error)}"
            raise failure(f"no connection to the proxy {proxy_address(network)}: {words}") from None
        except requests.exceptions.SSLError as error:
            failure = ConfigurationError if tls_refused(error) else ReplyError
            raise failure(f"TLS to {host_of(request.url)} failed: {words_of(error)}{tls_advice(error)}") from None
        except (
            requests.exceptions.InvalidURL,
            requests.exceptions.MissingSchema,
            requests.exceptions.InvalidSchema,
            urllib3.exceptions.LocationValueError,
        ):
            raise ConfigurationError(f"not an http(s) URL: {request.url}") from None
        except (requests.exceptions.InvalidHeader, UnicodeEncodeError) as error:
            if isinstance(error.args[0], urllib3.exceptions.InvalidHeader):
                raise ReplyError(f"reply of {host_of(request.url)}: {words_of(error)}") from None
            # The library's words quote the value, which may be the token.
            raise ConfigurationError(
                f"a header for {host_of(request.url)} is not valid: a line break, a blank at its start or a character "
                f"beyond Latin-1; check the token and aep_headers (headers: {', '.join(request.headers)})"
            ) from None
        except requests.exceptions.ConnectTimeout:
            raise ConnectError(f"no connection to {host_of(request.url)} within {limits.connect:g} s") from None
        except requests.exceptions.Timeout:
            if self._time_left() <= 0:
                raise ReplyError(f"no reply from {host_of(request.url)} before the process had to end") from None
            raise ReplyError(f"no reply from {host_of(request.url)} in time ({limits})") from None
        except urllib3.exceptions.ReadTimeoutError:
            if self._time_left() <= 0:
                raise ReplyError(f"no whole reply from {host_of(request.url)} before the process had to end") from None
            silence = "" if limits.read is None else f", or {limits.read:g} s without a byte"
            raise ReplyError(
                f"the reply of {host_of(request.url)} took longer than {limits.total:g} s{silence}"
            ) from None
        except requests.exceptions.ConnectionError as error:
            if header_limit_passed(innermost(error)):
                raise ConfigurationError(
                    f"the reply of {host_of(request.url)} cannot be read: {words_of(error)}. Adobe does not answer "
                    "like this: check the URL, and the proxy or gateway on the way"
                ) from None
            failure = ConnectError if never_connected(error) else ReplyError
            raise failure(f"connection to {host_of(request.url)}: {words_of(error)}") from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            raise ReplyError(f"reply of {host_of(request.url)}: {words_of(error)}") from None

    def _session(self) -> _Session:
        session: _Session | None = getattr(self._local, "session", None)
        if session is None:
            network = self._network
            limits = Limits(self._timeouts.read, self._time_left, self._clock)
            adapter = DeadlineAdapter(self._tls_context(), network.proxy_headers(), limits)
            session = _Session()
            session.trust_env = False
            for scheme in ("http", "https"):
                session.mount(f"{scheme}://", adapter)
                if network.proxy is not None:
                    session.proxies[scheme] = network.proxy
            self._local.session = session
        return session

    def _tls_context(self) -> ssl.SSLContext:
        """Return the settings for TLS, which threads share: to load the authorities takes as long as several requests.

        Raises:
            ConfigurationError, NetworkError: See `Network.tls`.
        """
        with self._lock:
            if self._tls is None:
                self._tls = self._network.tls()
            return self._tls

    def _forget_session(self) -> None:
        with self._lock:
            self._tls = None
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is not None:
            session.close()
            self._local.session = None

    def _read(self, response: requests.Response, deadline: float) -> bytes:
        """Return the body, read piece by piece: a socket timeout alone would let a dripping reply last forever."""
        body = bytearray()
        while piece := response.raw.read1(65_536, decode_content=True):
            body += piece
            if len(body) > MAX_REPLY_BYTES:
                raise ReplyError(f"the reply of {host_of(response.url)} is longer than {MAX_REPLY_BYTES} bytes")
            if self._clock() > deadline:
                raise ReplyError(f"the reply of {host_of(response.url)} took longer than {self._timeouts.total:g} s")
        return bytes(body)
