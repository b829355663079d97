"""Which numbers a process exports to Prometheus, by the names and units that Prometheus asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from transforms.worker import metrics
from transforms.worker.latency import LATENCY

Labels = tuple[str, ...]


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


def under(prefix: str, suffix: str = "") -> Callable[[Counter[str]], Mapping[Labels, int]]:
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
    found = dict(under(metrics.BY_ROUTE, f"/{metrics.ACCEPTED}")(counts))
    without_route = counts[metrics.ACCEPTED] - sum(found.values())
    return {**found, ("",): without_route} if without_route > 0 else found


def _dead_letters(counts: Counter[str]) -> Mapping[Labels, int]:
    found: dict[Labels, int] = {}
    for (name,), number in under(metrics.DEAD_LETTERS_OF)(counts).items():
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
READY = "beam_aep_ready"
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
        "Records dropped by a rule of their route.",
        ("route",),
        counts=under(metrics.BY_ROUTE, f"/{metrics.DROPPED}"),
    ),
    Exported(
        "beam_aep_tombstones", "counter", "Records without a value that were skipped.", counts=_all(metrics.TOMBSTONES)
    ),
    Exported(
        "beam_aep_passed_over_records",
        "counter",
        "Dead letters that a replay has read and not selected.",
        counts=_all(metrics.PASSED_OVER),
    ),
    Exported(
        "beam_aep_repeats",
        "counter",
        "Records that say the same as the last one of their profile (kinesis_to_kafka).",
        counts=_all(metrics.REPEATS),
    ),
    Exported(
        "beam_aep_repeats_dropped",
        "counter",
        "Repeats that were dropped.",
        counts=_all(metrics.REPEATS_DROPPED),
    ),
    Exported(
        "beam_aep_repeated_ids",
        "counter",
        "Events whose `_id` a different event has too.",
        ("route",),
        counts=under(metrics.REPEATED_IDS),
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
        "Retries by cause: a status, `mismatch`, `token` (refused with 401), a network cause: each is a request; or "
        "`element`: each is a record that a 207 asks for again. "
        "Counted when they are sent; for Kinesis when they are planned.",
        ("cause",),
        counts=_from_0("token", under(metrics.RETRIES)),
    ),
    Exported(
        "beam_aep_possible_duplicates",
        "counter",
        "Records sent again, or left to be read again, although they may have arrived the first time.",
        counts=_all(metrics.DUPLICATES_POSSIBLE),
    ),
    Exported(
        "beam_aep_token_renewals",
        "counter",
        "Tokens fetched from IMS, or read from their reference.",
        counts=_all(metrics.TOKEN_RENEWALS),
    ),
    Exported(
        "beam_aep_offsets_skipped",
        "counter",
        "Kafka offsets without a record: transaction markers, or records compacted away.",
        counts=_all(metrics.OFFSETS_SKIPPED),
    ),
    Exported(
        "beam_aep_bundle_failures",
        "counter",
        "Errors that failed a bundle, by class. A local run ends with the first one.",
        ("error",),
        counts=_from_0("AuthenticationError", under(metrics.FAILURES)),
    ),
    Exported(
        "beam_aep_latency_seconds",
        "histogram",
        "From a record's timestamp in Kafka to its acceptance.",
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
        "Bytes sent for a batch, retries included.",
        ("route",),
        buckets=f"{metrics.DELIVERY_BYTES}/",
        bounds=metrics.BOUNDS[metrics.DELIVERY_BYTES],
    ),
    Exported(IN_FLIGHT, "gauge", "Requests without an answer yet."),
    Exported(WAITING, "gauge", "Batches that wait to be sent again."),
    Exported(
        LAG_RECORDS,
        "gauge",
        "Records in Kafka that this process still has to read; absent until known, and while the brokers are silent.",
    ),
    Exported(LAG_SECONDS, "gauge", "How far reading a Kinesis stream is behind its newest record; absent until known."),
    Exported(READY, "gauge", "1 while `/ready` answers 200, else 0."),
    Exported(LAST_POLL, "gauge", "When records were last asked for, in seconds since 1970; absent before that."),
    Exported(LAST_ACCEPTED, "gauge", "When a record was last accepted, in seconds since 1970; absent before that."),
)
"""All that is exported, beside `beam_aep_build_info` and `process_...`, which the client library adds."""


def describe(one: Exported) -> tuple[str, str, str, str]:
    """Return the name as queries have it, the kind, the labels and the help, as docs/operations.md lists them."""
    name = f"{one.name}_total" if one.kind == "counter" else one.name
    return f"`{name}`", one.kind, ", ".join(f"`{label}`" for label in one.labels), one.help
