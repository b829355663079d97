"""Runs a pipeline: options, checks, then the run itself, here or on a cluster."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from aep.errors import UserError
from pipelines.options.checks import contradictions
from pipelines.options.merge import parse
from pipelines.options.secret_checks import secrets_named
from pipelines.options.settings import Settings
from pipelines.options.yaml_files import OptionsError
from pipelines.output.standard_output import put_out
from pipelines.runtime.account import DONE, FAILED, INTERRUPTED, WRONG, write_without_counts
from pipelines.runtime.cluster_run import run_on_cluster
from pipelines.runtime.console import ConsoleReporter, LogReporter, Reporter, console
from pipelines.runtime.dataflow import check_packages, dry_run
from pipelines.runtime.flink import FlinkRun, flink_run
from pipelines.runtime.job import Job, R, Replay, Run, RunPlan
from pipelines.runtime.job_server import check_job_server
from pipelines.runtime.judge import judge_by
from pipelines.runtime.local_run import run_here
from pipelines.runtime.logs import set_up_logging
from pipelines.runtime.plan import Plan, for_replay
from pipelines.runtime.preflight import preflight
from pipelines.runtime.prism import running_prism
from pipelines.runtime.processes.child import reporter_to_parent
from pipelines.runtime.processes.supervisor import Supervisor, how_many
from pipelines.runtime.signals import Terminated, end_by, raises_on_signals
from transforms.records.open_file import reason_of
from transforms.worker import process
from transforms.worker.monitor import open_monitor

# When Flink begins to wind up a job that reads to an end. From then on it takes no checkpoint until all is read.
_FLINK_IDLE_MS = 10_000


def run(argv: Sequence[str], job: Job) -> int:
    """Run the pipeline of a job, see `execute`."""
    return execute(argv, as_run(job))


def as_run(job: Job) -> Run[Plan]:
    """Return what `execute` needs of a job."""
    kind = job.destination
    return Run(
        title=job.title,
        findings=lambda settings: contradictions(settings, kind),
        plan=lambda settings: job.plan(settings, kind),
        preflight=preflight,
        build=job.build,
        notes=kind.notes,
        share_start=Plan.share_start,
        replay=job.deliver
        and Replay(
            plan=lambda settings: for_replay(job.plan(settings, kind), kind),
            deliver=job.deliver,
            reads=lambda plan: plan.routes.takes,
            judge=lambda plan: judge_by(plan, kind),
        ),
    )


def execute(argv: Sequence[str], job: Run[R], *, as_json: bool = False) -> int:
    """Run a pipeline with the options in `argv`.

    Args:
        argv: The options.
        job: The pipeline.
        as_json: Print the final counts to the standard output, as the summary file has them.

    Returns:
        0 when it ended well, 2 when an error that the user has to fix stopped it, 130 when it was interrupted at its
        start or the wait for a cluster's job, 1 for anything else. A cluster's job is waited for unless Beam's own
        `--no_wait_until_finish` says otherwise. A signal that ends the process at its start, or while it waits for a
        cluster's job, still does so, once the account is written or Beam's job server has ended.
    """
    try:
        return _execute(argv, job, as_json)
    except Terminated as terminated:
        return end_by(terminated.number)


def _execute(argv: Sequence[str], job: Run[R], as_json: bool) -> int:
    parent = reporter_to_parent()
    reporter: Reporter = parent or ConsoleReporter(console(), as_json=as_json)
    argv = [*argv, *(parent.options if parent else ())]
    settings: Settings | None = None
    cluster: FlinkRun | None = None
    supervisor: Supervisor | None = None
    with ExitStack() as while_it_runs:
        try:
            with raises_on_signals():
                settings = parse(argv, job.findings, sys.modules[job.build.__module__].__doc__ or "", job.groups)
                if settings.general.print_options:
                    notes = "".join(f"# {note}\n" for note in job.notes(settings))
                    return _print(settings.as_yaml() + notes, reporter)
                set_up_logging(settings.general.log_format, on_terminal=parent.is_terminal if parent else None)
                if settings.general.log_format == "json" and parent is None:
                    reporter = LogReporter(as_json=as_json)
                if job.share_start is not None and settings.general.processes > 1:
                    supervisor = Supervisor(settings)
                with secrets_named(settings):
                    process.start_run()  # an earlier run of this process may have been stopped
                    plan = job.plan(settings)
                    port = settings.general.metrics_port
                    if plan.local and port is not None:
                        monitor = (
                            open_monitor(port, supervisor.not_ready, supervisor.running)
                            if supervisor
                            else open_monitor(port)
                        )
                        while_it_runs.enter_context(closing(monitor))
                    if settings.on_dataflow:
                        check_packages()
                    if not settings.dry_run:
                        job.preflight(plan)
                        check_job_server(settings)
                        cluster = flink_run(settings)
                if supervisor is not None and job.share_start is not None:
                    reporter.say(how_many(settings, job.share_start(plan)))
                else:
                    prism = while_it_runs.enter_context(running_prism(settings))
                    pipeline = _pipeline([*_flags(plan, reporter), *(cluster.flags if cluster else ()), *prism])
                    job.build(pipeline, plan)
                    if settings.dry_run:
                        return _print(dry_run(pipeline, settings), reporter)
        except UserError as error:
            if isinstance(error, OptionsError) and error.as_json and parent is None:
                set_up_logging("json")
                reporter = LogReporter(as_json=as_json)
            for problem in error.problems:
                reporter.error(problem)
            write_without_counts("failed", job.title, settings, str(error))
            return WRONG
        except KeyboardInterrupt as interrupt:
            words = "stopped before anything was read"
            reporter.say(words)
            write_without_counts("stopped", job.title, settings, words)
            if isinstance(interrupt, Terminated):
                raise
            return INTERRUPTED
        if supervisor is not None:
            return run_here(supervisor.run, plan, job, reporter, supervisor)
        if plan.local:
            return run_here(lambda: pipeline.run().wait_until_finish(), plan, job, reporter)
        return run_on_cluster(pipeline, plan, job, reporter, cluster)


def _print(text: str, reporter: Reporter) -> int:
    """Print what was asked for; return the exit code."""
    error = put_out(text)
    if error is None:
        return DONE
    if not isinstance(error, BrokenPipeError):  # whoever reads has enough, as `head` does
        reporter.error(f"the standard output cannot be written to: {reason_of(error)}")
    return FAILED


def _pipeline(flags: list[str]) -> beam.Pipeline:
    """Return an empty pipeline.

    Raises:
        OptionsError: Beam finds its own options incomplete, or contradictory.
    """
    try:
        return beam.Pipeline(options=PipelineOptions(flags))
    except ValueError as error:
        _, *problems = str(error).splitlines()
        raise OptionsError(problems or [str(error)]) from None


def _flags(plan: RunPlan, reporter: Reporter) -> list[str]:
    """Return flags for Beam, with what the run needs beside what was given."""
    settings = plan.settings
    flags = settings.beam_flags
    if settings.runner_class == "DirectRunner":
        # A switch between runners, which would choose one that cannot read Kafka.
        reporter.say("DirectRunner: running on FnApiRunner, Beam's own in-process runner")
        return [flag for flag in flags if not flag.startswith("--runner")] + ["--runner=FnApiRunner"]
    if plan.ends and not plan.local and "shutdown_sources_after_idle_ms" not in settings.beam:
        # Flink keeps a job alive while it takes checkpoints, even when everything is read, unless told this.
        flags = [*flags, f"--shutdown_sources_after_idle_ms={_FLINK_IDLE_MS}"]
    return flags
