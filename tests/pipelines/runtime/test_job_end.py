"""How a job ended is read from Beam's error where no cluster can be asked, and from what the cluster knows."""

from __future__ import annotations

import re
from collections.abc import Iterator

import grpc
import pytest
import requests

from pipelines.flink.rest import FlinkRest
from pipelines.options.merge import parse
from pipelines.options.settings import Settings
from pipelines.runtime.flink import FlinkRun, job_end
from pipelines.runtime.flink_watch import JobWatch
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.pipelines.cli.job.recorded_flink import FAILED, RUNNING, STOPPED, RecordedFlink

CANCELLED = RuntimeError(
    "Pipeline x failed in state FAILED: org.apache.flink.runtime.client.JobCancellationException: Job was cancelled."
)
LOST = RuntimeError("Pipeline x failed in state FAILED: org.apache.flink.util.FlinkException: Could not find Flink job")


@pytest.fixture
def recorded() -> Iterator[RecordedFlink]:
    flink = RecordedFlink()
    with flink.server:
        yield flink


@pytest.fixture
def cluster(recorded: RecordedFlink) -> FlinkRun:
    return FlinkRun(FlinkRest(recorded.server.url, requests.Session()), (), frozenset({STOPPED}))


def settings(*options: str) -> Settings:
    return parse(options, lambda _: iter(()))


@pytest.mark.parametrize(
    ("error", "outcome", "words"),
    [
        (grpc.RpcError(), "unknown", "no longer follows the job, and it may run on"),
        (RuntimeError("Pipeline x failed in state CANCELLED: y"), "cancelled", "was cancelled on the cluster"),
        (CANCELLED, "cancelled", "was cancelled on the cluster"),
        (
            RuntimeError("java.lang.OutOfMemoryError: Java heap space"),
            "failed",
            "the job failed: a task manager ran out",
        ),
    ],
)
def test_an_error_of_beam_says_how_a_job_ended(error: Exception, outcome: str, words: str) -> None:
    end = job_end(settings(), None, error)
    assert end.outcome == outcome
    assert words in end.text


@pytest.mark.parametrize("error", [LOST, grpc.RpcError()])
def test_a_job_that_the_cluster_had_and_has_no_more_was_submitted(
    recorded: RecordedFlink, cluster: FlinkRun, error: Exception
) -> None:
    recorded.jobs = []
    end = job_end(settings(), cluster, error, job_id=RUNNING)
    assert end.outcome == "unknown"
    assert f"the cluster no longer knows job {RUNNING}" in end.text
    assert "beam-aep job restart" in end.text


def test_a_cluster_that_cannot_be_asked_leaves_it_open_whether_the_job_failed(
    recorded: RecordedFlink, cluster: FlinkRun
) -> None:
    unavailable = (503, {"errors": ["Service temporarily unavailable"]})
    recorded.jobs = [FAILED]
    recorded.answers[f"/jobs/{FAILED}/exceptions"] = unavailable
    assert job_end(settings(), cluster, LOST, job_id=FAILED).outcome == "failed"
    recorded.answers["/jobs/overview"] = unavailable
    end = job_end(settings(), cluster, LOST, job_id=FAILED)
    assert end.outcome == "unknown"
    assert re.search(r"calls the job failed \(.*Could not find Flink job\)", end.text)
    assert "Service temporarily unavailable" in end.text


def test_one_that_was_cancelled_and_is_forgotten_was_cancelled(recorded: RecordedFlink, cluster: FlinkRun) -> None:
    recorded.jobs = []
    assert job_end(settings(), cluster, CANCELLED, job_id=RUNNING).outcome == "cancelled"


def test_one_that_the_cluster_never_had_was_not(recorded: RecordedFlink, cluster: FlinkRun) -> None:
    recorded.jobs = [STOPPED]
    end = job_end(settings("--job_name=loyalty"), cluster, LOST)
    assert end.outcome == "failed"
    assert "the job was not submitted" in end.text


def test_another_job_of_the_name_is_not_taken_for_it(recorded: RecordedFlink, cluster: FlinkRun) -> None:
    recorded.jobs = [RUNNING, FAILED]
    end = job_end(settings("--job_name=loyalty"), cluster, LOST, job_id=FAILED)
    assert end.outcome == "failed"
    assert f"/jobs/{FAILED}/exceptions has the details" in end.text


def test_a_watch_knows_the_id_of_the_job(cluster: FlinkRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.runtime.flink_watch._LOOK_SECONDS", 0.01)
    with JobWatch(cluster, settings("--job_name=loyalty"), lambda _: None) as watch:
        wait_for(lambda: watch.job_id == RUNNING, PATIENCE_SECONDS, "the id of the job")
