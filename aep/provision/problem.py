"""A mistake in a provision file."""

from __future__ import annotations

from typing import NamedTuple

Path = tuple[str | int, ...]
"""Keys and indices that lead to a place in the file."""


class Problem(NamedTuple):
    """What must be mended before anything is done: where in the file, and why."""

    path: Path
    text: str
