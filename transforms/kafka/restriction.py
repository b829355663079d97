"""The rest that a shard of Kafka partitions has to read: the restriction of the splittable DoFn, and its tracker."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import orjson
from apache_beam import coders
from apache_beam.io.iobase import RestrictionProgress, RestrictionTracker
from apache_beam.transforms.core import RestrictionProvider

from transforms.kafka.client import Partition
from transforms.kafka.offsets import Committed
from transforms.kafka.start import Start


class Shard(NamedTuple):
    """The partitions that one reader has, one of `of` readers, and where they start (encoded)."""

    number: int
    of: int
    start: bytes

    def holds(self, partition: Partition) -> bool:
        """Return whether this shard reads the partition, now or when it appears."""
        topic, number = partition
        # Neighbouring partitions of a topic go to different shards, so that they spread evenly.
        return (zlib.crc32(topic.encode()) + number) % self.of == self.number


def deal(start: Start, count: int) -> list[Shard]:
    """Divide the partitions among `count` shards."""
    shards = []
    for number in range(count):
        empty = Shard(number, count, b"")
        mine = {one: offset for one, offset in start.positions.items() if empty.holds(one)}
        ends = None if start.ends is None else {one: offset for one, offset in start.ends.items() if empty.holds(one)}
        ids = {topic: start.ids[topic] for topic, _ in mine if topic in start.ids}
        shards.append(Shard(number, count, encode(Positions(mine, ends, ids=ids))))
    return shards


@dataclass(frozen=True)
class Positions:
    """The restriction.

    Attributes:
        next: The offset to read next, by partition. A partition that is not in it starts at its beginning.
        ends: Where to stop, by partition; None reads for ever.
        log_ends: The last known end of the log, by partition; the distance is the backlog.
        finished: Nothing more will be read.
        ids: The ids of the topics that these are offsets of, by topic, where they are known.
    """

    next: dict[Partition, int]
    ends: dict[Partition, int] | None = None
    log_ends: dict[Partition, int] = field(default_factory=dict)
    finished: bool = False
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def backlog(self) -> int:
        """Offsets between here and the last known end of the log."""
        if self.finished:
            return 0
        return sum(max(0, end - self.next.get(partition, end)) for partition, end in self.log_ends.items())

    def to_commit(self, partitions: Iterable[Partition]) -> dict[Partition, Committed]:
        return {one: Committed(self.next[one], self.ids.get(one[0], "")) for one in partitions if one in self.next}


class Claim(NamedTuple):
    """A step forward: records of the partition before `offset` are read."""

    partition: Partition
    offset: int
    log_end: int

    def partitions(self) -> set[Partition]:
        """Return the partitions whose positions it sets."""
        return {self.partition}


class TopicClaim(NamedTuple):
    """A topic whose id was not in the restriction, or was another one: then its partitions are those of a new topic.

    Attributes:
        topic, id: Its name, and its id now.
        next: Where reading of all its partitions continues; None changes nothing.
        log_ends: Ends of their logs.
    """

    topic: str
    id: str
    next: dict[Partition, int] | None = None
    log_ends: dict[Partition, int] = {}  # noqa: RUF012 (nobody writes to it)

    def partitions(self) -> set[Partition]:
        """Return the partitions whose positions it sets."""
        return set(self.next or ())

    def apply(self, restriction: Positions) -> Positions:
        ids = restriction.ids | {self.topic: self.id}
        if self.next is None:
            return replace(restriction, ids=ids)
        ends = restriction.ends
        if ends is not None and restriction.ids.get(self.topic) != self.id:
            ends = self._others(ends) | self.log_ends
        return replace(
            restriction,
            next=self._others(restriction.next) | self.next,
            ends=ends,
            log_ends=self._others(restriction.log_ends) | self.log_ends,
            ids=ids,
        )

    def _others(self, offsets: dict[Partition, int]) -> dict[Partition, int]:
        return {one: offset for one, offset in offsets.items() if one[0] != self.topic}


class PositionsTracker(RestrictionTracker):
    """Claims steps until the runner takes a checkpoint or everything is read.

    `try_claim(None)` finishes: nothing more will be read.
    """

    def __init__(self, restriction: Positions):
        self._start(restriction)
        self._claimed = 0
        self._finished = restriction.finished
        self._checkpointed = False

    def _start(self, restriction: Positions) -> None:
        self._restriction = restriction
        self._next = dict(restriction.next)
        self._log_ends = dict(restriction.log_ends)

    def current_restriction(self) -> Positions:
        """Return what is still to be read; after a checkpoint, what was read here."""
        given = self._restriction
        return Positions(dict(self._next), given.ends, dict(self._log_ends), self._finished, given.ids)

    def try_claim(self, position: Claim | TopicClaim | None) -> bool:
        """Take the step, unless the rest has been given away."""
        if self._finished or self._checkpointed:
            return False
        if position is None:
            self._finished = True
            return False
        if isinstance(position, TopicClaim):
            self._start(position.apply(self.current_restriction()))
            return True
        self._claimed += max(0, position.offset - self._next.get(position.partition, position.offset))
        self._next[position.partition] = position.offset
        self._log_ends[position.partition] = max(position.log_end, position.offset)
        return True

    def try_split(self, fraction_of_remainder: float) -> tuple[Positions, Positions] | None:
        """Checkpoint the whole remainder; fractional splits are unsupported, since the restriction is unbounded."""
        if fraction_of_remainder != 0 or self._finished or self._checkpointed:
            return None
        residual = self.current_restriction()
        self._checkpointed = True
        return replace(residual, finished=True), residual

    def check_done(self) -> bool:
        """Return True if the rest was finished or given away.

        Raises:
            ValueError: Neither, so records would be lost.
        """
        if not (self._finished or self._checkpointed):
            raise ValueError(f"the Kafka reader ended with work left: {self._restriction}")
        return True

    def current_progress(self) -> RestrictionProgress:
        """Return offsets read in this bundle, and the backlog."""
        return RestrictionProgress(completed=self._claimed, remaining=self.current_restriction().backlog)

    def is_bounded(self) -> bool:
        """Return whether the end is known."""
        return self._restriction.ends is not None


def encode(restriction: Positions) -> bytes:
    """Return the restriction as a few hundred bytes of JSON; equal restrictions have equal bytes."""
    return orjson.dumps(
        [
            _rows(restriction.next),
            None if restriction.ends is None else _rows(restriction.ends),
            _rows(restriction.log_ends),
            restriction.finished,
            restriction.ids,
        ],
        option=orjson.OPT_SORT_KEYS,
    )


def decode(encoded: bytes) -> Positions:
    """Return the restriction again, also one that an older version has written, which kept no ids."""
    positions, ends, log_ends, finished, *ids = orjson.loads(encoded)
    return Positions(_offsets(positions), None if ends is None else _offsets(ends), _offsets(log_ends), finished, *ids)


class PositionsProvider(RestrictionProvider):
    """Restrictions of `Shard` elements."""

    def initial_restriction(self, element: Shard) -> Positions:
        """Return where the shard starts, as it was looked up before the pipeline ran."""
        return decode(element[2])

    def create_tracker(self, restriction: Positions) -> PositionsTracker:
        return PositionsTracker(restriction)

    def restriction_size(self, element: Shard, restriction: Positions) -> int:
        """Return the backlog in records; at least 1, as runners divide by it."""
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
