"""The way to AEP and IMS leads through a proxy: one that wants a password, is down for a while, or refuses."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from samples.loyalty import generate
from testing.fakes.proxy_server import ProxyServer
from testing.services.certificates import Authority
from testing.services.toxiproxy import Toxiproxy
from tests.e2e.scenario import Scenario
from tests.faults.campaign import SMALL, ask_for_tokens, during, finish, nothing_happened, through
from tests.faults.front import Front

pytestmark = pytest.mark.kafka

PASSWORD = f"password-{uuid.uuid4().hex}"


@pytest.fixture
def credentials(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Options for inlets that want a token of IMS, and the passwords that they refer to."""
    secret = f"secret-{uuid.uuid4().hex}"
    monkeypatch.setenv("AEP_SECRET", secret)
    monkeypatch.setenv("PROXY_PASSWORD", PASSWORD)
    return {**ask_for_tokens(scenario, f"client-{scenario.name}", secret), **SMALL}


def refuse(scenario: Scenario, words: str, **options: Any) -> None:
    """A run must end with these words alone, with nothing done and no password shown."""
    finished = scenario.run(**options)
    assert finished.code == 2, finished.output
    assert finished.output.count("error:") == 1
    assert words in finished.output
    assert "Traceback" not in finished.output
    assert PASSWORD not in finished.output
    assert nothing_happened(scenario)


def test_fault_18_a_proxy_that_wants_a_password(
    scenario: Scenario, credentials: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both hosts have http addresses here, so the proxy forwards."""
    scenario.produce(generate(1_000))
    with ProxyServer(f"me:{PASSWORD}") as proxy:
        named = {"aep_proxy": proxy.url, **credentials}
        refuse(scenario, "(407): set aep_proxy_user and aep_proxy_password", **named)
        # Without authentication the proxy is first met by a batch.
        refuse(scenario, "(407): set aep_proxy_user and aep_proxy_password", **{**named, "aep_auth": "none"})
        named |= {"aep_proxy_user": "me", "aep_proxy_password": "env:PROXY_PASSWORD"}
        monkeypatch.setenv("PROXY_PASSWORD", "another")
        refuse(scenario, "(407): check aep_proxy_user and aep_proxy_password", **named)
        monkeypatch.setenv("PROXY_PASSWORD", PASSWORD)
        proxy.requests.clear()
        finished = scenario.run(**named)
    assert finished.code == 0, finished.output
    assert PASSWORD not in finished.output
    scenario.check_every_sample()
    paths = {request.path.removeprefix(scenario.emulator.url) for request in proxy.requests}
    inlets = {f"/collection/batch/{inlet['inletId']}" for inlet in scenario.inlets.values()}
    assert paths == {"/ims/token/v3", *inlets}
    # Every request and the one for the token.
    assert len(proxy.requests) == finished.summary["requests"] + 1


def test_fault_18_a_proxy_that_tunnels_and_is_down_for_a_while(
    scenario: Scenario, credentials: dict[str, Any], authority: Authority, toxiproxy: Toxiproxy
) -> None:
    """Both hosts have https addresses here, so the proxy is asked for tunnels."""
    scenario.produce(generate(10_000))
    tls = authority.context()
    with (
        Front(scenario.emulator.url, tls=tls) as inlets,
        Front(scenario.emulator.url, tls=tls) as ims,
        ProxyServer(f"me:{PASSWORD}") as server,
    ):
        proxy = toxiproxy.proxy(f"127.0.0.1:{server.port}")
        through(scenario, inlets.url)
        pipeline = scenario.start(
            **{
                **credentials,
                "aep_ims_url": ims.url,
                "aep_ca_file": str(authority.certificate),
                "aep_proxy": f"http://{proxy.address}",
                "aep_proxy_user": "me",
                "aep_proxy_password": "env:PROXY_PASSWORD",
                "aep_max_in_flight": 2,
            }
        )
        scenario.wait_until_accepted(1_000)
        proxy.down()
        for _ in during(4):
            assert pipeline.running, pipeline.log_tail()
        held = scenario.messages_accepted()
        for _ in during(2):
            assert scenario.messages_accepted() == held
        proxy.up()
        summary = finish(scenario, pipeline)
    assert summary["retries"]["connect"] > 0
    assert summary["dead_lettered"] == {}
    scenario.check_every_sample(duplicates=summary["duplicates_possible"])
    assert set(server.asked) == {f"CONNECT 127.0.0.1:{front.port}" for front in (inlets, ims)}
    assert {request.path for request in ims.requests} == {"/ims/token/v3"}


def test_fault_18_a_proxy_that_does_not_let_through(scenario: Scenario, authority: Authority) -> None:
    scenario.produce(generate(100))
    with Front(scenario.emulator.url, tls=authority.context()) as front, ProxyServer(refusal=403) as proxy:
        through(scenario, front.url)
        words = f"the proxy 127.0.0.1:{proxy.port} refuses a connection to 127.0.0.1:{front.port}"
        refuse(scenario, words, aep_proxy=proxy.url, aep_ca_file=str(authority.certificate), **SMALL)
    assert front.requests == []
