"""A certificate for servers on this machine, and an organisation for each test."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from testing.services.emulator import CLIENT_SECRET, Emulator
from tests.aep.management import Organisation


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a self-signed certificate for 127.0.0.1, `cert`, and its RSA `key`."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command")
    folder = tmp_path_factory.mktemp("tls")
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key"), "-out", str(folder / "cert")]
    subprocess.run([*command, *files], check=True, capture_output=True)
    return folder


@pytest.fixture
def organisation(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Organisation:
    """An organisation that no other test uses."""
    monkeypatch.setenv("EMULATOR_SECRET", CLIENT_SECRET)
    return Organisation(emulator)
