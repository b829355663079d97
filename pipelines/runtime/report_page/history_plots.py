"""The plots of a run's history."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pipelines.runtime.history import History, Interval
from pipelines.runtime.report import duration
from pipelines.runtime.report_page.plots import Line, Plot

Value = Callable[[Interval], float | None]


def plots(history: History, started: datetime) -> list[Plot]:
    """Return throughput, latency, requests in flight and lag over time, from the start of the run on."""
    intervals = [one for one in history.intervals if one.seconds > 0]
    times, seconds = [], 0.0
    for one in intervals:
        times.append(seconds + one.seconds / 2)
        seconds += one.seconds

    def plot(title: str, say: Callable[[float], str], *, by_tens: bool = False, **values: Value) -> Plot:
        lines = [Line(name, [value(one) for one in intervals]) for name, value in values.items()]
        return Plot(title, lines, times, seconds, started, say, by_tens)

    posts = any(one.requests for one in intervals)
    return [
        plot(
            "Throughput, events/s",
            _number,
            read=lambda one: one.read / one.seconds,
            accepted=lambda one: one.accepted / one.seconds,
            refused=lambda one: one.dead_lettered / one.seconds,
        ),
        plot("Latency", duration, by_tens=True, p50=_quantile(0.5), p99=_quantile(0.99)),
        *(
            [
                plot(
                    "Requests in flight",
                    _number,
                    mean=lambda one: one.request_seconds / one.seconds,
                    most=lambda one: one.most_in_flight,
                )
            ]
            if posts
            else []
        ),
        plot(f"Lag, {'seconds' if history.lag_in_seconds else 'records'}", _number, lag=lambda one: one.lag),
    ]


def _quantile(share: float) -> Value:
    return lambda one: one.latency.quantile(share) if one.latency.records else None


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"
