"""How long to wait before the next try."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timezone
from email.utils import parsedate_to_datetime


def retry_after(header: str | None, longest: float, wall_clock: Callable[[], float] = time.time) -> float:
    """Return the seconds a `Retry-After` header asks for, at most `longest`; 0 if it is absent or invalid.

    It holds seconds or a date (HTTP Semantics, RFC 9110, 10.2.3).
    """
    if header is None:
        return 0.0
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), longest)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return 0.0
    if date.tzinfo is None:
        date = date.replace(tzinfo=timezone.utc)
    return min(max(date.timestamp() - wall_clock(), 0.0), longest)


def full_jitter(number: int, base: float, ceiling: float, random_unit: Callable[[], float]) -> float:
    """Return the seconds to wait after try `number`: uniform below an exponentially growing bound.

    It spreads the retries of many workers, which a fixed back-off would synchronise.
    """
    return random_unit() * min(ceiling, base * 2 ** min(number - 1, 30))


def sleep(seconds: float) -> bool:
    """Sleep without watching for the end of the process."""
    time.sleep(seconds)
    return False
