"""Workers in this process print no traceback once a cluster's job runs."""

from __future__ import annotations

import logging
import sys
import threading
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from apache_beam.runners.worker import sdk_worker

from pipelines.runtime.account import INTERRUPTED
from pipelines.runtime.cluster_run import run_on_cluster
from pipelines.runtime.console import LogReporter
from pipelines.runtime.loopback import leave_out_tracebacks

TRACEBACK = "Traceback (most recent call last):\n  ..."


@pytest.fixture(autouse=True)
def only_for_caplog(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Log to nowhere else: not to the standard error, which these tests look at."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [caplog.handler])


@pytest.fixture(autouse=True)
def nothing_is_left_out_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each test begin as a process does, and end so."""
    monkeypatch.setitem(vars(sdk_worker), "print", print)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)


def end_with_an_exception(name: str) -> None:
    def fail() -> None:
        raise RuntimeError(f"{name} failed")

    thread = threading.Thread(target=fail, name=name)
    thread.start()
    thread.join()


def end_bundle_with_an_exception() -> None:
    worker, request = SimpleNamespace(_responses=SimpleQueue()), SimpleNamespace(instruction_id="1")

    def fail() -> None:
        raise ValueError("of a bundle")

    sdk_worker.SdkHarness._execute(worker, fail, request)


def test_what_workers_print_is_logged_for_debugging(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    leave_out_tracebacks()
    with caplog.at_level(logging.DEBUG, "pipelines.runtime.loopback"):
        sdk_worker.print(TRACEBACK, file=sys.stderr)
        end_with_an_exception("run_worker_1-1")
        end_with_an_exception("wait_until_finish_read")
    assert capsys.readouterr() == ("", "")
    assert TRACEBACK in caplog.text
    assert "RuntimeError: run_worker_1-1 failed" in caplog.text
    assert "RuntimeError: wait_until_finish_read failed" in caplog.text


def test_beam_still_prints_the_traceback_of_a_bundle_by_that_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Where this fails, see whether what takes the place of `print` is still needed."""
    end_bundle_with_an_exception()
    assert "ValueError: of a bundle" in capsys.readouterr().err
    leave_out_tracebacks()
    end_bundle_with_an_exception()
    assert "Traceback" not in capsys.readouterr().err


def test_a_worker_that_outlasts_the_wait_for_its_job_is_not_heard_either(capsys: pytest.CaptureFixture[str]) -> None:
    """Its bundles fail as the process ends: no thread can be started then."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    no_files = SimpleNamespace(summary_file=None, report_file=None)
    plan: Any = SimpleNamespace(settings=SimpleNamespace(beam={}, general=no_files))
    pipeline: Any = SimpleNamespace(run=interrupt)
    assert run_on_cluster(pipeline, plan, Mock(), LogReporter()) == INTERRUPTED
    end_bundle_with_an_exception()
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_other_threads_say_how_they_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: shown.append(str(args.exc_value)))
    for _ in range(2):  # for each run of a process
        leave_out_tracebacks()
    end_with_an_exception("poster")
    assert shown == ["poster failed"]
