"""The parent of several processes: small programs in their place report, end and die as the processes of a run may."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aep.errors import StoppedError, UserError
from pipelines.runtime.processes import supervisor as module
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


def of(program: str, folder: Path, monkeypatch: pytest.MonkeyPatch, processes: int = 1) -> Supervisor:
    """Return what runs a program as a run's processes."""
    monkeypatch.setattr(sys, "orig_argv", ["python", "-c", PROGRAM + program, str(folder)])
    return Supervisor(parse([*COMPLETE, f"--processes={processes}"]))


def test_a_killed_process_is_started_again_and_what_it_had_not_delivered_counts_as_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    program = """
report(grown={"read": 10, "accepted": 4}, polled=1.0, in_flight=3, lag=6)
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
    running = threading.Thread(target=run.run)
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
