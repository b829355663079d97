"""Ends a run in this process at a signal: gracefully at the first, at once at the second."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from pipelines.output.standard_output import put_out
from pipelines.runtime.console import Reporter
from pipelines.runtime.job import RunPlan
from pipelines.runtime.processes.child import ParentReporter
from pipelines.runtime.processes.supervisor import Supervisor
from transforms.worker import metrics, process


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP came before the run had begun, and means what Ctrl-C does."""

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


@contextmanager
def raises_on_signals() -> Iterator[None]:
    """Raise `Terminated` at a signal that would end the process without a word: what has begun is to be left tidily.

    In another thread than the main one, to which signals come, nothing changes.
    """

    def end(number: int, _: FrameType | None) -> None:
        raise Terminated(number)

    is_main = threading.current_thread() is threading.main_thread()
    both = (signal.SIGTERM, signal.SIGHUP) if is_main else ()
    numbers = [one for one in both if signal.getsignal(one) == signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def end_by(number: int) -> int:
    """End this process by a signal, so that whoever has sent it sees that it did.

    Returns:
        The exit code for the first process of a container, which no signal ends that it does not handle.
    """
    put_out("")  # what is buffered
    os.kill(os.getpid(), number)
    return 128 + number


@contextmanager
def ends_on_signals(
    reporter: Reporter, seconds: float, plan: RunPlan, supervisor: Supervisor | None = None
) -> Iterator[None]:
    """End the run gracefully at the first signal, and at once at the second, with its other processes if it has any.

    SIGHUP is one, sent as a terminal closes, unless the run was started with nohup. A process of several leaves the
    second one to its parent: who signals all processes of a service, as systemd may, has it get one from each.

    Args:
        reporter: Says what the run still does.
        seconds: How long deliveries may then go on.
        plan: Of the run.
        supervisor: Of the run's other processes; None where it has none.
    """
    ended = threading.Event()

    def end(number: int, _: FrameType | None) -> None:
        at_once = process.stop_requested.is_set()
        if at_once and isinstance(reporter, ParentReporter):
            return
        process.request_stop(seconds)
        if supervisor is not None:
            supervisor.end_all(at_once)
        if at_once:
            os._exit(128 + number)
        reporter.say(f"stopping: {plan.on_stop}; press Ctrl-C again to quit at once")
        # What was read and not sent yet may begin to wait only now.
        threading.Thread(target=_say_what_is_awaited, args=(reporter, plan.receiver, ended), daemon=True).start()

    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        ended.set()
        for number, handler in before.items():
            signal.signal(number, handler)


def awaited(under_way: int, waiting: Sequence[str]) -> str:
    """Return what a run that is to end still waits for, "" for nothing.

    Args:
        under_way: Requests that are not answered yet.
        waiting: Why batches wait to be sent again, one reason for each.
    """
    parts = [_counted(under_way, "request") + " without an answer yet"] if under_way else []
    parts += [f"{_counted(number, 'batch')} to be sent again, {why}" for why, number in Counter(waiting).most_common(1)]
    return "; ".join(parts)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}{'es' if noun.endswith('ch') else 's'}"


def _say_what_is_awaited(reporter: Reporter, receiver: str, ended: threading.Event) -> None:
    """Say once what a run that is to end waits for, as soon as it waits for anything."""
    while not ended.is_set():
        unanswered = awaited(metrics.level(metrics.IN_FLIGHT) or 0, process.waiting())
        if unanswered:
            reporter.say(f"waiting up to {max(0.0, process.time_left()):.0f} s for {receiver}: {unanswered}")
            return
        ended.wait(0.2)
