"""How a worker's process ends: after it has done what it was last asked for, not at the signal itself.

Runners do not wait for what a finalisation begins, as the commit of offsets. When its job has ended, Flink's sends the
request to finalise the last bundles, hangs up, and has the worker pool send SIGTERM, all within milliseconds.
"""

from __future__ import annotations

import atexit
import faulthandler
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Hashable

_LOG = logging.getLogger(__name__)

# Beam's container kills its worker 5 s after SIGTERM, a worker pool 10 s after it.
_SECONDS = 4.0
_LOOK_SECONDS = 0.02

_lock = threading.Lock()
_last: dict[Hashable, tuple[str, Callable[[float], bool]]] = {}
_tell: int | None = None  # where the signal is written to


def before_end(key: Hashable, what: str, is_done: Callable[[float], bool]) -> None:
    """Have something done before this process ends, if it is a worker's own.

    Args:
        key: For `forget`.
        what: Names it, for the log.
        is_done: Does what can be done without waiting, and returns whether nothing is left; called again and again with
            the seconds since the end began.
    """
    _last[key] = what, is_done


def forget(key: Hashable) -> None:
    """Forget what was to be done."""
    _last.pop(key, None)


def end_in_good_order() -> None:
    """Have this process do what is left before it ends, by itself or by SIGTERM. Any thread may call this, once.

    Python has signals handled by the main thread, which has to let it, and here is Beam's. So all that the signal does
    is that `faulthandler` writes to a pipe, where a thread waits.
    """
    global _tell
    atexit.register(_finish)
    told, _tell = os.pipe()
    _catch_signal()
    # A child has its own end, at once, but the same pipe.
    os.register_at_fork(before=_let_signal_end, after_in_parent=_catch_signal)
    threading.Thread(target=_await_signal, args=(told,), name="end of the worker", daemon=True).start()


def _catch_signal() -> None:
    if _tell is not None:
        faulthandler.register(signal.SIGTERM, file=_tell, all_threads=False)


def _let_signal_end() -> None:
    faulthandler.unregister(signal.SIGTERM)


def _await_signal(told: int) -> None:
    os.read(told, 1)
    try:
        _finish()
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


def _finish() -> None:
    global _tell
    with _lock:  # who comes second waits for the first
        try:
            _do_what_is_left()
        finally:
            _last.clear()
            _tell = None
            _let_signal_end()


def _do_what_is_left() -> None:
    began = time.monotonic()
    while _last and (passed := time.monotonic() - began) < _SECONDS:
        for key, (_, is_done) in list(_last.items()):
            if is_done(passed):
                forget(key)
        time.sleep(_LOOK_SECONDS)
    if left := sorted({what for what, _ in _last.values()}):
        _LOG.warning("this worker has to end now and leaves undone: %s", "; ".join(left))
