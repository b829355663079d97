"""Whether a submitted job runs is read from the states of its tasks."""

from __future__ import annotations

import pytest

from pipelines.flink.answers import JobDetail
from pipelines.flink.launch import Workers, has_started, is_over, what_it_waits_for

POOL = Workers("EXTERNAL", "localhost:50000")


def job(state: str = "RUNNING", **tasks: int) -> JobDetail:
    return JobDetail(state, 0.0, 1.0, tasks, ("1",))


@pytest.mark.parametrize(
    ("detail", "started"),
    [
        (job(RUNNING=7), True),
        (job(RUNNING=6, FINISHED=1), True),
        (job("FINISHED", FINISHED=7), True),
        (job(RUNNING=6, INITIALIZING=1), False),
        (job("INITIALIZING"), False),
        (job("RESTARTING", RUNNING=7), False),
    ],
)
def test_a_job_has_started_when_all_tasks_run(detail: JobDetail, started: bool) -> None:
    assert has_started(detail) == started


@pytest.mark.parametrize(
    ("detail", "workers", "words"),
    [
        (job(RUNNING=1, SCHEDULED=4, CREATED=2), POOL, "6 of its 7 tasks wait for a slot: add task managers"),
        (
            job(RUNNING=1, INITIALIZING=6),
            POOL,
            "6 of its 7 tasks wait for a Python worker: the worker pool at localhost",
        ),
        (job(INITIALIZING=6), Workers("LOOPBACK", None), "have to reach this machine"),
        (job(INITIALIZING=6), Workers(None, None), "check environment_type"),
        (job("RESTARTING", CANCELING=2), POOL, "Flink calls it RESTARTING"),
    ],
)
def test_what_a_job_waits_for_is_said(detail: JobDetail, workers: Workers, words: str) -> None:
    assert words in what_it_waits_for(detail, workers)


@pytest.mark.parametrize(("state", "over"), [("RUNNING", False), ("RESTARTING", False), ("FAILING", True)])
def test_a_job_that_is_started_again_is_not_over(state: str, over: bool) -> None:
    assert is_over(job(state)) == over
