"""Where a job starts again after it has ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.flink.answers import Checkpoint, Checkpoints, FlinkJob
from pipelines.flink.start import StartError, named, start_again

CHECKPOINT = Checkpoint("s3://b/chk-7", began=100.0, seconds=1.0, size=10, stopped=False, kept=True)
SAVEPOINT = Checkpoint("s3://b/savepoint-1", began=200.0, seconds=1.0, size=10, stopped=True, kept=True)
NONE = Checkpoints(None, None, None)
BOTH = Checkpoints(CHECKPOINT, SAVEPOINT, None)


def job(state: str) -> FlinkJob:
    return FlinkJob("ab12", "loyalty", state)


@pytest.mark.parametrize("commits", [True, False])
def test_a_job_that_was_stopped_with_a_savepoint_goes_on_from_it(commits: bool) -> None:
    start = start_again(job("FINISHED"), BOTH, commits)
    assert start.path == SAVEPOINT.path
    assert start.words("g") == ("from s3://b/savepoint-1: job ab12 was stopped with it at 1970-01-01 00:03:20 UTC")


@pytest.mark.parametrize(
    ("ended", "checkpoints", "why"),
    [
        (job("FAILED"), BOTH, "job ab12 failed"),
        (job("CANCELED"), BOTH, "job ab12 was cancelled"),
        (job("FINISHED"), Checkpoints(CHECKPOINT, SAVEPOINT._replace(stopped=False), None), "job ab12 finished"),
        (job("FINISHED"), Checkpoints(None, SAVEPOINT._replace(kept=False), None), "job ab12 finished"),
        (None, None, "the cluster knows no job of this name"),
    ],
)
def test_one_that_commits_its_offsets_goes_on_at_these_after_any_other_end(
    ended: FlinkJob | None, checkpoints: Checkpoints | None, why: str
) -> None:
    start = start_again(ended, checkpoints, commits=True)
    assert start.words("beam-aep") == f"at the committed offsets of group beam-aep: {why}"


@pytest.mark.parametrize(
    ("checkpoints", "path"),
    [
        (Checkpoints(CHECKPOINT, None, "s3://b/older"), CHECKPOINT.path),
        (Checkpoints(CHECKPOINT, SAVEPOINT, None), SAVEPOINT.path),
        (Checkpoints(CHECKPOINT._replace(began=300.0), SAVEPOINT, None), CHECKPOINT.path),
        (Checkpoints(CHECKPOINT._replace(kept=False), None, "s3://b/older"), "s3://b/older"),
    ],
)
def test_one_that_commits_none_goes_on_from_the_newest_that_is_still_there(checkpoints: Checkpoints, path: str) -> None:
    assert start_again(job("FAILED"), checkpoints, commits=False).path == path


@pytest.mark.parametrize(
    ("ended", "checkpoints"), [(None, None), (job("FAILED"), NONE), (job("CANCELED"), NONE), (job("FINISHED"), NONE)]
)
def test_without_offsets_and_checkpoint_the_user_names_a_place(
    ended: FlinkJob | None, checkpoints: Checkpoints | None
) -> None:
    with pytest.raises(StartError, match="--from"):
        start_again(ended, checkpoints, commits=False)


def test_a_folder_means_its_newest_completed_checkpoint(tmp_path: Path) -> None:
    for number, complete in ((9, True), (10, True), (11, False)):
        (tmp_path / f"chk-{number}").mkdir()
        if complete:
            (tmp_path / f"chk-{number}" / "_metadata").touch()
    (tmp_path / "shared").mkdir()
    newest = str(tmp_path / "chk-10")
    for written in (str(tmp_path), f"file:{tmp_path}", f"file://{tmp_path}"):
        assert named(written).path == newest
    assert named(f"{tmp_path}/chk-9").path == str(tmp_path / "chk-9")
    with pytest.raises(StartError, match="_metadata"):
        named(f"{tmp_path}/chk-11")


@pytest.mark.parametrize("place", ["s3://bucket/savepoint-1", "hdfs:///savepoints/a", "/not/on/this/machine"])
def test_a_place_that_cannot_be_looked_at_is_taken_as_it_is(place: str) -> None:
    assert named(place).path == place


def test_committed_is_a_place() -> None:
    assert named("committed").path is None
