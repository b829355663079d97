"""Reads one shard: iterators, how often and how much is asked for, and what to do when Kinesis refuses."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

from kinesis.listing import named, server_time
from kinesis.positions import END, Position, after
from kinesis.read_errors import boto_errors, code_of, why_again

_LOG = logging.getLogger(__name__)

# A reply of GetRecords has 10,000 records at most. After one of 10 MiB the shard refuses reads for five seconds.
_MAX_RECORDS = 10_000
_FILL_BYTES = 8 * 1024 * 1024

# What an empty shard's pause grows to.
_EMPTY_SECONDS = 5.0

_BACK_OFF_SECONDS = 0.5
_BACK_OFF_MAX_SECONDS = 10.0
_DOUBLINGS = 5  # then the longest pause is reached

# A shard that is refused is mentioned in the log from then on, and as often.
_WARN_SECONDS = 60.0


class Reply(NamedTuple):
    """The result of a call.

    Attributes:
        records: As boto3 gives them.
        position: Behind the records.
        children: Each with its parents, of a shard that has ended.
        behind: How far the position is behind the newest record, in milliseconds (MillisBehindLatest).
        time: Time of the reply, in milliseconds since 1970.
    """

    records: Sequence[Mapping[str, Any]]
    position: Position
    children: Mapping[str, tuple[str, ...]]
    behind: int
    time: int

    @property
    def read_to(self) -> int:
        """What arrived before this time is read."""
        return self.time - self.behind


class ShardReader:
    """Reads a shard from a position on; a call that fails is made again from where it was.

    Attributes:
        position: Where the next reply begins.
        due: When the shard may be asked next, by the clock.

    Args:
        client: Of boto3.
        stream: Its name or ARN.
        shard: Its id.
        position: Where to start.
        poll_seconds: From one call to the next at least; a shard takes five calls a second of all its readers together.
        clock: Seconds, never going back.
        spread: Draws a pause between two bounds.
    """

    def __init__(
        self,
        client: Any,
        stream: str,
        shard: str,
        position: Position,
        poll_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        spread: Callable[[float, float], float] = random.uniform,
    ):
        self.position = position
        self.due = float("-inf")
        self._client = client
        self._stream = stream
        self._shard = shard
        self._poll_seconds = poll_seconds
        self._clock = clock
        self._spread = spread
        self._iterator: str | None = None
        self._pause = poll_seconds
        self._failures = 0
        self._failing_since = 0.0
        self._behind: int | None = None
        self._warn_at = float("inf")
        self._record_bytes = 0.0  # of a record, on the average

    @property
    def behind(self) -> int | None:
        """How far it is behind the newest record, in milliseconds: more and more while Kinesis does not answer. None
        before the first answer.
        """
        if not self._failures:
            return self._behind
        return (self._behind or 0) + int((self._clock() - self._failing_since) * 1000)

    def seek(self, position: Position) -> None:
        """Continue at a position; does nothing if that is the current one."""
        if position != self.position:
            self.position = position
            self._iterator = None

    def read(self, most: int) -> Reply | None:
        """Ask for records once; None when Kinesis gives none for now, and `due` says when to ask again.

        Args:
            most: Records wanted, at most.

        Raises:
            GoneError: The shard, or the position in it, does not exist: it has expired, or the stream is another one.
            KinesisError: The user has to fix something before reading can continue.
        """
        began = self._clock()
        try:
            if self._iterator is None:
                self._iterator = self._new_iterator()
            answer = self._client.get_records(ShardIterator=self._iterator, Limit=self._limit(most))
        except boto_errors() as error:
            self._after_error(error)
            return None
        self._failures = 0
        self._warn_at = float("inf")
        records = answer["Records"]
        behind = int(answer.get("MillisBehindLatest") or 0)
        self._behind = behind
        self._iterator = answer.get("NextShardIterator")
        if records:
            self.position = after(records[-1]["SequenceNumber"])
            average = sum(len(record["Data"]) for record in records) / len(records)
            self._record_bytes = max(average, 0.9 * self._record_bytes)
        if self._iterator is None:
            self.position = END
        if records or behind:
            self._pause = self._poll_seconds
        else:
            self._pause = max(self._poll_seconds, min(2 * self._pause, _EMPTY_SECONDS))
        self.due = began + self._pause
        children = {one["ShardId"]: tuple(one.get("ParentShards", ())) for one in answer.get("ChildShards") or ()}
        return Reply(records, self.position, children, behind, server_time(answer))

    def _new_iterator(self) -> str:
        kind, value = self.position
        asked: dict[str, Any] = {**named(self._stream), "ShardId": self._shard, "ShardIteratorType": kind}
        if kind == "AFTER_SEQUENCE_NUMBER":
            asked["StartingSequenceNumber"] = value
        elif kind == "AT_TIMESTAMP":
            asked["Timestamp"] = datetime.fromtimestamp(int(value) / 1000, timezone.utc)
        return str(self._client.get_shard_iterator(**asked)["ShardIterator"])

    def _limit(self, most: int) -> int:
        fitting = int(_FILL_BYTES / self._record_bytes) if self._record_bytes else _MAX_RECORDS
        return max(1, min(most, fitting, _MAX_RECORDS))

    def _after_error(self, error: Exception) -> None:
        why = why_again(error, self._stream)
        expired = code_of(error) == "ExpiredIteratorException"
        self._iterator = None
        now = self._clock()
        if self._failures == 0:
            self._failing_since, self._warn_at = now, now + _WARN_SECONDS
        longest = min(_BACK_OFF_MAX_SECONDS, _BACK_OFF_SECONDS * 2 ** min(self._failures, _DOUBLINGS))
        # Iterators last five minutes, less than a pause of the pipeline may: a new one is taken at once.
        pause = 0.0 if expired and self._failures == 0 else self._poll_seconds + self._spread(0, longest)
        self._failures += 1
        self.due = now + pause
        if now >= self._warn_at:
            self._warn_at = now + _WARN_SECONDS
            _LOG.warning(
                "shard %s of stream %s cannot be read for %.0f s: %s; trying again",
                *(self._shard, self._stream, now - self._failing_since, why),
            )
