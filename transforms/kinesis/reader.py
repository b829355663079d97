"""Reads the shards of a stream in turn and can go back to any position. One for each share and process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from kinesis.discovery import Discovery
from kinesis.errors import AccessError
from kinesis.lineage import after_end, readable
from kinesis.positions import Change, Checkpoint, after
from kinesis.read_errors import GoneError
from kinesis.shard_reader import Reply, ShardReader
from transforms.kinesis.errors import as_user_error
from transforms.kinesis.record import chunk_of
from transforms.kinesis.restriction import Share, Unread
from transforms.kinesis.source import KinesisSource
from transforms.records.chunk import CHUNK_RECORDS, Chunk
from transforms.worker import metrics, process


class Step(NamedTuple):
    """A result of `read_bundle`: the position to claim, and the records it covers, if any."""

    claim: Change
    chunk: Chunk | None = None


class Reader:
    """Reads the shards of a share.

    Attributes:
        lock: Held for the length of a bundle.
        lag: How far the slowest shard is behind, in milliseconds, as last measured; None before that.

    Raises:
        UserError: No client can be made.
    """

    def __init__(self, source: KinesisSource, share: Share, clock: Callable[[], float] = time.monotonic):
        self.lock = threading.Lock()
        self.lag: int | None = None
        self._source = source
        self._share = share
        self._clock = clock
        self._checkpoint = Checkpoint(source.stream)
        self._end: int | None = None
        self._take_client()

    def go_to(self, restriction: Unread) -> None:
        """Make the next bundle start where the restriction says.

        Raises:
            UserError: No client can be made.
        """
        if self._source.access.client() is not self._client:
            self._take_client()
        self._checkpoint, self._end = restriction.checkpoint, restriction.end
        self._follow()

    def read_bundle(self) -> Iterator[Step]:
        """Yield steps until the bundle is full, there is nothing more for now, or there is a reason to stop.

        Raises:
            UserError: The user has to fix something before reading can continue.
        """
        with as_user_error():
            try:
                yield from self._steps()
            except AccessError:
                self._source.access.forget_client()
                raise

    def must_stop(self) -> bool:
        """Return whether nothing more should be read: the process is to end, or the time is up."""
        deadline = self._source.deadline
        return process.stop_requested.is_set() or (deadline is not None and time.time() >= deadline)

    def is_at_end(self) -> bool:
        """Return whether everything that arrived before the end is read."""
        if self._end is None or not self._discovery.settled:
            return False
        return all(self._checkpoint.shards[shard].read_to >= self._end for shard in self._shards)

    def measure_lag(self) -> int | None:
        """Return how far the slowest shard is behind, in milliseconds; None until each has once been heard of."""
        behind = [shard.behind for shard in self._shards.values()]
        known = [milliseconds for milliseconds in behind if milliseconds is not None]
        if self.lag is not None or len(known) == len(behind):
            self.lag = max(known, default=0)
        return self.lag

    def read_to(self) -> int:
        """Return the time before which everything that arrived is read, in milliseconds since 1970; 0: not known."""
        states = self._checkpoint.shards
        return min((states[shard].read_to for shard in self._shards), default=0)

    def _take_client(self) -> None:
        """Take the process's client, another one than before when AWS has refused the credentials of that."""
        source = self._source
        self._client = source.access.client()
        self._discovery = Discovery(self._client, source.stream, self._share.owns, source.reset, self._clock)
        self._shards: dict[str, ShardReader] = {}  # those that may be read

    def _steps(self) -> Iterator[Step]:
        limits = self._source.limits
        asked_at = self._clock()
        first_at: float | None = None
        records = size = 0
        while not self.must_stop() and not self.is_at_end():
            if self._discovery.is_due():
                yield from self._look()
            now = self._clock()
            # What comes later than this is left to the next bundle.
            until = asked_at + limits.idle_seconds
            if first_at is not None:
                until = min(first_at + limits.max_seconds, now + limits.linger_seconds)
            if now >= until or records >= limits.max_records or size >= limits.max_bytes:
                break
            may_read = self._shards if self._discovery.checked else {}
            shard = min(may_read, key=lambda one: self._shards[one].due, default=None)
            due = float("inf") if shard is None else self._shards[shard].due
            if due > until and first_at is not None:
                break
            if shard is None or due > now:
                process.stop_requested.wait(min(due, until, self._discovery.due) - now)
                continue
            for step in self._read(shard, limits.max_records - records):
                if step.chunk is not None:
                    first_at = first_at or self._clock()
                    records += len(step.chunk.records)
                    size += sum(len(record.value or b"") for record in step.chunk.records)
                yield step

    def _look(self) -> Iterator[Step]:
        change = self._discovery.look(self._checkpoint)
        if change is not None:
            yield from self._take(change)

    def _take(self, change: Change) -> Iterator[Step]:
        """Take what was found out about the shards."""
        if change.shards or change.gone or change.created not in (None, self._checkpoint.created):
            step = self._step(change)
            self._follow()
            yield step

    def _read(self, shard: str, most: int) -> Iterator[Step]:
        try:
            reply = self._shards[shard].read(most)
        except GoneError as error:
            yield from self._after_gone(shard, error)
            return
        if reply is None:
            return
        metrics.asked()
        yield from self._chunks(shard, reply)
        if reply.position.is_end:
            if not reply.children or not reply.children.keys() <= self._checkpoint.shards.keys():
                self._discovery.look_soon()
            yield from self._take(after_end(self._checkpoint.shards, shard, reply.children, reply.read_to))

    def _chunks(self, shard: str, reply: Reply) -> Iterator[Step]:
        state = self._checkpoint.shards[shard]
        for at in range(0, len(reply.records), CHUNK_RECORDS):
            records = reply.records[at : at + CHUNK_RECORDS]
            state = state._replace(position=after(records[-1]["SequenceNumber"]))
            if at + CHUNK_RECORDS >= len(reply.records):
                state = state._replace(read_to=reply.read_to)
            yield self._step(Change({shard: state}), chunk_of(self._source.stream, shard, records))
        if not reply.records and not reply.position.is_end:
            yield self._step(Change({shard: state._replace(read_to=reply.read_to)}))

    def _after_gone(self, shard: str, error: GoneError) -> Iterator[Step]:
        """Look whether the shard has expired, or the stream is another one.

        Raises:
            GoneError: Neither explains why Kinesis does not know the position.
        """
        before = self._checkpoint.shards[shard]
        self._discovery.look_soon(doubtful=True)
        change = self._discovery.look(self._checkpoint)
        if change is None:
            self._shards[shard].due = self._clock() + self._source.poll_seconds
            return
        yield from self._take(change)
        if self._checkpoint.shards.get(shard) == before:
            raise error

    def _step(self, change: Change, chunk: Chunk | None = None) -> Step:
        self._checkpoint = self._checkpoint.apply(change)
        return Step(change, chunk)

    def _follow(self) -> None:
        """Read the shards that the checkpoint allows, from where it says."""
        states = self._checkpoint.shards
        shards: dict[str, ShardReader] = {}
        for shard in readable(states, self._share.owns):
            position = states[shard].position
            reader = self._shards.get(shard) or ShardReader(
                self._client, self._source.stream, shard, position, self._source.poll_seconds, self._clock
            )
            reader.seek(position)
            shards[shard] = reader
        self._shards = shards
