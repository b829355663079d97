"""Stops a job: with a savepoint, or at once."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from aep.errors import UserError
from pipelines.flink.answers import Savepoint
from pipelines.flink.failure import cause_of
from pipelines.flink.rest import FlinkError, FlinkRest

_T = TypeVar("_T")

SAVEPOINT_KEYS = ("state.savepoints.dir", "execution.checkpointing.savepoint-dir")
"""The cluster's own place for savepoints, in Flink 1 and in Flink 2."""

_POLL_SECONDS = 0.5

# How long a cluster may not answer while a job is stopped, as while another job manager takes over.
_PATIENCE_SECONDS = 60.0

# Flink's StopWithSavepointStoppingException.
_ENDED_BADLY = re.compile(r"A savepoint has been created at: (.+?), but the corresponding job ")


class StopError(UserError):
    """A job cannot be stopped as asked."""


def savepoint_problem(directory: str | None, configuration: Mapping[str, str]) -> str:
    """Return why a savepoint has no place to go, "" where it has one.

    Args:
        directory: What the user names.
        configuration: Of the job manager.
    """
    if directory or any(configuration.get(key) for key in SAVEPOINT_KEYS):
        return ""
    return (
        "the cluster has no place for savepoints: give one with --to, such as --to s3://BUCKET/savepoints, or set "
        f"{SAVEPOINT_KEYS[0]} in the cluster's configuration. Its job manager and task managers all write there"
    )


def take_savepoint_and_stop(
    rest: FlinkRest,
    job_id: str,
    directory: str | None,
    progress: Callable[[float], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Stop a job with a savepoint; return the savepoint's path as soon as it is complete, when the job is about to end.

    Every reader ends its bundle first, and the bundle waits for its last answers.

    Args:
        rest: The cluster.
        job_id: The job.
        directory: Where to write; None for the cluster's own place.
        progress: Gets the seconds waited so far, several times.
        sleep: Waits.

    Raises:
        StopError: The savepoint failed, or the job failed after it.
        FlinkError: The cluster refuses, or has not answered for a minute.
    """
    request = rest.stop(job_id, directory)

    def completed() -> Savepoint | None:
        found = rest.savepoint(job_id, request)
        return found if found.done else None

    found = _wait_for(completed, progress, sleep)
    if found.path:
        return found.path
    if written := _ENDED_BADLY.search(found.trace):
        raise StopError(
            f"a savepoint was written to {written[1]}, but the job failed while it was stopping: see beam-aep job "
            f"status. Start it again with beam-aep job restart --from {written[1]}"
        )
    raise StopError(f"the savepoint failed, and the job goes on: {cause_of(found.trace)}")


def wait_until_ended(
    rest: FlinkRest,
    job_id: str,
    progress: Callable[[float], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return when a job that was asked to end has ended, or is forgotten.

    Args:
        rest: The cluster.
        job_id: The job.
        progress: Gets the seconds waited so far, several times.
        sleep: Waits.

    Raises:
        FlinkError: The cluster has not answered for a minute.
    """
    _wait_for(lambda: all(job.ended for job in rest.jobs() if job.id == job_id) or None, progress, sleep)


def _wait_for(ask: Callable[[], _T | None], progress: Callable[[float], None], sleep: Callable[[float], None]) -> _T:
    """Ask a cluster until it has an answer, and bear it if it is silent or refuses for a while."""
    began = answered = time.monotonic()
    while True:
        try:
            if (found := ask()) is not None:
                return found
            answered = time.monotonic()
        except FlinkError as error:
            if time.monotonic() - answered >= _PATIENCE_SECONDS:
                raise FlinkError(
                    f"{error}. No longer waiting; what the cluster was asked for may go on: see beam-aep job status"
                ) from None
        progress(time.monotonic() - began)
        sleep(_POLL_SECONDS)
