"""From Kafka to accepted: the pipeline as users run it, a real Apache Kafka, and a collector that only counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.figure import Figure
from bench.measure import Usage, cpu_share
from bench.rig import EMPTY, Load, Rig, new_name, set_up

LATENCY_MS = 50

_TOPIC, _PARTITIONS = "loyalty-events", 4


@dataclass(frozen=True)
class Round:
    """The same events without latency, with it, and with it in the order of their keys; what a run over an empty topic
    takes is subtracted.
    """

    events: int
    start_up: Usage
    without_latency: Usage
    with_latency: Usage
    in_order: Usage


@dataclass(frozen=True)
class KafkaResults:
    """All that was measured; `idle_share` is the share of a core that a pipeline uses that has caught up."""

    rounds: list[Round]
    idle_share: float


def measure(events: int, rounds: int, idle_seconds: float) -> KafkaResults:
    """Start the services, fill a topic, and read it again and again.

    Raises:
        ServiceUnavailable: This machine cannot run Apache Kafka; the message says what it lacks.
        ServiceError: A run failed, or did not deliver each event exactly once.
    """
    with set_up() as rig:
        rig.fill(_TOPIC, _PARTITIONS, Load(events))
        # First, since it also warms the broker up.
        idle_share = _idle_share(rig, events, idle_seconds)
        return KafkaResults([_round(rig, events, number) for number in range(rounds)], idle_share)


def figures(results: KafkaResults) -> Sequence[Figure]:
    """Return the figures that the raw numbers come to."""
    rounds = results.rounds
    to_accepted = "Kafka to accepted (0.9 kB)"
    delayed = f"{to_accepted}, {LATENCY_MS} ms latency"
    return [
        Figure(
            "cpu",
            f"{to_accepted}: CPU seconds per million events",
            [one.without_latency.cpu_seconds / one.events * 1e6 for one in rounds],
        ),
        Figure("rate", f"{to_accepted}: events/s", [one.events / one.without_latency.wall_seconds for one in rounds]),
        Figure("memory", f"{to_accepted}: peak memory, MB", [one.without_latency.peak_bytes / 1e6 for one in rounds]),
        Figure(
            "latency",
            f"{delayed}: throughput / that without",
            [one.without_latency.wall_seconds / one.with_latency.wall_seconds for one in rounds],
        ),
        Figure(
            "ordered",
            f"{to_accepted}, {LATENCY_MS} ms, by key: throughput / unordered",
            [one.with_latency.wall_seconds / one.in_order.wall_seconds for one in rounds],
        ),
        Figure("memory-delayed", f"{delayed}: peak memory, MB", [one.with_latency.peak_bytes / 1e6 for one in rounds]),
        Figure("idle", "caught up and idle: CPU, % of a core", [results.idle_share * 100]),
    ]


def _round(rig: Rig, events: int, number: int) -> Round:
    start_up = rig.run(EMPTY, 0)
    latencies = (0, LATENCY_MS) if number % 2 == 0 else (LATENCY_MS, 0)
    usages = {}
    for latency_ms in latencies:
        rig.emulator.faults(latency_ms=latency_ms)
        usages[latency_ms] = rig.run(_TOPIC, events).beyond(start_up)
    rig.emulator.faults(latency_ms=LATENCY_MS)
    in_order = rig.run(_TOPIC, events, aep_order="key").beyond(start_up)
    rig.emulator.faults(latency_ms=0)
    return Round(events, start_up, usages[0], usages[LATENCY_MS], in_order)


def _idle_share(rig: Rig, events: int, seconds: float) -> float:
    group = new_name()
    command = rig.command(_TOPIC, kafka_group_id=group, kafka_stop_at="never")
    expected = rig.accepted() + events
    with rig.running([command]) as (pipeline,):
        rig.wait_until_committed([pipeline], _TOPIC, group, expected)
        return cpu_share(pipeline.pid, seconds)
