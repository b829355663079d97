"""One HTTP request and its reply, with time limits that hold.

`Transport` is the interface: everything above it is tested without sockets, and all real requests go through
`RequestsTransport`.
"""

from __future__ import annotations

import gzip
import http.client
import ssl
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import requests
import urllib3

from aep.errors import AepError, ConfigurationError, ConnectError, ReplyError, StoppedError
from aep.http import secrets
from aep.http.deadline import DeadlineAdapter, Limits, ProxyConnectionError, TunnelError, header_limit_passed
from aep.http.network import Network, proxy_address, proxy_refusal

# A reply of AEP is a few kB; of a batch with thousands of failures a few MB. More is not a reply from AEP.
MAX_REPLY_BYTES = 32_000_000

# OpenSSL's codes for a certificate whose authority is not known.
_UNKNOWN_AUTHORITY = frozenset({18, 19, 20, 21})
# And for one that breaks a rule of RFC 5280 that OpenSSL checks only on request, by X509_V_FLAG_X509_STRICT.
_NOT_STRICT = frozenset(range(80, 95))

# OpenSSL's reasons for an answer that is no TLS, as that of a server of plain HTTP; those of one version or another.
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"})


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
            _let_go(error)
            if isinstance(error, ConfigurationError):
                self._forget_session()
            raise

    def _send(self, request: Request) -> Reply:
        limits, network = self._timeouts, self._network
        left = self._time_left()
        if left <= 0:
            raise StoppedError(f"ended before a request could be sent to {_host(request.url)}")
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
                    raise proxy_refusal(network, _host(request.url), 407, "")
                received = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status_code, self._read(response, deadline), received)
        except TunnelError as error:
            raise proxy_refusal(network, _host(request.url), error.status, str(error)) from None
        except ProxyConnectionError as error:
            failure = ConfigurationError if _tls_refused(error) else ConnectError
            words = f"{_words(error)}{_tls_advice(error)}"
            raise failure(f"no connection to the proxy {proxy_address(network)}: {words}") from None
        except requests.exceptions.SSLError as error:
            failure = ConfigurationError if _tls_refused(error) else ReplyError
            raise failure(f"TLS to {_host(request.url)} failed: {_words(error)}{_tls_advice(error)}") from None
        except (
            requests.exceptions.InvalidURL,
            requests.exceptions.MissingSchema,
            requests.exceptions.InvalidSchema,
            urllib3.exceptions.LocationValueError,
        ):
            raise ConfigurationError(f"not an http(s) URL: {request.url}") from None
        except (requests.exceptions.InvalidHeader, UnicodeEncodeError) as error:
            if isinstance(error.args[0], urllib3.exceptions.InvalidHeader):
                raise ReplyError(f"reply of {_host(request.url)}: {_words(error)}") from None
            # The library's words quote the value, which may be the token.
            raise ConfigurationError(
                f"a header for {_host(request.url)} is not valid: a line break, a blank at its start or a character "
                f"beyond Latin-1; check the token and aep_headers (headers: {', '.join(request.headers)})"
            ) from None
        except requests.exceptions.ConnectTimeout:
            raise ConnectError(f"no connection to {_host(request.url)} within {limits.connect:g} s") from None
        except requests.exceptions.Timeout:
            if self._time_left() <= 0:
                raise ReplyError(f"no reply from {_host(request.url)} before the process had to end") from None
            raise ReplyError(f"no reply from {_host(request.url)} in time ({limits})") from None
        except urllib3.exceptions.ReadTimeoutError:
            if self._time_left() <= 0:
                raise ReplyError(f"no whole reply from {_host(request.url)} before the process had to end") from None
            silence = "" if limits.read is None else f", or {limits.read:g} s without a byte"
            raise ReplyError(
                f"the reply of {_host(request.url)} took longer than {limits.total:g} s{silence}"
            ) from None
        except requests.exceptions.ConnectionError as error:
            if header_limit_passed(_innermost(error)):
                raise ConfigurationError(
                    f"the reply of {_host(request.url)} cannot be read: {_words(error)}. Adobe does not answer like "
                    "this: check the URL, and the proxy or gateway on the way"
                ) from None
            failure = ConnectError if _never_connected(error) else ReplyError
            raise failure(f"connection to {_host(request.url)}: {_words(error)}") from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            raise ReplyError(f"reply of {_host(request.url)}: {_words(error)}") from None

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
                raise ReplyError(f"the reply of {_host(response.url)} is longer than {MAX_REPLY_BYTES} bytes")
            if self._clock() > deadline:
                raise ReplyError(f"the reply of {_host(response.url)} took longer than {self._timeouts.total:g} s")
        return bytes(body)


def _let_go(error: BaseException) -> None:
    """Free what the failed call still holds.

    The libraries' errors refer to themselves through the frames they passed, and those to the request's body; without
    this each try of an outage would leave up to 1 MB behind until the garbage collector happens to run.
    """
    cause = error.__context__
    error.__context__ = None
    while cause is not None:
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__context__ or cause.__cause__


def _host(url: str) -> str:
    parsed = urllib3.util.parse_url(url)
    return f"{parsed.host}:{parsed.port}" if parsed.port else str(parsed.host)


def _words(error: BaseException) -> str:
    """Return the operating system's or TLS library's own words, without the layers wrapped around them."""
    inner = _innermost(error)
    if type(inner) in (ValueError, http.client.BadStatusLine):
        return "not well-formed HTTP"  # the library's words quote the line, which may be of a reply with a token
    return str(inner) or type(inner).__name__


def _innermost(error: BaseException) -> BaseException:
    while True:
        inner = error.__cause__ or error.__context__ or getattr(error, "reason", None)
        if inner is None and error.args and isinstance(error.args[-1], BaseException):
            inner = error.args[-1]
        if not isinstance(inner, BaseException) or inner is error:
            return error
        error = inner


def _tls_refused(error: BaseException) -> bool:
    """Return whether TLS failed for what one side thinks of the other, rather than for a connection that was cut."""
    inner = _innermost(error)
    cut = ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError
    return isinstance(inner, ssl.SSLError) and not isinstance(inner, cut)


def _tls_advice(error: BaseException) -> str:
    inner = _innermost(error)
    if getattr(inner, "verify_code", None) in _UNKNOWN_AUTHORITY:
        return "; to trust its authority, set aep_ca_file"
    if getattr(inner, "verify_code", None) in _NOT_STRICT:
        return (
            ". Python 3.13 and later want certificates as RFC 5280 describes them: have a new one issued for what the "
            "message names, the server, the proxy or the authority in aep_ca_file, or use Python 3.12 or earlier"
        )
    reason = getattr(inner, "reason", None) or ""
    if "CERTIFICATE_REQUIRED" in reason:
        return "; set aep_client_certificate"
    if reason in _NOT_TLS:
        return "; this port does not speak TLS: check the port, or use http:// if it is plain HTTP"
    return ""


def _never_connected(error: requests.exceptions.ConnectionError) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)
