"""The account of a run: a table and a summary file at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from aep.mapping.repeated_ids import RepeatedIds
from pipelines.output.layout import Column
from pipelines.output.table import Table
from transforms.sinks.base import Sinks, describe_all
from transforms.worker import metrics
from transforms.worker.latency import Histogram, latencies

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
"""Of latency, as the report names them."""


def summary(counts: Counter[str], seconds: float, outcome: str, lag_milliseconds: int | None = None) -> dict[str, Any]:
    """Return the account as the summary file has it.

    `unaccounted` is what was read and neither accepted nor dead-lettered nor dropped by its route or as a repeat nor
    skipped as a tombstone nor, in a replay, passed over; it is 0 after a run that ended well.

    Args:
        counts: What was counted.
        seconds: How long the run took.
        outcome: How it ended.
        lag_milliseconds: How far it was behind at its end, of a run that reads Kinesis in this process.
    """
    dead_lettered = under(counts, metrics.DEAD_LETTERED)
    accepted, tombstones = counts[metrics.ACCEPTED], counts[metrics.TOMBSTONES]
    left_out = tombstones + counts[metrics.DROPPED] + counts[metrics.PASSED_OVER] + counts[metrics.REPEATS_DROPPED]
    return {
        "outcome": outcome,
        "read": counts[metrics.READ],
        "accepted": accepted,
        "dead_lettered": dead_lettered,
        "dropped": counts[metrics.DROPPED],
        "routes": _by_route(counts),
        "tombstones": tombstones,
        "passed_over": counts[metrics.PASSED_OVER],
        "repeats": counts[metrics.REPEATS],
        "repeats_dropped": counts[metrics.REPEATS_DROPPED],
        "unaccounted": counts[metrics.READ] - accepted - sum(dead_lettered.values()) - left_out,
        "requests": counts[metrics.REQUESTS],
        "request_bytes": counts[metrics.REQUEST_BYTES],
        "retries": under(counts, metrics.RETRIES),
        "duplicates_possible": counts[metrics.DUPLICATES_POSSIBLE],
        "receipts": counts[metrics.RECEIPTS],
        "token_renewals": counts[metrics.TOKEN_RENEWALS],
        "offsets_skipped": counts[metrics.OFFSETS_SKIPPED],
        "repeated_ids": {
            route: RepeatedIds(repeated, counts[f"{metrics.IDS_LOOKED_AT}{route}"])._asdict()
            for route, repeated in under(counts, metrics.REPEATED_IDS).items()
        },
        "latency_milliseconds": latency_summary(counts),
        "seconds": round(seconds, 3),
        **({} if lag_milliseconds is None else {"lag_milliseconds": lag_milliseconds}),
    }


def total_latency(counts: Counter[str]) -> Histogram:
    """Return the latencies of the records of all routes."""
    measured = Histogram()
    for by_route in latencies(counts).values():
        measured.add(by_route)
    return measured


def latency_summary(counts: Counter[str]) -> dict[str, int]:
    """Return, in milliseconds, how long after it was written to Kafka half of the records, 95 and 99 % of them were
    accepted; {} where none was measured.

    `records` is how many were measured: those that came from Kafka with a timestamp.
    """
    measured = total_latency(counts)
    if not measured.records:
        return {}
    quantiles = {name: round(measured.quantile(share)) for name, share in QUANTILES.items()}
    return {"records": measured.records, **quantiles}


def without_success(account_of_run: dict[str, Any]) -> str:
    """Return what to say when records of a route were dead-lettered and not one was accepted; "" when there is no such
    route.

    Where fields decide on the route, what was not parsed has none: then it counts that no record at all was accepted.
    """
    failed = {
        f" by route {name}": counts["dead_lettered"]
        for name, counts in account_of_run["routes"].items()
        if counts["dead_lettered"] and not counts["accepted"]
    }
    dead_lettered = sum(account_of_run["dead_lettered"].values())
    if not failed and not account_of_run["accepted"] and dead_lettered:
        failed = {"": dead_lettered}
    if not failed:
        return ""
    told = ",".join(f"{where} ({number:,} dead-lettered)" for where, number in failed.items())
    return (
        f"no record got through{told}: do the topic, its format and mapping, and the schema belong together? "
        "beam-aep dead-letters stats and beam-aep check show why"
    )


def warnings(account_of_run: dict[str, Any]) -> list[str]:
    """Return what the numbers of an account do not say by themselves, for people."""
    found = account_of_run["repeated_ids"].items()
    repeated = [f"warning: route {route}: {RepeatedIds(**numbers).warning}" for route, numbers in found]
    # A function that changes a record and forgets to return it drops it.
    dropped = [
        f"warning: route {route}: all of its {counts['dropped']:,} records were dropped. If its transform is meant to "
        "keep some, does it return them?"
        for route, counts in account_of_run["routes"].items()
        if counts["dropped"] and not counts["accepted"] and not counts["dead_lettered"]
    ]
    return [*repeated, *dropped]


def table(account_of_run: dict[str, Any], sinks: Sinks, title: str, destination: str) -> Table:
    grid = Table(f"{title}: {account_of_run['outcome']}", (Column("count"), Column("number", "figure")), headings=False)
    grid.add("read", f"{account_of_run['read']:,}")
    grid.add(f"accepted by {destination}", f"{account_of_run['accepted']:,}", style="green")
    for code, number in account_of_run["dead_lettered"].items():
        grid.add(f"dead-lettered: {code}", f"{number:,}", style="yellow")
    if account_of_run["dropped"]:
        grid.add("dropped by its route", f"{account_of_run['dropped']:,}")
    if account_of_run["tombstones"]:
        grid.add("tombstones skipped", f"{account_of_run['tombstones']:,}")
    if account_of_run["passed_over"]:
        grid.add("passed over", f"{account_of_run['passed_over']:,}")
    if account_of_run["repeats"]:
        grid.add("repeats", f"{account_of_run['repeats']:,}, of which {account_of_run['repeats_dropped']:,} dropped")
    style = "red" if account_of_run["unaccounted"] else "green"
    grid.add("unaccounted for", f"{account_of_run['unaccounted']:,}", style=style)
    grid.section()
    if account_of_run["requests"]:  # none where sinks write, as to a topic
        grid.add("requests", f"{account_of_run['requests']:,}")
    for cause, number in account_of_run["retries"].items():
        grid.add(f"sent again: {cause}", f"{number:,}", style="yellow")
    if account_of_run["requests"] or account_of_run["duplicates_possible"]:
        grid.add("possible duplicates", f"{account_of_run['duplicates_possible']:,}")
    for route, found in account_of_run["repeated_ids"].items():
        numbers = f"{found['repeated']:,} of {found['looked_at']:,}"
        grid.add(f"events that share an _id: {route}", numbers, style="yellow")
    if account_of_run["receipts"]:
        grid.add("receipts", f"{account_of_run['receipts']:,}")
    if account_of_run["accepted"] and account_of_run["requests"]:
        grid.add("latency", _latency(account_of_run))
    seconds = account_of_run["seconds"]
    grid.add("seconds", f"{seconds:,.1f}")
    grid.add("events/s", f"{account_of_run['read'] / seconds:,.0f}" if seconds else "-")
    if "lag_milliseconds" in account_of_run:
        grid.add("lag at the end", f"{account_of_run['lag_milliseconds'] / 1000:,.1f} s")
    grid.note = f"dead letters: {describe_all(sinks)}"
    return grid


def _latency(account_of_run: dict[str, Any]) -> str:
    measured = account_of_run["latency_milliseconds"]
    if not measured:
        return "not measured: files and replays have no time of arrival in Kafka"
    left_out = account_of_run["accepted"] - measured["records"]
    note = f"; {left_out:,} not measured" if left_out > 0 else ""
    shown = durations([measured[name] for name in QUANTILES])
    return ", ".join(f"{name} {time}" for name, time in zip(QUANTILES, shown, strict=True)) + note


def duration(milliseconds: float) -> str:
    """Return a time with three digits or so, in a unit that fits."""
    return durations([milliseconds])[0]


def durations(milliseconds: Sequence[float]) -> list[str]:
    """Return times to be compared, with three digits or so: all in one unit, in which none of them vanishes."""
    seconds = [each / 1_000 for each in milliseconds]
    shortest, longest = min(seconds), max(seconds)
    if longest < 1:
        return [f"{each:.0f} ms" for each in milliseconds]
    if shortest < 600:
        return [f"{each:,.{3 if each < 1 else 2 if each < 10 else 1}f} s" for each in seconds]
    unit, name = (60, "min") if shortest < 36_000 else (3_600, "h")
    return [f"{each / unit:,.0f} {name}" for each in seconds]


def _by_route(counts: Counter[str]) -> dict[str, dict[str, int]]:
    routes: dict[str, dict[str, int]] = {}
    for name, number in under(counts, metrics.BY_ROUTE).items():
        route, _, outcome = name.rpartition("/")
        routes.setdefault(route, {"accepted": 0, "dead_lettered": 0, "dropped": 0})[outcome] = number
    return routes


def under(counts: Counter[str], prefix: str) -> dict[str, int]:
    """Return the counts whose names begin with the prefix, by the rest of their names."""
    return {name.removeprefix(prefix): number for name, number in sorted(counts.items()) if name.startswith(prefix)}
