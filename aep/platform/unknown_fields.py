"""Decide when refusals for unknown fields suggest that the schema has been extended."""

from __future__ import annotations

from typing import NamedTuple

BURST = 20
WINDOW_SECONDS = 60.0


class Refusals(NamedTuple):
    """Refusals for unknown fields without a quiet minute between them.

    Attributes:
        began_at, last_at: Monotonic seconds of the first and of the last of them.
        records: How many.
    """

    began_at: float = float("-inf")
    last_at: float = float("-inf")
    records: int = 0


def after_refusals(before: Refusals, refused: int, now: float) -> tuple[Refusals, bool]:
    """Count refusals, and say whether they are a burst: 20 within a minute, after a minute without any.

    A burst is reported once. Records that are refused all day long are no news: senders that never had a valid record
    must not make every worker ask the registry again and again.

    Args:
        before: What was known.
        refused: Records that were refused now, possibly none.
        now: Monotonic seconds.
    """
    if not refused:
        return before, False
    if now - before.last_at >= WINDOW_SECONDS:
        before = Refusals(now, now)
    after = Refusals(before.began_at, now, before.records + refused)
    return after, before.records < BURST <= after.records and now - after.began_at < WINDOW_SECONDS
