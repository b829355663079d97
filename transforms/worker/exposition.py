"""What a process exports to Prometheus: its counts and levels, by the names and units that Prometheus asks for.

All of it is made when it is asked for, from what `metrics` has counted, so it costs nothing while nobody looks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import accumulate
from typing import Literal

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.registry import Collector

from transforms.worker import metrics, process
from transforms.worker.latency import LATENCY

Labels = tuple[str, ...]


@dataclass(frozen=True)
class Snapshot:
    """The numbers of a process, or of several added up.

    Attributes:
        counts: Everything that is counted.
        levels: What rises and falls, by the name under which it is exported; None where it is not known.
    """

    counts: Counter[str]
    levels: Mapping[str, float | None]


@dataclass(frozen=True)
class Exported:
    """A metric that is exported.

    Attributes:
        name: Name of its family, without the suffixes that samples have (`_total`, `_bucket`, `_sum`, `_count`).
        kind: Kind of the family.
        help: What it says.
        labels: Names of its labels.
        counts: Return a counter's values, by the values of its labels.
        buckets: Return a histogram's values: counters of the same name as `metrics.observe` makes.
        bounds: Upper bounds of a histogram's buckets, in the unit in which it is counted.
        scale: What a histogram's values are divided by to come to the unit of its name.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Labels = ()
    counts: Callable[[Counter[str]], Mapping[Labels, int]] = lambda _: {}
    buckets: str = ""
    bounds: Sequence[int] = ()
    scale: int = 1


def _all(name: str) -> Callable[[Counter[str]], Mapping[Labels, int]]:
    return lambda counts: {(): counts[name]}


def _under(prefix: str, suffix: str = "") -> Callable[[Counter[str]], Mapping[Labels, int]]:
    """Return counters of a name by what stands between its beginning and its end."""

    def read(counts: Counter[str]) -> Mapping[Labels, int]:
        return {
            (name.removeprefix(prefix).removesuffix(suffix),): number
            for name, number in counts.items()
            if name.startswith(prefix) and name.endswith(suffix)
        }

    return read


def _from_0(
    name: str, read: Callable[[Counter[str]], Mapping[Labels, int]]
) -> Callable[[Counter[str]], Mapping[Labels, int]]:
    """Return counters of which one is there from the start: the first step of a new one goes unseen by `increase`."""
    return lambda counts: {(name,): 0, **read(counts)}


def _accepted(counts: Counter[str]) -> Mapping[Labels, int]:
    """Return accepted records by route; under "" those of a pipeline without routes."""
    found = dict(_under(metrics.BY_ROUTE, f"/{metrics.ACCEPTED}")(counts))
    without_route = counts[metrics.ACCEPTED] - sum(found.values())
    return {**found, ("",): without_route} if without_route > 0 else found


def _dead_letters(counts: Counter[str]) -> Mapping[Labels, int]:
    found: dict[Labels, int] = {}
    for (name,), number in _under(metrics.DEAD_LETTERS_OF)(counts).items():
        code, _, route = name.partition("/")
        found[route, code] = number
    return found


_TIME_BOUNDS = (
    *(5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000),
    *(10_000_000, 100_000_000),
)

IN_FLIGHT = "beam_aep_requests_in_flight"
WAITING = "beam_aep_batches_waiting"
LAG_RECORDS = "beam_aep_lag_records"
LAG_SECONDS = "beam_aep_lag_seconds"
LAST_POLL = "beam_aep_last_poll_timestamp_seconds"
LAST_ACCEPTED = "beam_aep_last_accepted_timestamp_seconds"

EXPORTED: tuple[Exported, ...] = (
    Exported(
        "beam_aep_read_records",
        "counter",
        "Records read, from Kafka, Kinesis, files or dead letters.",
        counts=_all(metrics.READ),
    ),
    Exported(
        "beam_aep_accepted_records",
        "counter",
        "Records that the destination has accepted.",
        ("route",),
        counts=_accepted,
    ),
    Exported(
        "beam_aep_dead_letters",
        "counter",
        "Records written to the dead letters. The route is empty where a record was refused before it had one.",
        ("route", "code"),
        counts=_dead_letters,
    ),
    Exported(
        "beam_aep_dropped_records",
        "counter",
        "Records that their route leaves out.",
        ("route",),
        counts=_under(metrics.BY_ROUTE, f"/{metrics.DROPPED}"),
    ),
    Exported(
        "beam_aep_tombstones", "counter", "Records without a value that were skipped.", counts=_all(metrics.TOMBSTONES)
    ),
    Exported(
        "beam_aep_passed_over_records",
        "counter",
        "Dead letters that a replay has read and not chosen.",
        counts=_all(metrics.PASSED_OVER),
    ),
    Exported(
        "beam_aep_repeats",
        "counter",
        "Profiles that say what the last record of theirs said (kinesis_to_kafka).",
        counts=_all(metrics.REPEATS),
    ),
    Exported(
        "beam_aep_repeats_dropped",
        "counter",
        "Those of the repeats that were dropped.",
        counts=_all(metrics.REPEATS_DROPPED),
    ),
    Exported(
        "beam_aep_repeated_ids",
        "counter",
        "Events with an `_id` that a different event has too.",
        ("route",),
        counts=_under(metrics.REPEATED_IDS),
    ),
    Exported("beam_aep_receipts", "counter", "Receipts written.", counts=_all(metrics.RECEIPTS)),
    Exported("beam_aep_requests", "counter", "Requests sent to the destination.", counts=_all(metrics.REQUESTS)),
    Exported(
        "beam_aep_request_bytes",
        "counter",
        "Bytes of the bodies of requests, before compression.",
        counts=_all(metrics.REQUEST_BYTES),
    ),
    Exported(
        "beam_aep_retries",
        "counter",
        "Sendings again: a status, `element` (of a 207), `mismatch`, `token` (refused with 401), or a network cause.",
        ("cause",),
        counts=_from_0("token", _under(metrics.RETRIES)),
    ),
    Exported(
        "beam_aep_possible_duplicates",
        "counter",
        "Records sent again although they may have arrived the first time.",
        counts=_all(metrics.DUPLICATES_POSSIBLE),
    ),
    Exported(
        "beam_aep_token_renewals", "counter", "Tokens fetched from IMS or read.", counts=_all(metrics.TOKEN_RENEWALS)
    ),
    Exported(
        "beam_aep_offsets_skipped",
        "counter",
        "Offsets of Kafka without a record: transaction markers, or compacted away.",
        counts=_all(metrics.OFFSETS_SKIPPED),
    ),
    Exported(
        "beam_aep_bundle_failures",
        "counter",
        "Errors that have failed a bundle, by their class. A local run ends with the first one.",
        ("error",),
        counts=_from_0("AuthenticationError", _under(metrics.FAILURES)),
    ),
    Exported(
        "beam_aep_latency_seconds",
        "histogram",
        "From the time that Kafka has for a record to its acceptance.",
        ("route",),
        buckets=LATENCY,
        bounds=_TIME_BOUNDS,
        scale=1_000,
    ),
    Exported(
        "beam_aep_delivery_duration_seconds",
        "histogram",
        "How long a batch took from its first request to its last answer.",
        ("route",),
        buckets=f"{metrics.DELIVERY_MILLISECONDS}/",
        bounds=metrics.BOUNDS[metrics.DELIVERY_MILLISECONDS],
        scale=1_000,
    ),
    Exported(
        "beam_aep_delivery_records",
        "histogram",
        "Records in a batch.",
        ("route",),
        buckets=f"{metrics.DELIVERY_MESSAGES}/",
        bounds=metrics.BOUNDS[metrics.DELIVERY_MESSAGES],
    ),
    Exported(
        "beam_aep_delivery_size_bytes",
        "histogram",
        "Bytes sent for a batch, those sent again included.",
        ("route",),
        buckets=f"{metrics.DELIVERY_BYTES}/",
        bounds=metrics.BOUNDS[metrics.DELIVERY_BYTES],
    ),
    Exported(IN_FLIGHT, "gauge", "Requests without an answer yet."),
    Exported(WAITING, "gauge", "Batches that wait to be sent again."),
    Exported(
        LAG_RECORDS, "gauge", "Records of Kafka's topics that this process has still to read; absent until known."
    ),
    Exported(LAG_SECONDS, "gauge", "How far reading a Kinesis stream is behind its newest record; absent until known."),
    Exported(LAST_POLL, "gauge", "When records were last asked for, in seconds since 1970; absent before that."),
    Exported(LAST_ACCEPTED, "gauge", "When a record was last accepted, in seconds since 1970; absent before that."),
)
"""All that is exported, beside `beam_aep_build_info` and `process_...`, which the client library adds."""


def describe(one: Exported) -> tuple[str, str, str, str]:
    """Return the name as queries have it, the kind, the labels and the help, as docs/operations.md lists them."""
    name = f"{one.name}_total" if one.kind == "counter" else one.name
    return f"`{name}`", one.kind, ", ".join(f"`{label}`" for label in one.labels), one.help


def snapshot() -> Snapshot:
    """Return the numbers of this process now."""
    milliseconds = metrics.highest(metrics.LAG_MILLISECONDS)
    levels = {
        IN_FLIGHT: metrics.level(metrics.IN_FLIGHT) or 0,
        WAITING: len(process.waiting()),
        LAG_RECORDS: metrics.level(metrics.LAG),
        LAG_SECONDS: None if milliseconds is None else milliseconds / 1000,
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
    for (name,), number in _under(one.buckets)(counts).items():
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


def registry(read: Callable[[], Snapshot] = snapshot) -> CollectorRegistry:
    """Return what Prometheus' client library serves.

    Args:
        read: Called whenever somebody asks.
    """
    found = CollectorRegistry()
    found.register(_OfThisProcess(read))
    ProcessCollector(registry=found)  # CPU seconds, memory, open files, time of start
    return found
