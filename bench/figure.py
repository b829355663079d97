"""A figure, and how it is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Figure:
    """One line of the table: a value for each round, judged by their median.

    Attributes:
        key: Its name in `bounds.yaml`, within its part of the benchmarks.
        name: Its name in the table.
    """

    key: str
    name: str
    values: Sequence[float]

    @property
    def median(self) -> float:
        return median(self.values)
