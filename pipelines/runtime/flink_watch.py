"""Watches a job of a Flink cluster while a run waits for it: says when it runs, and else why it does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

from pipelines.flink.answers import Failure, JobDetail
from pipelines.flink.cluster import submitted
from pipelines.flink.failure import cause_of
from pipelines.flink.launch import has_started, is_over, what_it_waits_for
from pipelines.flink.rest import FlinkError
from pipelines.options.settings import Settings
from pipelines.runtime.flink import FlinkRun, workers_of

# How long a start may take before users read what the job waits for, and how often they then read it again.
REMIND_SECONDS = 60.0

_LOOK_SECONDS = 2.0
_LAST_LOOK_SECONDS = 5.0


class JobWatch:
    """Looks at a submitted job every two seconds while the `with` block lasts, in a thread of its own.

    A job that does not start is left to Flink, which tries again as its restart strategy says: what is missing, such as
    a worker pool, may come while it waits.

    Args:
        cluster: Where the job was submitted.
        settings: All options.
        say: Says a sentence to the user.
        remind_seconds: See `REMIND_SECONDS`.
    """

    def __init__(
        self, cluster: FlinkRun, settings: Settings, say: Callable[[str], None], remind_seconds: float = REMIND_SECONDS
    ):
        self._rest, self._jobs_before = cluster.rest, cluster.jobs_before
        self._name = settings.beam.get("job_name")
        self._workers = workers_of(settings)
        self._say, self._remind_seconds = say, remind_seconds
        self._job_id: str | None = None
        self._told = Failure(0.0, "")
        self._quiet_since = time.monotonic()
        self._started, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="flink-job-watch", daemon=True)

    def __enter__(self) -> JobWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(_LAST_LOOK_SECONDS)

    @property
    def job_id(self) -> str | None:
        """Flink's id of the job, None as long as the cluster has not been seen to have it."""
        return self._job_id

    @property
    def after_interrupt(self) -> str:
        """What users read who no longer wait for the job."""
        if self._job_id is None:
            return f"stopped waiting before Flink had the job; {self._rest.url} shows whether it was submitted"
        return f"stopped waiting; {self._without_us}"

    def sees_start(self, is_over: Callable[[], bool]) -> bool:
        """Return True once all tasks of the job have run at once, False if the job is over without.

        Args:
            is_over: Returns whether the job is over, submitted or not.
        """
        while not self._started.wait(_LOOK_SECONDS):
            if is_over():
                return False
        return True

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            try:
                self._look()
            except FlinkError as error:  # as while another job manager takes over
                self._remind(str(error))

    def _look(self) -> None:
        if self._job_id is None:
            job = submitted(self._rest.jobs(), self._name, self._jobs_before)
            if job is None:
                self._remind("Beam's job server has not handed the job to Flink yet; still waiting")
                return
            self._job_id = job.id
            self._quiet_since = time.monotonic()
        detail = self._rest.job(self._job_id)
        if is_over(detail) or self._over.is_set():
            return
        failure = next(iter(self._rest.failures(self._job_id)), self._told)
        if failure.at > self._told.at and self._tell_failure(failure):
            return
        if not has_started(detail):
            self._remind(f"not all tasks of the job run: {what_it_waits_for(detail, self._workers)}; still waiting")
        elif not self._started.is_set():
            self._tell_start(detail)

    def _tell_failure(self, failure: Failure) -> bool:
        """Return whether it was said why the job failed: at once the first time, later at most once a minute."""
        cause = f"the job failed, and Flink starts it again: {cause_of(failure.trace, self._workers.address)}"
        if not self._told.trace:
            self._quiet_since = float("-inf")
        if not self._remind(f"{cause}; {self._page} has the details"):
            return False
        self._told = failure
        return True

    def _tell_start(self, detail: JobDetail) -> None:
        self._say(
            f"all {sum(detail.tasks.values())} tasks of the job run: {self._rest.url}/#/job/running/{self._job_id}; "
            f"{self._without_us}"
        )
        self._started.set()

    @property
    def _without_us(self) -> str:
        if self._workers.environment == "LOOPBACK":
            return "its workers are in this process and end with it (environment_type LOOPBACK)"
        return "the job keeps running on the cluster when this process ends"

    @property
    def _page(self) -> str:
        return f"{self._rest.url}/jobs/{self._job_id}/exceptions"

    def _remind(self, text: str) -> bool:
        """Say something unless something was said within the last minute; return whether it was said."""
        if time.monotonic() - self._quiet_since < self._remind_seconds:
            return False
        self._say(text)
        self._quiet_since = time.monotonic()
        return True
