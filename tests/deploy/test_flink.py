"""The image and the manifests for Flink on Kubernetes, checked against our options, the page and each other."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from testing.services.process import PATIENCE_SECONDS, ServiceProcess, free_port, wait_for
from tests.deploy.container import contained, first_process
from tests.deploy.dockerfile import DOCKERFILE as BASE
from tests.deploy.dockerfile import ROOT, of, stages
from tests.deploy.test_kubernetes import validate
from tests.pipelines.to_aep import parse

FOLDER = ROOT / "deploy" / "flink"
DOCKERFILE = FOLDER / "Dockerfile"
PAGE = (ROOT / "docs" / "flink.md").read_text()
FLINK_YAML: dict[str, Any] = yaml.safe_load((ROOT / "configs" / "flink.yaml").read_text())
CLUSTER: dict[str, Any] = list(yaml.safe_load_all((FOLDER / "session-cluster.yaml").read_text()))[-1]["spec"]
POD: dict[str, Any] = CLUSTER["taskManager"]["podTemplate"]
POOL: dict[str, Any] = POD["spec"]["containers"][0]
JOB: dict[str, Any] = yaml.safe_load((FOLDER / "job.yaml").read_text())["spec"]["template"]["spec"]
SUBMIT: dict[str, Any] = JOB["containers"][0]


def job_server() -> tuple[str, str]:
    """Return the versions of Flink and of Beam of the image's job server."""
    for stage in stages(DOCKERFILE):
        for source in of(stage, "FROM"):
            if found := re.fullmatch(r"apache/beam_flink([\d.]+)_job_server:([\d.]+) AS job-server", source):
                return found[1], found[2]
    raise AssertionError("no job server")


def test_the_linter_finds_nothing() -> None:
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, DOCKERFILE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_beam_and_flink_are_the_same_in_all_that_works_together() -> None:
    flink, beam = job_server()
    assert beam == version("apache-beam")
    assert CLUSTER["image"] == f"flink:{flink}-java17"
    assert CLUSTER["flinkVersion"] == f"v{flink.replace('.', '_')}"
    assert set(re.findall(r"beam-runners-flink-([\d.]+)-job-server-([\d.]+)\.jar", PAGE)) == {(flink, beam)}
    assert set(re.findall(r"apache/beam_flink([\d.]+)_job_server:([\d.]+)`", PAGE)) == {(flink, beam)}
    assert {each.rpartition(".")[0] for each in re.findall(r"\bflink-(\d+\.\d+\.\d+)/", PAGE)} == {flink}


def test_the_image_runs_as_the_user_of_the_one_below() -> None:
    *_, final = stages(DOCKERFILE)
    assert of(final, "USER")[-1] == of(stages(BASE)[-1], "USER")[0]


def test_the_manifests_are_valid(tmp_path: Path) -> None:
    """The operator's own kind is known to it alone; the pods in it are checked, as the operator completes them."""
    documents = list(yaml.safe_load_all((FOLDER / "session-cluster.yaml").read_text()))
    main = {"name": "flink-main-container", "image": CLUSTER["image"]}
    pods = [each["podTemplate"] for each in (CLUSTER, CLUSTER["taskManager"])]
    for pod in pods:
        containers = [each for each in pod["spec"]["containers"] if each["name"] != main["name"]]
        mounts = [each for each in pod["spec"]["containers"] if each["name"] == main["name"]]
        pod["spec"] = {**pod["spec"], "containers": [*containers, *({**main, **each} for each in mounts or [main])]}
    job = yaml.safe_load((FOLDER / "job.yaml").read_text())
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all([documents[0], *pods, job]))
    validate(tmp_path / "all.yaml")


def test_the_pods_have_no_rights() -> None:
    user, group = of(stages(BASE)[-1], "USER")[0].split(":")
    for container, who in ((POOL, POOL["securityContext"]), (SUBMIT, JOB["securityContext"])):
        assert (who["runAsNonRoot"], who["runAsUser"], who["runAsGroup"]) == (True, int(user), int(group))
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert (security["allowPrivilegeEscalation"], security["capabilities"]) == (False, {"drop": ["ALL"]})
        assert container["resources"]["limits"]["memory"]
        assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}


def test_the_cluster_fits_the_options() -> None:
    assert f"--service_port={FLINK_YAML['environment_config'].rpartition(':')[2]}" in POOL["args"]
    slots = int(CLUSTER["flinkConfiguration"]["taskmanager.numberOfTaskSlots"])
    assert slots * CLUSTER["taskManager"]["replicas"] == FLINK_YAML["parallelism"]
    # where workers and who submits run, secrets are the same
    assert POOL["env"] == SUBMIT["env"]
    assert POOL["image"] == SUBMIT["image"]


def test_the_page_explains_each_key_of_the_cluster() -> None:
    explained = set(re.findall(r"`([a-z-]+\.[\w.-]+)`", PAGE.partition("## Keys of the cluster")[2]))
    assert CLUSTER["flinkConfiguration"].keys() <= explained


def runs_of_the_page() -> list[str]:
    """Return the commands of the page that submit a job."""
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    lines = re.sub(r"\s*\\\n\s*", " ", "".join(blocks)).splitlines()
    return [line for line in lines if line.startswith("beam-aep run ")]


def test_runs_of_the_page_are_given_options_that_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    project = ROOT / "samples" / "project"
    for name in ("aep.yaml", "routes.yaml"):
        (tmp_path / name).write_text((project / name).read_text())
    (tmp_path / "kafka.yaml").write_text("kafka_bootstrap_servers: kafka:9092\n")
    runs = runs_of_the_page()
    assert len(runs) >= 3
    for run in runs:
        command = [sys.executable, "-m", "pipelines.cli", *run.split()[1:], "--print_options"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        assert done.returncode == 0, done.stderr
        assert re.search(r"^runner: (Flink|Portable)Runner\b", done.stdout, re.MULTILINE)


def test_the_job_is_given_options_that_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("base.yaml", "flink.yaml"):
        (tmp_path / name).write_text((ROOT / "configs" / name).read_text())
    project = ROOT / "samples" / "project"
    (tmp_path / "aep.yaml").write_text((project / "aep.yaml").read_text())
    (tmp_path / "aep.yaml").open("a").write("\nkafka_bootstrap_servers: kafka:9092\n")
    (tmp_path / "routes.yaml").write_text((project / "routes.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    run, *options = SUBMIT["args"]
    assert run == "run"
    settings = parse(options)
    assert settings.runner == "FlinkRunner"
    assert settings.beam["flink_master"] == "beam-aep-flink-rest:8081"
    assert settings.beam["flink_job_server_jar"] == f"{of(stages(DOCKERFILE)[-1], 'COPY')[0].split()[-1]}" + (
        "beam-runners-flink-job-server.jar"
    )
    assert settings.beam["no_wait_until_finish"] is True
    assert settings.dead_letter.topic
    assert not settings.dead_letter.path
    (port,) = POOL["ports"]
    assert port["containerPort"] == settings.general.metrics_port
    assert POD["metadata"]["annotations"]["prometheus.io/port"] == str(settings.general.metrics_port)


def test_the_pool_ends_at_the_signal_of_the_image_as_the_first_process_of_a_container(tmp_path: Path) -> None:
    (name,) = of(stages(DOCKERFILE)[-1], "STOPSIGNAL")
    python, *module = POOL["command"]
    assert python == "python"
    port = free_port()
    command = contained([sys.executable, *module, f"--service_port={port}"])
    with ServiceProcess("worker pool", command, tmp_path / "log") as pool:
        pool.wait_until_ready(lambda: "Started worker pool" in pool.log(), PATIENCE_SECONDS)
        os.kill(first_process(pool), signal.Signals[name])
        wait_for(lambda: not pool.running, PATIENCE_SECONDS, "its end")
        assert "Traceback" not in pool.log()
