from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.worker import metrics
from transforms.worker.latency import BOUNDS, Accepted, Histogram, count_latencies, latencies, measure

NOW = 1_796_000_000_000
timestamps = st.lists(
    st.integers(-1, 0) | st.integers(NOW - 5_000, NOW + 500) | st.integers(1, 2**62), min_size=1, max_size=60
)


@given(timestamps)
def test_each_record_is_in_the_bucket_of_its_latency(written: list[int]) -> None:
    one_by_one = [max(0, NOW - at) for at in written if at > 0]
    found = measure(written, [Accepted(len(written), NOW)])
    assert found.buckets == Counter(BOUNDS[bisect_left(BOUNDS, one)] for one in one_by_one)
    assert found.sum_milliseconds == sum(one_by_one)
    assert found.records == len(one_by_one)


def test_a_clock_that_is_ahead_makes_no_negative_latency() -> None:
    found = measure([NOW + 60_000, NOW + 1], [Accepted(2, NOW)])
    assert (found.buckets, found.sum_milliseconds) == (Counter({1: 2}), 0)


def test_records_of_a_batch_count_as_they_are_accepted() -> None:
    steps = [Accepted(1, NOW + 90_000), Accepted(3, NOW)]
    assert measure([NOW - 100] * 4, steps).buckets == Counter({100: 3, 100_000: 1})


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_is_within_the_bucket_of_the_record_it_is_about(ages: list[int], share: float) -> None:
    exact = sorted(ages)[max(0, math.ceil(share * len(ages)) - 1)]
    index = bisect_left(BOUNDS, exact)
    low = BOUNDS[index - 1] if index else 0
    assert low <= measure([NOW - age for age in ages], [Accepted(len(ages), NOW)]).quantile(share) <= BOUNDS[index]


def test_quantiles_of_a_second_are_told_within_a_few_per_cent() -> None:
    found = measure([NOW - age for age in range(1, 1_001)], [Accepted(1_000, NOW)])
    assert [found.quantile(share) for share in (0.5, 0.95, 0.99)] == pytest.approx([500, 950, 990], rel=0.01)
    assert Histogram().quantile(0.5) == 0


def test_counters_keep_the_routes_apart_and_add_up() -> None:
    metrics.reset()
    for route, age in (("events", 30), ("events", 300), ("a.b-c_d", 30)):
        count_latencies(route, measure([NOW - age], [Accepted(1, NOW)]))
    metrics.count(metrics.ACCEPTED, 3)
    found = latencies(metrics.process_counts())
    assert {route: one.buckets for route, one in found.items()} == {"events": {31: 1, 315: 1}, "a.b-c_d": {31: 1}}
    assert found["events"].sum_milliseconds == 330
    found["events"].add(found["a.b-c_d"])
    assert found["events"].buckets == {31: 2, 315: 1}
    assert found["events"].records == 3


def test_the_bounds_that_dashboards_use_are_among_the_buckets() -> None:
    assert list(BOUNDS) == sorted(set(BOUNDS))
    assert {25 * 10**power // 10 for power in range(1, 9)} | {5 * 10**power for power in range(9)} <= set(BOUNDS)
