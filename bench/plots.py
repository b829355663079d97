"""Plots of figures in SVG, for a page of Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bench.report import number
from pipelines.runtime.report_page.markup import Markup, element
from pipelines.runtime.report_page.plots import even_ticks, say_time

_WIDTH = 760
_LABELS, _VALUES = 330, 70  # what is left of the bars, and right of them
_ROW, _BAR = 26, 16
_TITLE = 36
_HEIGHT, _LEFT, _RIGHT, _BELOW = 240, 56, 20, 28  # of a plot of lines
_FONT = "font-family:system-ui,sans-serif;font-size:13px;fill:#222"
_COLOURS = ("#2a6fb0", "#c75b12", "#4b8b3b", "#7a4fa3")


class Bar(NamedTuple):
    """A bar; bars of the same `kind` have the same colour."""

    label: str
    value: float
    kind: int = 0


class Point(NamedTuple):
    """A value at a time, in seconds."""

    seconds: float
    value: float


def bars(title: str, rows: Sequence[Bar], at: float | None = None) -> Markup:
    """Return a plot of horizontal bars, with a dashed line at a value if one is given."""
    most = max(*(row.value for row in rows), at or 0, 1e-9)
    long = _WIDTH - _LABELS - _VALUES
    height = _TITLE + _ROW * len(rows) + 10
    drawn: list[Markup] = []
    for place, row in enumerate(rows):
        top, end = _TITLE + _ROW * place, long * row.value / most
        drawn += [
            _text(_LABELS - 8, top + _BAR - 3, row.label, "end"),
            _rectangle(_LABELS, top, end, _BAR, _COLOURS[row.kind % len(_COLOURS)]),
            _text(_LABELS + end + 6, top + _BAR - 3, number(row.value)),
        ]
    if at is not None:
        x = _LABELS + long * at / most
        drawn.append(_line(x, _TITLE - 6, x, height - 6, "#222", dashed=True))
    return _drawing(title, height, drawn)


def curve(title: str, points: Sequence[Point], shaded: tuple[float, float]) -> Markup:
    """Return a plot of values over time, with a part of the time shaded."""
    ticks = even_ticks(max(point.value for point in points))
    last = max(point.seconds for point in points) or 1.0
    bottom = _HEIGHT - _BELOW

    def x(seconds: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * min(seconds, last) / last

    def y(value: float) -> float:
        return bottom - (bottom - _TITLE) * value / ticks[-1]

    path = "".join(f"{'L' if place else 'M'}{x(p.seconds):.1f} {y(p.value):.1f}" for place, p in enumerate(points))
    drawn = [_rectangle(x(shaded[0]), _TITLE, x(shaded[1]) - x(shaded[0]), bottom - _TITLE, "#f3dcc9")]
    for tick in ticks:
        drawn += [
            _line(_LEFT, y(tick), _WIDTH - _RIGHT, y(tick), "#ddd"),
            _text(_LEFT - 6, y(tick) + 4, f"{tick:g}", "end"),
        ]
    drawn += [
        _text(x(last * part), _HEIGHT - 8, say_time(round(last * part)), "middle") for part in (0, 0.25, 0.5, 0.75)
    ]
    drawn.append(element("path", d=path, fill="none", stroke=_COLOURS[0], stroke_width="2"))
    return _drawing(title, _HEIGHT, drawn)


def _drawing(title: str, height: float, drawn: Sequence[Markup]) -> Markup:
    return element(
        "svg",
        element("title", title),
        _rectangle(0, 0, _WIDTH, height, "#fff"),
        element("text", title, x="12", y="20", style=f"{_FONT};font-weight:600"),
        *drawn,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_WIDTH} {height:g}",
        width=str(_WIDTH),
        role="img",
    )


def _text(x: float, y: float, text: str, anchor: str = "start") -> Markup:
    return element("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, style=_FONT)


def _rectangle(x: float, y: float, width: float, height: float, colour: str) -> Markup:
    return element("rect", x=f"{x:.1f}", y=f"{y:.1f}", width=f"{width:.1f}", height=f"{height:.1f}", fill=colour)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, *, dashed: bool = False) -> Markup:
    ends = {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
    return element("line", **ends, stroke=colour, stroke_dasharray="4 3" if dashed else None)
