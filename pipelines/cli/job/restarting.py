"""Where a job is started again, and the options of a run that say so."""

from __future__ import annotations

from pipelines.cli.job.cluster import job_name
from pipelines.flink.answers import FlinkJob
from pipelines.flink.choose import NoJobError, choose, of_name
from pipelines.flink.rest import FlinkRest
from pipelines.flink.start import Start, StartError, named, start_again
from pipelines.options.settings import Settings
from pipelines.options.yaml_files import OptionsError


def where_to_start(
    rest: FlinkRest, settings: Settings, commits: bool, place: str | None = None, job_id: str | None = None
) -> Start:
    """Return where a job starts again.

    Args:
        rest: The cluster.
        settings: All options.
        commits: Whether the job commits the offsets of what is delivered.
        place: What the user names with --from.
        job_id: The job that the user chose among those of the name.

    Raises:
        OptionsError: The options name a place themselves, or no job.
        StartError: There is no place, or the job has not ended.
        FlinkError: The cluster cannot be reached.
    """
    if settings.beam.get("savepoint_path"):
        origin = settings.origin("savepoint_path")
        raise OptionsError([f"savepoint_path ({origin}): remove it: job restart finds where to start, or takes --from"])
    if not job_name(settings):
        raise OptionsError(["job_name: missing: it tells which job of the cluster is to be started again"])
    jobs = rest.jobs()
    for each in of_name(jobs, job_name(settings)):
        _check_ended(each)
    try:
        job = choose(jobs, job_name(settings), job_id)
        _check_ended(job)  # with job_id it may have another name
    except NoJobError:
        if job_id:
            raise
        job = None
    if place is not None:
        start = named(place)
        if start.path is None and not commits:
            raise StartError("--from committed: this job commits no offsets, so name a savepoint or checkpoint")
        return start
    return start_again(job, rest.final_checkpoints(job.id) if job else None, commits)


def _check_ended(job: FlinkJob) -> None:
    if not job.ended:
        stop = "stop it first (beam-aep job stop --savepoint)"
        raise StartError(f"job {job.id} ({job.name}) is {job.state}: {stop}")


def options_of_start(settings: Settings, start: Start) -> list[str]:
    """Return the options of a run that starts there."""
    if start.path is not None:
        return [f"--savepoint_path={start.path}"]
    # A time or an end of the topics that was meant for the first start would pass over what is committed.
    return [] if settings.kafka.start == "committed" else ["--kafka_start=committed"]
