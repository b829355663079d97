"""Stop a run whose records are refused one after another: not the records are wrong then, but what they are sent by.

A topic that is read with another topic's schema would be dead-lettered whole, and its offsets committed. The guard
counts, in each process and for each route, what is refused by the steps before the post. (What AEP refuses has a guard
of its own, `aep_max_first_refusals`.)
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass
from typing import NamedTuple

from aep.errors import ConfigurationError
from transforms.records.outcome import Refusal
from transforms.records.stages import Stage
from transforms.worker import process

WINDOW_RECORDS = 1_000
"""The share of refusals is that of so many records, the last ones."""


@dataclass(frozen=True)
class RefusalLimits:
    """When to stop.

    Attributes:
        max_first: At so many records refused before any has passed; None for never.
        max_share: When more than this share, between 0 and 1, of the last 1,000 records was refused; None for never.
    """

    max_first: int | None
    max_share: float | None


_NEVER = RefusalLimits(max_first=None, max_share=None)


class Reason(NamedTuple):
    """Why a record was refused: by which step, the code, and where in the record, "" for the whole of it."""

    stage: Stage
    code: str
    pointer: str


class Verdict(NamedTuple):
    """Why a run is to stop.

    Attributes:
        option: The limit that was reached, `max_first` or `max_share`.
        refused, records: How many of how many records were refused.
        commonest: The commonest reason among the last refusals, with the place where it was found first.
        times: How often there was such a reason.
        of: Among so many refusals.
    """

    option: str
    refused: int
    records: int
    commonest: Reason
    times: int
    of: int


class RefusalCount:
    """The last records of one route, refused or passed. Decides, and needs neither threads nor clocks."""

    def __init__(self, limits: RefusalLimits):
        self._limits = limits
        self._any_passed = False
        self._first = 0  # refused before any passed
        self._window: deque[tuple[Reason | None, int]] = deque()  # a refusal, or how many passed
        self._records = 0  # in the window
        self._refused = 0  # in the window

    def passed(self, records: int) -> None:
        """Count records that passed all the steps."""
        if records:
            self._any_passed = True
            self._add(None, records)

    def refused(self, reason: Reason) -> None:
        """Count a record that was refused."""
        self._first += not self._any_passed
        self._add(reason, 1)

    def verdict(self) -> Verdict | None:
        """Return why to stop now, or None."""
        limits = self._limits
        if limits.max_first is not None and not self._any_passed and self._first >= limits.max_first:
            return self._verdict("max_first", self._first, self._first)
        if limits.max_share is None or self._records < WINDOW_RECORDS:
            return None
        if self._refused <= limits.max_share * self._records:
            return None
        return self._verdict("max_share", self._refused, self._records)

    def _add(self, reason: Reason | None, records: int) -> None:
        if self._any_passed and self._limits.max_share is None:
            self._window.clear()  # no limit can be reached any more
            return
        self._window.append((reason, records))
        self._records += records
        self._refused += reason is not None
        while (excess := self._records - WINDOW_RECORDS) > 0:
            oldest, number = self._window.popleft()
            if number > excess:  # a refusal is one record, so it is of records that passed
                self._window.appendleft((oldest, number - excess))
            self._records -= min(number, excess)
            self._refused -= oldest is not None

    def _verdict(self, option: str, refused: int, records: int) -> Verdict:
        reasons = [reason for reason, _ in self._window if reason is not None]
        (kind, times), *_ = Counter(reason[:2] for reason in reasons).most_common(1)
        first = next(reason for reason in reasons if reason[:2] == kind)
        return Verdict(option, refused, records, first, times, len(reasons))


class RefusalGuard:
    """The guard as the steps of a pipeline carry it to the workers; the counts belong to the worker process.

    Args:
        limits: When to stop.
        run: An id of the run: a later one in the same process counts from nothing.
    """

    def __init__(self, limits: RefusalLimits, run: str):
        self._limits = limits
        self._run = run
        self._held: _Counts | None = None  # the process's, once they were asked for

    def __reduce__(self) -> tuple[type[RefusalGuard], tuple[RefusalLimits, str]]:
        """Leave the counts where they are."""
        return RefusalGuard, (self._limits, self._run)

    def refused(self, refusal: Refusal, topic: str) -> None:
        """Count a record of a topic that was refused. Before its route is known it counts for the topic."""
        where = _route(refusal.route) if refusal.route else _topic(topic)
        self._counts().refused(where, Reason(refusal.stage, refusal.code, refusal.pointer))

    def passed_parse(self, topic: str, records: int) -> None:
        """Count records of a topic that found their routes."""
        self._counts().passed(_topic(topic), records)

    def passed(self, route: str, records: int) -> None:
        """Count records that passed all the steps of a route."""
        self._counts().passed(_route(route), records)

    def check(self) -> None:
        """Look whether the run is to stop. Call it between chunks: the records of one count together.

        Raises:
            ConfigurationError: It is, with the reason. The counts begin again, for a runner that tries the bundle
                again.
        """
        words = self._counts().reason_to_stop()
        if words:
            with process.remember_failure():
                raise ConfigurationError(words)

    def _counts(self) -> _Counts:
        if self._held is None:
            self._held = process.shared(("refusals", self._run, self._limits), lambda: _Counts(self._limits))
        return self._held


NO_GUARD = RefusalGuard(_NEVER, "")


class _Counts:
    """The counts of a process, by route. Thread safe."""

    def __init__(self, limits: RefusalLimits):
        self._limits = limits
        self._on = limits != _NEVER
        self._counts: dict[str, RefusalCount] = {}
        self._changed: set[str] = set()  # refused since the last check
        self._lock = threading.Lock()

    def refused(self, where: str, reason: Reason) -> None:
        if self._on:
            with self._lock:
                self._count(where).refused(reason)
                self._changed.add(where)

    def passed(self, where: str, records: int) -> None:
        if self._on:
            with self._lock:
                self._count(where).passed(records)

    def reason_to_stop(self) -> str:
        """In words; "" for none."""
        if not self._changed:
            return ""
        with self._lock:
            changed, self._changed = self._changed, set()
            for where in changed:
                verdict = self._counts[where].verdict()
                if verdict is not None:
                    self._counts.clear()
                    return explain(where, verdict)
        return ""

    def _count(self, where: str) -> RefusalCount:
        count = self._counts.get(where)
        if count is None:
            count = self._counts[where] = RefusalCount(self._limits)
        return count


def _route(name: str) -> str:
    return f"route {name}"


def _topic(name: str) -> str:
    return f"topic {name}"


def explain(where: str, verdict: Verdict) -> str:
    """Say what happened, what to look at and how to go on. Quotes nothing of a record but where a field is."""
    if verdict.option == "max_first":
        what = f"the first {verdict.refused:,} records were all refused and none passed"
        go_on = "to dead-letter them all, give dead_letter_max_first=null"
    else:
        what = f"{verdict.refused:,} of the last {verdict.records:,} records were refused"
        go_on = "to dead-letter them, give a greater dead_letter_max_share, or null"
    reason = verdict.commonest
    place = f" at {reason.pointer}" if reason.pointer else ""
    return (
        f"{where}: {what}, most often for {reason.code}{place} (stage {reason.stage}, {verdict.times:,} of the last "
        f"{verdict.of:,} refusals). Check that the topic, its format and mapping, and the schema belong together: "
        f"beam-aep check shows what becomes of a sample. To go on: {go_on}"
    )
