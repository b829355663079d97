from __future__ import annotations

from contextlib import ExitStack

import pytest

from pipelines.runtime.history import History
from transforms.worker import metrics
from transforms.worker.latency import Accepted, count_latencies, measure
from transforms.worker.under_way import UnderWay


@pytest.fixture(autouse=True)
def counts() -> None:
    metrics.reset()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_long_run_keeps_a_bounded_number_of_intervals_and_loses_nothing() -> None:
    clock = Clock()
    under_way = UnderWay(clock)
    history = History(most=8, clock=clock, under_way=under_way)
    for look in range(1_000):
        # All of them over long before the look.
        with ExitStack() as requests:
            for _ in range(7 if look == 333 else 1):
                requests.enter_context(under_way)
            clock.now += 0.25
        clock.now += 0.25
        metrics.count_here(metrics.READ, 10)
        metrics.count_here(metrics.ACCEPTED, 9)
        metrics.count_here(f"{metrics.DEAD_LETTERED}type", 1)
        history.look()
        assert len(history.intervals) <= 8
    found = history.intervals
    assert len(found) > 4  # not much coarser than it has to be
    assert sum(one.seconds for one in found) == 500
    assert [one.read / one.seconds for one in found] == [20] * len(found)
    assert sum(one.accepted for one in found) == 9_000
    assert sum(one.dead_lettered for one in found) == 1_000
    assert sorted({one.most_in_flight for one in found}) == [1, 7]
    assert sum(one.request_seconds for one in found) == 1_006 * 0.25


def test_latency_is_of_the_records_of_its_interval() -> None:
    clock = Clock()
    history = History(most=600, clock=clock)
    for milliseconds in (10, 1_000):
        count_latencies("events", measure([1_000_000], [Accepted(1, 1_000_000 + milliseconds)]))
        for _ in range(2):
            clock.now += 0.5
            history.look()
    first, second = history.intervals
    assert (first.latency.buckets, second.latency.buckets) == ({10: 1}, {1_000: 1})
    assert (first.latency.sum_milliseconds, second.latency.sum_milliseconds) == (10, 1_000)


def test_it_looks_by_itself_and_once_more_at_the_end() -> None:
    with History() as history:
        metrics.count_here(metrics.READ, 5)
    assert sum(one.read for one in history.intervals) == 5
