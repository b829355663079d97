"""What belongs to the worker process and not to a DoFn: shared clients, and the wish to end.

On Flink each bundle that waits for its checkpoint keeps its own DoFn instance, so a client that a DoFn owned would be
made again for every bundle.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar, cast

from transforms.worker.ending import end_in_good_order

T = TypeVar("T")

_lock = threading.RLock()  # an object may be made of other shared objects
_shared: dict[Hashable, object] = {}

_LOOK_SECONDS = 0.1


class StopRequest:
    """A flag that a handler of signals may set, whatever the main thread is doing.

    A `threading.Event` has a lock. The main thread holds it for a moment as it waits, and a handler that sets the event
    just then would wait for its own thread, for ever.
    """

    def __init__(self) -> None:
        self._is_set = False

    def is_set(self) -> bool:
        """Return whether it is set."""
        return self._is_set

    def set(self) -> None:
        """Set it; those who wait notice within a tenth of a second."""
        self._is_set = True

    def clear(self) -> None:
        """Make it as it was at first."""
        self._is_set = False

    def wait(self, seconds: float) -> bool:
        """Sleep until it is set, so many seconds at most; return whether it is."""
        due = time.monotonic() + seconds
        while not self._is_set and (left := due - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_SECONDS))
        return self._is_set


stop_requested = StopRequest()
"""Set when the process is asked to end (SIGTERM, SIGINT): readers finish their bundle and read no further."""

_stop_deadline = float("inf")

held_up = ""
"""What keeps the process from reading at its start; "" for nothing."""

_waiting: dict[Hashable, Callable[[], Sequence[str]]] = {}

failure: Exception | None = None
"""Why a bundle failed in this process, the first reason since `start_run`."""


def request_stop(grace_seconds: float) -> None:
    """Ask readers to read no further, and deliveries that wait for AEP to give up after so many seconds."""
    global _stop_deadline
    _stop_deadline = time.monotonic() + grace_seconds
    stop_requested.set()


def start_run() -> None:
    """Forget the last run's stop and failure: a process may run several pipelines, one after another."""
    global _stop_deadline, failure, held_up
    _stop_deadline = float("inf")
    stop_requested.clear()
    failure = None
    held_up = ""


def time_left() -> float:
    """Return seconds until deliveries must have ended, infinite while the process is not asked to end."""
    return _stop_deadline - time.monotonic()


def pause(seconds: float) -> bool:
    """Sleep before something is tried again; True when it should not be, since the process is to end now."""
    if not stop_requested.wait(seconds):
        return False
    left = time_left()
    if left <= 0:
        return True
    time.sleep(min(seconds, left, 1.0))
    return False


def wait_for_turn(seconds: float) -> bool:
    """Sleeps, for as long as it takes; True at once when the process is to end before that."""
    due = time.monotonic() + seconds
    if stop_requested.wait(seconds):
        if due >= _stop_deadline:
            return True
        time.sleep(max(0.0, due - time.monotonic()))
    return False


@contextmanager
def holding_up(why: str) -> Iterator[Callable[[str], None]]:
    """Tell why the process does not read yet, while the `with` block lasts, which gets what changes the reason."""

    def say(reason: str) -> None:
        global held_up
        held_up = reason

    say(why)
    try:
        yield say
    finally:
        say("")


def watch_waiting(key: Hashable, reasons: Callable[[], Sequence[str]]) -> None:
    """Make known why batches wait to be sent again, one reason for each batch, to whoever asks `waiting`."""
    _waiting[key] = reasons


def unwatch_waiting(key: Hashable) -> None:
    """Forget what was made known by `watch_waiting`."""
    _waiting.pop(key, None)


def waiting() -> list[str]:
    """Return why batches of this process wait to be sent again, one reason for each of them."""
    return [reason for reasons in list(_waiting.values()) for reason in reasons()]


@contextmanager
def remember_failure() -> Iterator[None]:
    """Keep the first error raised inside: runners wrap errors in tracebacks, and people should see our words."""
    global failure
    try:
        yield
    except Exception as error:
        failure = failure or error
        from transforms.worker import metrics  # loads Beam, which commands without a pipeline do without

        metrics.count_here(metrics.FAILURES + type(error).__name__, 1)
        raise


def shared(key: Hashable, make: Callable[[], T]) -> T:
    """Return the process's one object for this key, made by the first caller while the others wait."""
    with _lock:
        if key not in _shared:
            _shared[key] = make()
        return cast("T", _shared[key])


def take(key: Hashable) -> object | None:
    """Remove and return the process's object for this key, None when there is none."""
    with _lock:
        return _shared.pop(key, None)


def tune_garbage_collector() -> None:
    """Let the collector run less often, for a process that is ours.

    Its passes would walk the parsed records of the chunks in flight again and again: half of the time of a worker.
    Much less often, and what Beam leaves in cycles with each bundle would fill the memory before it is collected.
    """
    gc.set_threshold(50_000, 50, 50)


def set_up_worker() -> None:
    """Set the garbage collector, Beam's sampling thread and how it ends, once, where Beam started this process as a
    worker (container or worker pool).

    Called as a DoFn is set up: the bundle processor that does so keeps its sampling thread, those after it have the
    other one. A runner makes one for each bundle that waits for its checkpoint. A user's own program, in which Beam's
    worker is a thread (LOOPBACK, EMBEDDED, FnApiRunner), keeps its settings.
    """
    shared("worker is set up", _set_up_if_worker)


def _set_up_if_worker() -> None:
    if _is_worker_process():
        from transforms.worker.state_sampler import end_bundles_at_once  # loads Beam

        tune_garbage_collector()
        end_bundles_at_once()
        end_in_good_order()


def _is_worker_process() -> bool:
    """Return whether the process has nothing else to do than be a worker: its main thread runs Beam's harness.

    So it is in all ways in which Beam starts one: `sdk_worker_main` (containers, `environment_type=PROCESS`) and
    the `python -c` of a worker pool without a container's executable.
    """
    from apache_beam.runners.worker.sdk_worker import SdkHarness  # costly, and loaded already where a DoFn is set up

    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None:
        if frame.f_code is SdkHarness.run.__code__:
            return True
        frame = frame.f_back
    return False
