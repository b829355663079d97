"""The plan of faults: the same for the same seed, every kind in its turn, and room for records to flow."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.soak.chaos import (
    BROKER,
    LEAD_SECONDS,
    LOSE_ANSWERS,
    PIPELINE,
    SHORTEST_RUN,
    STOPS,
    TAIL_SECONDS,
    TROUBLES,
    Fault,
    edges,
    plan,
    switches,
)
from emulator.api.faults import Faults

SEEDS = st.integers(0, 2**32 - 1)
SECONDS = st.floats(SHORTEST_RUN, 1_800)


def lane(faults: list[Fault], kinds: object) -> list[Fault]:
    assert isinstance(kinds, dict)
    return [fault for fault in faults if fault.kind in kinds]


@given(SEEDS, SECONDS)
def test_a_seed_always_gives_the_same_plan_in_order_and_within_the_run(seed: int, seconds: float) -> None:
    faults = plan(seed, seconds)
    assert faults == plan(seed, seconds)
    assert [fault.start for fault in faults] == sorted(fault.start for fault in faults)
    assert all(fault.start >= LEAD_SECONDS and fault.end <= seconds - TAIL_SECONDS + 0.1 for fault in faults)


def test_another_seed_gives_another_plan() -> None:
    assert len({tuple((fault.kind, fault.start) for fault in plan(seed, 600)) for seed in range(20)}) == 20


@given(SEEDS, SECONDS)
def test_faults_of_a_lane_never_overlap_and_stops_leave_time_to_recover(seed: int, seconds: float) -> None:
    faults = plan(seed, seconds)
    for kinds in (TROUBLES, STOPS):
        for one, following in itertools.pairwise(lane(faults, kinds)):
            assert following.start >= one.end + kinds[one.kind].recovery - 0.2
    stopped = sum(fault.seconds for fault in lane(faults, STOPS))
    assert stopped < seconds / 2


@given(SEEDS)
def test_ten_minutes_meet_every_kind(seed: int) -> None:
    assert {fault.kind for fault in plan(seed, 600)} == {*TROUBLES, *STOPS}


@given(SEEDS)
def test_one_minute_meets_a_kill_of_the_pipeline_and_a_good_selection(seed: int) -> None:
    faults = plan(seed, 60)
    assert [fault.kind for fault in faults].count("pipeline_kill") == 1
    assert len({fault.kind for fault in lane(faults, STOPS)}) >= 3
    assert len({fault.kind for fault in lane(faults, TROUBLES)}) >= 5


@given(SEEDS, SECONDS)
def test_the_pipeline_is_left_alone_in_the_second_half(seed: int, seconds: float) -> None:
    assert all(fault.start <= seconds / 2 for fault in plan(seed, seconds) if fault.kind in PIPELINE)


@given(SEEDS)
@settings(max_examples=30)
def test_the_emulator_takes_whatever_is_switched_on_together(seed: int) -> None:
    faults = plan(seed, 600)
    for moment in {edge.at for edge in edges(faults)}:
        active = [fault for fault in faults if fault.start <= moment < fault.end]
        assert len(active) <= 2
        together = switches(active)
        assert sum(len(fault.switches) for fault in active) == len(together)
        Faults.model_validate(together)


def test_edges_come_in_order_and_ends_before_beginnings() -> None:
    first, second = Fault(1, 2, "latency"), Fault(3, 1, "throttled")
    assert [(edge.at, edge.begins, edge.fault) for edge in edges([second, first])] == [
        (1, True, first),
        (3, False, first),
        (3, True, second),
        (4, False, second),
    ]


@pytest.mark.parametrize("names", [PIPELINE, LOSE_ANSWERS, BROKER])
def test_names_are_those_of_kinds(names: tuple[str, ...]) -> None:
    assert {*names} <= {*TROUBLES, *STOPS}
