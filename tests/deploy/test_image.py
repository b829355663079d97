"""The container image: what its Dockerfile says, and what it would hold, without an engine to build it."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import requires
from pathlib import Path

import orjson
import pytest

from emulator import kafka
from pipelines.cli.generate.records import send
from samples.loyalty import EVENTS_TOPIC, generate
from testing.services.emulator import Emulator
from testing.services.process import PATIENCE_SECONDS, ServiceProcess, wait_for
from tests.deploy.container import SCRATCH, contained, first_process
from tests.deploy.dockerfile import DOCKERFILE, ROOT, Step, context, of, stages
from transforms.kafka.client import KafkaCluster

BUILD, FINAL = stages()
LOCK = (DOCKERFILE.parent / "requirements.lock").read_text()
SCHEMA = ROOT / "configs" / "schemas" / "loyalty-event.schema.json"


def test_the_linter_finds_nothing() -> None:
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, DOCKERFILE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_it_runs_as_a_user_without_rights_and_obeys_signals() -> None:
    (user,) = of(FINAL, "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)  # a number: Kubernetes cannot see that a name is not root
    (made,) = of(FINAL, "RUN")
    assert f"--uid {user.partition(':')[0]} " in made
    # The exec form: a shell as the first process would keep SIGTERM to itself.
    assert json.loads(of(FINAL, "ENTRYPOINT")[0]) == ["beam-aep"]
    assert json.loads(of(FINAL, "CMD")[0]) == ["--help"]


def test_it_holds_the_installed_package_and_not_what_that_was_built_with() -> None:
    assert of(FINAL, "COPY") == ["--from=build /opt/beam-aep /opt/beam-aep"]
    assert of(BUILD, "FROM")[0] == f"{of(FINAL, 'FROM')[0]} AS build"
    assert of(FINAL, "ENV") == ["PATH=/opt/beam-aep/bin:$PATH"]


def test_the_build_sees_what_the_package_is_made_of() -> None:
    seen = list(context())
    assert [path for path in seen if not path.exists()] == []
    (patterns,) = re.findall(r"find_packages\(include=(\[.*?\])\)", (ROOT / "setup.py").read_text())
    packages = {pattern.removesuffix("*") for pattern in ast.literal_eval(patterns)}
    assert packages | {"configs", "docs", "prometheus", "grafana"} == {path.name for path in seen if path.is_dir()}


def test_its_packages_are_those_that_are_tested() -> None:
    pin = re.compile(r"^[\w.-]+==\S+", re.MULTILINE)
    tested = set(pin.findall((ROOT / "requirements.lock").read_text()))
    assert set(pin.findall(LOCK)) <= tested, "make lock"
    needed = {
        re.split(r"[^\w-]", line)[0].lower().replace("_", "-") for line in requires("beam-aep") or ()
    }  # with all extras
    assert {"apache-beam", "uvicorn", "boto3"} <= needed
    assert needed <= set(re.findall(r"^([\w-]+)(?:\[\S+\])?==", LOCK, re.MULTILINE)), "make lock"


def test_sigterm_ends_the_first_process_of_a_container_at_any_time(tmp_path: Path) -> None:
    """The kernel drops signals to it that it has no handler for."""
    command = contained([sys.executable, "-m", "pipelines.cli", "generate", "1000000000", "--output=/dev/null"])
    with ServiceProcess("beam-aep generate", command, tmp_path / "log", env={"PYTHONPATH": str(ROOT)}) as service:

        def has_ended() -> bool:
            with suppress(ProcessLookupError):  # it has just ended
                if process := first_process(service):
                    os.kill(process, signal.SIGTERM)  # again, as long as Python itself is being loaded
            return not service.running

        wait_for(has_ended, PATIENCE_SECONDS, "its end")
        assert service.exit_code == 128 + signal.SIGTERM
        assert "Traceback" not in service.log()


def test_a_run_in_a_container_ends_in_good_order(tmp_path: Path, emulator: Emulator) -> None:
    """As the first process, without rights, on a root file system that is read-only."""
    inlet = emulator.create_inlet(name="container", schema=orjson.loads(SCHEMA.read_bytes()))
    with kafka.running([EVENTS_TOPIC]) as address:
        send(generate(500, kind="events", broken_share=0.1), KafkaCluster(address, {}), {EVENTS_TOPIC: EVENTS_TOPIC})
        options = {
            "kafka_bootstrap_servers": address,
            "kafka_topics": EVENTS_TOPIC,
            "aep_inlet_url": inlet["inletUrl"],
            "aep_org_id": inlet["orgId"],
            "aep_dataset_id": inlet["datasetId"],
            "xdm_schema_file": SCHEMA,
            "dead_letter_path": f"{SCRATCH}/dead-letters",
        }
        command = [sys.executable, "-m", "pipelines.cli", "run", *(f"--{name}={options[name]}" for name in options)]
        env = {"PYTHONPATH": str(ROOT), "TMPDIR": SCRATCH}
        with ServiceProcess("beam-aep run", contained(command), tmp_path / "log", env=env) as service:
            service.wait_until_ready(lambda: emulator.inlet_stats(inlet["inletId"])["accepted"] > 400, PATIENCE_SECONDS)
            os.kill(first_process(service), signal.SIGTERM)
            wait_for(lambda: not service.running, PATIENCE_SECONDS, "its end")
            assert service.exit_code == 0, service.log()
            assert re.search(r"unaccounted for\W+0\b", service.log())
            assert "Read-only" not in service.log()


@pytest.mark.slow
def test_what_its_steps_install_runs(tmp_path: Path) -> None:
    """The steps of the Dockerfile, with its folders in one of ours, and this Python for its own."""

    def here(text: str) -> str:
        return re.sub(r"(?<=[\s=])/(?=source|opt)", f"{tmp_path}/", f" {text}").strip()

    folder = tmp_path
    for step in BUILD[1:]:
        if step.instruction == "WORKDIR":
            folder = Path(here(step.argument))
            folder.mkdir()
        elif step == Step("COPY", ". ."):
            for path in context():
                copy = folder / path.relative_to(ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if path.is_dir() else shutil.copy)(path, copy)
        elif step.instruction == "COPY":
            shutil.copy(ROOT / step.argument.split()[0], folder)
        else:
            assert step.instruction == "RUN"
            env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
            subprocess.run(here(step.argument), cwd=folder, shell=True, check=True, env=env)
    programs = tmp_path / "opt" / "beam-aep" / "bin"
    shutil.rmtree(tmp_path / "source")
    assert not (programs / "pip").exists()
    assert not (programs / "pytest").exists()
    (entry,) = json.loads(of(FINAL, "ENTRYPOINT")[0])

    def said(*arguments: str) -> str:
        command = contained([str(programs / entry), *arguments])
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "Commands" in said(*json.loads(of(FINAL, "CMD")[0]))
    assert "--kafka_bootstrap_servers" in said("run", "--help")
    assert "--kinesis_stream" in said("run", "--pipeline=kinesis_to_kafka", "--help")
    assert "--port" in said("emulate", "--help")
