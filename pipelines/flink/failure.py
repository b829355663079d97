"""Why a job failed, in a sentence: read from stack traces of Flink and of Beam's job server."""

from __future__ import annotations

import re

_OURS = ("aep.", "kinesis.", "transforms.", "pipelines.")
_PACKAGES = ("aep", "kinesis", "transforms", "pipelines")
_PYTHON = "Traceback (most recent call last):"
_EXCEPTION = re.compile(r"^(?P<name>[A-Za-z_][\w.]*): (?P<message>.*)")
_WHILE_RUNNING = re.compile(r"\s*\[while running .*")
_NAMED_STEP = re.compile(r"\[while running '(?P<step>[^']*)'")
_MOST = 500  # characters of a cause


def cause_of(trace: str, worker_address: str | None = None) -> str:
    """Return why a job failed, and what to do about it where that is known.

    Args:
        trace: A stack trace, of Flink's `/jobs/ID/exceptions` or a message of Beam's job server.
        worker_address: The option `environment_config`, where workers are external.
    """
    missing = re.search(r"ModuleNotFoundError: No module named '(\w+)", trace)
    if missing and missing[1] in _PACKAGES:
        return (
            f"the workers' Python lacks this package (no module named {missing[1]}): the first `python` on the PATH of "
            "each worker pool needs the same beam-aep as this machine"
        )
    if re.search(r"No such file or directory: '?python'?", trace):
        return "a worker pool finds no `python`: put one that has beam-aep first on the PATH of each pool"
    if worker_address and refuses(trace, worker_address):
        return (
            f"no worker pool answers at {worker_address} (environment_config), as seen from a task manager: start one "
            "beside each task manager"
        )
    if "Unable to fetch remote job server jar" in trace:
        url = re.search(r"Unable to fetch remote job server jar at (\S+?):? ", trace)
        return (
            f"the jar of Beam's job server cannot be downloaded{f' from {url[1]}' if url else ''}: download it "
            "elsewhere, and give it as flink_job_server_jar"
        )
    if "Service failed to start up" in trace:
        return "Beam's job server does not start: check flink_job_server_jar, and that `java` is of version 17 or later"
    if "NoResourceAvailableException" in trace:
        return "Flink found too few free slots in time: lower parallelism or add task managers"
    if "java.lang.OutOfMemoryError" in trace:
        return "a task manager ran out of memory (java.lang.OutOfMemoryError): give it more heap or memory"
    if _PYTHON in trace:
        return _python_cause(trace)
    return _java_cause(trace)


def refuses(trace: str, address: str) -> bool:
    """Return whether a trace says that nobody listens at HOST:PORT."""
    port = address.rpartition(":")[2]
    refused = re.search(rf"Connection refused:? .*:{re.escape(port)}\b", trace)
    return bool(refused) or ("UNAVAILABLE" in trace and "startWorker" in trace)


def _python_cause(trace: str) -> str:
    """Return the last exception of the last Python traceback, ours without its class, and the step it came from."""
    last = ""
    for line in trace.rpartition(_PYTHON)[2].splitlines():
        if line.startswith(("\tat ", "Caused by:")):
            break
        if found := _EXCEPTION.match(line):
            last = line
            name, message = found["name"], found["message"]
    if not last:
        return _java_cause(trace)
    step = _NAMED_STEP.search(last)
    text = _WHILE_RUNNING.sub("", message)
    text = text if name.startswith(_OURS) else f"{name.rpartition('.')[2]}: {text}"
    return _short(text) + (f" (step {step['step'].partition('/')[0]})" if step else "")


def _java_cause(trace: str) -> str:
    """Return the innermost cause of a Java stack trace, without the package of its class."""
    causes = re.findall(r"^(?:Caused by: )?([\w.$]+(?:Exception|Error)\b.*)$", trace, re.MULTILINE)
    line = str(causes[-1]) if causes else next(iter(trace.strip().splitlines()), "")
    name, colon, message = line.partition(": ")
    return _short(f"{re.split('[.$]', name)[-1]}{colon}{message}")


def _short(text: str) -> str:
    return text if len(text) <= _MOST else f"{text[:_MOST]}..."
