"""The parent of several processes of one run: starts them, adds up what they report, and starts dead ones again."""

from __future__ import annotations

import logging
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

import orjson

from aep.counted import counted
from aep.errors import StoppedError, UserError
from pipelines.options.settings import Settings
from pipelines.runtime.console import write_line
from pipelines.runtime.processes.messages import ENVIRONMENT, Report, Start, read_report
from pipelines.runtime.processes.restarts import (
    MOST_FAILURES,
    ended_in_order,
    failures_in_a_row,
    how_it_ended,
    pause_seconds,
)
from pipelines.runtime.report import summary
from transforms.worker import examples, metrics, process
from transforms.worker.under_way import REQUESTS, Load

_LOG = logging.getLogger(__name__)

_WRONG = 2  # exit code: the user has to fix something, which no further start does

# A process starts where its group is, which the parent has decided; the parent alone reports, and writes files.
_OPTIONS = (
    "--processes=1",
    "--kafka_start=committed",
    "--metrics_port=null",
    "--progress=off",
    "--summary_file=null",
    "--report_file=null",
)

_LOOK_SECONDS = 0.5

# A process reports twice a second; one that is frozen does not.
_SILENT_SECONDS = 15.0

# What a process has started may hold its standard error open, and is not waited for.
_LAST_WORDS_SECONDS = 5.0


@dataclass
class _Member:
    """A process, which may be started several times."""

    number: int
    failures: int = 0
    start_at: float = 0.0
    started_at: float = 0.0
    running: subprocess.Popen[bytes] | None = None
    told_to_end: bool = False
    last: Report = field(default_factory=Report)
    reported_at: float = 0.0
    # After its end that of before, until it reads again: nobody else may read its partitions yet.
    lag: int | None = None
    counts: Counter[str] = field(default_factory=Counter)  # since it was last started
    error: str = ""

    @property
    def name(self) -> str:
        return f"process {self.number}"

    def end(self, running: subprocess.Popen[bytes], at_once: bool = False) -> None:
        """Tell it to end, once, or end it at once."""
        if at_once:
            running.kill()
        elif not self.told_to_end:
            self.told_to_end = True
            running.terminate()

    def watch(self) -> None:
        """Make what it last reported a part of the levels of this process."""
        metrics.watch(metrics.IN_FLIGHT, self.name, lambda: self.last.in_flight)
        metrics.watch(metrics.LAG, self.name, lambda: self.lag)
        metrics.watch(metrics.KAFKA_SILENCE, self.name, lambda: self.last.silence)
        process.watch_waiting(self.name, lambda: self.last.waiting)

    def unwatch(self) -> None:
        """Undo `watch`."""
        for level in (metrics.IN_FLIGHT, metrics.LAG, metrics.KAFKA_SILENCE):
            metrics.unwatch(level, self.name)
        process.unwatch_waiting(self.name)


def how_many(settings: Settings, partitions: int) -> str:
    """Return what users read before the processes start: how many share how many partitions."""
    processes = settings.general.processes
    idle = f": {processes - partitions} will be idle" if processes > partitions else ""
    return f"{processes} processes of group {settings.kafka.group_id} share {counted(partitions, 'partition')}{idle}"


class Supervisor:
    """Runs the command of this process several times at once.

    What the processes count is counted in this one too, so that whatever shows or exports its counts shows their sum.

    Attributes:
        read_again: Records that processes had read and not delivered when they failed, and that are read again.

    Args:
        settings: All options.
    """

    def __init__(self, settings: Settings):
        self.read_again = 0
        self._settings = settings
        self._members = [_Member(number) for number in range(1, settings.general.processes + 1)]
        self._ended: queue.SimpleQueue[_Member] = queue.SimpleQueue()
        self._error: UserError | None = None
        stop_after = settings.kafka.stop_after_seconds
        self._deadline = None if stop_after is None else time.monotonic() + stop_after

    def not_ready(self) -> str:
        """Return why not all processes read, "" where they do."""
        members = [one for one in self._members if one.last.outcome != "finished"]
        waiting = [one.name for one in members if one.last.polled is None]
        if waiting:
            return f"reading has not begun: {', '.join(waiting)}"
        silent_since = time.monotonic() - _SILENT_SECONDS
        silent = [one.name for one in members if one.reported_at < silent_since]
        return f"without a word for more than {_SILENT_SECONDS:g} s: {', '.join(silent)}" if silent else ""

    def running(self) -> dict[int, int]:
        """Return the ids of the processes that run, by their numbers."""
        return {one.number: running.pid for one in self._members if (running := one.running) is not None}

    def run(self) -> None:
        """Run the processes until all have ended.

        Raises:
            UserError: Why they could not go on, or have not ended in good order, as the first of them said.
        """
        for one in self._members:
            one.watch()
        unfinished = list(self._members)
        try:
            while unfinished:
                for one in unfinished:
                    if one.running is None and time.monotonic() >= one.start_at and not self._is_ending():
                        self._start(one)
                try:
                    ended = self._ended.get(timeout=_LOOK_SECONDS)
                except queue.Empty:
                    pass
                else:
                    if self._has_finished(ended):
                        unfinished.remove(ended)
                if self._is_ending():
                    unfinished = [one for one in unfinished if one.running is not None]
        finally:
            for one in self._members:
                one.unwatch()
        if self._error is not None:
            raise self._error

    def end_all(self, at_once: bool = False) -> None:
        """Tell all processes to end.

        Args:
            at_once: Not in good order, which may take as long as `shutdown_seconds`.
        """
        for one in self._members:
            if one.running is not None:
                one.end(one.running, at_once)

    def _is_ending(self) -> bool:
        return self._error is not None or process.stop_requested.is_set()

    def _fail(self, error: UserError) -> None:
        self._error = self._error or error
        self.end_all()

    def _start(self, one: _Member) -> None:
        ours, theirs = socket.socketpair()
        options = list(_OPTIONS)
        if self._deadline is not None:
            options.append(f"--kafka_stop_after_seconds={max(0.1, self._deadline - time.monotonic()):.3f}")
        one.last, one.counts, one.error, one.told_to_end = Report(), Counter(), "", False
        one.started_at = time.monotonic()
        start = Start(theirs.fileno(), options, is_terminal=sys.stderr is not None and sys.stderr.isatty())
        # In a session of its own, so that Ctrl-C reaches this process alone, which tells the others.
        with theirs:
            running = subprocess.Popen(  # noqa: S603 - the command by which this process was started
                [sys.executable, *sys.orig_argv[1:]],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
                env={**os.environ, ENVIRONMENT: start.text()},
                start_new_session=True,
            )
        one.running = running
        _LOG.info("%s started, pid %d", one.name, running.pid)
        threading.Thread(target=self._follow, args=(one, running, ours), name=one.name, daemon=True).start()
        if self._is_ending():  # a signal came in between
            one.end(running)

    def _follow(self, one: _Member, running: subprocess.Popen[bytes], ours: socket.socket) -> None:
        """Take in what a process reports and logs, until it has ended."""
        log = threading.Thread(target=self._log, args=(one, running), name=f"log of {one.name}", daemon=True)
        log.start()
        try:
            with ours, ours.makefile("rb") as reports:
                for line in reports:
                    report = read_report(line)
                    if report is not None:
                        _take_in(one, report)
        except UserError as error:
            one.error = str(error)
        finally:  # it ends, as nobody listens to it any more
            running.wait()
            log.join(_LAST_WORDS_SECONDS)
            self._ended.put(one)

    def _log(self, one: _Member, running: subprocess.Popen[bytes]) -> None:
        assert running.stderr is not None
        as_json = self._settings.general.log_format == "json"
        for line in running.stderr:
            text = line.decode(errors="backslashreplace").rstrip("\n")
            write_line(in_json(one.number, text) if as_json else f"[{one.number}] {text}")

    def _has_finished(self, one: _Member) -> bool:
        """Take note that a process has ended; return whether it is not to be started again."""
        assert one.running is not None
        code, last = one.running.returncode, one.last
        one.running, one.last = None, Report(outcome=last.outcome)
        is_last = one.told_to_end or (self._deadline is not None and time.monotonic() >= self._deadline)
        in_order = not one.error and ended_in_order(code, last.polled is not None, last.outcome)
        if in_order and (is_last or last.outcome == "finished"):
            return True
        # After its last report it has closed its readers, which count for themselves what they could not commit.
        repeated = 0 if last.outcome else last.uncommitted
        metrics.count_here(metrics.DUPLICATES_POSSIBLE, repeated)
        how = f"{one.name} {how_it_ended(code)}"
        why = f": {one.error}" if one.error else ""
        # One that was killed while Kafka is down cannot start again at once, and the others wait for Kafka.
        if code == _WRONG and not (one.failures and last.polled is None):
            self._fail(UserError(one.error or how))
            return True
        if is_last:
            _LOG.warning("%s%s", how, why)
            undone = f"{how} as the run was ending; what it had not delivered is read again by the next run"
            self._error = self._error or StoppedError(one.error or undone)
            return True
        one.failures = failures_in_a_row(one.failures, time.monotonic() - one.started_at)
        if one.failures >= MOST_FAILURES:
            kind = UserError if code == _WRONG else StoppedError
            self._fail(kind(f"{how}, after {one.failures} failures in a row{why}"))
            return True
        self.read_again += summary(one.counts, 0.0, "failed")["unaccounted"]
        pause = pause_seconds(one.failures)
        one.start_at = time.monotonic() + pause
        twice = f"; about {counted(repeated, 'record')} may be delivered twice" if repeated else ""
        _LOG.warning("%s%s; it is started again in %.0f s%s", how, why, pause, twice)
        return False


def _take_in(one: _Member, report: Report) -> None:
    for name, number in report.grown.items():
        metrics.count_here(name, number)
    one.counts.update(report.grown)
    if report.polled != one.last.polled:
        metrics.asked()
    REQUESTS.add(Load(report.most_in_flight, report.request_seconds))
    for code, example in report.examples.items():
        examples.keep(code, partial(dict, example))
    one.error = report.error or one.error
    one.lag = report.lag if report.polled is not None else one.lag
    one.reported_at = time.monotonic()
    one.last = report


def in_json(number: int, text: str) -> str:
    """Return a line of a process' log with the number of the process, as JSON.

    Args:
        number: Of the process.
        text: The line; of what writes no JSON, as Python's last words, it becomes the message.
    """
    try:
        line = orjson.loads(text)
    except orjson.JSONDecodeError:
        line = None
    fields = line if isinstance(line, dict) else {"severity": "WARNING", "message": text}
    return orjson.dumps({**fields, "process": number}).decode()
