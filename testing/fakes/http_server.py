"""A real HTTP server in threads that does to each connection what a test asks for, down to the bytes."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO


@dataclass(frozen=True)
class Received:
    """A request as it arrived; header names are in lower case."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.line.split(" ")[1]


class Exchange:
    """One request on its connection, to be answered."""

    def __init__(self, connection: socket.socket, request: Received, ended: threading.Event) -> None:
        self.connection = connection
        self.request = request
        self.ended = ended
        self.keep_open = True

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def head(self, status: int = 200, length: int | None = 0, **headers: str) -> None:
        """Send the status line and the headers."""
        lines = [f"HTTP/1.1 {status} Status", *(f"{name.replace('_', '-')}: {text}" for name, text in headers.items())]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        self.send("\r\n".join([*lines, "", ""]).encode())

    def reply(self, status: int = 200, body: bytes = b"", **headers: str) -> None:
        self.head(status, len(body), **headers)
        self.send(body)

    def close(self) -> None:
        """End the connection in good order."""
        self.keep_open = False

    def reset(self) -> None:
        """Break the connection: no linger, so that the peer sees a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.keep_open = False

    def pause(self, seconds: float) -> bool:
        """Wait; False when the server is to end."""
        return not self.ended.wait(seconds)


class HttpServer:
    """Listens on 127.0.0.1 and answers each request with `answer`.

    Attributes:
        requests: What arrived.
        connections: How many were made.
    """

    def __init__(self, answer: Callable[[Exchange], None], tls: ssl.SSLContext | None = None) -> None:
        self._answer = answer
        self._tls = tls
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.requests: list[Received] = []
        self.connections = 0
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> HttpServer:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or each reply takes 40 ms
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as stream:
                while (line := stream.readline()) and not self._ended.is_set():
                    exchange = Exchange(connection, _read(line, stream), self._ended)
                    self.requests.append(exchange.request)
                    self._answer(exchange)
                    if not exchange.keep_open:
                        return
        except OSError:
            pass  # the client went away, as many tests want it to


def _read(line: bytes, stream: BinaryIO) -> Received:
    headers = {}
    while header := stream.readline().strip():
        name, _, text = header.decode("latin-1").partition(":")
        headers[name.lower()] = text.strip()
    return Received(line.decode("latin-1").strip(), headers, stream.read(int(headers.get("content-length", 0))))
