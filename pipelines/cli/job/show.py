"""What users and programs read of a job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pipelines.flink.answers import Checkpoint, FlinkJob
from pipelines.flink.failure import cause_of
from pipelines.flink.start import at
from pipelines.flink.status import Status
from pipelines.output.layout import Column
from pipelines.output.table import Table
from transforms.records.dead_letter import iso_time


def status_fields(status: Status, worker_address: str | None, url: str) -> Iterator[tuple[str, str]]:
    """Yield names and values of what users read of a job.

    Args:
        status: How it is.
        worker_address: Where a task manager finds its worker pool, for the cause of a failure.
        url: Of the cluster's page.
    """
    job, checkpoints, now = status.job, status.checkpoints, status.now
    yield "job", f"{job.name} ({job.id})"
    yield "state", f"{job.state} for {span(now - status.since)}, since {at(status.since)}"
    yield "tasks", ", ".join(f"{number} {state}" for state, number in sorted(status.tasks.items())) or "none"
    if status.restarts is not None:
        yield "restarts", f"{status.restarts:,}"
    if status.load:
        yield "back-pressure", f"{status.load.level}; the busiest task is busy {status.load.busy:.0%} of the time"
    yield "checkpoint", _checkpoint(checkpoints.completed, now) if checkpoints.completed else "none completed"
    if checkpoints.completed and checkpoints.completed.path:
        yield "", checkpoints.completed.path
    if checkpoints.savepoint:
        yield "savepoint", _checkpoint(checkpoints.savepoint, now)
        yield "", checkpoints.savepoint.path
    if checkpoints.restored:
        yield "started from", checkpoints.restored
    if status.failure:
        yield "last failure", f"{span(now - status.failure.at)} ago: {cause_of(status.failure.trace, worker_address)}"
    yield "page", f"{url}/#/job/{'completed' if job.ended else 'running'}/{job.id}/overview"


def jobs_table(jobs: Sequence[FlinkJob], title: str) -> Table:
    """Return a table of jobs, newest first."""
    columns = Column("id", "id"), Column("job_name", "text", rank=2), Column("state"), Column("submitted (UTC)", rank=1)
    table = Table(title, columns)
    for job in reversed(jobs):
        table.add(job.id, job.name, job.state, at(job.started).removesuffix(" UTC"))
    return table


def document(status: Status | None, jobs: Sequence[FlinkJob], worker_address: str | None) -> dict[str, Any]:
    """Return the same for programs; times are in ISO 8601.

    Args:
        status: How the job is; None where there is none, or which one is meant is not clear.
        jobs: All of its name, newest last.
        worker_address: See `status_fields`.
    """
    return {
        "job": status and _job(status, worker_address),
        "jobs": [
            {"id": job.id, "name": job.name, "state": job.state, "submitted": iso_time(job.started)} for job in jobs
        ],
    }


def span(seconds: float) -> str:
    """Return a length of time in its two largest units, such as 3 h 5 min."""
    whole = max(0, round(seconds))
    parts = [(whole // 86_400, "d"), (whole // 3_600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    first = next((index for index, (number, _) in enumerate(parts) if number), len(parts) - 1)
    return " ".join(f"{number} {unit}" for number, unit in parts[first : first + 2] if number) or "0 s"


def _job(status: Status, worker_address: str | None) -> dict[str, Any]:
    job, load, failure = status.job, status.load, status.failure
    return {
        "id": job.id,
        "name": job.name,
        "state": job.state,
        "since": iso_time(status.since),
        "tasks": dict(status.tasks),
        "restarts": status.restarts,
        "back_pressure": load and load.level,
        "busy": load and load.busy,
        "checkpoint": _checkpoint_document(status.checkpoints.completed, status.now),
        "savepoint": _checkpoint_document(status.checkpoints.savepoint, status.now),
        "started_from": status.checkpoints.restored,
        "failure": failure and {"at": iso_time(failure.at), "cause": cause_of(failure.trace, worker_address)},
    }


def _checkpoint(one: Checkpoint, now: float) -> str:
    gone = "" if one.kept else ", no longer there"
    return f"{span(now - one.began)} ago, took {one.seconds:.1f} s, {_size(one.size)}{gone}"


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.1f} kB"


def _checkpoint_document(one: Checkpoint | None, now: float) -> dict[str, Any] | None:
    return one and {
        "path": one.path,
        "at": iso_time(one.began),
        "age_seconds": round(now - one.began, 3),
        "took_seconds": one.seconds,
        "bytes": one.size,
        "kept": one.kept,
    }
