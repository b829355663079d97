"""The page that Prometheus reads: a process' counts and levels, as `exported` names them.

All of it is made when it is asked for, from what `metrics` has counted, so it costs nothing while nobody looks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from itertools import accumulate

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.registry import Collector

from transforms.worker import metrics, process
from transforms.worker.children import Children, OfChildren, no_children
from transforms.worker.exported import (
    EXPORTED,
    IN_FLIGHT,
    LAG_RECORDS,
    LAG_SECONDS,
    LAST_ACCEPTED,
    LAST_POLL,
    READY,
    WAITING,
    Exported,
    under,
)


@dataclass(frozen=True)
class Snapshot:
    """The numbers of a process, or of several added up.

    Attributes:
        counts: Everything that is counted.
        levels: What rises and falls, by the name under which it is exported; None where it is not known.
    """

    counts: Counter[str]
    levels: Mapping[str, float | None]


def snapshot() -> Snapshot:
    """Return the numbers of this process now."""
    levels = {
        IN_FLIGHT: metrics.level(metrics.IN_FLIGHT) or 0,
        WAITING: len(process.waiting()),
        LAG_RECORDS: metrics.lag_records(),
        LAG_SECONDS: metrics.lag_seconds(),
        READY: None,  # which the monitor knows
        LAST_POLL: metrics.last(metrics.READ),
        LAST_ACCEPTED: metrics.last(metrics.ACCEPTED),
    }
    return Snapshot(metrics.process_counts(), levels)


def families(now: Snapshot) -> Iterator[Metric]:
    """Yield the numbers as Prometheus' client library takes them."""
    build = InfoMetricFamily("beam_aep_build", "The version that runs.")
    build.add_metric((), {"version": version("beam-aep")})
    yield build
    for one in EXPORTED:
        if one.kind == "counter":
            yield _counter(one, now.counts)
        elif one.kind == "histogram":
            yield _histogram(one, now.counts)
        else:
            gauge = GaugeMetricFamily(one.name, one.help)
            level = now.levels[one.name]
            if level is not None:
                gauge.add_metric((), level)
            yield gauge


def _counter(one: Exported, counts: Counter[str]) -> Metric:
    counter = CounterMetricFamily(one.name, one.help, labels=one.labels)
    for labels, number in sorted(one.counts(counts).items()):
        counter.add_metric(labels, number)
    return counter


def _histogram(one: Exported, counts: Counter[str]) -> Metric:
    histogram = HistogramMetricFamily(one.name, one.help, labels=one.labels)
    buckets: dict[str, list[int]] = {}
    sums: Counter[str] = Counter()
    for (name,), number in under(one.buckets)(counts).items():
        route, _, bound = name.rpartition("/")
        inside = buckets.setdefault(route, [0] * (len(one.bounds) + 1))
        if bound == metrics.SUM:
            sums[route] = number
        else:
            inside[bisect_left(one.bounds, float(bound))] += number
    names = [f"{bound / one.scale:g}" for bound in one.bounds] + ["+Inf"]
    for route, inside in sorted(buckets.items()):
        histogram.add_metric((route,), list(zip(names, accumulate(inside), strict=True)), sums[route] / one.scale)
    return histogram


class _OfThisProcess(Collector):
    def __init__(self, read: Callable[[], Snapshot]):
        self._read = read

    def collect(self) -> Iterator[Metric]:
        return families(self._read())


def registry(read: Callable[[], Snapshot] = snapshot, children: Children = no_children) -> CollectorRegistry:
    """Return what Prometheus' client library serves.

    Args:
        read: Called whenever somebody asks.
        children: Processes that work for this one, called as well.
    """
    found = CollectorRegistry()
    found.register(_OfThisProcess(read))
    found.register(OfChildren(children))
    ProcessCollector(registry=found)  # CPU seconds, memory, open files, time of start
    return found
