"""Decisions about the processes of a run, and what they report."""

from __future__ import annotations

import signal
import socket
from collections import Counter
from itertools import pairwise

import orjson
import pytest

from aep.errors import UserError
from pipelines.kinesis_to_kafka import RUN as KINESIS_TO_KAFKA
from pipelines.options.merge import parse as parse_for
from pipelines.runtime.processes.child import ParentReporter
from pipelines.runtime.processes.messages import Report, Start, grown, read_report
from pipelines.runtime.processes.restarts import ended_in_order, failures_in_a_row, how_it_ended, pause_seconds
from pipelines.runtime.processes.supervisor import in_json
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.pipelines.to_aep import parse
from transforms.worker import process

COMPLETE = (
    "--kafka_bootstrap_servers=kafka:9092",
    "--kafka_topics=events",
    "--aep_inlet_url=http://127.0.0.1:1/collection/one",
    "--aep_dataset_id=one",
    "--xdm_schema_file=configs/schemas/loyalty-event.schema.json",
    "--dead_letter_topic=dead",
)


def test_several_processes_are_an_option_of_a_local_run_of_kafka() -> None:
    assert parse([*COMPLETE, "--processes=3"]).general.processes == 3


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--kafka_source=file", "--kafka_file_pattern=x"), "each process would read all files"),
        (("--runner=FlinkRunner",), "on FlinkRunner the runner distributes the work"),
        (("--runner=PrismRunner",), "on PrismRunner the runner distributes the work"),
        (("--batch_mode=state", "--batch_allow_unsafe"), "batch_mode=state commits none"),
    ],
)
def test_where_a_run_has_one_process_more_are_refused(options: tuple[str, ...], why: str) -> None:
    with pytest.raises(UserError, match=rf"processes \(command line\): must be 1: .*{why}"):
        parse([*COMPLETE, "--processes=2", *options])
    parse([*COMPLETE, "--processes=1", *options])


def test_the_shards_of_a_stream_are_read_by_one_process() -> None:
    argv = ["--kinesis_stream=s", "--kinesis_region=us-east-1", "--output_path=o", "--dead_letter_path=d"]
    parse_for(argv, KINESIS_TO_KAFKA.findings)
    with pytest.raises(UserError, match="must be 1: the positions in the shards"):
        parse_for([*argv, "--processes=2"], KINESIS_TO_KAFKA.findings)


def test_pauses_grow_to_a_minute_and_begin_anew_after_work() -> None:
    assert [pause_seconds(failures) for failures in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert failures_in_a_row(4, worked_seconds=1) == 5
    assert failures_in_a_row(4, worked_seconds=100) == 1


def test_how_a_process_ended_is_said_in_words() -> None:
    assert how_it_ended(-9) == "was ended by SIGKILL"
    assert how_it_ended(-(signal.SIGRTMIN + 3)) == f"was ended by signal {signal.SIGRTMIN + 3}"
    assert how_it_ended(1) == "ended with exit code 1"


@pytest.mark.parametrize(
    ("code", "has_read", "outcome", "in_order"),
    [
        (0, True, "", True),
        (-15, False, "", True),
        (-15, True, "", False),
        (-15, True, "stopped", True),
        (-15, True, "failed", False),
        (-9, True, "", False),
        (1, False, "", False),
    ],
)
def test_sigterm_ends_in_order_what_has_not_begun_or_has_reported_its_end(
    code: int, has_read: bool, outcome: str, in_order: bool
) -> None:
    assert ended_in_order(code, has_read, outcome) is in_order


def test_reports_add_up_to_what_was_counted() -> None:
    states = [Counter[str](), Counter(read=3), Counter(read=3, accepted=2), Counter(read=9, accepted=9)]
    total = Counter[str]()
    for before, now in pairwise(states):
        report = read_report(Report(grown=grown(before, now)).line())
        assert report is not None
        total.update(report.grown)
    assert total == states[-1]


def test_a_report_that_a_kill_has_cut_off_is_left_out() -> None:
    assert read_report(Report(error="no").line()[:-5]) is None


def test_a_process_ends_when_its_parent_is_gone_also_before_its_run_begins() -> None:
    process.start_run()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ParentReporter(Start(theirs.fileno(), [], is_terminal=False))
        assert not process.stop_requested.is_set()
        ours.close()
        wait_for(process.stop_requested.is_set, PATIENCE_SECONDS, "the process to notice")
    assert process.time_left() <= 0
    process.start_run()


def test_lines_of_a_log_in_json_have_the_number_of_their_process() -> None:
    assert orjson.loads(in_json(2, '{"message":"hello"}')) == {"message": "hello", "process": 2}
    assert orjson.loads(in_json(2, "Killed")) == {"severity": "WARNING", "message": "Killed", "process": 2}
