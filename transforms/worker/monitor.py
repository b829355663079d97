"""A process as it is watched from outside: metrics for Prometheus, and whether it lives and reads, on one port."""

from __future__ import annotations

import errno
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, NamedTuple

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from aep.errors import ConfigurationError
from transforms.worker import metrics, process
from transforms.worker.children import Children, no_children
from transforms.worker.exported import LAG_RECORDS, LAG_SECONDS, LAST_ACCEPTED, LAST_POLL, READY
from transforms.worker.exposition import Snapshot, registry, snapshot

_LOG = logging.getLogger(__name__)

# Of so many processes of one machine each finds a port, from the one that was asked for on.
_PORTS_FOR_WORKERS = 32

_IDLE_CONNECTION_SECONDS = 30.0


class Readiness(NamedTuple):
    """Whether a process reads.

    Attributes:
        reason: Why not; "" where it does.
        body: The same for people and programs, with what it is concluded from.
    """

    reason: str
    body: dict[str, Any]


def hindrance(now: Snapshot, not_ready: Callable[[], str] | None = None) -> str:
    """Return why this process does not read now, "" where it does.

    It does from its first poll until it is asked to end, also while the destination is down: nothing else could read
    in its place, and a restart would not help.

    Args:
        now: Its numbers.
        not_ready: See `Monitor`.
    """
    silence = metrics.highest(metrics.KAFKA_SILENCE)
    if process.stop_requested.is_set():
        return "stopping"
    if process.held_up:
        return f"reading has not begun: {process.held_up}"
    if now.levels[LAST_POLL] is None:
        return "reading has not begun"
    if silence is not None:
        return f"Kafka has not answered for {silence} s"
    return not_ready() if not_ready else ""


def readiness(now: Snapshot, reason: str, at: float) -> Readiness:
    """Return whether a process reads, and the rest of the answer to a probe.

    Args:
        now: Its numbers.
        reason: Why it does not; "" where it does.
        at: The time of the numbers, in seconds since 1970.
    """
    return Readiness(
        reason,
        {
            "ready": not reason,
            "reason": reason or None,
            "seconds_since_last_poll": _age(now.levels[LAST_POLL], at),
            "seconds_since_last_accepted": _age(now.levels[LAST_ACCEPTED], at),
            "lag_records": now.levels[LAG_RECORDS],
            "lag_seconds": now.levels[LAG_SECONDS],
        },
    )


def _age(then: float | None, now: float) -> float | None:
    return None if then is None else round(max(0.0, now - then), 3)


class Monitor:
    """Serves `/metrics`, `/health` and `/ready` of this process, in threads of its own, until it is closed.

    It listens on all addresses of the machine: Prometheus, and the probes of Kubernetes, come from elsewhere. What it
    serves are counts, names of routes and codes, no content of records and no secrets.

    Args:
        port: Where; 0 for any free one.
        read: The numbers.
        not_ready: Returns what keeps the process from being ready although its numbers look so, "" for nothing.
        children: Returns the ids of the processes that work for this one, by their numbers.

    Raises:
        OSError: It cannot listen there.
    """

    def __init__(
        self,
        port: int,
        read: Callable[[], Snapshot] = snapshot,
        not_ready: Callable[[], str] | None = None,
        children: Children = no_children,
    ):
        def with_readiness() -> Snapshot:
            now = read()
            return Snapshot(now.counts, {**now.levels, READY: 0 if hindrance(now, not_ready) else 1})

        self._server = _Server(port, registry(with_readiness, children), read, not_ready)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name="monitor", daemon=True).start()
        _LOG.info("metrics at http://%s:%d/metrics, probes at /health and /ready", socket.gethostname(), self.port)

    def close(self) -> None:
        """Serve nothing more."""
        self._server.shutdown()
        self._server.server_close()


def open_monitor(port: int, not_ready: Callable[[], str] | None = None, children: Children = no_children) -> Monitor:
    """Return a monitor of this process on exactly this port, or on any free one for 0.

    Args:
        port: Where.
        not_ready, children: See `Monitor`.

    Raises:
        ConfigurationError: The port cannot be had.
    """
    try:
        return Monitor(port, not_ready=not_ready, children=children)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigurationError(
                f"metrics_port: port {port} is in use by another program on this machine: choose another one, or 0 for "
                "any free one"
            ) from None
        raise ConfigurationError(f"metrics_port: port {port}: {os.strerror(error.errno or 0)}") from None


def open_monitor_of_worker(port: int) -> Monitor | None:
    """Return a monitor of this process, one of several of a machine: on this port or the next one that is free.

    Without one a worker works all the same; then that is logged, and the result is None.
    """
    for each in _ports_of_workers(port):
        try:
            return Monitor(each)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                _LOG.warning(
                    "no metrics of this process: metrics_port: port %d: %s", each, os.strerror(error.errno or 0)
                )
                return None
    _LOG.warning("no metrics of this process: metrics_port: port %d and those after it are in use", port)
    return None


def _ports_of_workers(port: int) -> Iterable[int]:
    return range(port, min(port + _PORTS_FOR_WORKERS, 65_536)) if port else (0,)


class _Server(ThreadingTCPServer):
    daemon_threads = True

    def __init__(
        self, port: int, exported: CollectorRegistry, read: Callable[[], Snapshot], not_ready: Callable[[], str] | None
    ):
        super().__init__(("", port), _Handler, bind_and_activate=False)
        self.socket.close()
        # Also where a cluster has IPv6 addresses only.
        dual = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if dual else socket.AF_INET
        self.socket = socket.create_server(("", port), family=family, dualstack_ipv6=dual)
        self.server_address = self.socket.getsockname()
        self.exported = exported
        self.read = read
        self.not_ready = not_ready

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what failed, unless it is a client that has gone."""
        if not isinstance(sys.exc_info()[1], OSError):
            _LOG.exception("a request for metrics or a probe failed")


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _IDLE_CONNECTION_SECONDS

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, content_type, encode(self.server.exported))
        elif path == "/health":
            self._answer(200, "application/json", b'{"alive":true}\n')
        elif path == "/ready":
            now = self.server.read()
            found = readiness(now, hindrance(now, self.server.not_ready), time.time())
            self._answer(503 if found.reason else 200, "application/json", orjson.dumps(found.body) + b"\n")
        else:
            self._answer(404, "text/plain; charset=utf-8", b"not found; there are /metrics, /health, /ready\n")

    def do_HEAD(self) -> None:
        """Answer as to GET, without the body: some probes ask so."""
        self.do_GET()

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Log no request: there is one every few seconds."""
