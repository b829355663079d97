"""`beam-aep job` on a real cluster: stopped with a savepoint, started again, cancelled, and again."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from samples.loyalty import generate
from testing.services.flink import FlinkCluster
from testing.services.process import PATIENCE_SECONDS, ServiceProcess, wait_for
from tests.e2e.scenario import ROOT, Scenario

pytestmark = [pytest.mark.kafka, pytest.mark.flink, pytest.mark.slow]

EVENTS = 60_000


class Jobs:
    """The commands, with the options file of a scenario."""

    def __init__(self, scenario: Scenario, options: dict[str, Any]) -> None:
        self._scenario = scenario
        self._file = str(scenario.options_file(**options))

    def command(self, name: str, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "pipelines.cli", "job", name, self._file, *arguments]

    def run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = self.command(name, *arguments)
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)

    def restart(self) -> ServiceProcess:
        """Start the job again, and return while it runs."""
        log = self._scenario.folder / f"restart-{len(list(self._scenario.folder.glob('restart-*')))}.log"
        return ServiceProcess("restarted pipeline", self.command("restart", "--aep_max_messages_per_second=10000"), log)


def wait_until_answered(scenario: Scenario) -> None:
    """Return when as many messages were accepted, and as many records dead-lettered, as were produced."""
    broken = len(scenario.oracle.broken())
    scenario.wait_until_accepted(len(scenario.oracle.samples) - broken)
    wait_for(lambda: len(scenario.dead_lettered()) >= broken, PATIENCE_SECONDS, f"{broken} dead letters")


def wait_until_positions_are_kept(scenario: Scenario, flink: FlinkCluster, batch_mode: str) -> None:
    """Return when all that was accepted is behind the positions from which the job would go on."""
    if batch_mode == "bundle":
        wait_for(lambda: scenario.committed() == scenario.end_offsets(), PATIENCE_SECONDS, "all offsets committed")
        return
    accepted_at = time.time() * 1_000
    job = flink.jobs()[-1]["jid"]

    def began() -> float:
        completed = flink.checkpoints(job)["latest"]["completed"]
        return float(completed["trigger_timestamp"]) if completed else 0.0

    wait_for(lambda: began() > accepted_at, PATIENCE_SECONDS, "a checkpoint that began later")


@pytest.mark.parametrize("batch_mode", ["bundle", "state"])
def test_a_job_goes_on_where_it_was_stopped_and_where_it_was_cancelled(
    scenario: Scenario, flink: FlinkCluster, tmp_path: Path, batch_mode: str
) -> None:
    samples = list(generate(EVENTS + 500, broken_share=0.01))
    scenario.produce(samples[:EVENTS])
    options = {
        **flink.options(),
        "flink_master": flink.rest_url,
        "job_name": scenario.name,
        "batch_mode": batch_mode,
        "kafka_stop_at": "never",
        "kafka_bundle_max_records": 200,
        "aep_max_messages_per_second": 250,  # slow enough to be stopped at work
        "externalized_checkpoints_enabled": True,
        "retain_externalized_checkpoints_on_cancellation": True,
    }
    first = scenario.start(**options)
    jobs = Jobs(scenario, options)
    scenario.wait_until_accepted(1)
    wait_for(
        lambda: flink.checkpoints(flink.jobs()[-1]["jid"])["counts"]["completed"], PATIENCE_SECONDS, "a checkpoint"
    )
    shown = jobs.run("status")
    assert shown.returncode == 0, shown.stderr
    assert re.search(r"^state +RUNNING for ", shown.stdout, re.MULTILINE)
    stopped = jobs.run("stop", "--savepoint", "--to", f"file://{tmp_path}/savepoints")
    assert stopped.returncode == 0, stopped.stderr
    savepoint = stopped.stdout.strip()
    assert (Path(savepoint.removeprefix("file:")) / "_metadata").is_file()
    wait_for(lambda: not first.running, PATIENCE_SECONDS, "the end of the wait for the first job")
    assert first.exit_code == 0, first.log_tail()
    assert scenario.messages_accepted() < EVENTS - len(scenario.oracle.broken())  # it was at work
    ended = jobs.run("status")
    assert ended.returncode == 1
    assert savepoint in ended.stdout

    second = jobs.restart()
    wait_for(lambda: flink.jobs()[-1]["state"] == "RUNNING", PATIENCE_SECONDS, "the second job")
    assert f"starting from {savepoint}: job " in second.log()
    wait_until_answered(scenario)
    assert flink.checkpoints(flink.jobs()[-1]["jid"])["latest"]["restored"]["external_path"] == savepoint
    assert scenario.check_every_sample() == 0
    wait_until_positions_are_kept(scenario, flink, batch_mode)
    cancelled = jobs.run("stop")
    assert cancelled.returncode == 0, cancelled.stderr
    wait_for(lambda: not second.running, PATIENCE_SECONDS, "the end of the wait for the second job")
    assert second.exit_code == 1
    assert "the job was cancelled on the cluster" in second.log()

    scenario.produce(samples[EVENTS:])
    third = jobs.restart()
    wait_until_answered(scenario)
    assert scenario.check_every_sample() == 0
    place = "at the committed offsets of group" if batch_mode == "bundle" else "/chk-"
    assert re.search(f"^starting .*{place}", third.log(), re.MULTILINE)
    flink.cancel(flink.jobs()[-1]["jid"])
    wait_for(lambda: not third.running, PATIENCE_SECONDS, "the end of the wait for the third job")
