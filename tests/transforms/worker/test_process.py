from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from testing.services.process import BUSY_SECONDS, PATIENCE_SECONDS
from transforms.worker import process


def test_an_object_is_made_once_for_all_threads() -> None:
    made: list[object] = []

    def make() -> object:
        made.append(object())
        return made[-1]

    key = ("test", object())
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(process.shared(key, make))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [made[0]] * 8
    assert process.take(key) is made[0]
    assert process.take(key) is None


def test_an_object_may_be_made_of_another() -> None:
    inner, outer = ("inner", object()), ("outer", object())
    assert process.shared(outer, lambda: [process.shared(inner, lambda: 1)]) == [1]


def test_the_first_failure_is_remembered_until_the_next_run() -> None:
    for words in ("first", "second"):
        with pytest.raises(RuntimeError, match=words), process.remember_failure():
            raise RuntimeError(words)
    assert str(process.failure) == "first"
    process.start_run()
    assert process.failure is None


def test_a_pause_lasts_and_says_go_on() -> None:
    started = time.monotonic()
    assert process.pause(0.05) is False
    assert time.monotonic() - started >= 0.05


def test_a_pause_is_cut_short_by_the_wish_to_end_and_gives_up_after_the_grace() -> None:
    threading.Timer(0.05, process.request_stop, [0.3]).start()
    started = time.monotonic()
    assert process.pause(60) is False  # there is still time for another try
    assert process.stop_requested.is_set()
    while not process.pause(0.05):
        assert time.monotonic() - started < BUSY_SECONDS
    assert time.monotonic() - started >= 0.3


def test_without_grace_nothing_is_tried_again() -> None:
    process.request_stop(0)
    assert process.pause(0) is True


def test_a_turn_is_waited_for_as_long_as_the_grace_lasts() -> None:
    process.request_stop(60)
    started = time.monotonic()
    assert process.wait_for_turn(0.1) is False
    assert time.monotonic() - started >= 0.1
    assert process.wait_for_turn(70) is True
    assert time.monotonic() - started < BUSY_SECONDS


def test_a_turn_is_waited_for_when_the_wish_to_end_comes_meanwhile() -> None:
    timer = threading.Timer(0.05, process.request_stop, [60])
    timer.start()
    started = time.monotonic()
    assert process.wait_for_turn(0.3) is False
    assert time.monotonic() - started >= 0.3
    timer.join()  # its request is not to reach the next test


def test_the_time_left_is_infinite_until_the_process_is_asked_to_end() -> None:
    assert process.time_left() == float("inf")
    process.request_stop(60)
    assert 0 < process.time_left() <= 60
    process.start_run()
    assert process.time_left() == float("inf")


# A signal comes at each line that the main thread executes as it waits, at another one in each wait.
SIGNALS = """
import signal, sys
from transforms.worker import process

def trace(*_):
    global left
    left -= 1
    if left == 0:
        signal.raise_signal(signal.SIGTERM)
    return trace

signal.signal(signal.SIGTERM, lambda *_: process.request_stop(60))
line = left = 0
while left <= 0:
    process.start_run()
    line = left = line + 1
    sys.settrace(trace)
    process.pause(0.001)
    sys.settrace(None)
    assert left > 0 or process.stop_requested.is_set()
print(line)
"""


def test_a_signal_at_any_moment_of_a_pause_is_a_wish_to_end() -> None:
    command = [sys.executable, "-c", SIGNALS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True)
    assert int(done.stdout) > 5
