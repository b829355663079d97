"""Which shards may be read now, and by which reader, while a stream is split and merged.

A reshard closes shards and opens children. Records of a partition key that were written before it are in a parent,
those written after it in a child; so a child is read when its parents are read to their ends. Closed shards expire with
the last of their records (retention) and are then no longer listed: a reader that was down may find only grandchildren.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from graphlib import TopologicalSorter
from typing import NamedTuple

from kinesis.positions import BEGINNING, END, Change, Position, ShardState

Listed = Mapping[str, tuple[str, ...]]
"""The shards that exist, each with its parents (ListShards: ParentShardId, AdjacentParentShardId)."""

States = Mapping[str, ShardState]

Owns = Callable[[ShardState], bool]
"""Whether a shard is this reader's."""


class Update(NamedTuple):
    """What a list of shards changes.

    Attributes:
        change: Change of the checkpoint.
        lost: Shards of this reader that have expired before they were read to their ends, as far as they are known.
    """

    change: Change
    lost: tuple[str, ...]


def owner_of(state: ShardState, readers: int) -> int:
    """Return the number of the reader that has a shard, from 0: that of its root, so that of its parents."""
    return _number(state.root) % readers


def first_states(listed: Listed, position: Position, read_to: int) -> dict[str, ShardState]:
    """Return the states of the shards that exist when a stream is read for the first time.

    All start at the same position, the closed ones too: from a time on, those closed before it have no records.

    Args:
        listed: The shards.
        position: Where to start.
        read_to: The time of the position, 0 for the beginning.
    """
    states: dict[str, ShardState] = {}
    for shard in _parents_first(listed):
        states[shard] = ShardState(position, listed[shard], _root(shard, listed[shard], states), read_to)
    return states


def readable(states: States, owns: Owns) -> list[str]:
    """Return the shards of a reader that it may read now: all their parents that exist are read to their ends.

    A parent that another reader has does not hold its child up: after a merge over two readers the reader of the child
    cannot know how far the other one is.
    """
    return [
        shard
        for shard, state in states.items()
        if owns(state) and not state.position.is_end and not _waits(state, states, owns)
    ]


def _waits(state: ShardState, states: States, owns: Owns) -> bool:
    parents = (states[parent] for parent in state.parents if parent in states)
    return any(owns(parent) and not parent.position.is_end for parent in parents)


def after_end(states: States, shard: str, children: Listed, read_to: int) -> Change:
    """Return the step at the end of a shard.

    Args:
        states: Before it.
        shard: Read to its end.
        children: Its children, as GetRecords names them (ChildShards). One with a parent that is not known yet is left
            to the next list of shards.
        read_to: The time of the last reply.
    """
    changed = {shard: states[shard]._replace(position=END, read_to=read_to)}
    for child, parents in children.items():
        if child not in states and all(parent in states for parent in parents):
            changed[child] = ShardState(BEGINNING, parents, _root(child, parents, states))
    return Change(changed)


def update(states: States, listed: Listed, owns: Owns, skip_to: tuple[Position, int] | None = None) -> Update:
    """Compare what is known with the shards that exist now.

    New shards are read from their beginning, wherever reading the stream has started: they are children of shards that
    are read, or were read. Shards that are no longer listed are forgotten; their children no longer wait for them.

    Args:
        states: What is known.
        listed: All shards that exist.
        owns: Whether a shard is this reader's.
        skip_to: Where to start, and the time of that, in descendants of shards that have expired unread; None for their
            beginning.
    """
    gone = states.keys() - listed.keys()
    unread = {shard for shard in gone if owns(states[shard]) and not states[shard].position.is_end}
    lost, behind_lost = set(unread), set(unread)
    known = dict(states)
    changed: dict[str, ShardState] = {}
    for shard in _parents_first(listed):
        parents = listed[shard]
        state = known.get(shard)
        missing: set[str] = set()
        if state is None:
            state = changed[shard] = ShardState(BEGINNING, parents, _root(shard, parents, known))
            missing = {parent for parent in parents if parent not in known}
        if owns(state) and (missing or not behind_lost.isdisjoint(parents)):
            lost |= missing
            behind_lost.add(shard)
            if skip_to is not None and state.position == BEGINNING:
                state = changed[shard] = state._replace(position=skip_to[0], read_to=skip_to[1])
        known[shard] = state
    return Update(Change(changed, frozenset(gone)), tuple(sorted(lost)))


def _root(shard: str, parents: Iterable[str], states: States) -> str:
    roots = [states[parent].root for parent in parents if parent in states]
    return min(roots, key=lambda root: (_number(root), root), default=shard)


def _parents_first(listed: Listed) -> Iterator[str]:
    order = TopologicalSorter({shard: sorted(parents) for shard, parents in sorted(listed.items())})
    return (shard for shard in order.static_order() if shard in listed)


def _number(shard: str) -> int:
    """Return the number at the end of a shard's id (shardId-000000000012), which rises with its age."""
    digits = re.search(r"\d{1,18}$", shard)
    return int(digits[0]) if digits else zlib.crc32(shard.encode())
