"""The parent of several processes: small programs in their place report, end and die as the processes of a run may."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from aep.errors import StoppedError, UserError
from pipelines.runtime.processes import supervisor as module
from pipelines.runtime.processes.messages import Report
from pipelines.runtime.processes.restarts import MOST_FAILURES
from pipelines.runtime.processes.supervisor import Supervisor
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.pipelines.runtime.test_processes import COMPLETE
from tests.pipelines.to_aep import parse
from transforms.worker import examples, metrics, process
from transforms.worker.under_way import REQUESTS

# What each program begins with. `starts` is how often one was started in the test, with this time.
PROGRAM = """
import os, signal, sys, time
from pathlib import Path
import orjson
from pipelines.runtime.processes.messages import ENVIRONMENT, Report, Start

start = Start(**orjson.loads(os.environ[ENVIRONMENT]))
folder = Path(sys.argv[1])
(folder / str(os.getpid())).touch()
starts = len(list(folder.iterdir()))

def report(**what):
    os.write(start.socket, Report(**what).line())

def killed():
    os.kill(os.getpid(), signal.SIGKILL)

def until_told_to_end():
    time.sleep(600)

"""


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """What the processes count is counted in this one."""
    metrics.reset()
    examples.reset()
    process.start_run()
    yield
    process.start_run()
    metrics.reset()
    examples.reset()
    REQUESTS.take()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "pause_seconds", lambda _: 0.0)


def of(program: str, folder: Path, monkeypatch: pytest.MonkeyPatch, processes: int = 1, *options: str) -> Supervisor:
    """Return what runs a program as a run's processes."""
    monkeypatch.setattr(sys, "orig_argv", ["python", "-c", PROGRAM + program, str(folder)])
    return Supervisor(parse([*COMPLETE, f"--processes={processes}", *options]))


@contextmanager
def told_to_end(run: Supervisor, when: Callable[[], bool]) -> Iterator[None]:
    """Tell the processes to end at a moment of what is done inside, as a signal's handler does."""

    def tell() -> None:
        wait_for(when, PATIENCE_SECONDS, "the moment to end")
        process.request_stop(0)
        run.end_all()

    telling = threading.Thread(target=tell, daemon=True)
    telling.start()
    yield
    telling.join()


def test_a_killed_process_is_started_again_and_what_it_had_not_delivered_counts_as_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    program = """
report(grown={"read": 10, "accepted": 4}, polled=1.0, in_flight=3, lag=6, uncommitted=8)
if starts == 1:
    killed()
report(outcome="finished", examples={"json": {"code": "json"}})
"""
    levels = metrics.level(metrics.IN_FLIGHT), metrics.level(metrics.LAG)
    run = of(program, tmp_path, monkeypatch)
    run.run()
    counts = metrics.process_counts()
    assert (counts["read"], counts["accepted"], run.read_again) == (20, 8, 6)
    assert (metrics.level(metrics.IN_FLIGHT), metrics.level(metrics.LAG)) == levels
    assert examples.kept() == {"json": {"code": "json"}}
    assert "process 1 was ended by SIGKILL; it is started again" in caplog.text
    assert "about 8 records may be delivered twice" in caplog.text
    assert counts["duplicates_possible"] == 8  # and not what the second one has not committed


def test_one_that_somebody_else_has_ended_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of('report(polled=1.0, outcome="stopped" if starts == 1 else "finished")', tmp_path, monkeypatch).run()
    assert len(list(tmp_path.iterdir())) == 2


def test_what_a_user_has_to_fix_ends_all_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = """
report(polled=1.0)
if starts == 2:
    report(error="IMS refuses the client")
    sys.exit(2)
until_told_to_end()
"""
    with pytest.raises(UserError, match=r"^IMS refuses the client$"):
        of(program, tmp_path, monkeypatch, processes=2).run()
    assert len(list(tmp_path.iterdir())) == 2


CANNOT_START = """
if starts == 1:
    report(polled=1.0)
    killed()
if starts < {works}:
    report(error="Kafka cannot be reached")
    sys.exit(2)
report(polled=1.0, outcome="finished")
"""


def test_one_that_cannot_start_again_as_kafka_is_down_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    of(CANNOT_START.format(works=4), tmp_path, monkeypatch).run()
    assert len(list(tmp_path.iterdir())) == 4
    assert "process 1 ended with exit code 2: Kafka cannot be reached; it is started again" in caplog.text


def test_and_after_some_failures_in_a_row_the_run_ends_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=f"{MOST_FAILURES} failures in a row: Kafka cannot be reached") as raised:
        of(CANNOT_START.format(works=100), tmp_path, monkeypatch).run()
    assert not isinstance(raised.value, StoppedError)
    assert len(list(tmp_path.iterdir())) == MOST_FAILURES


def test_the_second_time_processes_are_told_to_end_they_do_so_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = """
def end(*_):
    print("delivering", file=sys.stderr, flush=True)
    time.sleep(600)

signal.signal(signal.SIGTERM, end)
report(polled=1.0)
until_told_to_end()
"""
    run = of(program, tmp_path, monkeypatch, processes=2)
    assert run.not_ready() == "reading has not begun: process 1, process 2"

    def run_it() -> None:
        with suppress(StoppedError):  # a real one ends this process too
            run.run()

    running = threading.Thread(target=run_it)
    running.start()
    try:
        wait_for(lambda: not run.not_ready(), PATIENCE_SECONDS, "both to read")
        process.request_stop(0)
        run.end_all()
        said: set[str] = set()

        def both_deliver() -> bool:
            said.update(capsys.readouterr().err.splitlines())
            return said >= {"[1] delivering", "[2] delivering"}

        wait_for(both_deliver, PATIENCE_SECONDS, "both to be told")
        assert running.is_alive()
    finally:
        run.end_all(at_once=True)
        running.join(PATIENCE_SECONDS)
    assert not running.is_alive()


ENDED = [("killed()", "was ended by SIGKILL"), ("os._exit(1)", "ended with exit code 1")]


@pytest.mark.parametrize(("end", "how"), ENDED)
def test_one_that_is_killed_or_fails_while_it_is_to_end_is_reported(
    end: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    program = f"""
signal.signal(signal.SIGTERM, lambda *_: {end})
report(polled=1.0)
until_told_to_end()
"""
    run = of(program, tmp_path, monkeypatch)
    with (
        told_to_end(run, lambda: not run.not_ready()),
        pytest.raises(StoppedError, match=f"^process 1 {how} as the run was ending; what it had not delivered is"),
    ):
        run.run()
    assert f"process 1 {how}" in caplog.text
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(("end", "how"), ENDED)
def test_one_that_is_killed_or_fails_after_the_time_is_up_leaves_records_unaccounted_for(
    end: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    program = f"""
report(grown={{"read": 10, "accepted": 4}}, polled=1.0, error="AEP is away")
time.sleep(float(start.options[-1].removeprefix("--kafka_stop_after_seconds=")))
{end}
"""
    run = of(program, tmp_path, monkeypatch, 1, "--kafka_stop_after_seconds=0.1")
    with pytest.raises(StoppedError, match=r"^AEP is away$"):
        run.run()
    assert f"process 1 {how}: AEP is away" in caplog.text
    assert (metrics.process_counts()["read"], run.read_again) == (10, 0)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("ends_with", ["", 'report(polled=1.0, outcome="stopped")'])
def test_one_that_sigterm_ends_before_it_reads_or_after_its_last_report_has_ended_well(
    ends_with: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = of(f"{ends_with}\nuntil_told_to_end()", tmp_path, monkeypatch)

    def moment() -> bool:
        return any(tmp_path.iterdir()) and not (ends_with and run.not_ready())

    with told_to_end(run, moment):
        run.run()


def test_what_the_report_of_another_version_has_besides_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = r"""
os.write(start.socket, b'{"new":1}\n')
report(polled=1.0, outcome="finished")
"""
    of(program, tmp_path, monkeypatch).run()
    assert len(list(tmp_path.iterdir())) == 1


# It ends once nobody listens to it.
BEGINS_BADLY = r"""
if starts == 1:
    os.write(start.socket, b'{line}\n')
    os.read(start.socket, 1)
    sys.exit()
report(polled=1.0, outcome="finished")
"""


@pytest.mark.parametrize("line", ["no report", '{"grown":3}'])
def test_one_whose_report_cannot_be_read_is_started_again(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    of(BEGINS_BADLY.replace("{line}", line), tmp_path, monkeypatch).run()
    assert "process 1 ended with exit code 0: its report cannot be read" in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_one_whose_report_meets_a_bug_of_ours_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take_in = module._take_in
    bugs = iter([RuntimeError("a bug")])

    def take_in_later(one: module._Member, report: Report) -> None:
        for bug in bugs:
            raise bug
        take_in(one, report)

    monkeypatch.setattr(module, "_take_in", take_in_later)
    of(BEGINS_BADLY.replace("{line}", "{}"), tmp_path, monkeypatch).run()
    assert len(list(tmp_path.iterdir())) == 2


def test_while_nobody_reads_the_partitions_of_a_killed_process_the_run_is_not_ready_and_its_lag_is_not_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts, seen = tmp_path / "starts", tmp_path / "seen"
    starts.mkdir()
    program = f"""
if starts == 1:
    report(polled=1.0, lag=6)
    while not Path({str(seen)!r}).exists():
        time.sleep(0.01)
    killed()
report(lag=None)  # it joins the group, which has no partitions for it yet
until_told_to_end()
"""
    run = of(program, starts, monkeypatch)
    read = []

    def started_again() -> bool:
        read.append(not run.not_ready())
        if read[-1]:
            seen.touch()
        return len(list(starts.iterdir())) == 2 and 1 in run.running()

    with told_to_end(run, started_again):
        run.run()
    assert True in read  # the first one
    assert run.not_ready() == "reading has not begun: process 1"
    assert run._members[0].lag == 6


def test_a_process_that_is_frozen_is_named_as_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SILENT_SECONDS", 0.0)
    program = """
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
report(polled=1.0)
until_told_to_end()
"""
    run = of(program, tmp_path, monkeypatch)
    with told_to_end(run, lambda: run.not_ready() == "without a word for more than 0 s: process 1"):
        run.run()
