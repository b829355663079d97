from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aep.errors import StoppedError
from aep.ingestion.limits import RequestLimit, Window
from testing.services.process import PATIENCE_SECONDS, wait_for


def test_a_round_of_good_replies_adds_one() -> None:
    window = Window(4.0, 16)
    for _ in range(4):
        window = window.after_good()
    assert 4.8 < window.size <= 5.0


def test_overload_halves_and_what_failed_together_counts_once() -> None:
    window = Window(16.0, 16).after_overload(now=100.0)
    assert window.size == 8.0
    assert window.after_overload(now=100.5).size == 8.0
    assert window.after_overload(now=101.5).size == 4.0


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 5)), max_size=200), st.integers(1, 64))
def test_the_window_stays_between_one_and_its_ceiling(steps: list[tuple[bool, float]], ceiling: int) -> None:
    window, now = Window(float(ceiling), ceiling), 0.0
    for overload, seconds in steps:
        now += seconds
        window = window.after_overload(now) if overload else window.after_good()
        assert 1.0 <= window.size <= ceiling


def test_no_more_are_under_way_than_there_is_room_for() -> None:
    limit = RequestLimit(3, None)
    under_way, most, lock = 0, 0, threading.Lock()
    together = threading.Barrier(3, timeout=PATIENCE_SECONDS)

    def send() -> None:
        nonlocal under_way, most
        with limit.slot(1):
            with lock:
                under_way += 1
                most = max(most, under_way)
            together.wait()
            with lock:
                under_way -= 1

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda _: send(), range(12)))
    assert most == 3


def test_first_come_first_served() -> None:
    limit = RequestLimit(1, None)
    served: list[int] = []

    def send(number: int) -> None:
        with limit.slot(1):
            served.append(number)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(5)]
    with limit.slot(1):
        for count, thread in enumerate(threads, 1):
            thread.start()
            wait_for(lambda count=count: len(limit._queue) == count, PATIENCE_SECONDS, "the thread to wait")  # type: ignore[misc]
    send(5)  # who has just been served does not come before those who wait
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert served == [0, 1, 2, 3, 4, 5]


def test_a_narrowed_window_holds_back_and_a_widened_one_lets_go() -> None:
    limit = RequestLimit(2, None)
    limit.note(overload=True)
    assert limit.size == 1
    entered = threading.Event()

    def second() -> None:
        with limit.slot(1):
            entered.set()

    with limit.slot(1):
        thread = threading.Thread(target=second)
        thread.start()
        assert not entered.wait(0.2)
        limit.note(overload=False)
        assert entered.wait(PATIENCE_SECONDS)
    thread.join()


def test_messages_per_second_are_spread_over_time() -> None:
    now, waits = 0.0, []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return False

    limit = RequestLimit(8, messages_per_second=100, clock=lambda: now, wait=wait)
    for _ in range(3):
        with limit.slot(50):
            pass
    assert waits == [0.5, 1.0]


def test_a_turn_that_comes_after_the_end_is_given_up() -> None:
    limit = RequestLimit(8, messages_per_second=100, clock=lambda: 0.0, wait=lambda seconds: seconds > 1)
    for _ in range(2):
        with limit.slot(100):
            pass
    with pytest.raises(StoppedError, match="they will be read again"), limit.slot(100):
        pytest.fail("sent after the end")
    assert limit.under_way == 0


def test_what_waits_for_room_at_the_end_is_given_up() -> None:
    ended: list[str] = []
    limit = RequestLimit(1, None, wait=lambda seconds: True)

    def second() -> None:
        with pytest.raises(StoppedError), limit.slot(1):
            pytest.fail("sent after the end")
        ended.append("given up")

    with limit.slot(1):
        thread = threading.Thread(target=second)
        thread.start()
        wait_for(lambda: limit._queue, PATIENCE_SECONDS, "the second to wait")
    thread.join(PATIENCE_SECONDS)
    assert ended == ["given up"]
