"""The bounds of the figures, in `bounds.yaml`: what fails the command."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import yaml

from bench.figure import Figure

FILE = Path(__file__).with_name("bounds.yaml")

Sign = Literal[">=", "<=", "<"]


class BoundsError(ValueError):
    """`bounds.yaml` cannot be used; the message says why."""


@dataclass(frozen=True)
class Limit:
    """A value that a figure has to reach or must not exceed."""

    sign: Sign
    value: float

    def met(self, figure: float) -> bool:
        if self.sign == ">=":
            return figure >= self.value
        return figure <= self.value if self.sign == "<=" else figure < self.value

    def __str__(self) -> str:
        return f"{self.sign} {self.value:g}"


@dataclass(frozen=True)
class Bound:
    """What a figure is held to.

    Attributes:
        limit: Fails the command where it is not met.
        target: What is wanted, where that is not reached yet.
    """

    limit: Limit
    target: Limit | None = None

    def __str__(self) -> str:
        return f"{self.limit} (target {self.target})" if self.target else str(self.limit)


@dataclass(frozen=True)
class Judged:
    """A figure of a part, with its bound if it has one."""

    part: str
    figure: Figure
    bound: Bound | None

    @property
    def met(self) -> bool | None:
        """Whether the bound is met; None where there is none."""
        return self.bound.limit.met(self.figure.median) if self.bound else None

    @property
    def target_met(self) -> bool | None:
        """Whether what is wanted beyond the bound is reached; None where there is no such target."""
        return self.bound.target.met(self.figure.median) if self.bound and self.bound.target else None

    def __str__(self) -> str:
        return f"{self.figure.name}: {self.figure.median:.4g}, bound {self.bound} ({self.part}: {self.figure.key})"


def read(path: Path = FILE) -> Mapping[str, Mapping[str, Bound]]:
    """Return bounds by part and key of a figure.

    Raises:
        BoundsError: An entry has another form; the message names it.
    """
    parts = cast("Mapping[str, Mapping[str, Any]]", yaml.safe_load(path.read_text()))
    return {
        part: {key: _bound(f"{path.name}: {part}: {key}", entry) for key, entry in entries.items()}
        for part, entries in parts.items()
    }


def judge(part: str, figures: Sequence[Figure], bounds: Mapping[str, Bound]) -> list[Judged]:
    """Return the figures of a part with their bounds.

    Raises:
        BoundsError: There is a bound for a figure that the part does not have.
    """
    unknown = bounds.keys() - {one.key for one in figures}
    if unknown:
        raise BoundsError(f"{FILE.name}: {part}: no figure is called {', '.join(sorted(unknown))}")
    return [Judged(part, one, bounds.get(one.key)) for one in figures]


def _bound(where: str, entry: Any) -> Bound:
    if isinstance(entry, str):
        return Bound(_limit(where, entry))
    if isinstance(entry, dict) and entry.keys() == {"bound", "target"}:
        return Bound(_limit(where, entry["bound"]), _limit(where, entry["target"]))
    raise BoundsError(f"{where}: expected a text such as '<= 1.3', or a mapping of bound and target")


def _limit(where: str, text: Any) -> Limit:
    found = re.fullmatch(r"(>=|<=|<) (\d+(?:\.\d+)?)", str(text))
    if not found:
        raise BoundsError(f"{where}: {text!r} is not a bound such as '<= 1.3', '< 100' or '>= 0.95'")
    return Limit(cast("Sign", found[1]), float(found[2]))
