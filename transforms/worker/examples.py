"""The first dead letter of each code in this process, redacted, for the report of a run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

Example = dict[str, Any]

_MOST = 100  # codes, some of which are AEP's or a connector's

_lock = threading.Lock()
_kept: dict[str, Example] = {}


def keep(code: str, make: Callable[[], Example]) -> None:
    """Keep an example of a code unless there is one.

    Args:
        make: Makes it, without anything of a record that is not to be shown.
    """
    with _lock:
        if code not in _kept and len(_kept) < _MOST:
            _kept[code] = make()


def kept() -> dict[str, Example]:
    """Return an example of each code."""
    with _lock:
        return dict(_kept)


def reset() -> None:
    """Forget the examples, before a run."""
    with _lock:
        _kept.clear()
