"""How a demo ends before its end: by each of these signals as by Ctrl-C, and with nothing of it left running."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_END_SECONDS = 30  # what a program gets to end in good order


def handle_interrupts() -> None:
    """Let each of the signals raise KeyboardInterrupt."""
    for number in INTERRUPTS:
        signal.signal(number, _interrupt)


def run_to_end(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program to its end and return its exit code; what it prints goes to the terminal.

    It has a session of its own, so that Ctrl-C reaches it through here, once, as the request to end in good order.
    """
    process = None
    try:
        with _interrupted_later():
            process = subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603 - our own
        return process.wait()
    except KeyboardInterrupt:
        if process is not None:
            process.terminate()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        raise


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def _interrupted_later() -> Iterator[None]:
    """Let signals that interrupt the demo do so at the end of the block.

    A process in the middle of whose start it is interrupted would run on, and nobody would know it.
    """
    came: list[int] = []
    handlers = {number: signal.signal(number, lambda number, _: came.append(number)) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt
