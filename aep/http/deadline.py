"""An adapter for requests whose replies must be complete by a deadline, from the first byte of their headers on, and
before the process has to end.

The timeout of requests applies to one read from the socket: a peer that sends a byte now and then would
keep a request waiting for as long as it likes. The adapter also sets our own TLS settings and the headers for the
proxy.
"""

from __future__ import annotations

import errno
import http.client
import io
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError


class ProxyConnectionError(Exception):
    """No connection to the proxy was made; the cause says why.

    urllib3's own ProxyError will not do: it also stands for a connection that was lost after a request was sent.
    """


class TunnelError(Exception):
    """A proxy opened no tunnel, so nothing has been sent to the host behind it.

    Attributes:
        status: What it answered to CONNECT, None when it gave no answer.
    """

    def __init__(self, status: int | None, words: str):
        super().__init__(words)
        self.status = status


# How late it may be seen that the process is to end.
_LOOK_SECONDS = 0.2

# NATs and firewalls forget connections that were idle for some minutes, and then drop what is sent without a word.
_IDLE_SECONDS = 60.0
# For those under way: after 30 s without a byte the system asks every 10 s whether the peer is there, 6 times.
_KEEP_ALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 6))
        if hasattr(socket, name)  # macOS names the first otherwise and keeps its default, two hours
    ),
]


@dataclass(frozen=True)
class Limits:
    """Limits of a request besides its own timeout.

    Attributes:
        silence: Seconds without a byte after which a reply is given up before its deadline, None for no such limit.
        time_left: Seconds until the process has to end; it may become less at any time.
        clock: Monotonic seconds, for how long connections have been idle.
    """

    silence: float | None
    time_left: Callable[[], float]
    clock: Callable[[], float]


def header_limit_passed(error: BaseException) -> bool:
    """Return whether a reply has more header fields, or longer ones, than http.client reads."""
    return isinstance(error, http.client.LineTooLong) or (
        type(error) is http.client.HTTPException and "headers" in str(error)  # it has no class of its own
    )


class DeadlineAdapter(HTTPAdapter):
    """Applies a request's read timeout to its whole reply.

    Args:
        tls: For servers and proxies; what requests itself would set is left out.
        proxy_headers: For the proxy alone, also where it forwards.
        limits: Other limits of a request.
    """

    def __init__(self, tls: ssl.SSLContext, proxy_headers: Mapping[str, str], limits: Limits):
        self._tls = tls
        self._proxy_headers = proxy_headers
        self._limits = limits
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make connections of our kind."""
        super().init_poolmanager(*args, ssl_context=self._tls, **kwargs)
        self._use_our_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Make connections of our kind through proxies too."""
        manager = super().proxy_manager_for(proxy, ssl_context=self._tls, proxy_ssl_context=self._tls, **kwargs)
        self._use_our_pools(manager)
        return manager

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """Return the credentials, kept out of the proxy's URL because that shows in errors."""
        return dict(self._proxy_headers)

    def cert_verify(self, *args: Any) -> None:
        """Do nothing: requests would add the public authorities to those that our TLS settings trust."""

    def _use_our_pools(self, manager: PoolManager) -> None:
        manager.pool_classes_by_scheme = {
            "http": partial(_Pool, limits=self._limits),  # type: ignore[dict-item]
            "https": partial(_TlsPool, limits=self._limits),  # type: ignore[dict-item]
        }


class _BoundedCalls:
    """Calls that wait for a socket, in short pieces: until a deadline, a long silence or the process ends."""

    def __init__(self, connection: socket.socket, limits: Limits):
        self._connection = connection
        self._limits = limits
        self._limit = connection.gettimeout()
        self._deadline = float("inf") if self._limit is None else time.monotonic() + self._limit

    def call(self, operation: Callable[[], int], silence: float | None = None) -> int:
        """Call the operation on the socket until it is done, and return what it returns.

        Raises:
            TimeoutError: It took too long.
        """
        until = self._deadline if silence is None else min(self._deadline, time.monotonic() + silence)
        try:
            while (left := min(until - time.monotonic(), self._limits.time_left())) > 0:
                self._connection.settimeout(min(left, _LOOK_SECONDS))
                try:
                    return operation()
                except TimeoutError:
                    continue
        finally:
            self._connection.settimeout(self._limit)  # others use the socket too, as TLS does after a proxy's answer
        raise TimeoutError("timed out")


class _Reads(io.RawIOBase):
    """Reads from a socket, each for no longer than is left until the deadline, nor than a silence may last."""

    def __init__(self, connection: socket.socket, limits: Limits):
        self._connection = connection
        # It would read no more after a time-out; it keeps the socket open until the reply is read.
        self._open = connection.makefile("rb", buffering=0)
        self._bounded = _BoundedCalls(connection, limits)
        self._silence = limits.silence

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        return self._bounded.call(lambda: self._connection.recv_into(buffer), self._silence)

    def close(self) -> None:
        self._open.close()
        super().close()


class _Source:
    def __init__(self, connection: socket.socket, limits: Limits):
        self._connection = connection
        self._limits = limits

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reads(self._connection, self._limits))


class _Reply(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, limits: Limits, **kwargs: Any):
        super().__init__(_Source(sock, limits), *args, **kwargs)  # type: ignore[arg-type]

    def _read_status(self) -> tuple[str, int, str]:
        """Skip every interim reply, of which http.client knows only 100 (RFC 9110, 15.2)."""
        version, status, reason = super()._read_status()  # type: ignore[misc]
        interim = 100 <= status < 200 and status != http.client.SWITCHING_PROTOCOLS
        return version, http.client.CONTINUE if interim else status, reason


class _Connection(HTTPConnection):
    def __init__(self, *args: Any, limits: Limits, **kwargs: Any):
        options = kwargs.pop("socket_options", HTTPConnection.default_socket_options)
        super().__init__(*args, socket_options=[*options, *_KEEP_ALIVE], **kwargs)
        self._limits = limits
        self._used_at = limits.clock()
        self.response_class = partial(_Reply, limits=limits)  # type: ignore[assignment]

    def connect(self) -> None:
        """Connect; an error distinguishes an unreachable proxy from an unreachable host."""
        try:
            super().connect()
        except (OSError, HTTPError) as error:
            if self.proxy is None or self.has_connected_to_proxy:
                raise
            raise ProxyConnectionError from error

    @property
    def is_connected(self) -> bool:
        """Whether the connection may be used again: not when it was idle for long, even if it looks open."""
        return self._limits.clock() - self._used_at < _IDLE_SECONDS and super().is_connected

    def getresponse(self) -> Any:
        reply = super().getresponse()
        self._used_at = self._limits.clock()
        return reply

    def send(self, data: Any) -> None:
        """Send bytes, until the process has to end at the latest."""
        if self.sock is None:
            self.connect()
        connection, rest = self.sock, memoryview(data)
        bounded = _BoundedCalls(connection, self._limits)
        while rest:
            rest = rest[bounded.call(partial(connection.send, rest)) :]


class _TlsConnection(_Connection, HTTPSConnection):
    def send(self, data: Any) -> None:
        """Send; if the peer has closed meanwhile, its earlier reply is still read, as without TLS.

        That may be a reply, or the alert of a server that requires a client certificate (TLS 1.3 reports it only then).
        """
        try:
            super().send(data)
        except ssl.SSLEOFError as error:
            raise BrokenPipeError(errno.EPIPE, str(error)) from None

    def _tunnel(self) -> None:
        """Ask the proxy for a tunnel, so that its errors can be told from those of the host behind it."""
        try:
            super()._tunnel()
        except (OSError, http.client.HTTPException) as error:
            if header_limit_passed(error):
                raise  # the same again each time, where a proxy that is down is waited for
            answer = re.search(r"Tunnel connection failed: (\d+)", str(error))
            raise TunnelError(int(answer[1]) if answer else None, str(error) or type(error).__name__) from None


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection
