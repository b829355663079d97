"""A process of a run that has several: it reports to its parent, and ends in good order when that is gone."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import orjson

from pipelines.runtime.processes.messages import ENVIRONMENT, Report, Start, grown
from transforms.sinks.base import Sinks
from transforms.worker import examples, metrics, process
from transforms.worker.under_way import REQUESTS

_REPORT_EVERY_SECONDS = 0.5


def reporter_to_parent() -> ParentReporter | None:
    """Return what reports to the parent of this process; None where it was started by somebody else."""
    told = os.environ.pop(ENVIRONMENT, None)  # so that no process which this one starts takes itself for a part
    if told is None:
        return None
    start = Start(**orjson.loads(told))
    os.set_inheritable(start.socket, False)
    return ParentReporter(start)


class ParentReporter:
    """Reports errors and counts to the parent, which says once for all processes what else there is to say.

    Attributes:
        options: Options that the parent adds to the command line.
        is_terminal: Whether the parent writes to a terminal.
    """

    def __init__(self, start: Start):
        self.options: Sequence[str] = start.options
        self.is_terminal = start.is_terminal
        self._socket = start.socket
        self._lock = threading.Lock()
        self._reported: Counter[str] = Counter()
        self._shutdown_seconds = 0.0  # before the run, nothing is under way
        self._ended = threading.Event()
        # From the start on, which may wait for IMS for as long as that is away.
        threading.Thread(target=self._notice_end_of_parent, name="parent", daemon=True).start()

    def say(self, text: str) -> None:
        """Leave it to the parent."""

    def progress(self, text: str, numbers: Mapping[str, float | None]) -> None:
        """Leave it to the parent."""

    def error(self, text: str) -> None:
        """Report why this process ends."""
        self._send(error=text)

    def account(self, account_of_run: dict[str, Any], sinks: Sinks, title: str, destination: str) -> None:
        """Report what was not reported yet, and that this was all."""
        self._send(outcome=str(account_of_run["outcome"]), examples=examples.kept())

    @contextmanager
    def reporting(self, shutdown_seconds: float) -> Iterator[None]:
        """Report the counts now and then.

        Args:
            shutdown_seconds: How long deliveries may go on when the parent is gone.
        """
        self._shutdown_seconds = shutdown_seconds

        def report() -> None:
            while not self._ended.wait(_REPORT_EVERY_SECONDS):
                self._send()

        reporting = threading.Thread(target=report, name="report to parent", daemon=True)
        reporting.start()
        try:
            yield
        finally:
            self._ended.set()
            reporting.join()

    def _notice_end_of_parent(self) -> None:
        """End the run when the parent is gone, however that ended."""
        with suppress(ConnectionError):  # as one that is killed may end
            os.read(self._socket, 1)  # it never writes
        if not self._ended.is_set():
            process.request_stop(self._shutdown_seconds)

    def _send(self, *, error: str = "", outcome: str = "", examples: dict[str, dict[str, Any]] | None = None) -> None:
        with self._lock:
            counts, load = metrics.process_counts(), REQUESTS.take()
            report = Report(
                grown=grown(self._reported, counts),
                in_flight=metrics.level(metrics.IN_FLIGHT) or 0,
                waiting=process.waiting(),
                lag=metrics.level(metrics.LAG),
                uncommitted=metrics.level(metrics.UNCOMMITTED) or 0,
                silence=metrics.highest(metrics.KAFKA_SILENCE),
                polled=metrics.last(metrics.READ),
                most_in_flight=load.most,
                request_seconds=load.seconds,
                error=error,
                outcome=outcome,
                examples=examples or {},
            )
            self._reported = counts
            rest = report.line()
            try:
                while rest:
                    rest = rest[os.write(self._socket, rest) :]
            except ConnectionError:
                return  # the parent is gone: see `reporting`
