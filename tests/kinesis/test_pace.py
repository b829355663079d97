"""How fast a shard is written to, against a shard that keeps AWS's limits, or a part of them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinesis.pace import Pace
from tests.kinesis.simulated_shard import BYTES, RECORDS, Shard


def drive(pace: Pace, shard: Shard, start: float, seconds: float, size: int, delay: float = 0.02) -> tuple[int, int]:
    """Write as fast as the pace lets, always with more waiting; returns stored and refused."""
    now, stored, refused = start, 0, 0
    while now < start + seconds:
        pace.refill(now)
        wait = pace.seconds_until_ripe(10_000, size)
        if wait > 0:
            now += wait + 1e-6
            continue
        taken = 0
        while taken < 500 and pace.take([size]):
            taken += 1
        accepted = sum(shard.take(size, now + delay) for _ in range(taken))
        pace.note(accepted, taken - accepted, now, now + delay)
        stored, refused = stored + accepted, refused + taken - accepted
        now += delay
    return stored, refused


@pytest.mark.parametrize("size", [100, 1_000, 5_000, 300_000])
def test_the_limits_are_used_and_hardly_anything_is_refused(size: int) -> None:
    stored, refused = drive(Pace(0.0), Shard(1.0), 0.0, 30, size)
    assert refused <= 0.01 * stored
    assert stored >= 0.9 * 30 * min(RECORDS, BYTES / size)


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02])
def test_a_shard_that_gives_less_is_found_out(share: float) -> None:
    pace, shard = Pace(0.0), Shard(share)
    drive(pace, shard, 0.0, 20, 500)
    stored, refused = drive(pace, shard, 20.0, 60, 500)
    assert stored >= 0.8 * 60 * share * RECORDS
    assert refused <= 0.1 * stored


def test_after_a_shard_gave_nothing_it_is_soon_used_again() -> None:
    pace = Pace(0.0)
    stored, refused = drive(pace, Shard(0.0), 0.0, 120, 500)
    assert stored == 0
    assert refused < 2_000  # most of them the first second's store; then about one a second
    stored, _ = drive(pace, Shard(1.0), 120.0, 60, 500)
    assert stored >= 0.5 * 60 * RECORDS
    assert pace.share == 1.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 2_000_000), st.floats(0, 0.3)), min_size=1, max_size=60))
def test_no_second_gets_more_than_a_store_and_a_seconds_worth(steps: list[tuple[int, float]]) -> None:
    pace, now = Pace(0.0), 0.0
    taken: list[tuple[float, int]] = []
    for size, pause in steps:
        now += pause
        pace.refill(now)
        if pace.take([size]):
            taken.append((now, size))
    for at, _ in taken:
        window = [size for then, size in taken if at <= then < at + 1.0]
        assert sum(window) <= 2 * BYTES + max(size for size, _ in steps)


@given(st.integers(1, 3_000_000), st.integers(1, 5_000))
def test_what_is_ripe_can_be_taken(size: int, waiting: int) -> None:
    pace = Pace(0.0)
    rng = random.Random(size)
    now = 0.0
    for _ in range(20):
        while (wait := pace.seconds_until_ripe(waiting, size)) > 0:
            now += wait + 1e-6
            pace.refill(now)
        assert pace.take([size])
        pace.note(rng.randrange(3), rng.randrange(2), now, now)


def test_refusals_of_requests_before_the_cut_ask_for_no_other() -> None:
    pace = Pace(0.0)
    for _ in range(8):  # under way together
        pace.note(99, 100, 0.5, 0.6)
    assert pace.share == 0.5
    pace.note(99, 100, 0.7, 0.8)
    assert pace.share == 0.25


def test_a_few_unlucky_records_do_not_cut_deep() -> None:
    pace, now = Pace(0.0), 0.0
    for number in range(100):  # one by one, as of a single key in its order
        now += 0.05
        pace.refill(now)
        pace.note(int(number % 10 > 0), int(number % 10 == 0), now, now)
    assert pace.share > 0.3
