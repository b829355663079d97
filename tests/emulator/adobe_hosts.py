"""Adobe's hosts as a client sees them, with an emulator behind them: https addresses, reached through a proxy."""

from __future__ import annotations

import http.client
from contextlib import ExitStack
from types import TracebackType
from urllib.parse import urlsplit

from testing.fakes.http_server import Exchange, HttpServer
from testing.fakes.proxy_server import ProxyServer
from testing.services.certificates import Authority
from testing.services.process import PATIENCE_SECONDS

HOSTS = ("platform.adobe.io", "ims-na1.adobelogin.com", "dcs.adobedc.net")
# What is between two neighbours on the way, and not for those behind them (RFC 9110, 7.6.1).
_NOT_PASSED_ON = frozenset({"connection", "content-length", "transfer-encoding", "keep-alive"})


class AdobeHosts:
    """A proxy through which each of Adobe's hosts is an emulator with a certificate for that host's name.

    Attributes:
        environment: Variables that lead a client through the proxy and make it trust the certificate.
    """

    def __init__(self, emulator_url: str, authority: Authority) -> None:
        self._emulator = urlsplit(emulator_url).netloc
        self._hosts = HttpServer(self._pass_on, authority.context(",".join(f"DNS:{host}" for host in HOSTS)))
        self._proxy = ProxyServer(upstream=f"127.0.0.1:{self._hosts.port}")
        self.environment = {"HTTPS_PROXY": self._proxy.url, "REQUESTS_CA_BUNDLE": str(authority.certificate)}
        self._running = ExitStack()

    @property
    def asked_for(self) -> set[str]:
        """The hosts that were asked for."""
        return {one.removeprefix("CONNECT ") for one in self._proxy.asked}

    @property
    def requests(self) -> list[str]:
        """What the hosts were asked, as `METHOD PATH`."""
        return [request.line.rpartition(" ")[0] for request in self._hosts.requests]

    def __enter__(self) -> AdobeHosts:
        self._running.enter_context(self._hosts)
        self._running.enter_context(self._proxy)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def _pass_on(self, exchange: Exchange) -> None:
        request = exchange.request
        headers = {name: text for name, text in request.headers.items() if name not in _NOT_PASSED_ON}
        emulator = http.client.HTTPConnection(self._emulator, timeout=PATIENCE_SECONDS)
        try:
            method, path, _ = request.line.split(" ")
            emulator.request(method, path, request.body, {**headers, "X-Forwarded-Proto": "https"})
            reply = emulator.getresponse()
            back = {name: text for name, text in reply.getheaders() if name.lower() not in _NOT_PASSED_ON}
            exchange.reply(reply.status, reply.read(), **back)
        finally:
            emulator.close()
