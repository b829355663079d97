"""Shares of what is to go wrong, by what goes wrong. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

Draw = Callable[[], float]  # a random number in [0, 1)
Outcome = TypeVar("Outcome", bound=str)


def pick(shares: Mapping[Outcome, float], draw: Draw) -> Outcome | None:
    """Draw one of the outcomes according to its share, or None."""
    if not shares:
        return None
    number = draw()
    for outcome, share in shares.items():
        number -= share
        if number < 0:
            return outcome
    return None


def check_shares(shares: Mapping[str, float]) -> None:
    """Check that shares are possible.

    Raises:
        ValueError: One is negative, or they add up to more than 1.
    """
    for outcome, share in shares.items():
        if share < 0:
            raise ValueError(f"the share of {outcome} is negative")
    if sum(shares.values()) > 1 + 1e-9:
        raise ValueError("the shares add up to more than 1")
