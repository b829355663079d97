"""Whether a cluster fits a job is decided before it is submitted."""

from __future__ import annotations

import pytest

from pipelines.flink.answers import FlinkJob, Slots
from pipelines.flink.cluster import is_address, slots_problem, submitted, version_problem


@pytest.mark.parametrize(
    ("master", "is_one"),
    [
        ("host:8081", True),
        ("http://host", True),
        ("[::1]:8081", True),
        ("[auto]", False),
        (" [local] ", False),
        (None, False),
    ],
)
def test_a_master_is_an_address_or_a_word_of_beams(master: str | None, is_one: bool) -> None:
    assert is_address(master) is is_one


PUBLISHED = ("1.19", "1.20", "2.0")


@pytest.mark.parametrize(
    ("version", "chosen", "words"),
    [
        ("1.19.3", None, ""),
        ("1.19.3", "1.19", ""),
        ("1.19.3", "1.20", "flink_version is 1.20, but the cluster runs Flink 1.19.3"),
        ("1.17.2", None, "runners:flink:1.17:job-server"),
    ],
)
def test_beam_has_a_job_server_for_the_version_or_it_is_said(version: str, chosen: str | None, words: str) -> None:
    problem = version_problem(version, chosen, PUBLISHED)
    assert words in problem
    assert bool(problem) == bool(words)


@pytest.mark.parametrize(
    ("free", "parallelism", "configuration", "fits"),
    [
        (4, 4, {}, True),
        (3, 4, {}, False),
        (1, 0, {}, True),
        (1, -1, {"parallelism.default": "2"}, False),
        (0, 4, {"kubernetes.cluster-id": "aep"}, True),
        (0, 4, {"jobmanager.scheduler": "adaptive"}, True),
    ],
)
def test_slots_must_be_free_unless_the_cluster_starts_them(
    free: int, parallelism: int, configuration: dict[str, str], fits: bool
) -> None:
    assert (slots_problem(Slots(free, 4), parallelism, configuration) == "") == fits


def test_the_submitted_job_is_the_new_one_of_its_name() -> None:
    old, other, ours = FlinkJob("1", "a", "FAILED"), FlinkJob("2", "b", "RUNNING"), FlinkJob("3", "a", "RUNNING")
    assert submitted([old, other, ours], "a", {"1"}) == ours
    assert submitted([old, other], None, {"1"}) == other
    assert submitted([old], "a", {"1"}) is None
