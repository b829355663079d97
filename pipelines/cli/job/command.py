"""The commands `beam-aep job status`, `stop` and `restart`: a job on a Flink cluster, by the cluster's REST API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pipelines.cli.common import (
    AND_OPTIONS,
    AND_OPTIONS_METAVAR,
    INTERRUPTED,
    WRONG,
    AsJson,
    PipelineName,
    app,
    example,
    put_json,
    run_of,
    run_options,
    say,
    say_problems,
    words_and_options,
)

if TYPE_CHECKING:
    from pipelines.options.settings import Settings

commands = typer.Typer(
    name="job",
    help="Look at, stop and restart a job on a Flink cluster.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
app.add_typer(commands)

NOT_RUNNING = 1
"""Exit code: the job does not run, or there is none."""

_METAVAR = f"OPTIONS.yaml... {AND_OPTIONS_METAVAR}"

JobId = Annotated[
    str | None,
    typer.Option("--job", help="Id of the job, or its beginning, where several have the same job_name.", metavar="ID"),
]


@commands.command(
    context_settings=AND_OPTIONS, options_metavar=_METAVAR, epilog=example("beam-aep job status base.yaml flink.yaml")
)
def status(context: typer.Context, job: JobId = None, as_json: AsJson = False) -> int:
    """Show the state of a job.

    Its state and tasks, how often it was restarted, its last checkpoint and its last failure. Takes the options files
    of the run, of which flink_master and job_name count. Of several jobs of this name it shows the one that has not
    ended, else the newest, and lists the others.

    Exit code: 0 when the job is RUNNING; 1 when it is in any other state, such as RESTARTING or FAILED, or unknown to
    the cluster; 2 when the cluster cannot be asked, or when several jobs may be meant.
    """
    from aep.errors import UserError
    from pipelines.cli.job.cluster import cluster_of, job_name
    from pipelines.cli.job.show import document, jobs_table, status_fields
    from pipelines.flink.choose import NoJobError, SeveralJobsError, choose, of_name
    from pipelines.flink.status import Status, read_status
    from pipelines.output.table import show, show_fields
    from pipelines.runtime.flink import worker_address

    found: Status | None = None
    reason = ""
    code = NOT_RUNNING
    try:
        settings = _settings(context)
        rest = cluster_of(settings)
        jobs = rest.jobs()
        try:
            found = read_status(rest, choose(jobs, job_name(settings), job))
            code = 0 if found.running else NOT_RUNNING
        except NoJobError as error:
            reason = str(error)
        except SeveralJobsError as error:
            reason, code = f"error: {error}", WRONG
    except UserError as error:
        say_problems(error)
        return WRONG
    named = of_name(jobs, job_name(settings))
    if as_json:
        put_json(document(found, named, worker_address(settings)))
    else:
        console = Console(highlight=False)
        if found:
            show_fields(console, status_fields(found, worker_address(settings), rest.url))
        if others := [one for one in named if found is None or one.id != found.job.id]:
            show(console, jobs_table(others, "Other jobs of this name" if found else "Jobs of this name"))
    if reason:
        say(reason)
    return code


@commands.command(
    context_settings=AND_OPTIONS,
    options_metavar=_METAVAR,
    epilog=example("beam-aep job stop base.yaml flink.yaml --savepoint --to s3://my-bucket/savepoints"),
)
def stop(
    context: typer.Context,
    savepoint: Annotated[
        bool, typer.Option("--savepoint", help="Stop with a savepoint, from which job restart continues.")
    ] = False,
    to: Annotated[
        str | None,
        typer.Option(
            help="Folder for the savepoint, as the cluster sees it. Default: the cluster's state.savepoints.dir.",
            metavar="DIR",
        ),
    ] = None,
    job: JobId = None,
    pipeline: PipelineName = "kafka_to_aep",
) -> int:
    """Stop a job: with a savepoint, or at once.

    With --savepoint every reader ends its bundle, AEP's answers are awaited, positions are saved and offsets committed:
    nothing is repeated later. It takes as long as a checkpoint. The savepoint's path is printed to the standard output.

    Without it the job is cancelled. With batch_mode=bundle nothing is lost: the next job begins at the committed
    offsets, and sends again what was accepted since the last checkpoint began. With batch_mode=state it goes on from
    the last checkpoint; a job that would not keep that is not cancelled.

    Takes the options files of the run, of which flink_master, job_name and batch_mode count. Exit code: 0 stopped, 1 it
    had ended already or is unknown, 2 it could not be stopped, or it is not clear whether it was, 130 interrupted while
    waiting.
    """
    from aep.errors import UserError
    from pipelines.cli.job.cluster import cluster_of, commits, job_name
    from pipelines.cli.job.stopping import cancel, wait_for_end, with_savepoint
    from pipelines.flink.choose import NoJobError, choose

    if to and not savepoint:
        raise typer.BadParameter("--to needs --savepoint")
    for word in words_and_options(context.args)[0]:
        if word and ("://" in word or Path(word).is_dir()):
            raise typer.BadParameter(f"{word} is not an options file; a savepoint's folder is given with --to")
    try:
        settings = _settings(context)
        rest = cluster_of(settings)
        found = choose(rest.jobs(), job_name(settings), job)
        if found.ended:
            say(f"job {found.id} ({found.name}) has ended already: {found.state}")
            return NOT_RUNNING
        if savepoint:
            typer.echo(with_savepoint(rest, found, to))  # before anything else can go wrong
            wait_for_end(rest, found)
            say("stopped; beam-aep job restart goes on from this savepoint, and repeats nothing")
        else:
            cancel(rest, found, commits(settings, pipeline))
    except NoJobError as error:
        say(str(error))
        return NOT_RUNNING
    except UserError as error:
        say_problems(error)
        return WRONG
    except KeyboardInterrupt:
        say("no longer waiting; what the cluster was asked for goes on: see beam-aep job status")
        return INTERRUPTED
    return 0


@commands.command(
    context_settings=AND_OPTIONS,
    options_metavar=_METAVAR,
    epilog=example(
        "beam-aep job restart base.yaml flink.yaml", "beam-aep job restart base.yaml flink.yaml --from committed"
    ),
)
def restart(
    context: typer.Context,
    place: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="A savepoint or checkpoint, a folder, for the newest chk-N with _metadata in it, or `committed`, for "
            "the group's committed offsets.",
            metavar="PATH",
        ),
    ] = None,
    job: JobId = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Only say where it would start: nothing is submitted.")
    ] = False,
    pipeline: PipelineName = "kafka_to_aep",
) -> int:
    """Start a job again where it ended.

    After job stop --savepoint it starts from that savepoint. After a crash or a cancellation it starts at the committed
    offsets (batch_mode=bundle, the default), or from its newest checkpoint (batch_mode=state, which commits none). It
    says which, and why. From there on it is the same as beam-aep run, with the same options and exit codes.

    After an upgrade of Flink, of Beam's job server or of this package, or with other routes, give --from committed: a
    newer job may not read an older one's savepoint. After job stop --savepoint that repeats nothing either.
    """
    from aep.errors import UserError
    from pipelines.cli.job.cluster import cluster_of, commits
    from pipelines.cli.job.restarting import options_of_start, where_to_start
    from pipelines.options.merge import parse
    from pipelines.runtime.run import execute

    found = run_of(pipeline)
    try:
        options = _options(context)
        settings = parse(options, found.findings)
        start = where_to_start(cluster_of(settings), settings, commits(settings, pipeline), place, job)
        more = options_of_start(settings, start)
    except UserError as error:
        say_problems(error)
        return WRONG
    say(f"{'would start' if preview else 'starting'} {start.words(settings.kafka.group_id)}")
    return 0 if preview else execute([*options, *more], found)


def _options(context: typer.Context) -> list[str]:
    """Return the options of the run; names of files among the arguments are options files."""
    files, options = words_and_options(run_options(context))
    return [*(f"--options_file={file}" for file in files), *options]


def _settings(context: typer.Context) -> Settings:
    """Return the options, of which those that only a run needs may be missing."""
    from pipelines.options.merge import parse

    return parse(_options(context), lambda _: iter(()))
