"""Which job of a cluster is meant."""

from __future__ import annotations

from collections.abc import Sequence

from aep.errors import UserError
from pipelines.flink.answers import FlinkJob


class NoJobError(UserError):
    """The cluster knows no such job."""


class SeveralJobsError(UserError):
    """More than one job may be meant."""


def of_name(jobs: Sequence[FlinkJob], name: str | None) -> list[FlinkJob]:
    """Return the jobs with this name, all of them for None."""
    return [job for job in jobs if name in (None, job.name)]


def choose(jobs: Sequence[FlinkJob], name: str | None, job_id: str | None) -> FlinkJob:
    """Return the job that is meant: the one that has not ended, else the newest.

    Args:
        jobs: Those that the cluster knows, newest last.
        name: The option `job_name`.
        job_id: Its id or the beginning of it, where the user chose; the name then does not count.

    Raises:
        NoJobError: There is none.
        SeveralJobsError: Several have not ended, or several ids begin so.
    """
    named = [job for job in jobs if job.id.startswith(job_id.lower())] if job_id else of_name(jobs, name)
    running = [job for job in named if not job.ended]
    if job_id and len(named) > 1:
        raise SeveralJobsError(f"--job {job_id}: several jobs begin so; give more of the id")
    if len(running) > 1:
        whose = f"called {name}" if name else "on the cluster"
        raise SeveralJobsError(f"{len(running)} jobs {whose} have not ended: choose one with --job ID")
    if not named:
        raise NoJobError(_none(jobs, name, job_id))
    if not running and name is None and not job_id and len(named) > 1:
        raise SeveralJobsError("job_name is not given, and several jobs have ended: give it, or choose with --job ID")
    return (running or named)[-1]


def _none(jobs: Sequence[FlinkJob], name: str | None, job_id: str | None) -> str:
    what = f"with the id {job_id}" if job_id else f"called {name} (job_name)" if name else "at all"
    others = ", ".join(dict.fromkeys(job.name for job in reversed(jobs)))
    hint = "; a cluster forgets a job an hour after its end (jobstore.expiration-time), and when it is started again"
    return f"the cluster knows no job {what}" + (f", only {others}" if others else "") + hint
