"""What users read of a Flink cluster that does not fit a job, and of a job that does not finish."""

from __future__ import annotations

import os
import sys
import uuid
from pathlib import Path

import pytest
import requests

from aep.errors import UserError
from pipelines.options.merge import parse
from pipelines.runtime.flink import flink_run
from samples.loyalty import generate
from testing.services.downloads import java
from testing.services.flink import FlinkCluster
from testing.services.process import PATIENCE_SECONDS, ServiceProcess, free_port, wait_for
from tests.e2e.scenario import Scenario
from tests.faults.campaign import ask_for_tokens

pytestmark = [pytest.mark.kafka, pytest.mark.flink]


def check(**options: object) -> tuple[str, ...]:
    """Check the cluster of these options; return the flags for Beam."""
    options = {"job_server_java_launcher": java(), **options}
    settings = parse([f"--{name}={value}" for name, value in options.items()], lambda _: iter(()))
    found = flink_run(settings, slots_seconds=0)
    assert found is not None
    return found.flags


def test_the_version_is_read_from_the_cluster(flink: FlinkCluster) -> None:
    wait_for(lambda: flink._get("/overview")["slots-available"], PATIENCE_SECONDS, "a free slot")
    assert check(runner="FlinkRunner", flink_master=flink.rest_url) == ("--flink_version=1.19",)
    assert check(runner="PortableRunner", flink_master=flink.rest_url.removeprefix("http://")) == ()


def test_what_the_cluster_lacks_is_said_before_a_job_is_submitted(flink: FlinkCluster, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the job needs 64 slots .*lower parallelism"):
        check(runner="FlinkRunner", flink_master=flink.rest_url, parallelism=64)
    with pytest.raises(UserError, match=r"flink_version is 1\.20, but the cluster runs Flink 1.19"):
        check(runner="FlinkRunner", flink_master=flink.rest_url, flink_version="1.20")
    with pytest.raises(UserError, match="flink_job_server_jar: there is no file"):
        check(runner="FlinkRunner", flink_master=flink.rest_url, flink_job_server_jar=tmp_path / "none.jar")
    with pytest.raises(UserError, match=r"not on the PATH: install Java"):
        check(runner="FlinkRunner", flink_master=flink.rest_url, job_server_java_launcher=tmp_path / "java")
    wait_for(lambda: flink._get("/overview")["slots-available"], PATIENCE_SECONDS, "a free slot")
    without_java = {"job_server_java_launcher": tmp_path / "java", "flink_submit_uber_jar": "true"}
    assert check(runner="FlinkRunner", flink_master=flink.rest_url, **without_java) == ("--flink_version=1.19",)


def test_a_master_that_cannot_be_reached_is_named() -> None:
    port = free_port()
    with pytest.raises(
        UserError, match=f"cannot be reached at http://127.0.0.1:{port} .connection refused.*flink_master"
    ):
        check(runner="FlinkRunner", flink_master=f"user:secret@127.0.0.1:{port}")


def test_a_server_that_is_not_flink_is_said_to_be_none(scenario: Scenario) -> None:
    with pytest.raises(UserError, match="flink_master"):
        check(runner="FlinkRunner", flink_master=scenario.emulator.url)


def test_a_cancelled_job_ends_in_one_sentence_and_flink_shows_no_secret_of_it(
    scenario: Scenario, flink: FlinkCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = f"secret-{uuid.uuid4().hex}"
    monkeypatch.setenv("AEP_SECRET", secret)
    options = flink.options() | ask_for_tokens(scenario, f"client-{scenario.name}", secret)
    scenario.produce(generate(100))
    pipeline = scenario.start(**options, flink_master=flink.rest_url, kafka_stop_at="never")
    scenario.wait_until_accepted(100)
    wait_for(lambda: "tasks of the job run:" in pipeline.log(), PATIENCE_SECONDS, "the word that the job runs")
    job = f"{flink.rest_url}/jobs/{flink.jobs()[-1]['jid']}"
    assert f"{job.replace('/jobs/', '/#/job/running/')}; its workers are in this process" in pipeline.log()
    pages = ("", "/config", "/plan", "/exceptions")
    shown = "".join(requests.get(job + page, timeout=PATIENCE_SECONDS).text for page in pages)
    assert options["aep_client_id"] in shown
    assert secret not in shown + pipeline.log()
    flink.cancel(flink.jobs()[-1]["jid"])
    wait_for(lambda: not pipeline.running, PATIENCE_SECONDS, "the end of the wait")
    assert pipeline.exit_code == 1, pipeline.log_tail()
    assert "error: the job was cancelled on the cluster" in pipeline.log()
    assert "Traceback" not in pipeline.log()
    assert scenario.summary()["outcome"] == "cancelled"


@pytest.mark.slow
def test_one_on_a_cluster_that_the_run_does_not_know_is_called_cancelled_too(
    scenario: Scenario, flink: FlinkCluster
) -> None:
    scenario.produce(generate(100))
    pipeline = scenario.start(**flink.options(), kafka_stop_at="never")
    scenario.wait_until_accepted(100)
    flink.cancel(flink.jobs()[-1]["jid"])
    wait_for(lambda: not pipeline.running, PATIENCE_SECONDS, "the end of the wait")
    assert "error: the job was cancelled on the cluster" in pipeline.log()
    assert scenario.summary()["outcome"] == "cancelled"


@pytest.mark.slow
def test_one_that_a_new_job_manager_does_not_know_is_said_to_be_gone(scenario: Scenario, flink: FlinkCluster) -> None:
    scenario.produce(generate(100))
    pipeline = scenario.start(**flink.options(), flink_master=flink.rest_url, kafka_stop_at="never")
    wait_for(lambda: "tasks of the job run:" in pipeline.log(), PATIENCE_SECONDS, "the word that the job runs")
    job = flink.jobs()[-1]["jid"]
    flink.restart_job_manager()
    wait_for(lambda: not pipeline.running, PATIENCE_SECONDS, "the end of the wait")
    assert f"error: the cluster no longer knows job {job}" in pipeline.log()
    assert scenario.summary()["outcome"] == "unknown"


@pytest.mark.slow
def test_a_job_whose_token_is_refused_ends_in_one_sentence(
    scenario: Scenario, flink: FlinkCluster, tmp_path: Path
) -> None:
    ask_for_tokens(scenario, "client", "secret")  # and none is sent: the inlets refuse what the workers post
    scenario.produce(generate(100))
    port = free_port()
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    options = flink.options() | {"environment_type": "EXTERNAL", "environment_config": f"localhost:{port}"}
    with ServiceProcess("worker pool", command, tmp_path / "pool.log", env={"PATH": path}) as pool:
        wait_for(lambda: "Started worker pool" in pool.log(), PATIENCE_SECONDS, "the worker pool")
        finished = scenario.run(**options, flink_master=flink.rest_url)
    assert finished.code == 1, finished.output
    (line,) = [line for line in finished.output.splitlines() if line.startswith("error:")]
    job = flink.jobs()[-1]
    assert "the job failed: " in line
    assert "401" in line
    assert f"{flink.rest_url}/jobs/{job['jid']}/exceptions" in line
    assert "Traceback" not in finished.output
    assert "\tat " not in finished.output
