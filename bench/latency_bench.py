"""Latency: from a record's time in Kafka to its acceptance, of a pipeline that has caught up and is fed evenly.

The pipeline measures it itself, as in every run; the collector answers at once.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from bench.figure import Figure
from bench.rig import Load, Rig, new_name, set_up
from testing.services.process import PATIENCE_SECONDS, ServiceError, wait_for

RATES = (50, 1_000)
"""Events a second."""

LOW_LATENCY = "low-latency.yaml"
SETTINGS = {"default": (), LOW_LATENCY: (Path(__file__).parents[1] / "configs" / LOW_LATENCY,)}
"""Files of options by what their figures are called."""

_PARTITIONS = 4
_WARM_UP_RUNS, _WARM_UP_EVENTS = 5, 10_000


@dataclass(frozen=True)
class Run:
    """One run: quantiles in milliseconds, and what they took."""

    settings: str
    rate: int
    p50: int
    p95: int
    p99: int
    requests_per_second: float


def measure(seconds: float, rounds: int) -> list[Run]:
    """Return a run for each round, rate and kind of settings.

    Args:
        seconds: How long events come in each.
        rounds: How often all of it is done.

    Raises:
        ServiceUnavailable: This machine cannot run Apache Kafka; the message says what it lacks.
        ServiceError: A run failed, or did not deliver each event.
    """
    with set_up() as rig:
        _warm_up(rig)
        return [_run(rig, settings, rate, seconds) for _ in range(rounds) for rate in RATES for settings in SETTINGS]


def figures(runs: Sequence[Run]) -> Sequence[Figure]:
    """Return the figures that the raw numbers come to."""
    found: list[Figure] = []
    for rate in RATES:
        for settings in SETTINGS:
            those = [one for one in runs if (one.rate, one.settings) == (rate, settings)]
            name = f"latency at {rate:,} events/s, {settings}"
            key = f"{Path(settings).stem}-{rate}"
            found.append(Figure(f"{key}-p50", f"{name}: p50, ms", [one.p50 for one in those]))
            found.append(Figure(f"{key}-p95", f"{name}: p95, ms", [one.p95 for one in those]))
            found.append(Figure(f"{key}-p99", f"{name}: p99, ms", [one.p99 for one in those]))
    return found


def _warm_up(rig: Rig) -> None:
    """Write to the broker and read from it until Java has compiled what that takes."""
    topic = "warm-up"
    rig.broker.create_topic(topic, _PARTITIONS)
    for _ in range(_WARM_UP_RUNS):
        rig.produce(topic, Load(_WARM_UP_EVENTS))
        rig.broker.consume_all(topic)


def _run(rig: Rig, settings: str, rate: int, seconds: float) -> Run:
    events = max(1, round(rate * seconds))
    topic, before = new_name(), rig.accepted()
    rig.broker.create_topic(topic, _PARTITIONS)
    summary = rig.folder / f"{topic}.json"
    with rig.running([rig.command(topic, *SETTINGS[settings], summary_file=str(summary))]) as (pipeline,):
        # One event more: it waits for the pipeline to start, and is too few to show among the quantiles.
        rig.produce(topic, Load(1))
        rig.wait_until_accepted([pipeline], before + 1)
        rig.produce_evenly(topic, events, rate)
        rig.wait_until_accepted([pipeline], before + events + 1)
        pipeline.signal(signal.SIGINT)
        wait_for(lambda: not pipeline.running, PATIENCE_SECONDS, "the end of the pipeline")
    account = orjson.loads(summary.read_bytes())
    found = account["latency_milliseconds"]
    if found["records"] != events + 1:
        raise ServiceError(f"{found['records']} events measured, {events + 1} expected")
    requests_per_second = (account["requests"] - 1) / (events / rate)
    return Run(settings, rate, found["p50"], found["p95"], found["p99"], requests_per_second)
