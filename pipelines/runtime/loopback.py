"""Beam's threads and workers (LOOPBACK) in the process that submitted a cluster's job: what they print as it ends."""

from __future__ import annotations

import logging
import threading

from apache_beam.runners.worker import sdk_worker

# Threads of Beam that end with an exception when the runner or the job server hangs up, by the beginning of their name.
_WORKER = "run_worker_"
_THREADS = (_WORKER, "read_grpc_client_inputs", "forward_grpc_outputs", "read_state", "wait_until_finish_read")

# Of a thread of gRPC's that watches a job server which has not started.
_OF_GRPC = "Cannot monitor channel state"

_LOG = logging.getLogger(__name__)


def leave_out_tracebacks() -> None:
    """Log for debugging what Beam's threads and workers in this process print, from now on until it ends.

    Workers print the traceback of a failed bundle straight to the standard error, and then log it. So `print` is
    replaced, as that module sees it. And their threads end with an exception as soon as the runner hangs up. Users read
    in a sentence how the job ended. Workers outlast the wait for their job where Ctrl-C ends it, and fail as the
    interpreter shuts down.
    """
    names = vars(sdk_worker)
    if names.get("print") is _log_line:
        return
    show = threading.excepthook

    def log(args: threading.ExceptHookArgs) -> None:
        of_beam = args.thread is not None and args.thread.name.startswith(_THREADS)
        if not of_beam and not str(args.exc_value).startswith(_OF_GRPC):
            show(args)
        elif args.exc_value is not None:
            exception = (args.exc_type, args.exc_value, args.exc_traceback)
            _LOG.debug("a thread of Beam has ended", exc_info=exception)

    threading.excepthook = log
    names["print"] = _log_line


def await_end(seconds: float) -> None:
    """Wait until the workers in this process have seen that their job is over, each for at most some seconds."""
    for thread in threading.enumerate():
        if thread.name.startswith(_WORKER):
            thread.join(seconds)


def _log_line(text: str, file: object = None) -> None:
    """Take the place of `print`."""
    _LOG.debug("%s", text)
