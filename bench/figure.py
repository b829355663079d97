"""A figure and its target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal


@dataclass(frozen=True)
class Target:
    """What a figure has to reach."""

    sign: Literal[">=", "<"]
    value: float

    def met(self, figure: float) -> bool:
        """Return whether it does."""
        return figure >= self.value if self.sign == ">=" else figure < self.value

    def __str__(self) -> str:
        return f"{self.sign} {self.value:g}"


@dataclass(frozen=True)
class Figure:
    """One line of the table: a value for each round, judged by their median."""

    name: str
    values: Sequence[float]
    target: Target | None = None

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        return self.target.met(self.median) if self.target else None
