"""Connections break, drip, or lead to somebody else."""

from __future__ import annotations

import itertools

import pytest
import requests

from samples.loyalty import generate
from testing.fakes.http_server import Exchange, HttpServer
from testing.services.process import BUSY_SECONDS
from testing.services.toxiproxy import Proxy
from tests.e2e.scenario import Scenario
from tests.faults.campaign import ENDLESS, SMALL, deliver, finish, nothing_happened, through, wait_until_all_committed
from tests.faults.front import Front

pytestmark = pytest.mark.kafka


def test_fault_05_connections_are_cut_at_each_point_of_an_exchange(scenario: Scenario, proxy: Proxy) -> None:
    pipeline = scenario.start(**ENDLESS)
    samples = generate(3_500)

    def duplicates_after(kind: str, stream: str, **attributes: int) -> int:
        """Return how many duplicates a fault of most connections adds."""
        before = scenario.check_every_sample(duplicates=100_000)
        proxy.toxic(kind, stream=stream, toxicity=0.7, **attributes)
        scenario.produce(itertools.islice(samples, 1_000))
        wait_until_all_committed(scenario)
        proxy.clear()
        return scenario.check_every_sample(duplicates=100_000) - before

    # 100 messages are about 150 kB, the reply to them about 6 kB.
    assert duplicates_after("limit_data", "upstream", bytes=50_000) == 0
    assert duplicates_after("reset_peer", "downstream", timeout=0) > 0
    assert duplicates_after("limit_data", "downstream", bytes=3_000) > 0
    # After the reply, while the connection is kept for the next request.
    proxy.down()
    proxy.up()
    before = scenario.check_every_sample(duplicates=100_000)
    scenario.produce(samples)
    wait_until_all_committed(scenario)
    assert scenario.check_every_sample(duplicates=before) == before
    pipeline.terminate()
    summary = finish(scenario, pipeline)
    assert summary["retries"]["reply"] >= 3
    assert summary["dead_lettered"] == {}
    scenario.check_every_sample(duplicates=summary["duplicates_possible"])


def test_fault_06_replies_that_never_come_or_drip_end_at_the_deadline(scenario: Scenario) -> None:
    faults = iter(["silence", "drip in the headers", "drip in the body"])

    repeated = []

    def fault(exchange: Exchange, reply: requests.Response) -> bool:
        kind = next(faults, None)
        if kind is None:
            return False
        repeated.append(len(reply.json()["responses"]))
        if kind == "drip in the body":
            exchange.head(reply.status_code, len(reply.content))
        head = b"HTTP/1.1 207 Multi-Status\r\nContent-Length: 2\r\nX-Filler: "
        content = {"silence": b"", "drip in the headers": head + b"x" * 200, "drip in the body": reply.content}[kind]
        # Each byte comes well within the time limit of the request, and all of them never would.
        for byte in content[:300]:
            if not exchange.pause(0.1):
                break
            exchange.send(bytes([byte]))
        exchange.pause(30)
        exchange.close()
        return True

    scenario.produce(generate(3_000))
    with Front(scenario.emulator.url, fault) as front:
        through(scenario, front.url)
        summary = deliver(scenario, duplicates=300, aep_timeout_seconds=8, batch_max_messages=100)
    assert summary["retries"] == {"reply": 3}
    assert summary["duplicates_possible"] == sum(repeated)
    # Without the deadline each of the three takes 30 s and more.
    assert summary["seconds"] < 3 * 8 + BUSY_SECONDS


@pytest.mark.parametrize("status", [301, 308])
def test_fault_19_a_redirect_is_not_followed(scenario: Scenario, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setenv("TOKEN", "a-token-for-aep-alone")
    scenario.produce(generate(100))
    with (
        HttpServer(lambda exchange: exchange.reply(207)) as elsewhere,
        HttpServer(lambda exchange: exchange.reply(status, Location=f"{elsewhere.url}/collection/x")) as server,
    ):
        through(scenario, server.url)
        finished = scenario.run(aep_auth="token", aep_token="env:TOKEN", **SMALL)
    assert finished.code == 2, finished.output
    assert f"AEP answers {status}" in finished.output
    assert "redirects are not followed" in finished.output
    assert "Traceback" not in finished.output
    assert server.requests[0].headers["authorization"] == "Bearer a-token-for-aep-alone"
    assert elsewhere.requests == []
    assert nothing_happened(scenario)
