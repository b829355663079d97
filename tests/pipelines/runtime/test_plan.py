"""What a plan makes of options."""

from __future__ import annotations

from pathlib import Path

import pytest

import pipelines.runtime.kinesis_plan as kinesis_plan
import pipelines.runtime.plan as plan_module
from pipelines.runtime.plan import flink_subtasks
from pipelines.runtime.preflight import preflight
from tests.pipelines.to_aep import make_plan, parse
from transforms.kafka.flink_keys import Subtasks
from transforms.kafka.start import Start

RUN = [
    "--kafka_bootstrap_servers=127.0.0.1:9",
    "--kafka_topics=t",
    "--aep_inlet_url=http://127.0.0.1:1/collection/x",
    "--aep_dataset_id=d",
    "--aep_org_id=o",
    "--dead_letter_path=dead",
    "--xdm_payload=raw",
]


@pytest.mark.parametrize(
    ("options", "late"),
    [
        ([], True),
        (["--runner=FnApiRunner"], True),
        (["--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"], True),
        (["--runner=PrismRunner"], False),
        (["--runner=FlinkRunner", "--streaming", "--checkpointing_interval=1000"], False),
        (["--runner=FnApiRunner", "--batch_mode=state", "--batch_allow_unsafe"], False),
    ],
)
def test_bundles_leave_answers_only_where_each_is_finalised_before_the_next_begins(
    options: list[str], late: bool
) -> None:
    plan = make_plan(parse([*RUN, *options]))
    assert plan.source is not None
    assert plan.source.late_answers is late
    assert plan.late_answers_of == (plan.source.id if late else None)


def test_where_processes_start_is_looked_up_and_committed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where the preflight makes the folder of the dead letters
    start = Start({("t", 0): 5, ("t", 1): 7}, None)
    asked: list[str] = []

    def resolve(*_: object, **__: object) -> Start:
        asked.append("start")
        return start

    monkeypatch.setattr(plan_module, "resolve_start", resolve)
    monkeypatch.setattr(plan_module, "commit_start", lambda *_: asked.append("commit"))
    made = make_plan(parse([*RUN, "--kafka_reset=latest", "--processes=2"]))
    monkeypatch.setattr(type(made.connection), "check", lambda *_, **__: asked.append("connection"))
    preflight(made)
    assert (made.share_start(), asked) == (2, ["start", "commit", "connection"])
    made.read()
    assert asked == ["start", "commit", "connection"]


@pytest.mark.parametrize(
    ("options", "subtasks"),
    [
        (["--runner=FlinkRunner", "--parallelism=4"], Subtasks(4)),
        (
            ["--runner=PortableRunner", "--job_endpoint=j:8099", "--parallelism=4", "--max_parallelism=256"],
            Subtasks(4, 256),
        ),
        (["--runner=FlinkRunner"], None),
        (["--runner=FnApiRunner", "--parallelism=4"], None),
    ],
)
def test_shards_are_dealt_to_the_subtasks_of_a_job_whose_parallelism_is_known(
    options: list[str], subtasks: Subtasks | None
) -> None:
    assert flink_subtasks(parse([*RUN, "--streaming", "--checkpointing_interval=1000", *options])) == subtasks


@pytest.mark.parametrize(
    ("start", "begins"),
    [
        ("latest", "latest"),
        ("1970-01-01T00:00:01Z", 1_000),
        ("1969-12-31T23:59:59Z", 0),
        ("0001-01-01T00:00:00+23:00", 0),  # a time of the year 0, which Python has not
    ],
)
def test_a_stream_is_read_from_a_time_that_kinesis_takes(start: str, begins: str | int) -> None:
    assert kinesis_plan._start(start) == begins
