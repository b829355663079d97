"""Whole numbers in addresses. Pure functions."""

from __future__ import annotations

_MAX_DIGITS = 18  # within 64 bits, which is what the database takes


def is_whole_number(text: str) -> bool:
    """Return whether a text is a whole number of 0 or more, and not beyond all that is counted here."""
    return text.isdecimal() and len(text) <= _MAX_DIGITS
