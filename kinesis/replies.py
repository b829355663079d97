"""Replies that must be complete by a deadline, for clients of boto3.

botocore's `read_timeout` is for one read from the socket: a peer, or a proxy, that sends a byte now and then would hold
a call, its thread and its connection for as long as it likes. Here it is for the whole reply, from the time when the
request is sent. Imported inside functions, as all of botocore is.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Mapping
from typing import Any

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from botocore.parsers import ResponseParserError


def bound_replies(client: Any) -> None:
    """Make a client raise an error for a reply that takes too long, that of a silent peer, and for one that is cut off.

    Args:
        client: Of boto3. botocore has no way to give it connections of one's own, so this reaches inside.
    """
    session = client._endpoint.http_session
    session._pool_classes_by_scheme = session._manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
    client.meta.events.register("after-call", _refuse_unread)


def _refuse_unread(http_response: Any, parsed: Mapping[str, Any], model: Any, **_: Any) -> None:
    """Raise an error for a reply of which nothing was understood.

    botocore does not compare the length of a body with `Content-Length`, and takes one that is empty, cut off, or not
    JSON (a page of a proxy) for a reply in which all members are missing.
    """
    if http_response.status_code < 300 and model.output_shape is not None and not parsed.keys() - {"ResponseMetadata"}:
        raise ResponseParserError("the reply is not complete")


class _Reads(io.RawIOBase):
    """Reads from a socket, for no longer than its time-out in all."""

    def __init__(self, connection: socket.socket):
        self._connection = connection
        self._open = connection.makefile("rb", buffering=0)  # keeps the socket open until the reply is read
        self._limit = connection.gettimeout()
        self._until = float("inf") if self._limit is None else time.monotonic() + self._limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._limit is not None:
            left = self._until - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._connection.settimeout(left)
        return self._connection.recv_into(buffer)

    def close(self) -> None:
        if not self.closed:
            self._connection.settimeout(self._limit)  # for the next request
            self._open.close()
        super().close()


class _Source:
    def __init__(self, connection: socket.socket):
        self._connection = connection

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reads(self._connection))


class _Reply(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any):
        super().__init__(_Source(sock), *args, **kwargs)  # type: ignore[arg-type]


class _Connection(AWSHTTPConnection):
    response_class = _Reply


class _TlsConnection(AWSHTTPSConnection):
    response_class = _Reply


class _Pool(AWSHTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(AWSHTTPSConnectionPool):
    ConnectionCls = _TlsConnection
