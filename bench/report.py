"""Figures with their targets: as a table, and as JSON with the raw numbers."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
from rich.text import Text

from bench.figure import Figure
from pipelines.output.layout import Column
from pipelines.output.table import Table

_PACKAGES = ("apache-beam", "confluent-kafka", "jsonschema-rs", "orjson", "requests")


def table(all_figures: Sequence[Figure]) -> Table:
    columns = Column("measured", "number"), Column("min", "number", rank=1), Column("max", "number", rank=1)
    judged = Column("target", "number"), Column("met", "number")
    grid = Table("Benchmarks", (Column("figure", "text"), *columns, *judged))
    for one in all_figures:
        values = [_number(value) for value in (one.median, min(one.values), max(one.values))]
        met = Text("-") if one.met is None else Text("yes", "green") if one.met else Text("no", "red")
        grid.add(one.name, *values, str(one.target or "-"), met)
    return grid


def document(all_figures: Sequence[Figure], raw: Mapping[str, Any], settings: Mapping[str, Any]) -> bytes:
    """Return the figures and the raw numbers of each part as JSON."""
    return orjson.dumps(
        {
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "machine": machine(),
            "settings": settings,
            "figures": [
                {
                    "name": one.name,
                    "median": one.median,
                    "min": min(one.values),
                    "max": max(one.values),
                    "values": one.values,
                    "target": str(one.target) if one.target else None,
                    "met": one.met,
                }
                for one in all_figures
            ],
            "raw": raw,
        },
        option=orjson.OPT_INDENT_2,
    )


def machine() -> dict[str, Any]:
    """Return what the numbers were taken on."""
    model = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "cpu": model[1] if model else platform.machine(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
    }


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
