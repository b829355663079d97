"""A server in front of the emulator that passes requests on and may do something to the replies."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable

import requests

from testing.fakes.http_server import Exchange, HttpServer
from testing.services.process import PATIENCE_SECONDS

# Takes the place of the whole reply, or returns False to leave it as it is.
Fault = Callable[[Exchange, requests.Response], bool]


class Front(HttpServer):
    """Forwards each POST, and answers what the emulator answers unless `fault` does so.

    Attributes:
        under_way: The exchanges whose request the emulator has and has not answered.
    """

    def __init__(self, upstream: str, fault: Fault = lambda exchange, reply: False, tls: ssl.SSLContext | None = None):
        super().__init__(self._forward, tls)
        self.under_way: list[Exchange] = []
        self._upstream = upstream
        self._fault = fault
        self._sessions = threading.local()

    def __enter__(self) -> Front:
        super().__enter__()
        return self

    def _forward(self, exchange: Exchange) -> None:
        if not hasattr(self._sessions, "one"):
            self._sessions.one = requests.Session()
            self._sessions.one.trust_env = False
        received = exchange.request
        headers = {name: text for name, text in received.headers.items() if name in ("content-type", "authorization")}
        url = self._upstream + received.path
        self.under_way.append(exchange)
        try:
            reply = self._sessions.one.post(url, data=received.body, headers=headers, timeout=PATIENCE_SECONDS)
        finally:
            self.under_way.remove(exchange)
        if not self._fault(exchange, reply):
            exchange.reply(reply.status_code, reply.content, Content_Type=reply.headers["content-type"])
