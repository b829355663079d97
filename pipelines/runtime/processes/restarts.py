"""Decisions about a process that has ended: whether and when it is started again."""

from __future__ import annotations

import signal

_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 60.0

# One that has worked this long starts anew with short pauses.
_WORKED_SECONDS = 60.0

MOST_FAILURES = 6
"""With so many failures of one process in a row, none of which had worked for a minute, the run ends."""


def failures_in_a_row(before: int, worked_seconds: float) -> int:
    """Return how many times a process has failed in a row, now that it has once more."""
    return 1 if worked_seconds >= _WORKED_SECONDS else before + 1


def pause_seconds(failures: int) -> float:
    """Return how long to wait before a process that has failed so many times in a row is started again."""
    return min(_FIRST_SECONDS * 2.0 ** (failures - 1), _LONGEST_SECONDS)


def ended_in_order(code: int, has_read: bool, outcome: str) -> bool:
    """Return whether a process has left nothing undone as it ended.

    Before it reads, and after its last report, it has no handler of SIGTERM: that it ends at once then loses nothing.

    Args:
        code: As `subprocess` gives it, negative for a signal.
        has_read: Whether it has asked for records.
        outcome: What it has reported of its end, "" for nothing.
    """
    return code == 0 or (code == -signal.SIGTERM and (not has_read or outcome in ("finished", "stopped")))


def how_it_ended(code: int) -> str:
    """Return how a process ended, for people.

    Args:
        code: As `subprocess` gives it, negative for a signal.
    """
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:  # most signals for real time have no name
        return f"was ended by signal {-code}"
