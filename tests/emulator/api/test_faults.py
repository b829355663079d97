import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.api.faults import Faults, FaultState, Verdict, decide, misfit, pick_status, retry_after_header


def never() -> float:
    return 0.999999


def always() -> float:
    return 0.0


@pytest.mark.parametrize(
    ("faults", "draw", "verdict"),
    [
        ({}, always, Verdict()),
        ({"latency_ms": 50}, always, Verdict(0.05)),
        ({"latency_ms": 50, "jitter_ms": 100}, lambda: 0.5, Verdict(0.1)),
        ({"rate": {"429": 0.1}}, always, Verdict(status=429)),
        ({"rate": {"429": 0.1}}, never, Verdict()),
        ({"rate": {"429": 0.1, "503": 0.2}}, lambda: 0.15, Verdict(status=503)),
        ({"outage_until": 101}, never, Verdict(status=503)),
        ({"outage_until": 100}, never, Verdict()),
        ({"outage_until": 101, "outage_mode": "reset"}, never, Verdict(reset="before")),
        ({"reset_rate": 0.5}, always, Verdict(reset="before")),
        ({"reset_rate": 0.5, "reset_when": "after"}, always, Verdict(reset="after")),
        ({"reset_rate": 0.5}, never, Verdict()),
    ],
)
def test_decide(faults: dict[str, Any], draw: Any, verdict: Verdict) -> None:
    assert decide(Faults(**faults), draw, now=100) == pytest.approx(verdict)


@given(
    st.dictionaries(st.integers(400, 599).map(str), st.floats(0, 0.25), max_size=4),
    st.floats(0, 1, exclude_max=True),
)
def test_pick_status_draws_one_of_the_shares_or_none(shares: dict[str, float], number: float) -> None:
    picked = pick_status(shares, lambda: number)
    below = 0.0
    expected = None
    for status, share in shares.items():
        if expected is None and number - below < share:
            expected = int(status)
        below += share
    if expected != picked:  # only rounding at a border may differ
        assert any(abs(number - sum(list(shares.values())[:n])) < 1e-9 for n in range(1, len(shares) + 1))


def test_pick_status_keeps_the_shares() -> None:
    draw = random.Random(1).random
    picked = [pick_status({"429": 0.1, "500": 0.3}, draw) for _ in range(10_000)]
    assert 900 < picked.count(429) < 1100
    assert 2800 < picked.count(500) < 3200


@pytest.mark.parametrize(
    ("value", "status", "headers"),
    [
        (None, 429, {}),
        (3, 429, {"Retry-After": "3"}),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 503, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}),
        (3, 500, {}),
    ],
)
def test_retry_after(value: Any, status: int, headers: dict[str, str]) -> None:
    assert retry_after_header(Faults(retry_after=value), status) == headers


@pytest.mark.parametrize(
    ("kind", "responses"),
    [("short", [1]), ("long", [1, 2, 2]), ("reversed", [2, 1])],
)
def test_misfit_responses(kind: str, responses: list[int]) -> None:
    assert misfit(kind, {"inletId": "i", "responses": [1, 2]}) == {"inletId": "i", "responses": responses}


def test_misfit_of_ids() -> None:
    answer = {"responses": [{"xactionId": "a"}, {"xactionId": "b", "status": 400}]}
    same = {"responses": [{"xactionId": "0:0:0"}, {"xactionId": "0:0:0", "status": 400}]}
    assert misfit("duplicate", answer) == same


def test_misfit_without_responses() -> None:
    assert misfit("missing", {"inletId": "i", "responses": [1]}) == {"inletId": "i"}
    assert misfit("not_json", {"inletId": "i", "responses": [1]}) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"latency": 5},
        {"latency_ms": -1},
        {"rate": {"200": 0.1}},
        {"rate": {"often": 0.1}},
        {"rate": {"429": -0.1}},
        {"rate": {"429": 0.6, "503": 0.6}},
        {"reset_when": "later"},
        {"dialect": "newest"},
    ],
)
def test_wrong_switches_are_refused_and_change_nothing(changes: dict[str, Any]) -> None:
    state = FaultState(lambda: 0)
    with pytest.raises(ValueError):
        state.change(changes)
    assert state.shown() == {}


def test_switches_merge_and_clear() -> None:
    state = FaultState(lambda: 1000)
    state.change({"latency_ms": 5})
    state.change({"outage_s": 10})
    state.change({"inlet": "a", "latency_ms": 7})
    assert state.effective("b").latency_ms == 5
    assert state.effective("b").outage_until == 1010
    assert (state.effective("a").latency_ms, state.effective("a").outage_until) == (7, 1010)

    restored = FaultState(lambda: 1000)
    restored.restore(state.shown())
    assert restored.shown() == state.shown()
    assert restored.effective("a") == state.effective("a")

    state.clear()
    assert state.effective("a") == Faults()


def test_seed_repeats_the_sequence() -> None:
    state = FaultState(lambda: 0)
    state.change({"seed": 5})
    first = [state.draw() for _ in range(5)]
    state.change({"seed": 5})
    assert [state.draw() for _ in range(5)] == first
