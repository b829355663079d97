"""A stream in memory, whose shards are split, merged and expire, and readers that follow the rules of lineage."""

from __future__ import annotations

from dataclasses import dataclass, field

from kinesis.lineage import after_end, owner_of, readable, update
from kinesis.positions import BEGINNING, ShardState, after

KEYS = 64
"""Partition keys are numbers below this, and hash keys at once."""


@dataclass
class Shard:
    """A shard with the keys from ``low`` to before ``high``; its records are pairs of a key and a running number."""

    low: int
    high: int
    parents: tuple[str, ...] = ()
    records: list[tuple[int, int]] = field(default_factory=list)
    closed: bool = False


class Stream:
    """The stream."""

    def __init__(self, shards: int) -> None:
        self.shards: dict[str, Shard] = {}
        self.written = 0
        for number in range(shards):
            self._add(Shard(KEYS * number // shards, KEYS * (number + 1) // shards))

    def _add(self, shard: Shard) -> str:
        name = f"shardId-{self._count():012}"
        self.shards[name] = shard
        return name

    def _count(self) -> int:
        return 1 + max((int(name[-12:]) for name in self.shards), default=-1)

    def open(self) -> list[str]:
        return [name for name, shard in self.shards.items() if not shard.closed]

    def write(self, key: int) -> None:
        shard = next(self.shards[name] for name in self.open() if self.shards[name].low <= key < self.shards[name].high)
        shard.records.append((key, self.written))
        self.written += 1

    def split(self, name: str) -> None:
        shard = self.shards[name]
        if shard.high - shard.low < 2:
            return
        shard.closed = True
        middle = (shard.low + shard.high) // 2
        self._add(Shard(shard.low, middle, (name,)))
        self._add(Shard(middle, shard.high, (name,)))

    def merge(self, name: str) -> None:
        """Merge a shard with its right neighbour."""
        left = self.shards[name]
        right = next((one for one in self.open() if self.shards[one].low == left.high), None)
        if right is not None:
            left.closed = self.shards[right].closed = True
            self._add(Shard(left.low, self.shards[right].high, (name, right)))

    def listed(self) -> dict[str, tuple[str, ...]]:
        return {name: shard.parents for name, shard in self.shards.items()}

    def children(self, name: str) -> dict[str, tuple[str, ...]]:
        return {child: shard.parents for child, shard in self.shards.items() if name in shard.parents}


@dataclass
class Reader:
    """One of ``of`` readers, with the records it has read, in order."""

    stream: Stream
    number: int
    of: int
    states: dict[str, ShardState]
    read: list[tuple[int, int]] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)

    def owns(self, state: ShardState) -> bool:
        return owner_of(state, self.of) == self.number

    def readable(self) -> list[str]:
        return readable(self.states, self.owns)

    def read_some(self, name: str, most: int) -> None:
        """Read a shard on from its position; an expired one has gone without a word."""
        shard = self.stream.shards.get(name)
        if shard is None:
            return
        state = self.states[name]
        start = 0 if state.position == BEGINNING else 1 + int(state.position.value)
        records = shard.records[start : start + most]
        self.read += records
        if records:
            self.states[name] = state._replace(position=after(str(start + len(records) - 1)))
        if shard.closed and start + len(records) == len(shard.records):
            self.states |= after_end(self.states, name, self.stream.children(name), 0).shards

    def list_shards(self) -> None:
        found = update(self.states, self.stream.listed(), self.owns)
        self.lost |= set(found.lost)
        kept = {name: state for name, state in self.states.items() if name not in found.change.gone}
        self.states = kept | dict(found.change.shards)

    def run_to_end(self) -> None:
        """Read until there is nothing left."""
        before = None
        while before != (before := (len(self.read), dict(self.states))):
            self.list_shards()
            for name in self.readable():
                self.read_some(name, 3)
