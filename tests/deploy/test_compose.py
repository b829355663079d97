"""The compose file of a project: checked against the image and our options, and run without containers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from emulator import kafka
from samples.files import copy_project
from testing.services.process import PATIENCE_SECONDS, ServiceProcess, free_port, wait_for
from tests.deploy.dockerfile import ROOT, of, stages
from tests.pipelines.to_aep import load_routes, parse

COMPOSE = yaml.safe_load((ROOT / "samples" / "project" / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "beam-aep"}
STATE = "/var/lib/beam-aep"


def test_our_services_keep_to_the_image() -> None:
    (folder,) = of(stages()[-1], "WORKDIR")
    assert folder == STATE
    assert set(OURS) == {"aep", "provision", "events", "pipeline"}
    for service in OURS.values():
        assert service["read_only"] is True
        assert service["tmpfs"] == ["/tmp"]
        assert service["cap_drop"] == ["ALL"]
        assert service["volumes"] == [".:/project:ro", f"state:{STATE}"]
        assert service["command"] == [str(word) for word in service["command"]]
        assert "user" not in service  # the image's


def test_services_wait_for_those_that_there_are() -> None:
    conditions = {"service_healthy": "healthcheck", "service_completed_successfully": "command"}
    for service in SERVICES.values():
        for name, awaited in service.get("depends_on", {}).items():
            assert conditions[awaited["condition"]] in SERVICES[name]


def test_no_port_is_open_to_other_machines() -> None:
    """The local AEP and Kafka ask nobody for a password."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(ports) >= 2
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_images_of_others_are_pinned() -> None:
    others = {service["image"] for service in SERVICES.values()} - {"beam-aep"}
    assert [image for image in others if not re.search(r":v?\d+\.\d+\.\d+$", image)] == []


def test_the_pipeline_gets_longer_to_end_than_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_project(tmp_path)
    monkeypatch.setenv("AEP_CLIENT_SECRET", OURS["pipeline"]["environment"]["AEP_CLIENT_SECRET"])
    run, *options = [word.replace("/project", str(tmp_path)) for word in OURS["pipeline"]["command"]]
    assert run == "run"
    settings = parse([*options, f"--routes_file={tmp_path / 'routes.yaml'}"])
    monkeypatch.chdir(tmp_path)
    assert {route.name for route in load_routes(settings)} == {"profiles", "events"}
    grace = int(OURS["pipeline"]["stop_grace_period"].removesuffix("s"))
    assert grace >= settings.general.shutdown_seconds + 10


def test_prometheus_and_grafana_get_what_they_are_told(tmp_path: Path) -> None:
    copy_project(tmp_path)
    for name in ("prometheus", "grafana"):
        for volume in SERVICES[name]["volumes"]:
            assert (tmp_path / volume.partition(":")[0]).exists(), volume
    prometheus = yaml.safe_load((tmp_path / "prometheus" / "prometheus.yaml").read_text())
    (job,) = prometheus["scrape_configs"]
    port = yaml.safe_load((tmp_path / "containers.yaml").read_text())["metrics_port"]
    assert job["static_configs"] == [{"targets": [f"pipeline:{port}"]}]
    assert [(tmp_path / "prometheus" / file).exists() for file in prometheus["rule_files"]] == [True]
    ours = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yaml").read_text())
    assert job["job_name"] == ours["scrape_configs"][0]["job_name"]
    (source,) = yaml.safe_load((tmp_path / "grafana" / "datasources.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((tmp_path / "grafana" / "dashboards.yaml").read_text())["providers"]
    mounted = [volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]]
    assert f"{provider['options']['path']}/beam-aep.json" in mounted


@pytest.mark.slow
def test_what_the_services_do_works(tmp_path: Path) -> None:
    """Their commands in their order, with the folders and addresses of this machine for those of the containers."""
    project, state = tmp_path / "project", tmp_path / "state"
    copy_project(project)
    state.mkdir()
    port = free_port()
    with kafka.running() as address:
        names = {
            "/project": project,
            STATE: state,
            "kafka:9092": address,
            "aep:8080": f"127.0.0.1:{port}",
            "metrics_port: 9400": f"metrics_port: {free_port()}",
        }

        def here(text: str) -> str:
            for name, ours in names.items():
                text = text.replace(name, str(ours))
            return text.replace("--host=0.0.0.0", "--host=127.0.0.1").replace("--port=8080", f"--port={port}")

        def command(service: str) -> list[str]:
            return [sys.executable, "-m", "pipelines.cli", *map(here, OURS[service]["command"])]

        (project / "containers.yaml").write_text(here((project / "containers.yaml").read_text()))
        environment = {"PYTHONPATH": str(ROOT), **OURS["pipeline"]["environment"]}
        health = [here(word).replace("8080", str(port)) for word in OURS["aep"]["healthcheck"]["test"][1:]]
        assert health[0] == "python"
        with ServiceProcess("aep", command("aep"), tmp_path / "aep.log", env=environment) as aep:
            aep.wait_until_ready(
                lambda: subprocess.run([sys.executable, *health[1:]], capture_output=True).returncode == 0,
                PATIENCE_SECONDS,
            )
            for service in ("provision", "events"):
                done = subprocess.run(
                    command(service), env={**os.environ, **environment}, capture_output=True, text=True
                )
                assert done.returncode == 0, done.stderr
            with ServiceProcess("pipeline", command("pipeline"), tmp_path / "log", env=environment) as pipeline:
                pipeline.wait_until_ready(lambda: any(state.glob("dead-letters/*.jsonl")), PATIENCE_SECONDS)
                pipeline.signal(signal.SIGTERM)
                wait_for(lambda: not pipeline.running, PATIENCE_SECONDS, "its end")
                assert pipeline.exit_code == 0
                assert re.search(r"unaccounted for\W+0\b", pipeline.log())
