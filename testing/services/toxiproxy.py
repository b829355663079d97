"""Toxiproxy: TCP proxies that cut, delay and slice what passes through them."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any

import requests

from testing.services import downloads
from testing.services.process import PATIENCE_SECONDS, ServiceProcess, free_port, is_listening


class Toxiproxy:
    """A Toxiproxy server while its `with` block lasts."""

    def __init__(self) -> None:
        self._port = free_port()
        self._session = requests.Session()
        self._session.trust_env = False  # no proxies
        self._folder = tempfile.TemporaryDirectory(prefix="toxiproxy-")

    def __enter__(self) -> Toxiproxy:
        command = [str(downloads.toxiproxy()), "-host", "127.0.0.1", "-port", str(self._port)]
        self._process = ServiceProcess("Toxiproxy", command, Path(self._folder.name, "log"))
        self._process.wait_until_ready(lambda: is_listening(self._port), PATIENCE_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._session.close()
        self._folder.cleanup()

    def proxy(self, upstream: str) -> Proxy:
        """Return a new proxy on a port of its own, in front of `HOST:PORT`."""
        name = f"proxy-{uuid.uuid4().hex[:8]}"
        created = self.call("POST", "proxies", {"name": name, "listen": "127.0.0.1:0", "upstream": upstream})
        return Proxy(self, name, created["listen"])

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call Toxiproxy's HTTP API.

        Raises:
            RuntimeError: It refuses; the message has its words.
        """
        url = f"http://127.0.0.1:{self._port}/{path}"
        reply = self._session.request(method, url, json=body, timeout=PATIENCE_SECONDS)
        if not reply.ok:
            raise RuntimeError(f"Toxiproxy: {method} /{path}: {reply.status_code} {reply.text}")
        return reply.json() if reply.content else None


class Proxy:
    """One proxy.

    Attributes:
        address: `HOST:PORT` to connect to instead of the upstream.
    """

    def __init__(self, server: Toxiproxy, name: str, address: str) -> None:
        self.address = address
        self._server = server
        self._path = f"proxies/{name}"

    def toxic(self, kind: str, *, stream: str = "downstream", toxicity: float = 1.0, **attributes: int) -> None:
        """Add a toxic: `latency`, `bandwidth`, `timeout`, `reset_peer`, `slicer`, `limit_data` and so on.

        `downstream` is what the upstream answers; `toxicity` the share of connections it is put on; `attributes`
        those that Toxiproxy's README gives for the kind.
        """
        body = {"type": kind, "stream": stream, "toxicity": toxicity, "attributes": attributes}
        self._server.call("POST", f"{self._path}/toxics", body)

    def clear(self) -> None:
        """Take all toxics off."""
        for toxic in self._server.call("GET", f"{self._path}/toxics"):
            self._server.call("DELETE", f"{self._path}/toxics/{toxic['name']}")

    def down(self) -> None:
        """Break all connections and refuse new ones."""
        self._server.call("POST", self._path, {"enabled": False})

    def up(self) -> None:
        """Take connections again, on the same address."""
        self._server.call("POST", self._path, {"enabled": True})
