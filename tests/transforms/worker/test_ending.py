"""What a worker's process does before it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from testing.services.process import PATIENCE_SECONDS

BEGIN = """
import os, signal, sys, threading, time
from transforms.worker import ending
def say(what):
    print(what, flush=True)
begin = threading.Thread(target=ending.end_in_good_order)  # as Beam's threads do, which are not the main one
begin.start()
begin.join()
asked = 0
def is_done(seconds):
    global asked
    asked += 1
    if asked == 3:
        say("done")
    return asked == 3
"""
WAIT = 'say("ready")\ntime.sleep(600)\n'


@contextmanager
def worker(script: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", BEGIN + script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def end(process: subprocess.Popen[str], by: signal.Signals | None = None) -> tuple[str, str, int]:
    """Have it end, and return what it has said since, with its exit code."""
    if by is not None:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(by)
    out, errors = process.communicate(timeout=PATIENCE_SECONDS)
    return out, errors, process.returncode


@pytest.mark.parametrize(("script", "by", "code"), [("", None, 0), (WAIT, signal.SIGTERM, -signal.SIGTERM)])
def test_what_is_left_is_done_first(script: str, by: signal.Signals | None, code: int) -> None:
    with worker(f'ending.before_end("a", "it", is_done)\n{script}') as process:
        assert end(process, by) == ("done\n", "", code)


def test_a_second_signal_changes_nothing_while_what_is_left_is_done() -> None:
    again = "ending.before_end('a', 'it', lambda seconds: os.kill(os.getpid(), signal.SIGTERM) or is_done(seconds))\n"
    with worker(again + WAIT) as process:
        assert end(process, signal.SIGTERM) == ("done\n", "", -signal.SIGTERM)


def test_what_was_forgotten_is_not_waited_for() -> None:
    with worker('ending.before_end("a", "it", is_done)\nending.forget("a")\n' + WAIT) as process:
        assert end(process, signal.SIGTERM) == ("", "", -signal.SIGTERM)


def test_what_takes_too_long_is_named() -> None:
    with worker('ending._SECONDS = 0.2\nending.before_end("a", "commits", lambda seconds: False)\n' + WAIT) as process:
        said = "this worker has to end now and leaves undone: commits\n"
        assert end(process, signal.SIGTERM) == ("", said, -signal.SIGTERM)


def test_a_mistake_of_ours_does_not_keep_it_from_ending() -> None:
    with worker('ending.before_end("a", "it", lambda seconds: 1 / 0)\n' + WAIT) as process:
        assert end(process, signal.SIGTERM) == ("", "", -signal.SIGTERM)


def test_a_child_of_the_worker_ends_alone() -> None:
    fork = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12 and later, for forks of processes with threads
child = os.fork()
if not child:
    time.sleep(600)
os.kill(child, signal.SIGTERM)
say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
ending.before_end("a", "it", is_done)
"""
    with worker(fork) as process:
        assert end(process) == ("-15\ndone\n", "", 0)
