"""The connection under a request, for faults that drop it."""

from __future__ import annotations

import socket
import struct
from asyncio import sleep

from starlette.requests import Request

TRANSPORT = "emulator.transport"  # scope extension with the connection's asyncio transport


async def drop_connection(request: Request) -> None:
    """Reset the TCP connection of a request, so that its client gets no answer."""
    transport = request.scope["extensions"][TRANSPORT]["transport"]
    connection: socket.socket = transport.get_extra_info("socket")
    # no linger: the peer sees a reset, not an orderly end
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    while not await request.is_disconnected():
        await sleep(0)
