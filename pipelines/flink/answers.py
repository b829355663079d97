"""What Flink's REST API says about jobs and the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class FlinkJob(NamedTuple):
    """A job that the cluster knows.

    Attributes:
        id: Flink's id of it.
        name: The option `job_name`.
        state: Such as RUNNING, RESTARTING, CANCELED, FAILED.
        started: When it was submitted, in seconds since 1970.
    """

    id: str
    name: str
    state: str
    started: float = 0.0

    @property
    def ended(self) -> bool:
        """Whether it never runs again."""
        return self.state in ("FINISHED", "CANCELED", "FAILED")


class JobDetail(NamedTuple):
    """What a job is doing. Times are in seconds since 1970, by the job manager's clock.

    Attributes:
        state: See `FlinkJob`.
        since: When it got into this state.
        now: When Flink answered.
        tasks: How many of its tasks are in which state, such as RUNNING.
        vertices: Ids of its vertices, each a chain of steps.
    """

    state: str
    since: float
    now: float
    tasks: Mapping[str, int]
    vertices: tuple[str, ...]


class Checkpoint(NamedTuple):
    """A completed checkpoint or savepoint.

    Attributes:
        path: Where it is, "" where Flink gives no path.
        began: When it was triggered, in seconds since 1970.
        seconds: How long it took.
        size: Bytes of state in it.
        stopped: Whether the job was stopped with it.
        kept: Whether it is still there, as far as Flink knows.
    """

    path: str
    began: float
    seconds: float
    size: int
    stopped: bool
    kept: bool


class Checkpoints(NamedTuple):
    """The newest checkpoints of a job.

    Attributes:
        completed: The newest checkpoint, savepoints left out.
        savepoint: The newest savepoint.
        restored: Path of what the job was last restored from.
    """

    completed: Checkpoint | None
    savepoint: Checkpoint | None
    restored: str | None

    @property
    def newest(self) -> Checkpoint | None:
        """The newer of the two."""
        return max(filter(None, (self.completed, self.savepoint)), key=lambda one: one.began, default=None)


class Failure(NamedTuple):
    """A failure of a job: when, in seconds since 1970, and Java's stack trace."""

    at: float
    trace: str


class Load(NamedTuple):
    """How busy a vertex is.

    Attributes:
        level: Flink's level of back-pressure: ok, low or high.
        busy: Share of the time that its busiest subtask is busy, 0 to 1.
    """

    level: str
    busy: float


class Savepoint(NamedTuple):
    """A savepoint that was asked for: whether Flink is through with it, where it is, or why there is none."""

    done: bool
    path: str
    trace: str


class Slots(NamedTuple):
    """Slots of a cluster for tasks."""

    free: int
    total: int


def read_checkpoint(entry: Any) -> Checkpoint | None:
    """Return a checkpoint as Flink lists it, None for none."""
    if not entry:
        return None
    path = str(entry["external_path"])
    known = not path.startswith("<")  # "<checkpoint-not-externally-addressable>"
    return Checkpoint(
        path if known else "",
        entry["trigger_timestamp"] / 1_000,
        entry["end_to_end_duration"] / 1_000,
        int(entry["state_size"]),
        entry.get("checkpoint_type") == "SYNC_SAVEPOINT",
        known and not entry["discarded"],
    )
