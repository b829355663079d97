"""Streams and their shards, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from emulator.kinesis.placement import slot
from emulator.kinesis.sequence import prefix, sequence_number

ACCOUNT = "123456789012"  # of all streams; the one of AWS's examples
Status = Literal["CREATING", "ACTIVE", "UPDATING", "DELETING"]
Mode = Literal["PROVISIONED", "ON_DEMAND"]
Strategy = Literal["USER_PARTITION_KEY", "AUTO"]


@dataclass
class Shard:
    """A shard.

    Attributes:
        uid: Its number among all shards of all streams, never used again.
        index: Its number in the stream.
        opened_ms: When it was opened, in milliseconds since the epoch.
        start: First hash key.
        end: Last hash key.
        parents: The shards it was made of, none, one or two.
        closed_ms: When it was split or merged; None while it is open.
        first: Position of the oldest record that is kept.
        last: Position of the newest record; positions count from 1.
        first_ms: When the oldest record came that is kept; None if there is none.
    """

    uid: int
    index: int
    opened_ms: int
    start: int
    end: int
    parents: tuple[str, ...] = ()
    closed_ms: int | None = None
    first: int = 1
    last: int = 0
    first_ms: int | None = None
    prefix: int = field(init=False)

    def __post_init__(self) -> None:
        self.prefix = prefix(self.opened_ms, self.uid)

    @property
    def shard_id(self) -> str:
        """Its name."""
        return f"shardId-{self.index:012d}"

    @property
    def is_open(self) -> bool:
        """Whether it takes records."""
        return self.closed_ms is None

    def described(self) -> dict[str, Any]:
        """Return AWS's `Shard`."""
        shown: dict[str, Any] = {"ShardId": self.shard_id}
        for name, parent in zip(("ParentShardId", "AdjacentParentShardId"), self.parents, strict=False):
            shown[name] = parent
        numbers = {"StartingSequenceNumber": sequence_number(self.prefix, 0, self.opened_ms)}
        if self.closed_ms is not None:
            numbers["EndingSequenceNumber"] = sequence_number(self.prefix, self.last + 1, self.closed_ms)
        return {**shown, "HashKeyRange": self.hash_key_range(), "SequenceNumberRange": numbers}

    def hash_key_range(self) -> dict[str, str]:
        """Return AWS's `HashKeyRange`."""
        return {"StartingHashKey": str(self.start), "EndingHashKey": str(self.end)}


@dataclass
class Change:
    """A pending reshard, carried out when it is due. `kind` and `arguments` are those of `resharding`."""

    kind: Literal["split", "merge", "scale"]
    arguments: list[str]


@dataclass
class Stream:
    """A stream.

    Attributes:
        region: AWS region; a client says it in its signature.
        name: Name, unique in the region.
        created_ms: When it was created, in milliseconds since the epoch.
        mode: Capacity mode.
        strategy: How records are distributed.
        status: AWS's status, such as ACTIVE.
        due_ms: When a temporary status ends.
        change: What then happens to the shards.
        retention_hours: How long records are kept.
        max_record_kib: Size of the largest record, data and partition key, in KiB.
        shards: Its shards by index, without those that have expired.
        shards_made: How many shards it has had.
    """

    region: str
    name: str
    created_ms: int
    mode: Mode = "PROVISIONED"
    strategy: Strategy = "USER_PARTITION_KEY"
    status: Status = "CREATING"
    due_ms: int = 0
    change: Change | None = None
    retention_hours: int = 24
    max_record_kib: int = 1024
    shards: dict[str, Shard] = field(default_factory=dict)
    shards_made: int = 0
    _starts: list[int] = field(default_factory=list, repr=False)
    _open: list[Shard] = field(default_factory=list, repr=False)
    _turn: int = field(default=0, repr=False)

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"arn:aws:kinesis:{self.region}:{ACCOUNT}:stream/{self.name}"

    def open_shards(self) -> list[Shard]:
        """Return the shards that take records, by their hash keys."""
        return self._open

    def shard_of(self, key: int) -> Shard:
        """Return the open shard for a hash key."""
        return self._open[slot(self._starts, key)]

    def next_shard(self) -> Shard:
        """Return the open shard whose turn it is, for records that are spread evenly."""
        self._turn += 1
        return self._open[self._turn % len(self._open)]

    def children(self, shard: Shard) -> list[Shard]:
        """Return the shards that were made of one."""
        return [each for each in self.shards.values() if shard.shard_id in each.parents]

    def open_shard(self, uid: int, start: int, end: int, now_ms: int, parents: tuple[Shard, ...] = ()) -> Shard:
        """Open a shard and close its parents."""
        for parent in parents:
            parent.closed_ms = now_ms
        names = tuple(parent.shard_id for parent in parents)
        shard = Shard(uid, self.shards_made, now_ms, start, end, names)
        self.shards_made += 1
        self.shards[shard.shard_id] = shard
        self.refresh()
        return shard

    def refresh(self) -> None:
        """Determine again which shards are open, after a change."""
        self._open = sorted((each for each in self.shards.values() if each.is_open), key=lambda each: each.start)
        self._starts = [each.start for each in self._open]

    def to_json(self) -> dict[str, Any]:
        """Return the stream as JSON; hash keys are text, since JSON's numbers are smaller."""
        plain = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        shards = []
        for shard in self.shards.values():
            kept = {name: value for name, value in vars(shard).items() if name not in ("prefix", "first", "first_ms")}
            shards.append({**kept, "start": str(shard.start), "end": str(shard.end)})
        return {**plain, "shards": shards, "change": vars(self.change) if self.change else None}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Stream:
        """Read what `to_json` wrote."""
        shards = {}
        for each in saved["shards"]:
            hash_keys = {"start": int(each["start"]), "end": int(each["end"])}
            shard = Shard(**{**each, **hash_keys, "parents": tuple(each["parents"])})
            shards[shard.shard_id] = shard
        change = Change(**saved["change"]) if saved["change"] else None
        stream = cls(**{**saved, "shards": shards, "change": change})
        stream.refresh()
        return stream
