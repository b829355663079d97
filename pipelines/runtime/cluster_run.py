"""Runs a pipeline on a cluster, and waits for its job."""

from __future__ import annotations

import atexit
import time
from collections import Counter
from contextlib import nullcontext
from typing import Any

import apache_beam as beam
import grpc
from apache_beam.runners.runner import PipelineResult, PipelineState

from pipelines.runtime.account import DONE, FAILED, INTERRUPTED, finish, tell_account, write_without_counts
from pipelines.runtime.console import Reporter
from pipelines.runtime.flink import FlinkRun, job_end
from pipelines.runtime.flink_watch import JobWatch
from pipelines.runtime.job import R, Run, RunPlan
from pipelines.runtime.logs import leave_out_beams_tracebacks, leave_out_job_errors
from pipelines.runtime.loopback import await_end, leave_out_tracebacks
from pipelines.runtime.report import summary
from pipelines.runtime.signals import Terminated, raises_on_signals
from transforms.worker import metrics

# How long the last commits of a cluster's job may take to reach a worker in this process.
_COMMIT_SECONDS = 15.0

# How long a worker in this process may take to end after its job.
_LAST_WORDS_SECONDS = 5.0


def run_on_cluster(
    pipeline: beam.Pipeline, plan: R, job: Run[R], reporter: Reporter, cluster: FlinkRun | None = None
) -> int:
    """Submit a pipeline, wait for its job unless Beam's options say otherwise, and return the exit code.

    Raises:
        Terminated: A signal that ends processes came while the job was waited for.
    """
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
        write_without_counts("unknown", job.title, plan.settings, words)
        if isinstance(interrupt, Terminated):
            atexit._run_exitfuncs()  # end a job server of Beam's, which would outlive a process that a signal ends
            raise
        return INTERRUPTED
    except (RuntimeError, grpc.RpcError) as error:  # Beam's, of a job that failed, was cancelled or is lost
        if plan.settings.on_dataflow:
            raise
        plan.close()
        await_end(_LAST_WORDS_SECONDS)
        ended = job_end(plan.settings, cluster, error, job_server.problem, watch.job_id if watch else None)
        reporter.error(ended.text)
        write_without_counts(ended.outcome, job.title, plan.settings, ended.text)
        return FAILED
    done = state == PipelineState.DONE
    plan.close(_COMMIT_SECONDS if done else 0.0)
    counts: Counter[str] = metrics.beam_counts(result.metrics())
    outcome = "finished" if done else str(state)
    told = tell_account(summary(counts, time.monotonic() - started, outcome), plan, job.title, reporter)
    return finish(plan, job, told, reporter) if done else FAILED


def _left_alone(plan: RunPlan, job: Run[Any]) -> int:
    write_without_counts("unknown", job.title, plan.settings, "the job was submitted and not waited for")
    return DONE
