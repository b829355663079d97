"""How deep JSON may be that is kept: `orjson` reads more levels than it writes. Pure functions."""

from __future__ import annotations

from typing import Any

import orjson

_ROOM = 16  # levels of the lists and pages in which it is shown


def is_too_deep(value: Any) -> bool:
    """Return whether a JSON value has more levels than can be written again."""
    for _ in range(_ROOM):
        value = [value]
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return True
    return False
