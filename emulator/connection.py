"""The connection under a request, for faults that drop it, and for requests that end without an answer."""

from __future__ import annotations

import socket
import struct
from asyncio import CancelledError, sleep
from contextlib import suppress

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

TRANSPORT = "emulator.transport"  # scope extension with the connection's asyncio transport


async def drop_connection(request: Request) -> None:
    """Reset the TCP connection of a request, so that its client gets no answer."""
    _reset(request.scope)
    while not await request.is_disconnected():
        await sleep(0)


def dropping_what_ends(app: ASGIApp) -> ASGIApp:
    """Return an application that drops the connection of a request that the end of the server cuts off, as a server
    that goes away does, and says nothing of a client that went away while it sent one: neither is a fault to report.
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except ClientDisconnect:
            pass
        except CancelledError:
            if scope["type"] != "http":
                raise
            _reset(scope)
            await sleep(0)  # for the server to see that it has no client any more

    return wrapped


def _reset(scope: Scope) -> None:
    transport = scope["extensions"][TRANSPORT]["transport"]
    connection: socket.socket = transport.get_extra_info("socket")
    with suppress(OSError):  # the client has gone already
        # no linger: the peer sees a reset, not an orderly end
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
