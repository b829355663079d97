"""Looks up the shards of a stream while it is read, and handles positions that no longer exist."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from typing import Any, Literal

from kinesis.errors import AccessError, StreamError
from kinesis.lineage import Listed, Owns, States, first_states, readable, update
from kinesis.listing import Summary, describe, list_shards
from kinesis.positions import BEGINNING, Change, Checkpoint, Position, at_time
from kinesis.read_errors import boto_errors, reached, unreachable, why_again

Reset = Literal["earliest", "latest", "error"]

_LOG = logging.getLogger(__name__)
_EVERY_SECONDS = 30.0
_AGAIN_SECONDS = 2.0


def begin(client: Any, stream: str, start: str | int, pause: Callable[[float], object] = time.sleep) -> Checkpoint:
    """Return the checkpoint of a stream that is read for the first time.

    Args:
        client: Of boto3.
        stream: Its name or ARN.
        start: `earliest`; `latest`, which becomes the time of this look-up, so that what arrives before reading begins
            is read too; or a time in milliseconds since 1970.
        pause: Waits, in seconds; returns true when the process is to end.

    Raises:
        KinesisError: The stream cannot be looked up, or the time is in the future.
    """
    listed, now = _look_up(client, stream, pause)
    created = _created(client, stream)
    if start == "earliest":
        return Checkpoint(stream, created, first_states(listed, BEGINNING, 0))
    at = now if start == "latest" else int(start)
    if at >= now + 1000:  # the time of an answer has its second rounded down
        raise StreamError(f"stream {stream}: kinesis_start is in the future, of which Kinesis gives no position")
    return Checkpoint(stream, created, first_states(listed, at_time(at), at))


def end_of(client: Any, stream: str, pause: Callable[[float], object] = time.sleep) -> int:
    """Return the time up to which a run reads that ends with what has arrived by now, in milliseconds since 1970.

    Raises:
        KinesisError: The stream cannot be looked up.
    """
    _, now = _look_up(client, stream, pause)
    return now + 2000  # the time of an answer has its second rounded down, and servers write one for a second


def _look_up(client: Any, stream: str, pause: Callable[[float], object]) -> tuple[dict[str, tuple[str, ...]], int]:
    def look() -> tuple[dict[str, tuple[str, ...]], int]:
        try:
            return list_shards(client, stream)
        except boto_errors() as error:
            why = why_again(error, stream)
            raise unreachable(stream, why, client) from None

    return reached(look, pause)


def _created(client: Any, stream: str) -> int:
    try:
        summary = _describe(client, stream, logging.DEBUG)  # each reader says that the right is missing as it begins
    except boto_errors():
        return 0  # each reader asks again before it reads
    return 0 if summary is None else summary.created


def _describe(client: Any, stream: str, level: int = logging.INFO) -> Summary | None:
    """Return the summary; None without the right to it.

    Args:
        client: Of boto3.
        stream: Its name or ARN.
        level: At which a missing right is logged.

    Raises:
        ClientError, BotoCoreError: Kinesis gives no answer now.
        KinesisError: The stream does not exist.
    """
    try:
        return describe(client, stream)
    except boto_errors() as error:
        try:
            why_again(error, stream)
        except AccessError as denied:
            _LOG.log(
                level,
                "%s; without it, it goes unnoticed when the stream is deleted and created again, or when a position is "
                "older than its retention",
                denied,
            )
            return None
        raise


class Discovery:
    """Keeps a reader's checkpoint in step with the shards that exist.

    Attributes:
        settled: All shards are known that were there when one was last read to its end, or when reading began.
        checked: The positions are known to be of this stream and within its retention, or the right to know is missing.
            Before that nothing should be read: afterwards it would not show that records had expired unread.
        due: When to look again, by the clock.

    Args:
        client: Of boto3.
        stream: Its name or ARN.
        owns: Whether a shard is this reader's.
        reset: Where to continue when a position no longer exists: with the oldest records left, with records that
            arrive from now on, or not at all (`error`).
        clock: Seconds, never going back.
    """

    def __init__(self, client: Any, stream: str, owns: Owns, reset: Reset, clock: Callable[[], float] = time.monotonic):
        self._client = client
        self._stream = stream
        self._owns = owns
        self._reset = reset
        self._clock = clock
        self.settled = False
        self.checked = False
        self.due = float("-inf")

    def is_due(self) -> bool:
        """Return whether it is time to look again."""
        return self._clock() >= self.due

    def look_soon(self, doubtful: bool = False) -> None:
        """Look again at the next chance.

        Args:
            doubtful: Kinesis does not know a position; the stream may be another one of the same name.
        """
        self.settled = False
        self.due = float("-inf")
        self.checked = self.checked and not doubtful

    def look(self, checkpoint: Checkpoint) -> Change | None:
        """Return what has changed; None when Kinesis gives no answer now.

        Raises:
            KinesisError: A position no longer exists and `reset` is `error`, or the user has to fix something.
        """
        try:
            listed, now = list_shards(self._client, self._stream)
            summary = None if self.checked else _describe(self._client, self._stream)
        except boto_errors() as error:
            why = why_again(error, self._stream)
            self.due = self._clock() + _AGAIN_SECONDS
            _LOG.warning("stream %s: its shards cannot be looked up: %s; trying again", self._stream, why)
            return None
        change = self._compare(checkpoint, listed, now, summary)
        # Not before that: a worker that outlives the error of `reset` would read on when its job is restarted.
        self.settled = self.checked = True
        self.due = self._clock() + _EVERY_SECONDS
        return change

    def _compare(self, checkpoint: Checkpoint, listed: Listed, now: int, summary: Summary | None) -> Change:
        """Return what has changed.

        Raises:
            StreamError: A position no longer exists and `reset` is `error`.
        """
        skip_to = (at_time(now), now) if self._reset == "latest" else None
        if summary is not None and checkpoint.created not in (0, summary.created):
            self._report_loss(f"stream {self._stream} was deleted and created again")
            states = first_states(listed, *(skip_to or (BEGINNING, 0)))
            return Change(states, frozenset(checkpoint.shards.keys() - states.keys()), summary.created)
        found = update(checkpoint.shards, listed, self._owns, skip_to)
        if found.lost:
            self._report_loss(
                f"stream {self._stream}: {_counted(found.lost)} expired before they were read to their ends"
            )
        change = found.change
        if summary is not None:
            change = self._without_stale(checkpoint.apply(change).shards, change, now - summary.retention, skip_to)
            change = change._replace(created=summary.created)
        return change

    def _without_stale(
        self, states: States, change: Change, horizon: int, skip_to: tuple[Position, int] | None
    ) -> Change:
        """Look whether records may have expired between a position and the oldest that is kept."""
        stale = [shard for shard in readable(states, self._owns) if 0 < states[shard].read_to < horizon]
        if not stale:
            return change
        oldest = datetime.fromtimestamp(min(states[shard].read_to for shard in stale) / 1000, timezone.utc)
        self._report_loss(
            f"stream {self._stream}: {_counted(stale)} read up to {oldest:%Y-%m-%d %H:%M:%S} UTC at the earliest, "
            "which is longer ago than the stream keeps records"
        )
        if skip_to is None:
            return change
        moved = {shard: states[shard]._replace(position=skip_to[0], read_to=skip_to[1]) for shard in stale}
        return change._replace(shards={**change.shards, **moved})

    def _report_loss(self, what: str) -> None:
        """Log that records may be lost and where reading continues.

        Raises:
            StreamError: `reset` is `error`.
        """
        if self._reset == "error":
            raise StreamError(
                f"{what}, and kinesis_reset=error: give kinesis_reset=earliest to go on with the oldest records that "
                "are left, or latest to go on with those that arrive from now on"
            )
        where = "the oldest records left" if self._reset == "earliest" else "records that arrive from now on"
        _LOG.warning("%s; records may be lost; reading continues with %s (kinesis_reset=%s)", what, where, self._reset)


def _counted(shards: Iterable[str]) -> str:
    """Return the shards by name, the first few of many."""
    names = sorted(shards)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
