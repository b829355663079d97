"""Which plots are made of what was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bench.plots import Bar, Point, bars, curve


class Illustration(NamedTuple):
    """A plot of a part.

    Attributes:
        title: What it shows.
        draw: Makes its SVG of a title and the document of the part.
    """

    title: str
    draw: Callable[[str, Mapping[str, Any]], str]


def _plain(title: str, part: Mapping[str, Any]) -> str:
    found = part["figures"]
    limit = float(found[0]["bound"].split()[1]) if found[0]["bound"] else None
    return bars(title, [Bar(_short(one["name"]), one["median"]) for one in found], limit)


def _latency(title: str, part: Mapping[str, Any]) -> str:
    rows = [
        Bar(
            one["name"].removeprefix("latency at ").removesuffix(", ms"),
            one["median"],
            int(one["key"].startswith("low-latency")),
        )
        for one in part["figures"]
    ]
    return bars(title, rows)


def _memory(title: str, part: Mapping[str, Any]) -> str:
    raw = part["raw"]
    points = [Point(one["seconds"], one["megabytes"]) for one in raw["samples"]]
    return curve(title, points, (raw["away_from"], raw["away_until"]))


def _short(name: str) -> str:
    """Return what is in the parentheses of a figure's name."""
    return name.partition("(")[2].partition(")")[0]


ILLUSTRATIONS = {
    "plain": Illustration("CPU of the whole pipeline, against a plain script's (dashed: the bound)", _plain),
    "latency": Illustration("From produced to accepted, milliseconds", _latency),
    "memory": Illustration("Resident memory, MB (shaded: AEP away)", _memory),
}
"""By part."""
