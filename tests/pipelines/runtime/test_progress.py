"""What is said of a run while it goes on, and how often."""

from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import asdict, replace
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from pipelines.options.declarations import LogFormat
from pipelines.runtime.console import ConsoleReporter, LogReporter, Reporter
from pipelines.runtime.logs import set_up_logging
from pipelines.runtime.progress import Numbers, Progress, numbers
from testing.services.process import PATIENCE_SECONDS, wait_for
from testing.terminal import on_terminal, without_escapes
from transforms.worker import metrics

ROOT = Path(__file__).parents[3]
SOME = Numbers(
    read=1_010,
    accepted=5,
    dead_lettered=2,
    dropped=0,
    requests=7,
    sent_again=1,
    in_flight=3,
    lag=12_345,
    lag_seconds=None,
    events_per_second=83.3,
)


@pytest.fixture(autouse=True)
def nothing_counted() -> Iterator[None]:
    metrics.reset()
    yield
    metrics.reset()


@contextmanager
def log_of_a_run(log_format: LogFormat) -> Iterator[io.StringIO]:
    """The log as a run without a terminal sets it up."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()  # or they would be closed
    try:
        with redirect_stderr(io.StringIO()) as written:
            set_up_logging(log_format)
            yield written
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def test_the_line() -> None:
    assert SOME.line() == (
        "read 1,010  accepted 5  dead-lettered 2  requests 7  sent again 1  in flight 3  lag 12,345  83 events/s"
    )
    assert "dead-lettered 2  dropped 1,003  requests" in replace(SOME, dropped=1_003).line()
    assert "  lag 61.5 s  " in replace(SOME, lag=None, lag_seconds=61.5).line()


def test_a_lag_that_is_not_measured_yet_is_not_called_0() -> None:
    assert "  lag ?  " in numbers(0, 1.0).line()
    part = object()
    measured: list[int | None] = [None, 0, 5]
    metrics.watch(metrics.LAG, part, lambda: measured[0])
    try:
        for shown in ("?", "0", "5"):
            assert f"  lag {shown}  " in numbers(0, 1.0).line()
            measured.pop(0)
            measured.append(None)
    finally:
        metrics.unwatch(metrics.LAG, part)


def test_the_rate_is_that_since_the_numbers_before() -> None:
    metrics.count_here(metrics.READ, 1_000)
    first = numbers(0, 10.0)
    metrics.count_here(metrics.READ, 50)
    assert (first.events_per_second, numbers(first.read, 10.0).events_per_second) == (100.0, 5.0)


@pytest.mark.parametrize(
    ("log_format", "reporter"), [("text", ConsoleReporter(Console(file=io.StringIO()))), ("json", LogReporter())]
)
def test_without_a_terminal_it_is_a_line_of_the_log_now_and_then(log_format: LogFormat, reporter: Reporter) -> None:
    metrics.count_here(metrics.READ, 1_010)
    with log_of_a_run(log_format) as log, Progress(reporter, every_seconds=0.05):
        wait_for(lambda: log.getvalue().count("read 1,010 ") >= 2, PATIENCE_SECONDS, "two lines of progress")
    lines = log.getvalue().splitlines()
    if log_format == "json":
        fields = [orjson.loads(line) for line in lines]
        assert fields[0]["progress"].keys() == asdict(SOME).keys()
        assert (fields[0]["progress"]["read"], fields[0]["progress"]["lag"]) == (1_010, None)
        assert all(one["logger"] == "beam_aep" and one["time"].endswith("+00:00") for one in fields)
    else:
        stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO beam_aep: "
        assert all(re.match(stamp + r"read 1,010  accepted 0 .* lag \?  ", line) for line in lines)


def test_on_a_narrow_terminal_the_line_keeps_what_matters_most() -> None:
    large = replace(SOME, read=1_234_567, accepted=1_234_567, dead_lettered=1_234, lag=1_234_567, dropped=10)
    assert large.line(78) == "accepted 1,234,567  dead-lettered 1,234  lag 1,234,567  83 events/s"
    assert SOME.line(78) == "read 1,010  accepted 5  dead-lettered 2  in flight 3  lag 12,345  83 events/s"
    assert SOME.line(118) == SOME.line()


A_RUN = """
import logging, time
from pipelines.runtime.console import ConsoleReporter, console
from pipelines.runtime.logs import set_up_logging
from pipelines.runtime.progress import Progress
from transforms.worker import metrics

set_up_logging("text")
with Progress(ConsoleReporter(console()), 60.0):
    for number in range(1_500_000, 1_500_015):
        metrics.count_here(metrics.READ, number)
        logging.getLogger("aep").info("the token was renewed")
        time.sleep(0.1)
"""


def test_a_line_of_the_log_does_not_tear_the_live_line() -> None:
    code, written = on_terminal([sys.executable, "-c", A_RUN], 80, ROOT)
    assert code == 0
    lines = re.findall(r"(.?)\d\d:\d\d:\d\d INFO aep: the token was renewed(.?)", written, re.DOTALL)
    erased, hidden = "K", "l"  # the ends of the sequences that erase a line, and that hide the cursor at the start
    assert len(lines) == 15
    assert {before for before, _ in lines} <= {"", "\n", erased, hidden}
    assert {after for _, after in lines} <= {"", "\n"}
    shown = [line for line in without_escapes(written).replace("\r", "\n").splitlines() if "events/s" in line]
    assert shown
    assert all("lag ?" in line and len(line) <= 80 for line in shown)


def run_in_a_pipe(**environment: str) -> str:
    """Return what a run with a line of progress every 0.3 s writes to a pipe."""
    done = subprocess.run(
        [sys.executable, "-c", A_RUN.replace("60.0", "0.3")],
        cwd=ROOT,
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    return done.stderr.decode()


@pytest.mark.parametrize("variables", [{"FORCE_COLOR": "1"}, {"TTY_COMPATIBLE": "1"}, {}])
def test_in_a_pipe_no_line_changes_in_place_whatever_ci_systems_set(variables: dict[str, str]) -> None:
    written = run_in_a_pipe(**variables)
    assert "\x1b" not in written
    assert "\r" not in written
    assert len(re.findall(r"INFO beam_aep: read [\d,]+ .* events/s\n", written)) >= 2


def test_a_terminal_that_can_only_print_gets_lines() -> None:
    _, written = on_terminal([sys.executable, "-c", A_RUN.replace("60.0", "0.3")], 80, ROOT, {"TERM": "dumb"})
    assert "\x1b" not in written
    assert len(re.findall(r"INFO beam_aep: read [\d,]+ .* events/s\n", written)) >= 2


def test_a_terminal_that_lacks_box_drawing_gets_what_it_has() -> None:
    code = """
from pipelines.runtime.console import ConsoleReporter, console
from pipelines.runtime.report import summary
from collections import Counter

shown = ConsoleReporter(console())
with shown.console.status("", spinner=spinner(shown.console)):
    shown.account(summary(Counter(), 1.0, "finished"), (), "A run", "AEP")
"""
    code = f"from pipelines.output.terminal import spinner\n{code}"
    status, written = on_terminal([sys.executable, "-c", code], 80, ROOT, {"PYTHONIOENCODING": "latin-1"})
    assert status == 0
    assert "\\u" not in written
    assert "| read " in without_escapes(written)
