"""A Flink cluster around a run: what is checked before its job is submitted, and why it failed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import grpc
import requests
from apache_beam.options.pipeline_options import FlinkRunnerOptions

from pipelines.flink.answers import FlinkJob
from pipelines.flink.cluster import is_address, minor, slots_problem, submitted, version_problem
from pipelines.flink.failure import cause_of
from pipelines.flink.launch import Workers
from pipelines.flink.rest import FlinkError, FlinkRest
from pipelines.options.settings import Settings
from pipelines.runtime.preflight import PreflightError

# How long slots may take to be free again, as those of a job that has just been cancelled.
_SLOTS_SECONDS = 15.0


@dataclass(frozen=True)
class FlinkRun:
    """The cluster that a run submits its job to.

    Attributes:
        rest: Its REST API.
        flags: Flags for Beam that follow from the cluster.
        jobs_before: Ids of the jobs that were there before.
    """

    rest: FlinkRest
    flags: tuple[str, ...]
    jobs_before: Collection[str]


class JobEnd(NamedTuple):
    """How a job ended that did not finish: `failed`, `cancelled` or `unknown`, and what users read of it."""

    outcome: str
    text: str


_CANCELLED = JobEnd("cancelled", "the job was cancelled on the cluster")


def flink_run(settings: Settings, slots_seconds: float = _SLOTS_SECONDS) -> FlinkRun | None:
    """Check the cluster of `flink_master`; None where the options name none.

    Args:
        settings: All options.
        slots_seconds: How long to wait for slots to be free.

    Raises:
        PreflightError: The jar of the job server is missing, Beam has none for the cluster, or the cluster has too few
            free slots.
        FlinkError: The cluster cannot be reached.
    """
    runner = settings.runner_class
    if runner not in ("FlinkRunner", "PortableRunner"):
        return None
    jar = settings.beam.get("flink_job_server_jar")
    if jar and not urlsplit(jar).scheme and not Path(jar).is_file():
        raise PreflightError(f"flink_job_server_jar: there is no file {jar}; give the path or the URL of the jar")
    _check_java(settings)
    master = settings.beam.get("flink_master")
    if not is_address(master):
        return None
    rest = FlinkRest(str(master), requests.Session())
    # A job server that already runs, or whose jar is given, has its own version.
    flags = _version_flags(rest.version(), settings) if runner == "FlinkRunner" and not jar else ()
    _check_slots(rest, int(settings.beam.get("parallelism") or 0), slots_seconds)
    return FlinkRun(rest, flags, frozenset(job.id for job in rest.jobs()))


def job_end(
    settings: Settings, cluster: FlinkRun | None, error: Exception, said: str = "", job_id: str | None = None
) -> JobEnd:
    """Return how a job ended that did not finish, from Flink's REST API where that is known, else from Beam.

    Args:
        settings: All options.
        cluster: Where it ran.
        error: Beam's, with the trace of its job server, or that the job server no longer answers.
        said: What a job server that Beam started said last of an error.
        job_id: Flink's id of the job; None where the cluster was not seen to have it.
    """
    is_lost = isinstance(error, grpc.RpcError)
    trace = "" if is_lost else str(error)
    # Beam's job server calls a job FAILED that was cancelled on the cluster, with Flink's exception as the cause.
    if "in state CANCELLED" in trace or "JobCancellationException" in trace:
        return _CANCELLED
    state = None if is_lost else "FAILED"
    where = "the logs of Beam's job server and of the task managers have the details"
    job: FlinkJob | None = None
    if cluster is not None:
        try:
            jobs = cluster.rest.jobs()
            if job_id is None:
                job = submitted(jobs, settings.beam.get("job_name"), cluster.jobs_before)
            else:
                job = next((each for each in jobs if each.id == job_id), None)
            if job is None and job_id is not None:
                return JobEnd(
                    "unknown",
                    f"the cluster no longer knows job {job_id}, as after a restart of its job manager without high "
                    f"availability: beam-aep job restart starts it again; {where}",
                )
            if job is None and not is_lost:
                return JobEnd("failed", f"the job was not submitted: {cause_of(trace)}{f' ({said})' if said else ''}")
            if job is not None:
                state = job.state
                trace = next((failure.trace for failure in cluster.rest.failures(job.id)), trace)
                where = f"{cluster.rest.url}/jobs/{job.id}/exceptions has the details"
        except FlinkError as unreachable:
            where = f"{where}; {unreachable}"
            if job is None and job_id is not None and state == "FAILED":
                cause = cause_of(trace, worker_address(settings))
                return JobEnd(
                    "unknown",
                    f"Beam's job server calls the job failed ({cause}), and the cluster cannot be asked whether it is: "
                    f"see beam-aep job status; {where}",
                )
    if state == "CANCELED":
        return _CANCELLED
    if state == "FAILED":
        return JobEnd("failed", f"the job failed: {cause_of(trace, worker_address(settings))}; {where}")
    # As after a job manager is lost, when Flink recovers the job and Beam's job server does not find it again.
    known = f"Flink calls it {state}" if state else "it may run on"
    return JobEnd(
        "unknown", f"Beam's job server no longer follows the job, and {known}: see `beam-aep job status`; {where}"
    )


def _check_java(settings: Settings) -> None:
    """Check that Java is there for the job server that FlinkRunner starts."""
    if settings.runner_class != "FlinkRunner" or settings.beam.get("job_endpoint"):
        return
    if settings.beam.get("flink_submit_uber_jar") and is_address(settings.beam.get("flink_master")):
        return  # Beam then submits the job in Python
    java = settings.beam.get("job_server_java_launcher") or "java"
    if shutil.which(java) is None:
        raise PreflightError(
            f"FlinkRunner starts Beam's job server by `{java}`, which is not on the PATH: install Java 17 or later, or "
            "give its path as job_server_java_launcher"
        )


def _version_flags(version: str, settings: Settings) -> tuple[str, ...]:
    chosen = settings.beam.get("flink_version")
    if problem := version_problem(version, chosen, FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS):
        raise PreflightError(problem)
    return () if chosen else (f"--flink_version={minor(version)}",)


def _check_slots(rest: FlinkRest, parallelism: int, seconds: float) -> None:
    configuration = rest.configuration()
    until = time.monotonic() + seconds
    while problem := slots_problem(rest.slots(), parallelism, configuration):
        if time.monotonic() >= until:
            raise PreflightError(problem)
        time.sleep(0.5)


def worker_address(settings: Settings) -> str | None:
    """Return where a task manager finds its worker pool, None where it needs none."""
    is_external = settings.beam.get("environment_type") == "EXTERNAL"
    return settings.beam.get("environment_config") if is_external else None


def workers_of(settings: Settings) -> Workers:
    """Return how the workers of a job are started."""
    return Workers(settings.beam.get("environment_type"), worker_address(settings))
