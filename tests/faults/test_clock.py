"""The wall clock jumps, or is not IMS's or AEP's: only the monotonic clock counts."""

from __future__ import annotations

import inspect
import time
from email.utils import formatdate

import pytest

from aep.http.auth import OAuthClient, OAuthTokens
from aep.http.network import Network
from aep.http.transport import RequestsTransport, Timeouts
from aep.ingestion.client import InletClient
from aep.ingestion.decision import RetryPolicy
from aep.ingestion.envelope import Destination
from aep.ingestion.limits import RequestLimit
from testing.defaults import by_default
from testing.fakes.fake_aep import Clock, multi_status
from testing.fakes.http_server import Exchange, HttpServer
from testing.services.emulator import CLIENT_ID, CLIENT_SECRET, Emulator

JUMPS = [-3_600, -300, 300, 3_600]
LIFE_SECONDS = 600


@pytest.mark.parametrize("seconds", JUMPS)
def test_fault_17_a_token_is_renewed_by_the_monotonic_clock(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setenv("AEP_SECRET", CLIENT_SECRET)
    emulator.faults(token_ttl_s=LIFE_SECONDS)
    for client in (OAuthTokens, InletClient):
        assert inspect.signature(client).parameters["clock"].default is time.monotonic
    clock = Clock()
    credential = OAuthClient(emulator.url, CLIENT_ID, "env:AEP_SECRET", "openid")
    tokens = OAuthTokens(credential, RequestsTransport(by_default(Timeouts), by_default(Network)), clock)
    first = tokens.token()
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + seconds)
    assert tokens.token() == first
    clock.now += LIFE_SECONDS - 70
    assert tokens.token() == first
    clock.now += 10
    assert tokens.token() != first
    emulator.clear_faults()


@pytest.mark.parametrize("seconds", JUMPS)
def test_fault_17_a_date_to_retry_after_never_makes_a_wait_negative_or_endless(seconds: float) -> None:
    asked = formatdate(time.time() - seconds + 10, usegmt=True)  # ten seconds on, while our clock is ahead
    clock = Clock()
    answered = []

    def answer(exchange: Exchange) -> None:
        answered.append(exchange)
        if len(answered) == 1:
            exchange.reply(503, Retry_After=asked)
        else:
            exchange.reply(207, multi_status([200]))

    with HttpServer(answer) as server:
        destination = Destination(f"{server.url}/collection/inlet", payload="raw")
        client = InletClient(
            destination,
            RequestsTransport(by_default(Timeouts), by_default(Network)),
            None,
            by_default(RetryPolicy),
            RequestLimit(8, None),
            clock=clock,
            wait=clock.wait,
        )
        assert client.deliver([b"{}"]).answers[0].accepted
    (waited,) = clock.waits
    least = min(max(10 - seconds, 0), 300)
    assert least - 2 <= waited <= least + 0.5
