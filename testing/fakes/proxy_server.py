"""A real forward proxy in threads: tunnels (CONNECT) for https, forwards for http, asks for a password if told to."""

from __future__ import annotations

import base64
import http.client
import select
import socket
import ssl
from urllib.parse import urlsplit

from testing.fakes.http_server import Exchange, HttpServer
from testing.services.process import PATIENCE_SECONDS

# What is between the client and the proxy, and not for the server behind it (RFC 9110, 7.6.1 and 11.7.2).
_NOT_PASSED_ON = frozenset({"connection", "proxy-authorization", "proxy-connection", "host"})
_NOT_PASSED_BACK = frozenset({"connection", "content-length", "transfer-encoding", "keep-alive"})


class ProxyServer(HttpServer):
    """Passes on whatever it is asked to; `requests` is what it was asked.

    Args:
        credentials: `user:password`, without which it answers 407.
        refusal: A status that it answers to everything instead.
        tls: For a proxy whose own address is https.
        upstream: `host:port` where all tunnels end, whatever host they are asked for.
    """

    def __init__(
        self,
        credentials: str | None = None,
        refusal: int | None = None,
        tls: ssl.SSLContext | None = None,
        upstream: str | None = None,
    ) -> None:
        super().__init__(self._serve_one, tls)
        self._upstream = upstream
        self._credentials = credentials
        self._refusal = refusal

    def __enter__(self) -> ProxyServer:
        super().__enter__()
        return self

    @property
    def asked(self) -> list[str]:
        """What it was asked, as `METHOD TARGET`."""
        return [request.line.rpartition(" ")[0] for request in self.requests]

    def _serve_one(self, exchange: Exchange) -> None:
        request = exchange.request
        if self._credentials is not None:
            wanted = f"Basic {base64.b64encode(self._credentials.encode()).decode()}"
            if request.headers.get("proxy-authorization") != wanted:
                exchange.reply(407, b"no", Proxy_Authenticate='Basic realm="test"')
                return
        if self._refusal is not None:
            exchange.reply(self._refusal)
        elif request.line.startswith("CONNECT "):
            self._tunnel(exchange)
        else:
            self._forward(exchange)

    def _tunnel(self, exchange: Exchange) -> None:
        host, _, port = (self._upstream or exchange.request.path).rpartition(":")
        try:
            upstream = socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS)
        except OSError:
            exchange.reply(502)
            return
        upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with upstream:
            exchange.head(200, None)
            _pump(exchange.connection, upstream)
        exchange.close()

    def _forward(self, exchange: Exchange) -> None:
        request, target = exchange.request, urlsplit(exchange.request.path)
        upstream = http.client.HTTPConnection(target.netloc, timeout=PATIENCE_SECONDS)
        try:
            headers = {name: text for name, text in request.headers.items() if name not in _NOT_PASSED_ON}
            upstream.request(request.line.split(" ")[0], target.path, request.body, headers)
            reply = upstream.getresponse()
            back = {name: text for name, text in reply.getheaders() if name.lower() not in _NOT_PASSED_BACK}
            exchange.reply(reply.status, reply.read(), **back)
        except OSError:
            exchange.reply(502)
        finally:
            upstream.close()


def _pump(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until one side ends."""
    peers = {one: other, other: one}
    while True:
        # TLS may hold bytes that it has read from its socket already.
        waiting = [side for side in peers if isinstance(side, ssl.SSLSocket) and side.pending()]
        for side in waiting or select.select(list(peers), [], [])[0]:
            data = side.recv(65_536)
            if not data:
                return
            peers[side].sendall(data)
