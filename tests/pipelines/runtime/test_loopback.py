"""Workers in this process print no traceback while a cluster's job runs."""

from __future__ import annotations

import logging
import sys
import threading
from queue import SimpleQueue
from types import SimpleNamespace

import pytest
from apache_beam.runners.worker import sdk_worker

from pipelines.runtime.loopback import without_tracebacks

TRACEBACK = "Traceback (most recent call last):\n  ..."


@pytest.fixture(autouse=True)
def only_for_caplog(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Log to nowhere else: not to the standard error, which these tests look at."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [caplog.handler])


def end_with_an_exception(name: str) -> None:
    def fail() -> None:
        raise RuntimeError(f"{name} failed")

    thread = threading.Thread(target=fail, name=name)
    thread.start()
    thread.join()


def test_what_workers_print_is_logged_for_debugging(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    before = threading.excepthook
    with caplog.at_level(logging.DEBUG, "pipelines.runtime.loopback"), without_tracebacks():
        sdk_worker.print(TRACEBACK, file=sys.stderr)
        end_with_an_exception("run_worker_1-1")
        end_with_an_exception("wait_until_finish_read")
    assert capsys.readouterr() == ("", "")
    assert TRACEBACK in caplog.text
    assert "RuntimeError: run_worker_1-1 failed" in caplog.text
    assert "RuntimeError: wait_until_finish_read failed" in caplog.text
    assert threading.excepthook is before
    assert "print" not in vars(sdk_worker)


def test_beam_still_prints_the_traceback_of_a_bundle_by_that_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Where this fails, see whether what takes the place of `print` is still needed."""
    worker, request = SimpleNamespace(_responses=SimpleQueue()), SimpleNamespace(instruction_id="1")

    def fail() -> None:
        raise ValueError("of a bundle")

    with without_tracebacks():
        sdk_worker.SdkHarness._execute(worker, fail, request)
    assert "Traceback" not in capsys.readouterr().err
    sdk_worker.SdkHarness._execute(worker, fail, request)
    assert "ValueError: of a bundle" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_other_threads_say_how_they_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: shown.append(str(args.exc_value)))
    with without_tracebacks():
        end_with_an_exception("poster")
    assert shown == ["poster failed"]
