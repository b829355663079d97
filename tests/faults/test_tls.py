"""TLS that cannot be trusted ends the run with one clear error: it is never a reason to try again."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from samples.loyalty import generate
from tests.e2e.scenario import Scenario
from tests.faults.campaign import SMALL, deliver, nothing_happened, through
from tests.faults.front import Front

pytestmark = pytest.mark.kafka


class Authority:
    """A certificate authority, by the openssl command."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.certificate = folder / "ca.pem"
        self._openssl("req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=ca", *self._new_key("ca"), "-out", "ca.pem")

    def context(self, host: str = "IP:127.0.0.1", days: int = 2) -> ssl.SSLContext:
        """TLS for a server of this name; a certificate for 0 days expires within the second."""
        self._openssl("req", "-nodes", "-subj", "/CN=server", *self._new_key("server"), "-out", "server.csr")
        (self._folder / "names").write_text(f"subjectAltName={host}\n")
        signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", str(days)]
        self._openssl("x509", "-req", "-in", "server.csr", *signing, "-out", "server.pem")
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self._folder / "server.pem", self._folder / "server.key")
        return made

    def _new_key(self, name: str) -> list[str]:
        return ["-newkey", "rsa:2048", "-keyout", f"{name}.key"]

    def _openssl(self, *arguments: str) -> None:
        openssl = shutil.which("openssl")
        if openssl is None:
            pytest.skip("no openssl found")
        subprocess.run([openssl, *arguments], cwd=self._folder, check=True, capture_output=True)


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """An authority that the pipeline trusts: its certificate takes the place of certifi's."""
    certifi = tmp_path / "path" / "certifi"
    certifi.mkdir(parents=True)
    authority = Authority(tmp_path)
    (certifi / "__init__.py").write_text(f"def where() -> str:\n    return {str(authority.certificate)!r}\n")
    monkeypatch.setenv("PYTHONPATH", str(certifi.parent))
    return authority


def refuse(scenario: Scenario, tls: ssl.SSLContext, words: str) -> None:
    """A run to a server with this TLS must end with these words, with nothing sent."""
    scenario.produce(generate(100))
    with Front(scenario.emulator.url, tls=tls) as front:
        through(scenario, front.url)
        finished = scenario.run(**SMALL)
    assert finished.code == 2, finished.output
    assert finished.output.count("error:") == 1
    assert f"error: TLS to 127.0.0.1:{front.port} failed" in finished.output
    assert words in finished.output
    assert "Traceback" not in finished.output
    assert finished.summary["requests"] == 0
    assert front.requests == []
    assert nothing_happened(scenario)


def test_fault_18_a_certificate_that_has_expired(scenario: Scenario, authority: Authority) -> None:
    refuse(scenario, authority.context(days=0), "certificate has expired")


def test_fault_18_a_certificate_for_another_host(scenario: Scenario, authority: Authority) -> None:
    refuse(scenario, authority.context("DNS:aep.test"), "not valid for '127.0.0.1'")


def test_fault_18_a_certificate_of_another_authority(scenario: Scenario, authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    refuse(scenario, Authority(tmp_path / "other").context(), "unable to get local issuer certificate")


def test_fault_18_a_certificate_that_is_trusted(scenario: Scenario, authority: Authority) -> None:
    """The other tests' server is refused for its certificate alone."""
    scenario.produce(generate(100))
    with Front(scenario.emulator.url, tls=authority.context()) as front:
        through(scenario, front.url)
        deliver(scenario)
