"""Output of a soak: a line while it runs, tables at its end, and the same as JSON."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import linear_regression, median
from typing import Any

import orjson

from bench.report import machine
from bench.soak.account import MEMORY_LIMIT_MB
from bench.soak.pipeline import Run
from bench.soak.run import Result, State
from pipelines.output.layout import Column
from pipelines.output.table import Table

# A process's memory first grows to what its work needs; only what comes after that may be a leak.
_WARM_UP_SECONDS = 20.0
_SLOPE_SECONDS = 60.0


@dataclass(frozen=True)
class Spread:
    """The least, the middle and the most of some numbers."""

    least: float
    middle: float
    most: float

    def __str__(self) -> str:
        return f"{self.least:,.0f} / {self.middle:,.0f} / {self.most:,.0f}"


def spread(numbers: Sequence[float]) -> Spread | None:
    """Return the spread of some numbers; None without any."""
    return Spread(min(numbers), median(numbers), max(numbers)) if numbers else None


def slope(memory: Iterable[tuple[float, int]]) -> float | None:
    """Return how fast memory grows once a process is warm, in MB a minute, by least squares; None when it was too
    short.

    Args:
        memory: (seconds since the process started, resident bytes).
    """
    warm = [(seconds / 60, resident / 1e6) for seconds, resident in memory if seconds >= _WARM_UP_SECONDS]
    if not warm or (warm[-1][0] - warm[0][0]) * 60 < _SLOPE_SECONDS:
        return None
    return linear_regression(*zip(*warm, strict=True)).slope


def progress_numbers(log: str, words: str) -> list[int]:
    """Return the numbers that follow some words in the pipeline's progress lines, such as 3 of "in flight 3"."""
    found = re.findall(rf"^(?:\S+ INFO beam_aep: )?read [\d,]+ .*\b{re.escape(words)} ([\d,]+)", log, re.MULTILINE)
    return [int(number.replace(",", "")) for number in found]


def line(state: State, seconds: float) -> str:
    """Return the progress line of a soak."""
    if not state.seconds:
        return state.doing
    faults = ", ".join(fault.kind for fault in state.active) or "none"
    return (
        f"{_clock(state.seconds)} of {_clock(seconds)}  produced {state.produced:,}  accepted {state.accepted:,}  "
        f"lag {state.lag:,}  memory {state.memory / 1e6:,.0f} MB  {state.doing or f'faults: {faults}'}"
    )


def tables(result: Result) -> list[Table]:
    """Return the account, the pipeline's processes, and what is wrong."""
    return [_account(result), _processes(result)]


def _account(result: Result) -> Table:
    account, settings = result.account, result.settings
    title = f"Soak of {settings.seconds / 60:g} min at {settings.rate:g} records/s, seed {settings.seed}"
    grid = Table(title, (Column("count"), Column("number", "number")), headings=False)
    grid.add("records in Kafka", f"{account.produced:,}")
    grid.add("accepted by AEP", f"{account.accepted:,}", style="green")
    for code, number in account.dead_lettered.items():
        grid.add(f"dead-lettered: {code}", f"{number:,}", style="yellow")
    grid.add("dropped by their route", f"{account.dropped:,}")
    left = account.produced - account.accepted - sum(account.dead_lettered.values()) - account.dropped
    grid.add("unaccounted for", f"{left:,}", style="red" if left else "green")
    grid.section()
    duplicates = account.duplicates
    grid.add("duplicates", f"{duplicates.found:,}", style="red" if duplicates.found > duplicates.bound else "green")
    grid.add("  at most", f"{duplicates.bound:,}")
    grid.add("  read again after crashes", f"{duplicates.reread:,}")
    grid.add("  possible by the summaries", f"{duplicates.told:,}")
    grid.add("  unanswered in runs without one", f"{duplicates.untold:,}")
    grid.section()
    for kind, times in sorted(Counter(fault.kind for fault in result.plan).items()):
        grid.add(f"fault: {kind}", f"{times:,}")
    grid.section()
    grid.add("requests to AEP", f"{account.requests:,}")
    for status, number in sorted(account.statuses.items()):
        grid.add(f"  answered: {status}", f"{number:,}")
    grid.add("highest lag", f"{max((lag for _, lag in result.lags), default=0):,}")
    grid.add("seconds", f"{result.seconds:,.1f}")
    return grid


def _processes(result: Result) -> Table:
    numbers = (Column(name, "number") for name in ("seconds", "memory, MB", "MB/minute", "in flight", "sent again"))
    grid = Table("The pipeline's processes; min / median / max", (Column("process"), *numbers))
    for run in result.runs:
        figures = process(run)
        memory, growth, in_flight = figures["memory_mb"], figures["memory_mb_per_minute"], figures["in_flight"]
        grid.add(
            f"{run.number} {run.ending}",
            f"{run.seconds:,.0f}",
            str(memory or "-"),
            "-" if growth is None else f"{growth:+.1f}",
            str(in_flight or "-"),
            ", ".join(f"{cause} {times:,}" for cause, times in run.summary.get("retries", {}).items()) or "-",
        )
    return grid


def process(run: Run) -> dict[str, Any]:
    """Return the figures of one process; None for those that its log lacks."""
    log = run.log.read_text(errors="replace") if run.log.exists() else ""
    return {
        "memory_mb": spread([resident / 1e6 for _, resident in run.memory]),
        "memory_mb_per_minute": slope(run.memory),
        "in_flight": spread(progress_numbers(log, "in flight")),
        "lag": spread(progress_numbers(log, "lag")),
    }


def document(result: Result) -> bytes:
    account, settings = result.account, result.settings
    return orjson.dumps(
        {
            "machine": machine(),
            "settings": {"minutes": settings.seconds / 60, "rate": settings.rate, "seed": settings.seed},
            "account": {**asdict(account), "duplicates_bound": account.duplicates.bound},
            "memory_limit_mb": MEMORY_LIMIT_MB,
            "lag_highest": max((lag for _, lag in result.lags), default=0),
            "seconds": result.seconds,
            "plan": [asdict(fault) for fault in result.plan],
            "processes": [{**asdict(run), "log": str(run.log), **process(run)} for run in result.runs],
            "lags": result.lags,
        },
        option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS,
    )


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
