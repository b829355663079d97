"""The pipelines, one a module, and what runs them."""

import logging
import os
import signal
import threading
from types import FrameType


def _not_about_bigquery(record: logging.LogRecord) -> bool:
    return "apitools not found" not in record.msg


# Beam says on import that it could not use BigQuery, which no pipeline here does.
logging.getLogger().addFilter(_not_about_bigquery)


def _end(number: int, _: FrameType | None) -> None:
    os._exit(128 + number)


# Linux has no default action for the signals of PID 1, the first process of a container, which could not be ended while
# it starts. Set at once, since Beam takes a second and more to load; a run has its own handlers (runtime/signals.py).
if os.getpid() == 1 and threading.current_thread() is threading.main_thread():
    for _number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(_number) is signal.SIG_DFL:
            signal.signal(_number, _end)
