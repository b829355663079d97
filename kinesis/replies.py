"""Replies that must be complete by a deadline, for clients of boto3.

botocore's `read_timeout` is for one read from the socket: a peer, or a proxy, that sends a byte now and then would hold
a call, its thread and its connection for as long as it likes. Here it is for the whole reply, from the time when the
request is sent, and ends when the process has to. Imported inside functions, as all of botocore is.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from botocore.parsers import ResponseParserError

_LOOK_SECONDS = 0.5
"""How late it may be seen that the process has to end."""


def bound_replies(client: Any, time_left: Callable[[], float]) -> None:
    """Make a client raise an error for a reply that takes too long, that of a silent peer, and for one that is cut off.

    Args:
        client: Of boto3. botocore has no way to give it connections of one's own, so this reaches inside.
        time_left: Returns how many seconds are left until the process has to end.
    """
    session = client._endpoint.http_session
    pools = {"http": partial(_Pool, time_left=time_left), "https": partial(_TlsPool, time_left=time_left)}
    session._pool_classes_by_scheme = session._manager.pool_classes_by_scheme = pools
    client.meta.events.register("after-call", _refuse_unread)


def _refuse_unread(http_response: Any, parsed: Mapping[str, Any], model: Any, **_: Any) -> None:
    """Raise an error for a reply of which nothing was understood.

    botocore does not compare the length of a body with `Content-Length`, and takes one that is empty, cut off, or not
    JSON (a page of a proxy) for a reply in which all members are missing.
    """
    if http_response.status_code < 300 and model.output_shape is not None and not parsed.keys() - {"ResponseMetadata"}:
        raise ResponseParserError("the reply is not complete")


class _Reads(io.RawIOBase):
    """Reads from a socket, in short pieces, for no longer than its time-out in all."""

    def __init__(self, connection: socket.socket, time_left: Callable[[], float]):
        self._connection = connection
        self._open = connection.makefile("rb", buffering=0)  # keeps the socket open until the reply is read
        self._time_left = time_left
        self._limit = connection.gettimeout()
        self._until = float("inf") if self._limit is None else time.monotonic() + self._limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while (left := min(self._until - time.monotonic(), self._time_left())) > 0:
            self._connection.settimeout(min(left, _LOOK_SECONDS))
            try:
                return self._connection.recv_into(buffer)
            except TimeoutError:
                continue
        raise TimeoutError("timed out")

    def close(self) -> None:
        if not self.closed:
            self._connection.settimeout(self._limit)  # for the next request
            self._open.close()
        super().close()


class _Source:
    def __init__(self, connection: socket.socket, time_left: Callable[[], float]):
        self._connection = connection
        self._time_left = time_left

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reads(self._connection, self._time_left))


class _Reply(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, time_left: Callable[[], float], **kwargs: Any):
        super().__init__(_Source(sock, time_left), *args, **kwargs)  # type: ignore[arg-type]


class _Connection(AWSHTTPConnection):
    def __init__(self, *args: Any, time_left: Callable[[], float], **kwargs: Any):
        self.response_class = partial(_Reply, time_left=time_left)  # before botocore keeps it
        super().__init__(*args, **kwargs)


class _TlsConnection(AWSHTTPSConnection):
    def __init__(self, *args: Any, time_left: Callable[[], float], **kwargs: Any):
        self.response_class = partial(_Reply, time_left=time_left)
        super().__init__(*args, **kwargs)


class _Pool(AWSHTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(AWSHTTPSConnectionPool):
    ConnectionCls = _TlsConnection
