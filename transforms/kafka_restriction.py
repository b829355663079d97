"""What a shard of Kafka partitions still has to read: the restriction of the splittable DoFn, and its tracker."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson
from apache_beam import coders
from apache_beam.io.iobase import RestrictionProgress, RestrictionTracker
from apache_beam.transforms.core import RestrictionProvider

from transforms.kafka_client import Partition
from transforms.kafka_offsets import Start


class Shard(NamedTuple):
    """The partitions that one reader has, one of ``of`` readers, and where they start (encoded)."""

    number: int
    of: int
    start: bytes

    def holds(self, partition: Partition) -> bool:
        """Whether this shard reads the partition, now or when it appears."""
        topic, number = partition
        # Neighbouring partitions of a topic go to different shards, so that they spread evenly.
        return (zlib.crc32(topic.encode()) + number) % self.of == self.number


def deal(start: Start, count: int) -> list[Shard]:
    """Deals the partitions to so many shards."""
    shards = []
    for number in range(count):
        empty = Shard(number, count, b"")
        mine = {one: offset for one, offset in start.positions.items() if empty.holds(one)}
        ends = None if start.ends is None else {one: offset for one, offset in start.ends.items() if empty.holds(one)}
        shards.append(Shard(number, count, encode(Positions(mine, ends))))
    return shards


@dataclass(frozen=True)
class Positions:
    """The restriction.

    Attributes:
      next: the offset to read next, by partition. A partition that is not in it starts at its beginning.
      ends: where to stop, by partition; None reads for ever.
      log_ends: the last known end of the log, by partition; the distance is the backlog.
      finished: nothing will be read any more.
    """

    next: dict[Partition, int]
    ends: dict[Partition, int] | None = None
    log_ends: dict[Partition, int] = field(default_factory=dict)
    finished: bool = False

    @property
    def backlog(self) -> int:
        """Offsets between here and the last known end of the log."""
        if self.finished:
            return 0
        return sum(max(0, end - self.next.get(partition, end)) for partition, end in self.log_ends.items())


class Claim(NamedTuple):
    """A step forward: records of the partition before ``offset`` are read."""

    partition: Partition
    offset: int
    log_end: int


class PositionsTracker(RestrictionTracker):
    """Claims steps until the runner takes a checkpoint or everything is read.

    ``try_claim(None)`` finishes: nothing more will be read.
    """

    def __init__(self, restriction: Positions):
        self._restriction = restriction
        self._next = dict(restriction.next)
        self._log_ends = dict(restriction.log_ends)
        self._claimed = 0
        self._finished = restriction.finished
        self._checkpointed = False

    def current_restriction(self) -> Positions:
        """What is still to be read; after a checkpoint, what was read here."""
        return Positions(dict(self._next), self._restriction.ends, dict(self._log_ends), self._finished)

    def try_claim(self, position: Claim | None) -> bool:
        """Takes the step, unless the rest has been given to somebody else."""
        if self._finished or self._checkpointed:
            return False
        if position is None:
            self._finished = True
            return False
        self._claimed += max(0, position.offset - self._next.get(position.partition, position.offset))
        self._next[position.partition] = position.offset
        self._log_ends[position.partition] = max(position.log_end, position.offset)
        return True

    def try_split(self, fraction_of_remainder: float) -> tuple[Positions, Positions] | None:
        """Gives away all that is left; a part of it cannot be given away, since there is no end to divide."""
        if fraction_of_remainder != 0 or self._finished or self._checkpointed:
            return None
        residual = self.current_restriction()
        self._checkpointed = True
        return Positions(residual.next, residual.ends, residual.log_ends, finished=True), residual

    def check_done(self) -> bool:
        """True when the rest was finished or given away.

        Raises:
          ValueError: neither, so records would be lost.
        """
        if not (self._finished or self._checkpointed):
            raise ValueError(f"the Kafka reader ended with work left: {self._restriction}")
        return True

    def current_progress(self) -> RestrictionProgress:
        """Offsets read in this bundle, and the backlog."""
        return RestrictionProgress(completed=self._claimed, remaining=self.current_restriction().backlog)

    def is_bounded(self) -> bool:
        """Whether the end is known."""
        return self._restriction.ends is not None


def encode(restriction: Positions) -> bytes:
    """The restriction as a few hundred bytes of JSON; equal restrictions have equal bytes."""
    return orjson.dumps(
        [
            _rows(restriction.next),
            None if restriction.ends is None else _rows(restriction.ends),
            _rows(restriction.log_ends),
            restriction.finished,
        ]
    )


def decode(encoded: bytes) -> Positions:
    """The restriction again."""
    positions, ends, log_ends, finished = orjson.loads(encoded)
    return Positions(_offsets(positions), None if ends is None else _offsets(ends), _offsets(log_ends), finished)


class PositionsProvider(RestrictionProvider):
    """Restrictions of ``Shard`` elements."""

    def initial_restriction(self, element: Shard) -> Positions:
        """Where the shard starts, as it was looked up before the pipeline ran."""
        return decode(element[2])

    def create_tracker(self, restriction: Positions) -> PositionsTracker:
        """A tracker."""
        return PositionsTracker(restriction)

    def restriction_size(self, element: Shard, restriction: Positions) -> int:
        """The backlog in records; at least 1, as runners divide by it."""
        return max(1, restriction.backlog)

    def restriction_coder(self) -> coders.Coder:
        """JSON."""
        return _PositionsCoder()

    def truncate(self, element: Shard, restriction: Positions) -> None:
        """On drain, read no further."""


class _PositionsCoder(coders.Coder):
    def encode(self, value: Positions) -> bytes:
        return encode(value)

    def decode(self, encoded: bytes) -> Positions:
        return decode(encoded)

    def is_deterministic(self) -> bool:
        return True


def _rows(offsets: dict[Partition, int]) -> list[tuple[str, int, int]]:
    return sorted((topic, number, offset) for (topic, number), offset in offsets.items())


def _offsets(rows: list[tuple[str, int, int]]) -> dict[Partition, int]:
    return {(topic, number): offset for topic, number, offset in rows}
