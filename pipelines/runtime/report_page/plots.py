"""Plots over time: lines in SVG that stretch with the page, with their labels in HTML so that these do not."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from pipelines.runtime.report_page.markup import Markup, element

_WIDTH, _HEIGHT = 1000, 200  # of the drawing, which is stretched
_TICKS = 4
_JOINED = 0.05  # of the time: a line goes on over a gap that is shorter

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_TIME_STEPS = (
    *(1, 2, 5, 10, 15, 30, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE),
    *(_HOUR, 2 * _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY, 2 * _DAY, 5 * _DAY, 10 * _DAY, 20 * _DAY, 50 * _DAY),
)


@dataclass(frozen=True)
class Line:
    """A line of a plot; None where there is no value."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Plot:
    """Lines over one axis of time.

    Attributes:
        title: What is plotted, and its unit.
        times: Seconds since the start, one for each value.
        seconds: Length of the axis.
        started: Where it begins.
        say: Writes a value for people.
        by_tens: Whether each step of the axis is ten times the one before.
    """

    title: str
    lines: Sequence[Line]
    times: Sequence[float]
    seconds: float
    started: datetime
    say: Callable[[float], str]
    by_tens: bool = False

    def draw(self) -> Markup | None:
        """Return the plot; None where there is no value."""
        values = [value for line in self.lines for value in line.values if value is not None]
        if not values:
            return None
        axis = _tens(values) if self.by_tens else even_ticks(max(values))
        low, high = axis[0], axis[-1]
        down = {tick: _HEIGHT * (1 - self._part(tick, low, high)) for tick in axis}
        ticks = [tick for tick in _time_ticks(self.seconds) if tick <= self.seconds]
        drawing = element(
            "svg",
            *(_rule(0, y, _WIDTH, y) for y in down.values()),
            *(self._path(number, line, low, high) for number, line in enumerate(self.lines)),
            viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
            preserveAspectRatio="none",
            aria_hidden="true",
        )
        return element(
            "figure",
            element("figcaption", element("b", self.title), self._legend()),
            element(
                "div",
                element(
                    "div",
                    *(
                        element("span", _short(self.say(tick)), style=f"top:{100 * y / _HEIGHT:.2f}%")
                        for tick, y in down.items()
                    ),
                    class_="y",
                ),
                element("div", drawing, element("i", hidden=True), class_="area"),
                element(
                    "div",
                    *(
                        element("span", say_time(tick), style=f"left:{100 * tick / self.seconds:.2f}%")
                        for tick in ticks
                    ),
                    class_="x",
                ),
                class_="plot",
            ),
            element("output", " "),
            data_points=orjson.dumps(self._points()).decode(),
            role="img",
            aria_label=f"{self.title}: {self._words()}",
            tabindex="0",
        )

    def _part(self, value: float, low: float, high: float) -> float:
        """Return how far up the axis a value is, from 0 to 1."""
        if self.by_tens:
            value, low, high = (math.log10(max(one, low)) for one in (value, low, high))
        return (value - low) / (high - low)

    def _path(self, number: int, line: Line, low: float, high: float) -> Markup:
        steps, last, pen_down = [], float("-inf"), False
        for time, value in zip(self.times, line.values, strict=True):
            if value is not None:
                y = _HEIGHT * (1 - self._part(value, low, high))
                joined = pen_down or time - last <= _JOINED * self.seconds
                # A round end makes a dot of a line that goes nowhere.
                steps.append(f"{'L' if joined else 'M'}{self._x(time):.1f} {y:.1f}{'' if joined else 'h0'}")
                last = time
            pen_down = value is not None
        return element("path", d="".join(steps), class_=f"line-{number}")

    def _x(self, time: float) -> float:
        return _WIDTH * time / self.seconds

    def _legend(self) -> Markup | None:
        if len(self.lines) == 1:
            return None
        names = (element("span", line.name, class_=f"line-{number}") for number, line in enumerate(self.lines))
        return element("span", *names, class_="legend")

    def _points(self) -> list[tuple[float, str]]:
        """Return for each time where it is, in parts of 1, and what is there."""
        return [
            (round(time / self.seconds, 4), f"{say_time(time)}, {self._clock(time)}: {self._said(at)}")
            for at, time in enumerate(self.times)
        ]

    def _clock(self, time: float) -> str:
        """Return when that was, to be looked for in logs."""
        at = self.started + timedelta(seconds=time)
        return f"{at:%H:%M:%S}" if self.seconds < _DAY else f"{at:%Y-%m-%d %H:%M}"

    def _said(self, at: int) -> str:
        alone = len(self.lines) == 1
        found = ((line.name, line.values[at]) for line in self.lines)
        told = [("" if alone else f"{name} ") + ("-" if value is None else self.say(value)) for name, value in found]
        return ", ".join(told)

    def _words(self) -> str:
        """Return what a person hears who does not see."""
        parts = []
        for line in self.lines:
            known = [value for value in line.values if value is not None]
            if known:
                parts.append(f"{line.name} from {self.say(min(known))} to {self.say(max(known))}")
        return "; ".join(parts)


def _rule(x1: float, y1: float, x2: float, y2: float) -> Markup:
    return element("line", x1=f"{x1:g}", y1=f"{y1:g}", x2=f"{x2:g}", y2=f"{y2:g}")


def _short(said: str) -> str:
    """Return a round number without the digits that say nothing."""
    return re.sub(r"\.0+(?=\D|$)", "", said)


def even_ticks(most: float) -> list[float]:
    """Return the ticks of an axis from 0 to a value at least, at steps of 1, 2 or 5 times a power of ten."""
    if most <= 0:
        return [0, 1]
    rough = most / _TICKS
    power = 10 ** math.floor(math.log10(rough))
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if step >= rough)
    return [step * number for number in range(math.ceil(most / step) + 1)]


def _tens(values: Sequence[float]) -> list[float]:
    """Return the powers of ten of an axis that all these values fit on; 1 is the lowest."""
    lowest = max(0, math.floor(math.log10(max(1, min(values)))))
    highest = max(lowest + 1, math.ceil(math.log10(max(1, max(values)))))
    return [10.0**power for power in range(lowest, highest + 1)]


def _time_ticks(seconds: float) -> list[float]:
    step = next((step for step in _TIME_STEPS if seconds / step <= _TICKS), math.ceil(seconds / _TICKS / _DAY) * _DAY)
    return [step * number for number in range(int(seconds / step) + 1)]


def say_time(seconds: float) -> str:
    """Return how long something has taken, in two units at most."""
    for size, unit, smaller, small in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "min"), (_MINUTE, "min", 1, "s")):
        if seconds >= size:
            rest = int(seconds % size / smaller)
            return f"{int(seconds / size)} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{seconds:.1f} s".replace(".0 ", " ")
