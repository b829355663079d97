"""Figures with their bounds: as a table, and as JSON with the raw numbers, a document for each part."""

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

from bench.bounds import Judged
from pipelines.output.layout import Column
from pipelines.output.table import Table

_PACKAGES = ("apache-beam", "confluent-kafka", "jsonschema-rs", "orjson", "requests")


class ResultsError(ValueError):
    """A file is not one of results; the message says so."""


def table(judged: Sequence[Judged]) -> Table:
    columns = Column("measured", "number"), Column("min", "number", rank=1), Column("max", "number", rank=1)
    grid = Table("Benchmarks", (Column("figure", "text"), *columns, Column("bound", "number"), Column("met", "number")))
    for one in judged:
        values = [number(value) for value in (one.figure.median, min(one.figure.values), max(one.figure.values))]
        met = Text("-") if one.met is None else Text("yes", "green") if one.met else Text("no", "red")
        grid.add(one.figure.name, *values, str(one.bound or "-"), met)
    return grid


def document(judged: Sequence[Judged], raw: Any, settings: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Return a part's figures, its raw numbers, and when and on what they were taken in how many seconds."""
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seconds": round(seconds),
        "machine": machine(),
        "settings": settings,
        "figures": [
            {
                "key": one.figure.key,
                "name": one.figure.name,
                "median": one.figure.median,
                "min": min(one.figure.values),
                "max": max(one.figure.values),
                "values": one.figure.values,
                "bound": str(one.bound.limit) if one.bound else None,
                "target": str(one.bound.target) if one.bound and one.bound.target else None,
                "met": one.met,
                "target_met": one.target_met,
            }
            for one in judged
        ],
        "raw": raw,
    }


def read(path: Path) -> dict[str, Any]:
    """Return the documents of parts that a file holds, none where there is no file.

    Raises:
        ResultsError: It holds something else.
    """
    if not path.exists():
        return {}
    try:
        return dict(orjson.loads(path.read_bytes())["parts"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ResultsError(f"{path}: not results of this version of the benchmarks: delete it") from error


def write(path: Path, parts: Mapping[str, Any]) -> None:
    """Write the documents of parts, beside those of earlier runs for other parts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps({"parts": {**read(path), **parts}}, option=orjson.OPT_INDENT_2))


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


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or isinstance(value, int) else f"{value:.2f}"
