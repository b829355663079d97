"""Which of a cluster's jobs is meant."""

from __future__ import annotations

import pytest

from pipelines.flink.answers import FlinkJob
from pipelines.flink.choose import NoJobError, SeveralJobsError, choose

ENDED = FlinkJob("aa1", "loyalty", "FAILED")
NEWER = FlinkJob("aa2", "loyalty", "FINISHED")
RUNNING = FlinkJob("ab3", "loyalty", "RESTARTING")
OTHER = FlinkJob("ac4", "profiles", "RUNNING")


@pytest.mark.parametrize(
    ("jobs", "name", "job_id", "expected"),
    [
        ([ENDED, RUNNING, NEWER, OTHER], "loyalty", None, RUNNING),
        ([ENDED, NEWER, OTHER], "loyalty", None, NEWER),
        ([ENDED, OTHER], None, None, OTHER),
        ([ENDED], None, None, ENDED),
        ([ENDED, RUNNING, OTHER], "loyalty", "AA", ENDED),
        ([ENDED, RUNNING, OTHER], "loyalty", "ac4", OTHER),
    ],
)
def test_the_job_that_has_not_ended_is_meant_or_the_newest_or_the_one_of_the_id(
    jobs: list[FlinkJob], name: str | None, job_id: str | None, expected: FlinkJob
) -> None:
    assert choose(jobs, name, job_id) == expected


@pytest.mark.parametrize(
    ("name", "job_id", "words"),
    [
        ("other", None, "no job called other .job_name., only profiles, loyalty; a cluster forgets"),
        ("loyalty", "ff", "no job with the id ff"),
    ],
)
def test_a_job_that_is_not_there_is_said(name: str, job_id: str | None, words: str) -> None:
    with pytest.raises(NoJobError, match=words):
        choose([ENDED, RUNNING, OTHER], name, job_id)


@pytest.mark.parametrize(
    ("jobs", "name", "job_id", "words"),
    [
        ([RUNNING, RUNNING._replace(id="b5")], "loyalty", None, "2 jobs called loyalty have not ended"),
        ([RUNNING, OTHER], None, None, "2 jobs on the cluster have not ended"),
        ([ENDED, NEWER], None, None, "job_name is not given"),
        ([ENDED, NEWER], "loyalty", "a", "several jobs begin so"),
    ],
)
def test_users_choose_among_several(jobs: list[FlinkJob], name: str | None, job_id: str | None, words: str) -> None:
    with pytest.raises(SeveralJobsError, match=words):
        choose(jobs, name, job_id)
