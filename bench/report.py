"""Figures with their targets: as a table, and as JSON with the raw numbers."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Literal

import orjson
from rich.text import Text

from bench import kafka_bench, kinesis_bench, latency_bench, transforms_bench
from pipelines.output.layout import Column
from pipelines.output.table import Table

_PACKAGES = ("apache-beam", "confluent-kafka", "jsonschema-rs", "orjson", "requests")


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
    values: list[float]
    target: Target | None = None

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        return self.target.met(self.median) if self.target else None


def figures(
    transforms: Sequence[transforms_bench.Round],
    kinesis: Sequence[kinesis_bench.Round],
    kinesis_put: Sequence[kinesis_bench.Round],
    kafka: kafka_bench.KafkaResults,
    latency: Sequence[latency_bench.Run],
) -> list[Figure]:
    """Return the figures that the raw numbers come to."""
    rounds = kafka.rounds
    steps = f"parse, validate, serialise ({transforms_bench.EVENT_BYTES / 1000:g} kB): loop's"
    to_accepted = "Kafka to accepted (0.9 kB)"
    delayed = f"{to_accepted}, {kafka_bench.LATENCY_MS} ms latency"
    memory = Target("<", 400)
    return [
        Figure(
            f"{steps} CPU time / pipeline's",
            [one.loop.cpu_seconds / one.pipeline.cpu_seconds for one in transforms],
            Target(">=", 0.85),
        ),
        Figure(
            f"{steps} wall time / pipeline's",
            [one.loop.wall_seconds / one.pipeline.wall_seconds for one in transforms],
            Target(">=", 0.85),
        ),
        Figure(
            f"read Kinesis, {kinesis_bench.SHARDS} shards ({kinesis_bench.RECORD_BYTES / 1000:g} kB): "
            "CPU time of boto3 in a loop / pipeline's",
            [one.loop.cpu_seconds / one.pipeline.cpu_seconds for one in kinesis],
            Target(">=", 0.85),
        ),
        Figure(
            f"write Kinesis ({kinesis_bench.RECORD_BYTES / 1000:g} kB): CPU time of the pipeline / boto3's in a loop",
            [one.pipeline.cpu_seconds / one.loop.cpu_seconds for one in kinesis_put],
            Target("<", 1.3),
        ),
        Figure(
            f"{to_accepted}: CPU seconds per million events",
            [one.without_latency.cpu_seconds / one.events * 1e6 for one in rounds],
        ),
        Figure(f"{to_accepted}: events/s", [one.events / one.without_latency.wall_seconds for one in rounds]),
        Figure(f"{to_accepted}: peak memory, MB", [one.without_latency.peak_bytes / 1e6 for one in rounds], memory),
        Figure(
            f"{delayed}: throughput / that without",
            [one.without_latency.wall_seconds / one.with_latency.wall_seconds for one in rounds],
            Target(">=", 0.9),
        ),
        Figure(
            f"{to_accepted}, {kafka_bench.LATENCY_MS} ms, by key: throughput / unordered",
            [one.with_latency.wall_seconds / one.in_order.wall_seconds for one in rounds],
        ),
        Figure(f"{delayed}: peak memory, MB", [one.with_latency.peak_bytes / 1e6 for one in rounds], memory),
        Figure("caught up and idle: CPU, % of a core", [kafka.idle_share * 100], Target("<", 3)),
        *_latency_figures(latency),
    ]


def _latency_figures(runs: Sequence[latency_bench.Run]) -> Iterator[Figure]:
    for rate in latency_bench.RATES:
        for settings in latency_bench.SETTINGS:
            those = [one for one in runs if (one.rate, one.settings) == (rate, settings)]
            name = f"latency at {rate:,} events/s, {settings}"
            yield Figure(f"{name}: p50, ms", [one.p50 for one in those])
            yield Figure(f"{name}: p95, ms", [one.p95 for one in those])
            target = Target("<", 100) if settings == latency_bench.LOW_LATENCY else None
            yield Figure(f"{name}: p99, ms", [one.p99 for one in those], target)


def table(all_figures: Sequence[Figure]) -> Table:
    columns = Column("measured", "number"), Column("min", "number", rank=1), Column("max", "number", rank=1)
    judged = Column("target", "number"), Column("met", "number")
    grid = Table("Benchmarks", (Column("figure", "text"), *columns, *judged))
    for one in all_figures:
        values = [_number(value) for value in (one.median, min(one.values), max(one.values))]
        met = Text("-") if one.met is None else Text("yes", "green") if one.met else Text("no", "red")
        grid.add(one.name, *values, str(one.target or "-"), met)
    return grid


def document(
    all_figures: Sequence[Figure],
    transforms: Sequence[transforms_bench.Round],
    kinesis: Sequence[kinesis_bench.Round],
    kinesis_put: Sequence[kinesis_bench.Round],
    kafka: kafka_bench.KafkaResults,
    latency: Sequence[latency_bench.Run],
    settings: dict[str, Any],
) -> bytes:
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
            "raw": {
                "transforms": [asdict(one) for one in transforms],
                "kinesis": [asdict(one) for one in kinesis],
                "kinesis_put": [asdict(one) for one in kinesis_put],
                "kafka": asdict(kafka),
                "latency": [asdict(one) for one in latency],
            },
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
