"""Live progress of a run in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from types import TracebackType

from pipelines.output.layout import fit_line
from pipelines.output.terminal import spinner
from pipelines.runtime.console import ConsoleReporter, Reporter
from pipelines.runtime.report import under
from transforms.worker import metrics

_IN_PLACE_EVERY_SECONDS = 0.5
_SPINNER = 2  # characters before the line: what turns, and a blank

LINE_EVERY_SECONDS = {"auto": 60.0, "on": 5.0}
"""How often a line is said where there is no terminal, by what the option `progress` says."""


@dataclass(frozen=True)
class Numbers:
    """How far a run is.

    Attributes:
        read, accepted, dead_lettered, dropped, requests: Since its start.
        sent_again: Sendings again since its start.
        in_flight: Requests under way to the destination now.
        lag: How far reading is behind, in records of topics; None where that is not known.
        lag_seconds: How far it is behind, in time, of a stream.
        events_per_second: Read since the numbers before.
    """

    read: int
    accepted: int
    dead_lettered: int
    dropped: int
    requests: int
    sent_again: int
    in_flight: int
    lag: int | None
    lag_seconds: float | None
    events_per_second: float

    def line(self, width: int | None = None) -> str:
        """Return the numbers in one line.

        Args:
            width: Characters that there are, for which the less important numbers are left out; None for all numbers.
        """
        parts = [
            (f"read {self.read:,}", 1),
            (f"accepted {self.accepted:,}", 0),
            (f"dead-lettered {self.dead_lettered:,}", 0),
            *([(f"dropped {self.dropped:,}", 2)] if self.dropped else []),
            (f"requests {self.requests:,}", 5),
            (f"sent again {self.sent_again:,}", 4),
            (f"in flight {self.in_flight:,}", 3),
            (f"lag {self._lag()}", 0),
            (f"{self.events_per_second:,.0f} events/s", 0),
        ]
        return fit_line(parts, width)

    def _lag(self) -> str:
        if self.lag_seconds is not None:
            return f"{self.lag_seconds:,.1f} s"
        return "?" if self.lag is None else f"{self.lag:,}"


def numbers(before: int, seconds: float) -> Numbers:
    """Return the numbers of this process now.

    Args:
        before: Records that were read when this was last asked.
        seconds: How long ago that was.
    """
    counts = metrics.process_counts()
    return Numbers(
        read=counts[metrics.READ],
        accepted=counts[metrics.ACCEPTED],
        dead_lettered=sum(under(counts, metrics.DEAD_LETTERED).values()),
        dropped=counts[metrics.DROPPED],
        requests=counts[metrics.REQUESTS],
        sent_again=sum(under(counts, metrics.RETRIES).values()),
        in_flight=metrics.level(metrics.IN_FLIGHT) or 0,
        lag=metrics.lag_records(),
        lag_seconds=metrics.lag_seconds(),
        events_per_second=round((counts[metrics.READ] - before) / seconds, 1),
    )


class Progress:
    """Says during a run how far it is: in place on a terminal, else a line now and then.

    Args:
        reporter: Says it.
        every_seconds: How often, where there is no terminal.
        clock: Seconds, never going back.
    """

    def __init__(self, reporter: Reporter, every_seconds: float, clock: Callable[[], float] = time.monotonic):
        self._reporter = reporter
        self._every_seconds = every_seconds
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
        if isinstance(self._reporter, ConsoleReporter) and self._reporter.is_terminal:
            console = self._reporter.console
            with console.status("starting", spinner=spinner(console)) as status:
                self._repeat(_IN_PLACE_EVERY_SECONDS, lambda now: status.update(now.line(console.width - _SPINNER)))
        else:
            self._repeat(self._every_seconds, lambda now: self._reporter.progress(now.line(), asdict(now)))

    def _repeat(self, every_seconds: float, show: Callable[[Numbers], None]) -> None:
        before, then = 0, self._clock()
        while not self._end.wait(every_seconds):
            time_now = self._clock()
            now = numbers(before, time_now - then)
            show(now)
            before, then = now.read, time_now
