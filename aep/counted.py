"""A number of things in words."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return "1 record", "2,000 records"; of nouns whose plural takes an s."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"
