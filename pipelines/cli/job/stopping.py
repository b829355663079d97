"""Stops a job, and says what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console

from pipelines.cli.common import say
from pipelines.cli.job.show import span
from pipelines.flink.answers import FlinkJob
from pipelines.flink.rest import FlinkError, FlinkRest
from pipelines.flink.start import at
from pipelines.flink.status import RUNNING
from pipelines.flink.stop import StopError, savepoint_problem, take_savepoint_and_stop, wait_until_ended
from pipelines.output.terminal import is_terminal, spinner

_LINE_EVERY_SECONDS = 15.0


def with_savepoint(rest: FlinkRest, job: FlinkJob, directory: str | None) -> str:
    """Stop a job with a savepoint; return the savepoint's path when it is complete.

    Raises:
        StopError: There is no place for it, it failed, or the job failed after it.
        FlinkError: The cluster refuses, or cannot be reached.
    """
    if problem := savepoint_problem(directory, rest.configuration()):
        raise StopError(problem)
    if job.state != RUNNING:
        raise StopError(
            f"job {job.id} is {job.state}, and only a RUNNING one can be stopped with a savepoint: wait until it runs, "
            "or stop it without --savepoint"
        )
    say(f"stopping {job.name} ({job.id}) with a savepoint: each reader ends its bundle first")
    with _progress("the savepoint") as progress:
        return take_savepoint_and_stop(rest, job.id, directory, progress)


def wait_for_end(rest: FlinkRest, job: FlinkJob) -> None:
    """Return when a job that was asked to end has ended.

    Raises:
        FlinkError: The cluster cannot be reached.
    """
    with _progress("the job to end") as progress:
        wait_until_ended(rest, job.id, progress)


def cancel(rest: FlinkRest, job: FlinkJob, commits: bool) -> None:
    """Cancel a job.

    Args:
        rest: The cluster.
        job: It has not ended.
        commits: Whether it commits the offsets of what is delivered.

    Raises:
        StopError: Its positions would be lost.
        FlinkError: The cluster refuses, or cannot be reached.
    """
    completed = rest.checkpoints(job.id).completed  # where it is gone by now, a newer one has taken its place
    if not commits and not (completed and rest.keeps_checkpoints(job.id)):
        raise StopError(
            f"job {job.id} keeps its positions in checkpoints only, and none of them would outlive its cancellation: "
            "stop it with --savepoint"
        )
    rest.cancel(job.id)
    wait_for_end(rest, job)
    with suppress(FlinkError):  # as of a job that Flink has forgotten: the one from before is nearly as new
        completed = rest.final_checkpoints(job.id).completed
    since = f"its last checkpoint began ({at(completed.began)})" if completed else f"its start ({at(job.started)})"
    goes_on = "at the committed offsets" if commits else f"from {completed.path if completed else ''}"
    say(
        f"cancelled {job.name} ({job.id}). Nothing is lost: beam-aep job restart goes on {goes_on}. What was accepted "
        f"since {since} is sent again"
    )


@contextmanager
def _progress(what: str) -> Iterator[Callable[[float], None]]:
    """Show what is waited for, and the seconds so far: in place on a terminal, else a line now and then."""
    console = Console(stderr=True, highlight=False)
    if is_terminal(console):
        with console.status(f"waiting for {what}", spinner=spinner(console)) as line:
            yield lambda seconds: line.update(f"waiting for {what}: {span(seconds)}")
        return
    said = 0.0

    def tell(seconds: float) -> None:
        nonlocal said
        if seconds - said >= _LINE_EVERY_SECONDS:
            said = seconds
            say(f"waiting for {what}: {span(seconds)}")

    yield tell
