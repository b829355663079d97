"""A server in front of the emulator that passes management calls on, until a test wants something else."""

from __future__ import annotations

import threading
from collections.abc import Callable

import requests

from testing.fakes.http_server import Exchange, HttpServer
from testing.services.process import PATIENCE_SECONDS

# Answers an exchange itself, or returns False to have it passed on.
Interception = Callable[[Exchange], bool]


class PlatformFront(HttpServer):
    """Passes calls on under the emulator's own address, so that the addresses of inlets are the emulator's."""

    def __init__(self, upstream: str, intercept: Interception = lambda exchange: False):
        super().__init__(self._pass_on)
        self._upstream = upstream
        self._intercept = intercept
        self._sessions = threading.local()

    def __enter__(self) -> PlatformFront:
        super().__enter__()
        return self

    def _pass_on(self, exchange: Exchange) -> None:
        if self._intercept(exchange):
            return
        if not hasattr(self._sessions, "one"):
            self._sessions.one = requests.Session()
            self._sessions.one.trust_env = False
        received = exchange.request
        left_out = ("host", "connection", "content-length", "accept-encoding")
        headers = {name: text for name, text in received.headers.items() if name not in left_out}
        method, url = received.line.split(" ")[0], self._upstream + received.path
        reply = self._sessions.one.request(method, url, data=received.body, headers=headers, timeout=PATIENCE_SECONDS)
        exchange.reply(reply.status_code, reply.content, Content_Type=reply.headers.get("content-type", ""))
