"""The systemd unit, checked against our options and by systemd itself."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from testing.services.process import ServiceUnavailable
from testing.services.pytest_support import require
from tests.deploy.dockerfile import ROOT
from tests.pipelines.to_aep import parse

UNIT = ROOT / "deploy" / "systemd" / "beam-aep.service"
CREDENTIALS = "/run/credentials/beam-aep.service/"


def service() -> dict[str, list[str]]:
    """Return the values of each key of the service."""
    section = UNIT.read_text().partition("[Service]\n")[2].partition("\n[Install]")[0]
    found: dict[str, list[str]] = {}
    for line in section.splitlines():
        if line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_its_command_is_one_that_a_run_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = service()
    for name in ("aep-client-secret", "kafka-password"):
        assert f"{name}:/etc/beam-aep/secrets/{name}" in found["LoadCredential"]
    options = {
        "kafka_bootstrap_servers": "kafka:9092",
        "kafka_topics": ["events"],
        "kafka_config": {"sasl.password": f"file:{CREDENTIALS}kafka-password"},
        "aep_inlet_url": "https://dcs.adobedc.net/collection/INLET_ID",
        "aep_dataset_id": "DATASET_ID",
        "aep_org_id": "ORG_ID@AdobeOrg",
        "aep_auth": "oauth",
        "aep_client_id": "CLIENT_ID",
        "aep_client_secret": f"file:{CREDENTIALS}aep-client-secret",
        "xdm_schema_id": "https://ns.adobe.com/TENANT/schemas/SCHEMA_ID",
        "dead_letter_topic": "dead-letters",
    }
    (tmp_path / "options.yaml").write_text(yaml.safe_dump(options))
    program, run, *arguments = found["ExecStart"][0].split()
    assert (Path(program).name, run) == ("beam-aep", "run")
    settings = parse(arguments)
    assert settings.general.processes > 1
    assert float(found["TimeoutStopSec"][0]) >= settings.general.shutdown_seconds + 15


def test_it_is_started_again_without_limit_also_when_kafka_cannot_be_reached() -> None:
    found = service()
    assert found["Restart"] == ["on-failure"]
    assert "RestartPreventExitStatus" not in found
    assert "\nStartLimitIntervalSec=0\n" in UNIT.read_text()


@contextmanager
def _systemd_analyze() -> Iterator[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        raise ServiceUnavailable("systemd-analyze is needed: apt-get install systemd")
    yield program


def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/beam-aep/bin/beam-aep", sys.executable))
    with require(_systemd_analyze()) as program:
        checked = subprocess.run([program, "verify", str(unit)], capture_output=True, text=True)
    about = [line for line in checked.stderr.splitlines() if UNIT.name in line]
    assert (checked.returncode, about) == (0, []), checked.stderr
