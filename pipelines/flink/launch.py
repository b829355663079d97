"""Whether a submitted job runs, and what it waits for, in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pipelines.flink.answers import JobDetail

_OVER = ("FINISHED", "CANCELED", "FAILED", "CANCELLING", "FAILING")
_AT_WORK = ("RUNNING", "FINISHED")
_WITHOUT_SLOT = ("CREATED", "SCHEDULED")


class Workers(NamedTuple):
    """How workers are started.

    Attributes:
        environment: The option `environment_type`; None for Beam's own.
        address: The option `environment_config`, where they are external: HOST:PORT of a worker pool.
    """

    environment: str | None
    address: str | None


def has_started(job: JobDetail) -> bool:
    """Return whether all tasks of a job run.

    Each then has its worker: Beam opens a step once a worker has connected, and Flink calls a task that opens its steps
    INITIALIZING.
    """
    return job.state in _AT_WORK and bool(job.tasks) and all(state in _AT_WORK for state in job.tasks)


def is_over(job: JobDetail) -> bool:
    """Return whether a job has ended, or is about to and is not started again."""
    return job.state in _OVER


def what_it_waits_for(job: JobDetail, workers: Workers) -> str:
    """Return what a job waits for that has not started, and what to do about it."""
    tasks = sum(job.tasks.values())
    if waiting := _count(job.tasks, _WITHOUT_SLOT):
        return (
            f"{waiting} of its {tasks} tasks wait for a slot: add task managers, lower parallelism, or end another job"
        )
    if waiting := _count(job.tasks, ("INITIALIZING",)):
        return f"{waiting} of its {tasks} tasks wait for a Python worker: {_why_no_worker(workers)}"
    return f"Flink calls it {job.state}"


def _why_no_worker(workers: Workers) -> str:
    if workers.environment == "EXTERNAL":
        return (
            f"the worker pool at {workers.address} (environment_config) was told to start one, and it has not "
            "connected; the first `python` on the PATH of each pool needs apache-beam and this package in the versions "
            "of this machine, and has to reach its task manager; the pool's output has the worker's error"
        )
    if workers.environment == "LOOPBACK":
        return "the task managers have to reach this machine, where the workers run (environment_type LOOPBACK)"
    return "the logs of the task managers say why none has started; check environment_type and environment_config"


def _count(tasks: Mapping[str, int], states: tuple[str, ...]) -> int:
    return sum(tasks.get(state, 0) for state in states)
