"""The page on Flink: its commands in their order, in a project of `beam-aep init`, on a real cluster.

The cluster of the tests stands in for `start-cluster.sh`, and its job server, started by hand, for the one that Beam
downloads. The project's copy of configs/flink.yaml names them, with their ports.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml
from confluent_kafka import Producer

from testing.services.flink import FlinkCluster
from testing.services.process import PATIENCE_SECONDS, free_port, wait_for
from testing.services.pytest_support import require
from tests.e2e.scenario import ROOT
from tests.walkthrough import Walk, blocks

pytestmark = [pytest.mark.flink, pytest.mark.slow]

PAGE = (ROOT / "docs" / "flink.md").read_text()
COMMANDS = [line for block in blocks(PAGE, "console") for line in block.replace("\\\n", "").splitlines()]
EVENTS = 1_000
GENERATE = f"beam-aep generate {EVENTS} --options_file=kafka.yaml"


def command(*parts: str) -> str:
    """Return the one command of the page that has these parts."""
    found = [line for line in COMMANDS if all(part in line for part in parts)]
    assert len(found) == 1, found
    return found[0]


@pytest.fixture
def four_task_managers() -> Iterator[FlinkCluster]:
    with require(FlinkCluster(task_managers=4, slots=1)) as cluster:
        yield cluster


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Walk]:
    """A project with its topics and connections, as the tutorial has it before the pipeline runs."""
    with Walk(tmp_path, Path(sys.prefix, "bin")) as walk:
        for line in (
            "beam-aep init project",
            "cd project",
            "beam-aep emulate --port=8080",
            "beam-aep kafka --write=kafka.yaml",
            "export AEP_CLIENT_SECRET=emulator-secret",
            "beam-aep provision -f provision.yaml --options_file=aep.yaml --yes",
            GENERATE,
        ):
            walk.run(line)
        yield walk


def test_from_a_project_to_a_job_that_is_stopped_and_started_again(
    project: Walk, four_task_managers: FlinkCluster, tmp_path: Path
) -> None:
    cluster = four_task_managers
    pool_port = str(free_port())

    def accepted() -> int:
        stats = requests.get(project.here("http://127.0.0.1:8080/__local/stats"), timeout=PATIENCE_SECONDS).json()
        return sum(inlet["accepted"] for inlet in stats["inlets"].values())

    def are_accepted(events: int) -> None:
        wait_for(lambda: accepted() >= events, PATIENCE_SECONDS, f"{events} accepted events")

    def more_are_accepted() -> None:
        before = accepted()
        project.run(GENERATE)
        are_accepted(before + EVENTS)

    project.run(command("beam-aep configs"))
    options = project.folder / "configs" / "flink.yaml"
    for here, there in (
        ("\nrunner: FlinkRunner\n", f"\nrunner: PortableRunner\njob_endpoint: {cluster.job_endpoint}\n"),
        ("flink_master: localhost:8081", f"flink_master: {cluster.rest_url}"),
        ("localhost:50000", f"localhost:{pool_port}"),
    ):
        assert here in options.read_text()
        options.write_text(options.read_text().replace(here, there))

    trial = project.start(command("LOOPBACK"), "tasks of the job run")
    are_accepted(EVENTS)
    trial.signal(signal.SIGINT)
    wait_for(lambda: not trial.running, PATIENCE_SECONDS, "the end of the trial")
    cluster.clear()

    # The topic of dead letters, which the page has its readers create: this broker does so for the first record.
    kafka = yaml.safe_load((project.folder / "kafka.yaml").read_text())
    producer = Producer({"bootstrap.servers": kafka["kafka_bootstrap_servers"]})
    producer.produce("aep-dead-letters", b"{}")
    producer.flush()
    (project.folder / ".venv").symlink_to(sys.prefix)
    project.start(command("worker_pool_main").replace("50000", pool_port), "Started worker pool")
    (run,) = {line for line in COMMANDS if line.startswith("beam-aep run") and line.endswith("configs/flink.yaml")}
    first = project.start(run, "tasks of the job run")
    more_are_accepted()
    assert "RUNNING" in project.run(command("job status"))
    before = accepted()
    stopped = project.run(command("job stop").replace("/flink-data", str(tmp_path)))
    assert f"{tmp_path}/savepoints/savepoint-" in stopped
    wait_for(lambda: not first.running, PATIENCE_SECONDS, "the end of the wait for the first job")
    assert first.exit_code == 0, first.log_tail()

    project.start(command("job restart"), "tasks of the job run")
    more_are_accepted()
    assert accepted() == before + EVENTS, "a savepoint repeats nothing"
