"""Names that a server of this machine alone does not answer to: those of pages that were led here (DNS rebinding)."""

from __future__ import annotations

import pytest

from emulator.api.origins import is_local_name
from testing.services.emulator import Emulator
from testing.services.process import PATIENCE_SECONDS
from tests.emulator.conftest import Client


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1:8080", True),
        ("192.168.1.7", True),
        ("[::1]:8080", True),
        ("[fe80::1%25eth0]:8080", True),
        ("localhost:8080", True),
        ("LOCALHOST", True),
        ("localhost.", True),
        ("aep:8080", True),
        ("", True),
        ("aep.localhost:8080", True),
        ("aep.acme.test", True),
        ("host.docker.internal:8080", True),
        ("platform.adobe.io", True),
        ("evil.com:8080", False),
        ("127.0.0.1.evil.com", False),
        ("localhost.evil.com", False),
        ("adobe.io.evil.com", False),
        ("evil-adobe.io", False),
        ("evil.com.", False),
        ("[::1", False),
    ],
)
def test_names(host: str, local: bool) -> None:
    assert is_local_name(host) is local


@pytest.mark.parametrize("path", ["/", "/__local/faults", "/ims/token/v3", "/data/foundation/catalog/dataSets"])
def test_refused(emulator: Emulator, client: Client, path: str) -> None:
    answer = client.session.get(emulator.url + path, headers={"Host": "evil.com"}, timeout=PATIENCE_SECONDS)
    assert answer.status_code == 421
    assert "does not answer to 'evil.com'" in answer.json()["error"]


def test_a_server_for_other_machines_answers_to_any_name(client: Client) -> None:
    with Emulator(arguments=["--host=0.0.0.0"]) as emulator:
        port = emulator.url.rpartition(":")[2]
        answer = client.session.get(
            f"http://127.0.0.1:{port}/__local/faults", headers={"Host": "aep.acme.com"}, timeout=PATIENCE_SECONDS
        )
        assert answer.status_code == 200
