"""Two processes of one group against one, behind a collector that bounds what one process can post.

Each process may have few requests under way and waits for each, so that a process has time to spare; the machine's two
cores would otherwise be what is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.figure import Figure
from bench.rig import Load, Rig, new_name, set_up

LATENCY_MS, IN_FLIGHT = 100, 2

_PARTITIONS = 4
_FIRST = 100  # events that show that all runs
# Of the events: what is accepted before the first bundles are full and after one process has no more is left out.
_FROM, _TO = 0.1, 0.85


@dataclass(frozen=True)
class Round:
    """Events a second, with one process and with two."""

    one: float
    two: float


def measure(events: int, rounds: int) -> list[Round]:
    """Return rates for each round.

    Raises:
        ServiceUnavailable: This machine cannot run Apache Kafka; the message says what it lacks.
        ServiceError: A process ended.
    """
    with set_up() as rig:
        rig.emulator.faults(latency_ms=LATENCY_MS)
        measured = []
        for number in range(rounds):
            rates = {count: _rate(rig, count, events) for count in ((1, 2) if number % 2 == 0 else (2, 1))}
            measured.append(Round(rates[1], rates[2]))
        return measured


def figures(rounds: Sequence[Round]) -> Sequence[Figure]:
    """Return the figures that the raw numbers come to."""
    limited = f"{LATENCY_MS} ms latency, {IN_FLIGHT} requests a process"
    return [
        Figure(
            "two",
            f"Kafka to accepted (0.9 kB), {limited}: throughput of two processes / of one",
            [each.two / each.one for each in rounds],
        )
    ]


def _rate(rig: Rig, processes: int, events: int) -> float:
    topic = new_name()
    rig.fill(topic, _PARTITIONS, Load(_FIRST))
    before = rig.accepted() + _FIRST
    endless = {"kafka_stop_at": "never", "kafka_group_id": topic, "aep_max_in_flight": IN_FLIGHT}
    with rig.running([rig.command(topic, processes=processes, **endless)]) as running:
        rig.wait_until_committed(running, topic, topic, before)
        rig.wait(running, lambda: rig.broker.members(topic) == processes, f"{processes} members of the group")
        rig.produce(topic, Load(events))
        return rig.rate(running, before + round(_FROM * events), before + round(_TO * events))
