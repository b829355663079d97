"""One HTTP request and its reply, with time limits that hold.

``Transport`` is the seam: everything above it is tested without sockets, everything real goes through
``RequestsTransport``.
"""

from __future__ import annotations

import ssl
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import requests
import urllib3

from aep.deadline import DeadlineAdapter
from aep.errors import AepError, ConfigurationError, ConnectError, ReplyError

# A reply of AEP is a few kB; of a batch with thousands of failures a few MB. More is no reply of AEP's.
MAX_REPLY_BYTES = 32_000_000


@dataclass(frozen=True)
class Timeouts:
    """Seconds: ``connect`` to make a connection, ``total`` from the call to the last byte received.

    A reply that takes too long is given up at most ``total`` seconds after the request was sent.
    """

    connect: float = 10.0
    total: float = 60.0


@dataclass(frozen=True)
class Request:
    """A POST. Headers may hold a token, so they stay out of the representation."""

    url: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Reply:
    """A complete reply; header names are in lower case. The body of IMS's holds a token, so it is not shown."""

    status: int
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


class Transport(Protocol):
    """Sends a request and returns its reply, whatever its status.

    Raises:
      ConnectError: nothing can have arrived.
      ReplyError: the request may have arrived.
      ConfigurationError: the URL, a header, the proxy or the peer's certificate is wrong.
    """

    def send(self, request: Request) -> Reply:
        """POSTs the request."""
        ...


class RequestsTransport:
    """``Transport`` over requests: one session per thread, connections kept open.

    Redirects are not followed: they would carry the token elsewhere. ``trust_env`` is off, since a ~/.netrc entry
    for the host would replace the bearer token, and proxies would come from the environment unseen.
    """

    def __init__(self, timeouts: Timeouts | None = None, clock: Callable[[], float] = time.monotonic):
        self._timeouts = timeouts or Timeouts()
        self._clock = clock
        self._local = threading.local()

    def send(self, request: Request) -> Reply:
        """POSTs the request; see ``Transport``."""
        try:
            return self._send(request)
        except AepError as error:
            _let_go(error)
            raise

    def _send(self, request: Request) -> Reply:
        limits = self._timeouts
        deadline = self._clock() + limits.total
        try:
            with self._session().post(
                request.url,
                data=request.body,
                headers=dict(request.headers),
                timeout=(limits.connect, limits.total),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = self._read(response, deadline)
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status_code, body, headers)
        except requests.exceptions.SSLError as error:
            cut = isinstance(_innermost(error), ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError)
            kind = ReplyError if cut else ConfigurationError
            raise kind(f"TLS to {_host(request.url)} failed: {_words(error)}") from None
        except requests.exceptions.ProxyError as error:
            raise ConfigurationError(f"the proxy refused {_host(request.url)}: {_words(error)}") from None
        except (
            requests.exceptions.InvalidURL,
            requests.exceptions.MissingSchema,
            requests.exceptions.InvalidSchema,
            urllib3.exceptions.LocationValueError,
        ):
            raise ConfigurationError(f"not an http(s) URL: {request.url}") from None
        except (requests.exceptions.InvalidHeader, UnicodeEncodeError):
            # The library's words quote the value, which may be the token.
            raise ConfigurationError(
                f"a header for {_host(request.url)} is not valid: a line break, a blank at its start or a character "
                f"beyond Latin-1; check the token and aep_headers (headers: {', '.join(request.headers)})"
            ) from None
        except requests.exceptions.ConnectTimeout:
            raise ConnectError(f"no connection to {_host(request.url)} within {limits.connect:g} s") from None
        except requests.exceptions.Timeout:
            raise ReplyError(
                f"no reply from {_host(request.url)} in time ({limits.connect:g} s to connect, {limits.total:g} s in "
                "all)"
            ) from None
        except urllib3.exceptions.ReadTimeoutError:
            raise ReplyError(f"the reply of {_host(request.url)} took longer than {limits.total:g} s") from None
        except requests.exceptions.ConnectionError as error:
            failure = ConnectError if _never_connected(error) else ReplyError
            raise failure(f"connection to {_host(request.url)}: {_words(error)}") from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            raise ReplyError(f"reply of {_host(request.url)}: {_words(error)}") from None

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.trust_env = False
            for scheme in ("http://", "https://"):
                session.mount(scheme, DeadlineAdapter())
        return session

    def _read(self, response: requests.Response, deadline: float) -> bytes:
        """The body, read piece by piece: a socket time limit alone would let a dripping reply go on for ever."""
        body = bytearray()
        while piece := response.raw.read1(65_536, decode_content=True):
            body += piece
            if len(body) > MAX_REPLY_BYTES:
                raise ReplyError(f"the reply of {_host(response.url)} is longer than {MAX_REPLY_BYTES} bytes")
            if self._clock() > deadline:
                raise ReplyError(f"the reply of {_host(response.url)} took longer than {self._timeouts.total:g} s")
        return bytes(body)


def _let_go(error: BaseException) -> None:
    """Frees what the failed call still holds.

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
    """The operating system's or TLS library's own words, without the layers wrapped around them."""
    inner = _innermost(error)
    return str(inner) or type(inner).__name__


def _innermost(error: BaseException) -> BaseException:
    while True:
        inner = error.__cause__ or error.__context__ or getattr(error, "reason", None)
        if inner is None and error.args and isinstance(error.args[-1], BaseException):
            inner = error.args[-1]
        if not isinstance(inner, BaseException) or inner is error:
            return error
        error = inner


def _never_connected(error: requests.exceptions.ConnectionError) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)
