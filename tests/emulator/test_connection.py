"""Connections that end in the middle of a request: neither side's leaving is a fault of the emulator to report."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from testing.services.emulator import Emulator
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.emulator.conftest import Client, make_message


def begin(emulator: Emulator, path: str) -> socket.socket:
    """Begin a request whose body the emulator waits for, and return its connection."""
    address = urlsplit(emulator.url)
    connection = socket.create_connection((str(address.hostname), address.port or 80), PATIENCE_SECONDS)
    head = f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
    connection.sendall(f"{head}Content-Length: 100\r\nExpect: 100-continue\r\n\r\n".encode())
    assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
    return connection


def said(emulator: Emulator) -> str:
    return emulator.process.log_path.read_text()


def test_the_end_of_the_emulator_breaks_what_is_under_way() -> None:
    """As with any server that goes away: an answer of 500 would say that the request is at fault."""
    with Emulator() as emulator:
        with begin(emulator, "/ims/token/v3") as connection:
            emulator.stop()
            with pytest.raises(ConnectionResetError):
                connection.recv(100)
        assert "Traceback" not in said(emulator)
        assert emulator.process.exit_code == 0


@pytest.mark.parametrize("path", ["/ims/token/v3", "/__local/inlets", "/faults", "/data/core/edge/inlet"])
def test_a_client_that_leaves_amid_its_request(emulator: Emulator, path: str) -> None:
    before = said(emulator)
    begin(emulator, path).close()
    emulator.stats()
    assert said(emulator) == before


def test_a_client_that_left_before_its_connection_is_dropped(emulator: Emulator, inlet: dict[str, Any]) -> None:
    before = said(emulator)
    emulator.faults(reset_rate=1, latency_ms=200)
    with Client().session as session, pytest.raises(OSError, match="timed out"):
        session.post(inlet["inletUrl"], json=make_message(inlet, "a"), timeout=0.01)
    wait_for(lambda: emulator.inlet_stats(inlet["inletId"])["statuses"], PATIENCE_SECONDS, "the fault")
    assert emulator.inlet_stats(inlet["inletId"])["statuses"] == {"reset": 1}
    assert said(emulator) == before
