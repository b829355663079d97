"""What an event costs, however many there are and whatever the topic's partitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.figure import Figure
from bench.measure import cpu_seconds
from bench.rig import EMPTY, Load, Rig, new_name, set_up

FEW = 10_000
"""Events of the smallest load."""

_TIMES = 10
_ONE, _MANY = 1, 12  # partitions
_BY_ONE, _BY_MANY = "one-partition", "many-partitions"


@dataclass(frozen=True)
class Round:
    """CPU seconds of an event, what starting and ending take left out.

    Attributes:
        few: Of 10,000 events that come at once to a pipeline that has caught up, again and again, 12 partitions.
        one_partition: Of a run over one partition.
        many_partitions: Of a run over 12.
    """

    few: float
    one_partition: float
    many_partitions: float


@dataclass(frozen=True)
class GrowthResults:
    """All that was measured; `of_many` are CPU seconds of an event in a run of `many`."""

    events: int
    rounds: list[Round]
    many: int
    of_many: float


def measure(events: int, rounds: int) -> GrowthResults:
    """Return what an event costs in each of these loads; the longest run, of ten times the events, is done once.

    Raises:
        ServiceUnavailable: This machine cannot run Apache Kafka; the message says what it lacks.
        ServiceError: A run failed, or did not deliver each event exactly once.
    """
    many = events * _TIMES
    with set_up() as rig:
        rig.fill(_BY_ONE, _ONE, Load(events))
        rig.fill(_BY_MANY, _MANY, Load(events))
        measured = []
        for _ in range(rounds):
            start_up = rig.run(EMPTY, 0)
            by_one = rig.run(_BY_ONE, events).beyond(start_up).cpu_seconds / events
            by_many = rig.run(_BY_MANY, events).beyond(start_up).cpu_seconds / events
            measured.append(Round(_in_bursts(rig), by_one, by_many))
        rig.produce(_BY_MANY, Load(many - events))
        of_many = rig.run(_BY_MANY, many).beyond(rig.run(EMPTY, 0)).cpu_seconds / many
        return GrowthResults(events, measured, many, of_many)


def figures(results: GrowthResults) -> Sequence[Figure]:
    """Return the figures that the raw numbers come to."""
    rounds, what = results.rounds, "Kafka to accepted (0.9 kB): CPU time of an event"
    return [
        Figure(
            "events",
            f"{what} in {results.many:,} / in {FEW:,}, {_MANY} partitions",
            [results.of_many / one.few for one in rounds],
        ),
        Figure(
            "partitions",
            f"{what} with {_MANY} partitions / with {_ONE}",
            [one.many_partitions / one.one_partition for one in rounds],
        ),
    ]


def _in_bursts(rig: Rig) -> float:
    """Return CPU seconds of an event of small loads, of a process that runs on: it starts once for all of them."""
    topic = new_name()
    rig.broker.create_topic(topic, _MANY)
    used = 0.0
    with rig.running([rig.command(topic, kafka_stop_at="never", kafka_group_id=topic)]) as (pipeline,):
        for number in range(_TIMES + 1):
            pipeline.pause()  # so that all are there when it reads on
            rig.produce(topic, Load(FEW))
            expected, before = rig.accepted() + FEW, cpu_seconds(pipeline.pid)
            pipeline.resume()
            rig.wait_until_committed([pipeline], topic, topic, expected)
            if number:  # the first is for the start
                used += cpu_seconds(pipeline.pid) - before
    return used / (_TIMES * FEW)
