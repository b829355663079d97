"""The account of a run: live while it goes on, a table and a summary file at its end."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from transforms import account
from transforms.dead_letters import DeadLetterSinks

_EVERY_SECONDS = 0.5


def summary(counts: Counter[str], seconds: float, outcome: str) -> dict[str, Any]:
    """The account as the summary file has it.

    ``unaccounted`` is what was read and neither accepted nor dead-lettered nor skipped as a tombstone nor, in a
    replay, passed over; it is 0 after a run that ended well.
    """
    dead_lettered = _under(counts, account.DEAD_LETTERED)
    accepted, tombstones = counts[account.ACCEPTED], counts[account.TOMBSTONES]
    skipped = tombstones - dead_lettered.get("tombstone", 0) + counts[account.PASSED_OVER]
    return {
        "outcome": outcome,
        "read": counts[account.READ],
        "accepted": accepted,
        "dead_lettered": dead_lettered,
        "tombstones": tombstones,
        "passed_over": counts[account.PASSED_OVER],
        "unaccounted": counts[account.READ] - accepted - sum(dead_lettered.values()) - skipped,
        "requests": counts[account.REQUESTS],
        "request_bytes": counts[account.REQUEST_BYTES],
        "retries": _under(counts, account.RETRIES),
        "duplicates_possible": counts[account.DUPLICATES_POSSIBLE],
        "offsets_skipped": counts[account.OFFSETS_SKIPPED],
        "seconds": round(seconds, 3),
    }


def write_summary(path: str, account_of_run: dict[str, Any]) -> None:
    """Writes the summary file, whole or not at all."""
    unfinished = Path(f"{path}.unfinished")
    unfinished.write_bytes(orjson.dumps(account_of_run, option=orjson.OPT_INDENT_2) + b"\n")
    unfinished.rename(path)


def table(account_of_run: dict[str, Any], sinks: DeadLetterSinks, title: str) -> Table:
    """The account as a table."""
    grid = Table(title=f"{title}: {account_of_run['outcome']}", show_header=False, title_justify="left")
    grid.add_column(style="bold")
    grid.add_column(justify="right")
    grid.add_row("read", f"{account_of_run['read']:,}")
    grid.add_row("accepted by AEP", f"{account_of_run['accepted']:,}", style="green")
    for code, number in account_of_run["dead_lettered"].items():
        grid.add_row(f"dead-lettered: {code}", f"{number:,}", style="yellow")
    if account_of_run["tombstones"]:
        grid.add_row("tombstones", f"{account_of_run['tombstones']:,}")
    if account_of_run["passed_over"]:
        grid.add_row("passed over", f"{account_of_run['passed_over']:,}")
    style = "red" if account_of_run["unaccounted"] else "green"
    grid.add_row("unaccounted for", f"{account_of_run['unaccounted']:,}", style=style)
    grid.add_section()
    grid.add_row("requests", f"{account_of_run['requests']:,}")
    for cause, number in account_of_run["retries"].items():
        grid.add_row(f"sent again: {cause}", f"{number:,}", style="yellow")
    grid.add_row("possible duplicates", f"{account_of_run['duplicates_possible']:,}")
    seconds = account_of_run["seconds"]
    grid.add_row("seconds", f"{seconds:,.1f}")
    grid.add_row("events/s", f"{account_of_run['read'] / seconds:,.0f}" if seconds else "-")
    grid.add_section()
    places = [place for place in (sinks.path, sinks.topic and f"topic {sinks.topic}") if place]
    grid.add_row("dead letters", ", ".join(places))
    return grid


class Progress:
    """A line that shows the process's counts while a run goes on: in place on a terminal, else every 5 s."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic):
        self._console = console
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
        if self._console.is_terminal:
            with self._console.status("starting") as status:
                before, then = 0, started
                while not self._end.wait(_EVERY_SECONDS):
                    counts, now = account.process_counts(), self._clock()
                    status.update(line(counts, (counts[account.READ] - before) / (now - then)))
                    before, then = counts[account.READ], now
        else:
            while not self._end.wait(5.0):
                counts = account.process_counts()
                self._console.print(line(counts, counts[account.READ] / (self._clock() - started)))


def line(counts: Counter[str], rate: float) -> str:
    """The counts in one line."""
    dead = sum(_under(counts, account.DEAD_LETTERED).values())
    retries = sum(_under(counts, account.RETRIES).values())
    return (
        f"read {counts[account.READ]:,}  accepted {counts[account.ACCEPTED]:,}  dead-lettered {dead:,}  "
        f"requests {counts[account.REQUESTS]:,}  sent again {retries:,}  {rate:,.0f} events/s"
    )


def _under(counts: Counter[str], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): number for name, number in sorted(counts.items()) if name.startswith(prefix)}
