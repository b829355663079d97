"""Live progress of a run in this process."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType

from pipelines.runtime.console import ConsoleReporter, Reporter
from pipelines.runtime.report import under
from transforms.worker import metrics

_EVERY_SECONDS = 0.5
_LINE_EVERY_SECONDS = 5.0


class Progress:
    """A line with the process's counts during a run: in place on a terminal, else every 5 s."""

    def __init__(self, reporter: Reporter, clock: Callable[[], float] = time.monotonic):
        self._reporter = reporter
        self._clock = clock
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._show, name="progress", daemon=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _show(self) -> None:
        started = self._clock()
        if isinstance(self._reporter, ConsoleReporter) and self._reporter.is_terminal:
            with self._reporter.console.status("starting") as status:
                before, then = 0, started
                while not self._end.wait(_EVERY_SECONDS):
                    counts, now = metrics.process_counts(), self._clock()
                    status.update(_line_now(counts, (counts[metrics.READ] - before) / (now - then)))
                    before, then = counts[metrics.READ], now
        else:
            while not self._end.wait(_LINE_EVERY_SECONDS):
                counts = metrics.process_counts()
                self._reporter.say(_line_now(counts, counts[metrics.READ] / (self._clock() - started)))


def line(counts: Counter[str], rate: float, in_flight: int, lag: str) -> str:
    """Return the counts in one line.

    Args:
        rate: Records read in a second.
        in_flight: Requests under way to AEP now.
        lag: How far reading is behind: records of topics, or the time of a stream.
    """
    dead = sum(under(counts, metrics.DEAD_LETTERED).values())
    retries = sum(under(counts, metrics.RETRIES).values())
    dropped = f"dropped {counts[metrics.DROPPED]:,}  " if counts[metrics.DROPPED] else ""
    return (
        f"read {counts[metrics.READ]:,}  accepted {counts[metrics.ACCEPTED]:,}  dead-lettered {dead:,}  {dropped}"
        f"requests {counts[metrics.REQUESTS]:,}  sent again {retries:,}  in flight {in_flight:,}  lag {lag}  "
        f"{rate:,.0f} events/s"
    )


def _line_now(counts: Counter[str], rate: float) -> str:
    milliseconds = metrics.highest(metrics.LAG_MILLISECONDS)
    lag = f"{metrics.level(metrics.LAG):,}" if milliseconds is None else f"{milliseconds / 1000:,.1f} s"
    return line(counts, rate, metrics.level(metrics.IN_FLIGHT), lag)
