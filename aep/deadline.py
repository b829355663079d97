"""An adapter for requests whose replies must be complete by a deadline, from the first byte of their headers on.

The time limit that requests knows is that of one read from the socket: a peer that sends a byte now and then would
keep a request waiting for as long as it likes.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection


class DeadlineAdapter(HTTPAdapter):
    """Makes the read time limit that a request is sent with hold for its whole reply."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Makes connections of our kind."""
        super().init_poolmanager(*args, **kwargs)
        _use_our_pools(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Makes connections of our kind through proxies too."""
        manager = super().proxy_manager_for(*args, **kwargs)
        _use_our_pools(manager)
        return manager


class _Reads(io.RawIOBase):
    """Reads from a socket, each for no longer than is left until the deadline."""

    def __init__(self, connection: socket.socket):
        self._connection = connection
        self._raw = connection.makefile("rb", buffering=0)
        limit = connection.gettimeout()
        self._deadline = float("inf") if limit is None else time.monotonic() + limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._connection.settimeout(None if left == float("inf") else left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Source:
    """A socket as a reply is read from it."""

    def __init__(self, connection: socket.socket):
        self._connection = connection

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reads(self._connection))


class _Reply(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any):
        super().__init__(_Source(sock), *args, **kwargs)  # type: ignore[arg-type]


class _Connection(HTTPConnection):
    response_class = _Reply


class _TlsConnection(HTTPSConnection):
    response_class = _Reply


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def _use_our_pools(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
