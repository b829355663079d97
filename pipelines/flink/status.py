"""How a job is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from pipelines.flink.answers import Checkpoints, Failure, FlinkJob, Load
from pipelines.flink.rest import FlinkRest

_LEVELS = ("ok", "low", "high")  # Flink's levels of back-pressure, in order

# Flink measures load and counts restarts when it is asked, and answers with what it had before (MetricFetcher).
_MEASURE_SECONDS = 1.0

RUNNING = "RUNNING"


class Status(NamedTuple):
    """How a job is. Times are in seconds since 1970, by the job manager's clock.

    Attributes:
        job: The job.
        since: When it got into its state.
        now: When Flink was asked.
        tasks: How many of its tasks are in which state.
        restarts: How often it was restarted since it was submitted; None of one that has ended: Flink forgets it.
        load: The worst back-pressure and the busiest task; None of a job that does not run.
        checkpoints: Its newest ones.
        failure: The last one; None for none.
    """

    job: FlinkJob
    since: float
    now: float
    tasks: Mapping[str, int]
    restarts: int | None
    load: Load | None
    checkpoints: Checkpoints
    failure: Failure | None

    @property
    def running(self) -> bool:
        return self.job.state == RUNNING


def read_status(rest: FlinkRest, job: FlinkJob, sleep: Callable[[float], None] = time.sleep) -> Status:
    """Ask a cluster how a job is.

    Raises:
        FlinkError: The cluster cannot be reached.
    """
    if not job.ended:
        _loads(rest, job.id, rest.job(job.id).vertices)
        sleep(_MEASURE_SECONDS)
    detail = rest.job(job.id)
    running = detail.state == RUNNING
    return Status(
        job._replace(state=detail.state),
        detail.since,
        detail.now,
        detail.tasks,
        None if job.ended else rest.restarts(job.id),
        worst(_loads(rest, job.id, detail.vertices)) if running else None,
        rest.checkpoints(job.id),
        next(iter(rest.failures(job.id)), None),
    )


def _loads(rest: FlinkRest, job_id: str, vertices: Sequence[str]) -> list[Load]:
    return [rest.load(job_id, vertex) for vertex in vertices]


def worst(loads: Sequence[Load]) -> Load | None:
    """Return the highest level of back-pressure and the highest share of busy time; None for no vertex."""
    if not loads:
        return None
    level = max((load.level for load in loads), key=lambda one: _LEVELS.index(one) if one in _LEVELS else 0)
    return Load(level, max(load.busy for load in loads))
