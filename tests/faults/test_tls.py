"""TLS that cannot be trusted ends the run with one clear error: it is never a reason to try again."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from samples.loyalty import generate
from testing.services.certificates import Authority
from tests.e2e.scenario import Scenario
from tests.faults.campaign import SMALL, deliver, nothing_happened, through
from tests.faults.front import Front

pytestmark = pytest.mark.kafka


def refuse(scenario: Scenario, tls: ssl.SSLContext, words: str, authority: Authority) -> None:
    """A run to a server with this TLS must end with these words, with nothing sent."""
    scenario.produce(generate(100))
    with Front(scenario.emulator.url, tls=tls) as front:
        through(scenario, front.url)
        finished = scenario.run(aep_ca_file=str(authority.certificate), **SMALL)
    assert finished.code == 2, finished.output
    assert finished.output.count("error:") == 1
    assert f"error: TLS to 127.0.0.1:{front.port} failed" in finished.output
    assert words in finished.output
    assert "Traceback" not in finished.output
    assert front.requests == []
    assert nothing_happened(scenario)


def test_fault_18_a_certificate_that_has_expired(scenario: Scenario, authority: Authority) -> None:
    refuse(scenario, authority.context(days=0), "certificate has expired", authority)


def test_fault_18_a_certificate_for_another_host(scenario: Scenario, authority: Authority) -> None:
    refuse(scenario, authority.context("DNS:aep.test"), "not valid for '127.0.0.1'", authority)


def test_fault_18_a_certificate_of_another_authority(scenario: Scenario, authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    refuse(scenario, Authority(tmp_path / "other").context(), "unable to get local issuer certificate", authority)


def test_fault_18_a_certificate_that_is_trusted(scenario: Scenario, authority: Authority) -> None:
    """The other tests' server is refused for its certificate alone."""
    scenario.produce(generate(100))
    with Front(scenario.emulator.url, tls=authority.context()) as front:
        through(scenario, front.url)
        deliver(scenario, aep_ca_file=str(authority.certificate))


def test_fault_18_a_client_certificate_is_asked_for(scenario: Scenario, authority: Authority) -> None:
    scenario.produce(generate(100))
    certificate, key = authority.issue("client")
    options: dict[str, Any] = {"aep_ca_file": str(authority.certificate)}
    with Front(scenario.emulator.url, tls=authority.context(client=True)) as front:
        through(scenario, front.url)
        finished = scenario.run(**options, **SMALL)
        assert finished.code == 2, finished.output
        assert "set aep_client_certificate" in finished.output
        assert nothing_happened(scenario)
        deliver(scenario, aep_client_certificate=str(certificate), aep_client_key=str(key), **options)


def test_fault_18_files_that_are_not_there(scenario: Scenario, tmp_path: Path) -> None:
    """Looked at before anything is read, not when the first batch is to be sent."""
    scenario.produce(generate(100))
    finished = scenario.run(aep_ca_file=str(tmp_path / "none.pem"), **SMALL)
    assert finished.code == 2, finished.output
    assert f"error: aep_ca_file: {tmp_path}/none.pem cannot be read: No such file or directory" in finished.output
    assert (finished.summary["outcome"], finished.summary["read"]) == ("failed", 0)
    assert nothing_happened(scenario)
