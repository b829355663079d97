"""Runs a pipeline in this process, or in those that it starts."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from pipelines.options.declarations import GeneralOptions
from pipelines.runtime.account import explain, finish, tell_account
from pipelines.runtime.console import Reporter
from pipelines.runtime.history import History
from pipelines.runtime.job import R, Run
from pipelines.runtime.local_runner import keep_metrics_small
from pipelines.runtime.logs import leave_out_beams_tracebacks
from pipelines.runtime.processes.child import ParentReporter
from pipelines.runtime.processes.supervisor import Supervisor
from pipelines.runtime.progress import LINE_EVERY_SECONDS, Progress
from pipelines.runtime.report import summary
from pipelines.runtime.signals import ends_on_signals
from transforms.worker import examples, metrics, process
from transforms.worker.state_sampler import end_bundles_at_once


def run_here(
    work: Callable[[], object], plan: R, job: Run[R], reporter: Reporter, supervisor: Supervisor | None = None
) -> int:
    """Run a pipeline to its end, with its progress shown and signals obeyed, and return the exit code.

    Args:
        work: Runs it.
        plan: What it does.
        job: What it is.
        reporter: Shows how it goes.
        supervisor: Of the processes that run it, where there are several.
    """
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
        told = tell_account(found, plan, job.title, reporter, history, error)
        return finish(plan, job, told, reporter) if error is None else explain(error, reporter, plan)


def _progress(reporter: Reporter, general: GeneralOptions) -> AbstractContextManager[object]:
    """Return what shows how far the run is, or reports it to the parent of this process."""
    if isinstance(reporter, ParentReporter):
        return reporter.reporting(general.shutdown_seconds)
    return nullcontext() if general.progress == "off" else Progress(reporter, LINE_EVERY_SECONDS[general.progress])
