"""Stops a job: with a savepoint, or at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from aep.errors import UserError
from pipelines.flink.failure import cause_of
from pipelines.flink.rest import FlinkRest

SAVEPOINT_KEYS = ("state.savepoints.dir", "execution.checkpointing.savepoint-dir")
"""The cluster's own place for savepoints, in Flink 1 and in Flink 2."""

_POLL_SECONDS = 0.5


class StopError(UserError):
    """A job cannot be stopped as asked; it goes on."""


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
        StopError: The savepoint failed.
        FlinkError: The cluster refuses, or cannot be reached.
    """
    request = rest.stop(job_id, directory)
    began = time.monotonic()
    while not (found := rest.savepoint(job_id, request)).done:
        progress(time.monotonic() - began)
        sleep(_POLL_SECONDS)
    if not found.path:
        raise StopError(f"the savepoint failed, and the job goes on: {cause_of(found.trace)}")
    return found.path


def wait_until_ended(rest: FlinkRest, job_id: str, sleep: Callable[[float], None] = time.sleep) -> None:
    """Return when a job has ended, or is forgotten."""
    while any(not job.ended for job in rest.jobs() if job.id == job_id):
        sleep(_POLL_SECONDS)
