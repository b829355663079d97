"""Runs a pipeline: options, checks, the run itself, its account, its exit code."""

from __future__ import annotations

import atexit
import logging
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from datetime import datetime, timezone
from typing import Any

import apache_beam as beam
import grpc
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineResult, PipelineState

from aep.errors import SecretError, StoppedError, UserError
from pipelines.options.checks import contradictions
from pipelines.options.declarations import GeneralOptions
from pipelines.options.merge import parse
from pipelines.options.secret_checks import named, secrets_named
from pipelines.options.settings import Settings
from pipelines.options.yaml_files import OptionsError
from pipelines.output.standard_output import put_out
from pipelines.runtime.console import ConsoleReporter, LogReporter, Reporter, console
from pipelines.runtime.dataflow import check_packages, dry_run
from pipelines.runtime.flink import FlinkRun, flink_run, job_end
from pipelines.runtime.flink_watch import JobWatch
from pipelines.runtime.history import History
from pipelines.runtime.job import Job, R, Replay, Run, RunPlan
from pipelines.runtime.job_server import check_job_server
from pipelines.runtime.judge import judge_by
from pipelines.runtime.local_runner import keep_metrics_small
from pipelines.runtime.logs import leave_out_beams_tracebacks, leave_out_job_errors, set_up_logging
from pipelines.runtime.loopback import await_end, leave_out_tracebacks
from pipelines.runtime.plan import Plan, for_replay
from pipelines.runtime.preflight import preflight
from pipelines.runtime.prism import running_prism
from pipelines.runtime.processes.child import ParentReporter, reporter_to_parent
from pipelines.runtime.processes.supervisor import Supervisor, how_many
from pipelines.runtime.progress import LINE_EVERY_SECONDS, Progress
from pipelines.runtime.report import summary, warnings, without_success
from pipelines.runtime.report_page.page import RunReport
from pipelines.runtime.result_files import write_results
from pipelines.runtime.signals import Terminated, end_by, ends_on_signals, raises_on_signals
from transforms.records.open_file import reason_of
from transforms.sinks.base import describe_all
from transforms.worker import examples, metrics, process
from transforms.worker.monitor import open_monitor
from transforms.worker.state_sampler import end_bundles_at_once

DONE, FAILED, WRONG = 0, 1, 2
INTERRUPTED = 128 + signal.SIGINT

# When Flink begins to wind up a job that reads to an end. From then on it takes no checkpoint until all is read.
_FLINK_IDLE_MS = 10_000

# How long the last commits of a cluster's job may take to reach a worker in this process.
_COMMIT_SECONDS = 15.0

# How long a worker in this process may take to end after its job.
_LAST_WORDS_SECONDS = 5.0

_LOG = logging.getLogger(__name__)


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
            _account_of_start("failed", job.title, settings, str(error))
            return WRONG
        except KeyboardInterrupt as interrupt:
            words = "stopped before anything was read"
            reporter.say(words)
            _account_of_start("stopped", job.title, settings, words)
            if isinstance(interrupt, Terminated):
                raise
            return INTERRUPTED
        if supervisor is not None:
            return _run_here(supervisor.run, plan, job, reporter, supervisor)
        if plan.local:
            return _run_here(lambda: pipeline.run().wait_until_finish(), plan, job, reporter)
        return _run_on_cluster(pipeline, plan, job, reporter, cluster)


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


def _run_here(
    work: Callable[[], object], plan: R, job: Run[R], reporter: Reporter, supervisor: Supervisor | None = None
) -> int:
    process.tune_garbage_collector()
    keep_metrics_small()
    end_bundles_at_once()
    metrics.reset()
    examples.reset()
    leave_out_beams_tracebacks()
    started = time.monotonic()
    error: Exception | None = None
    general = plan.settings.general
    history = History() if general.report_file else None
    with ends_on_signals(reporter, general.shutdown_seconds, plan, supervisor):
        with history or nullcontext(), _progress(reporter, general):
            try:
                work()
            except Exception as raised:  # noqa: BLE001 (runners raise what they like; it is shown below)
                error = process.failure or raised
                # Deliveries that still wait for their destination would keep the process alive.
                process.request_stop(grace_seconds=0)
        lag = metrics.highest(metrics.LAG_MILLISECONDS)
        plan.close()
        outcome = "failed" if error else "stopped" if process.stop_requested.is_set() else "finished"
        counts = metrics.process_counts()
        if supervisor is not None:
            counts[metrics.READ] -= supervisor.read_again
        # Signals are handled still: a first one that comes this late takes no account away.
        found = summary(counts, time.monotonic() - started, outcome, lag)
        told = _account(found, plan, job.title, reporter, history, error)
        return _end(plan, job, told, reporter) if error is None else _explain(error, reporter, plan)


def _progress(reporter: Reporter, general: GeneralOptions) -> AbstractContextManager[object]:
    """Return what shows how far the run is, or reports it to the parent of this process."""
    if isinstance(reporter, ParentReporter):
        return reporter.reporting(general.shutdown_seconds)
    return nullcontext() if general.progress == "off" else Progress(reporter, LINE_EVERY_SECONDS[general.progress])


def _run_on_cluster(
    pipeline: beam.Pipeline, plan: R, job: Run[R], reporter: Reporter, cluster: FlinkRun | None = None
) -> int:
    leave_out_beams_tracebacks()
    leave_out_tracebacks()
    job_server = leave_out_job_errors()
    started = time.monotonic()
    if cluster is not None:
        reporter.say(f"submitting the job to {cluster.rest.url}")
    watch = JobWatch(cluster, plan.settings, reporter.say) if cluster else None
    options = plan.settings.beam
    try:
        with watch or nullcontext(), raises_on_signals():
            result: PipelineResult = pipeline.run()
            if watch is None:
                reporter.say(f"the job is running on {plan.settings.runner}; ending this process does not stop it")
                # The launcher of a Dataflow template submits the job itself, once this process has ended.
                if options.get("no_wait_until_finish") or options.get("template_location"):
                    return _left_alone(plan, job)
            elif options.get("no_wait_until_finish") and watch.sees_start(
                lambda: PipelineState.is_terminal(result.state)
            ):
                return _left_alone(plan, job)
            state = result.wait_until_finish()
    except KeyboardInterrupt as interrupt:
        words = watch.after_interrupt if watch else "stopped waiting; the job keeps running on the cluster"
        reporter.say(words)
        _account_of_start("unknown", job.title, plan.settings, words)
        if isinstance(interrupt, Terminated):
            atexit._run_exitfuncs()  # end a job server of Beam's, which would outlive a process that a signal ends
            raise
        return INTERRUPTED
    except (RuntimeError, grpc.RpcError) as error:  # Beam's, of a job that failed, was cancelled or is lost
        if plan.settings.on_dataflow:
            raise
        plan.close()
        await_end(_LAST_WORDS_SECONDS)
        end = job_end(plan.settings, cluster, error, job_server.problem, watch.job_id if watch else None)
        reporter.error(end.text)
        _account_of_start(end.outcome, job.title, plan.settings, end.text)
        return FAILED
    done = state == PipelineState.DONE
    plan.close(_COMMIT_SECONDS if done else 0.0)
    counts: Counter[str] = metrics.beam_counts(result.metrics())
    outcome = "finished" if done else str(state)
    told = _account(summary(counts, time.monotonic() - started, outcome), plan, job.title, reporter)
    return _end(plan, job, told, reporter) if done else FAILED


def _left_alone(plan: RunPlan, job: Run[Any]) -> int:
    _account_of_start("unknown", job.title, plan.settings, "the job was submitted and not waited for")
    return DONE


def _end(plan: R, job: Run[R], account_of_run: dict[str, Any], reporter: Reporter) -> int:
    finished = account_of_run["outcome"] == "finished"
    try:
        said = job.after(plan, finished)
    except UserError as error:
        reporter.error(str(error))
        return WRONG
    for words in (said, without_success(account_of_run) if finished else ""):
        if words:
            reporter.say(words)
    return DONE


def _account(
    account_of_run: dict[str, Any],
    plan: RunPlan,
    title: str,
    reporter: Reporter,
    history: History | None = None,
    error: Exception | None = None,
) -> dict[str, Any]:
    reporter.account(account_of_run, plan.dead_letters, title, plan.receiver)
    said = warnings(account_of_run)
    for warning in said:
        reporter.say(warning)
    report = RunReport(
        title=title,
        account=account_of_run,
        notices=[*_reasons(error, plan), *said],
        settings=plan.settings,
        ended=datetime.now(timezone.utc),
        receiver=plan.receiver,
        dead_letters=describe_all(plan.dead_letters),
        history=history,
        examples=examples.kept(),
    )
    for problem in write_results(report):
        reporter.error(f"{problem}; the counts are above")
    return account_of_run


def _reasons(error: Exception | None, plan: RunPlan) -> list[str]:
    """Return what a page that others may read says of an error."""
    if error is None:
        return []
    if isinstance(error, StoppedError):
        return [str(error)]
    if isinstance(error, UserError):
        return [str(error), plan.after_failure]
    return [f"{type(error).__name__}: the log of the run has the details"]


def _account_of_start(outcome: str, title: str, settings: Settings | None, reason: str) -> None:
    """Write the results of a run that counted nothing here, so that nobody takes those of an earlier run for its own.

    Whoever does not wait for a cluster's job does not know how it ends.

    Of a file that cannot be written the preflight says so.
    """
    if settings is not None:
        account = summary(Counter(), 0.0, outcome)
        for _ in write_results(RunReport(title, account, [reason], settings, datetime.now(timezone.utc))):
            pass


def _explain(error: Exception, reporter: Reporter, plan: RunPlan) -> int:
    if isinstance(error, StoppedError):
        reporter.error(str(error))
        return FAILED
    if isinstance(error, UserError):
        reporter.error(str(named(error, plan.settings) if isinstance(error, SecretError) else error))
        reporter.say(plan.after_failure)
        return WRONG
    _LOG.error("the run failed", exc_info=error)
    return FAILED


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
