"""Where a job is started again: a savepoint, a checkpoint, or the offsets that its group has committed."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from aep.errors import UserError
from pipelines.flink.answers import Checkpoint, Checkpoints, FlinkJob

COMMITTED = "committed"
"""In place of a path: the group's committed offsets."""

_METADATA = "_metadata"  # without it a checkpoint was not completed
_CHECKPOINT = re.compile(r"chk-(\d+)")


_ENDS = {"FINISHED": "finished", "CANCELED": "was cancelled", "FAILED": "failed"}


class StartError(UserError):
    """Nothing is known from which a job could be started again."""


class Start(NamedTuple):
    """Where a job starts.

    Attributes:
        path: Of a savepoint or checkpoint; None for the committed offsets.
        why: The reason, for users.
    """

    path: str | None
    why: str

    def words(self, group: str) -> str:
        """Return where and why, for users.

        Args:
            group: The consumer group whose offsets may be committed.
        """
        return f"{f'from {self.path}' if self.path else f'at the committed offsets of group {group}'}: {self.why}"


def start_again(job: FlinkJob | None, checkpoints: Checkpoints | None, commits: bool) -> Start:
    """Return where a job starts again after it has ended.

    Args:
        job: The newest of its name, which has ended; None where the cluster knows none.
        checkpoints: Those of the job.
        commits: Whether it commits the offsets of what is delivered (`batch_mode=bundle`), so that these are as good as
            a checkpoint.

    Raises:
        StartError: It commits no offsets and has no checkpoint that is still there.
    """
    whose = "the cluster knows no job of this name" if job is None else f"job {job.id} {_ENDS[job.state]}"
    savepoint = checkpoints.savepoint if checkpoints else None
    if job is not None and savepoint and savepoint.kept and savepoint.stopped and job.state == "FINISHED":
        return Start(savepoint.path, f"job {job.id} was stopped with it at {at(savepoint.began)}")
    if commits:
        return Start(None, whose)
    if newest := _newest(checkpoints):
        return Start(newest.path, f"{whose}; it is the newest of the job, of {at(newest.began)}")
    if checkpoints and checkpoints.restored:
        return Start(checkpoints.restored, f"{whose} before it completed one; it was started from this itself")
    raise StartError(
        f"{whose}, and no checkpoint of it is known, without which its positions are lost (batch_mode=state): "
        "name a savepoint, a checkpoint or a folder of chk-N with --from"
    )


def named(place: str) -> Start:
    """Return the start that a user names: `COMMITTED`, a savepoint or checkpoint, or a folder of checkpoints.

    A place that is not on this machine is taken as it is: Flink says where it finds nothing there.

    Raises:
        StartError: A folder of this machine without a completed savepoint or checkpoint.
    """
    if place == COMMITTED:
        return Start(None, "as --from says")
    folder = Path(re.sub("^file:(//)?(?=/)", "", place))
    if "://" in place.removeprefix("file://") or not folder.is_dir():
        return Start(place, "as --from says")
    if (folder / _METADATA).is_file():
        return Start(str(folder.resolve()), "as --from says")
    numbers = {int(found[1]): each for each in folder.iterdir() if (found := _CHECKPOINT.fullmatch(each.name))}
    complete = [number for number, each in numbers.items() if (each / _METADATA).is_file()]
    if complete:
        newest = numbers[max(complete)]
        return Start(str(newest.resolve()), f"the newest completed one of {folder}")
    raise StartError(
        f"--from {place}: there is no completed savepoint or checkpoint: neither a file {_METADATA} nor a folder chk-N "
        "with one"
    )


def at(seconds: float) -> str:
    """Return a time, in seconds since 1970, as users read it."""
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def _newest(checkpoints: Checkpoints | None) -> Checkpoint | None:
    """Return the newest savepoint or checkpoint that is still there."""
    found = (checkpoints.completed, checkpoints.savepoint) if checkpoints else ()
    return max((one for one in found if one and one.kept), key=lambda one: one.began, default=None)
