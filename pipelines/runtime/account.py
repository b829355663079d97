"""How a run ends: its account on the terminal and in files, and its exit code."""

from __future__ import annotations

import logging
import signal
from collections import Counter
from datetime import datetime, timezone
from typing import Any

from aep.errors import SecretError, StoppedError, UserError
from pipelines.options.secret_checks import named
from pipelines.options.settings import Settings
from pipelines.runtime.console import Reporter
from pipelines.runtime.history import History
from pipelines.runtime.job import R, Run, RunPlan
from pipelines.runtime.report import summary, warnings, without_success
from pipelines.runtime.report_page.page import RunReport
from pipelines.runtime.result_files import write_results
from transforms.sinks.base import describe_all
from transforms.worker import examples

DONE, FAILED, WRONG = 0, 1, 2
INTERRUPTED = 128 + signal.SIGINT

_LOG = logging.getLogger(__name__)


def finish(plan: R, job: Run[R], account_of_run: dict[str, Any], reporter: Reporter) -> int:
    """Do what a job does after a run that did not fail, and return the exit code."""
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


def tell_account(
    account_of_run: dict[str, Any],
    plan: RunPlan,
    title: str,
    reporter: Reporter,
    history: History | None = None,
    error: Exception | None = None,
) -> dict[str, Any]:
    """Show the account of a run with its warnings, write it to the files that were asked for, and return it."""
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


def write_without_counts(outcome: str, title: str, settings: Settings | None, reason: str) -> None:
    """Write the results of a run that counted nothing here, so that nobody takes those of an earlier run for its own.

    It failed, was stopped, or was submitted to a cluster and not waited for. Of a file that cannot be written the
    preflight says so.
    """
    if settings is not None:
        account = summary(Counter(), 0.0, outcome)
        for _ in write_results(RunReport(title, account, [reason], settings, datetime.now(timezone.utc))):
            pass


def explain(error: Exception, reporter: Reporter, plan: RunPlan) -> int:
    """Say why a run failed, and return the exit code."""
    if isinstance(error, StoppedError):
        reporter.error(str(error))
        return FAILED
    if isinstance(error, UserError):
        reporter.error(str(named(error, plan.settings) if isinstance(error, SecretError) else error))
        reporter.say(plan.after_failure)
        return WRONG
    _LOG.error("the run failed", exc_info=error)
    return FAILED
