"""Whether a record is what a case expects, as JSON sees it."""

from __future__ import annotations

from typing import Any


def same(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal: 1 is 1.0, and is not true."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def part(value: Any, wanted: Any) -> Any:
    """Return what of a JSON value is looked at where only some fields are wanted: all else is left out.

    Lists of the same length are taken item by item; others are left whole, so that they differ.
    """
    if isinstance(value, dict) and isinstance(wanted, dict):
        return {key: part(value[key], each) for key, each in wanted.items() if key in value}
    if isinstance(value, list) and isinstance(wanted, list) and len(value) == len(wanted):
        return [part(item, each) for item, each in zip(value, wanted, strict=True)]
    return value
