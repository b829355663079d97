"""Reads a local Kinesis as a runner would, and writes numbers to it that tell what was lost or out of order."""

from __future__ import annotations

import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from kinesis.discovery import begin
from kinesis.listing import list_shards
from kinesis.positions import Checkpoint
from testing.defaults import by_default
from testing.services.kinesis import REGION, Kinesis
from testing.services.process import PATIENCE_SECONDS, wait_for
from transforms.kinesis.access import KinesisAccess
from transforms.kinesis.reader import Reader
from transforms.kinesis.restriction import Share, Unread, UnreadTracker, deal, decode
from transforms.kinesis.source import KinesisSource
from transforms.records.bundle_limits import BundleLimits
from transforms.records.chunk import Record

QUICK = BundleLimits(max_records=300, max_bytes=64_000_000, max_seconds=2.0, linger_seconds=0.1, idle_seconds=0.2)


def source_of(kinesis: Kinesis, stream: str, **more: Any) -> KinesisSource:
    """Return a source for tests, which asks a shard again quickly."""
    access = by_default(KinesisAccess, region=REGION, endpoint=kinesis.endpoint)
    fields: dict[str, Any] = {"reset": "earliest", "poll_seconds": 0.05, "limits": QUICK} | more
    fields = {"checkpoint_file": None, "deadline": None} | fields
    return KinesisSource(uuid.uuid4().hex, stream, access, **fields)


@dataclass
class Writer:
    """Writes numbers in rising order, each with one of some keys."""

    kinesis: Kinesis
    stream: str
    keys: int = 20
    written: int = 0
    client: Any = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.kinesis.client()

    def write(self, amount: int) -> None:
        """Write so many more numbers, each after the one before is stored."""
        for first in range(self.written, self.written + amount, 100):
            records = [
                {"Data": b"%d" % number, "PartitionKey": f"key-{number % self.keys}"}
                for number in range(first, min(first + 100, self.written + amount))
            ]
            while records:
                reply = self.client.put_records(StreamName=self.stream, Records=records)
                left = [one for one, result in zip(records, reply["Records"], strict=True) if "ErrorCode" in result]
                records = left
        self.written += amount

    def split(self) -> None:
        """Split the open shard with the most keys in two, and wait for it."""
        widest = max(self._open(), key=_width)
        middle = (int(widest["HashKeyRange"]["StartingHashKey"]) + int(widest["HashKeyRange"]["EndingHashKey"])) // 2
        self.client.split_shard(StreamName=self.stream, ShardToSplit=widest["ShardId"], NewStartingHashKey=str(middle))
        self._await_active()

    def merge(self) -> None:
        """Merge the first two open shards, and wait for it."""
        shards = sorted(self._open(), key=lambda shard: int(shard["HashKeyRange"]["StartingHashKey"]))
        self.client.merge_shards(
            StreamName=self.stream, ShardToMerge=shards[0]["ShardId"], AdjacentShardToMerge=shards[1]["ShardId"]
        )
        self._await_active()

    def _open(self) -> list[dict[str, Any]]:
        return list(self.client.list_shards(StreamName=self.stream, ShardFilter={"Type": "AT_LATEST"})["Shards"])

    def _await_active(self) -> None:
        def active() -> bool:
            found = self.client.describe_stream_summary(StreamName=self.stream)["StreamDescriptionSummary"]
            return bool(found["StreamStatus"] == "ACTIVE")

        wait_for(active, PATIENCE_SECONDS, f"stream {self.stream} to be ACTIVE")


def _width(shard: dict[str, Any]) -> int:
    return int(shard["HashKeyRange"]["EndingHashKey"]) - int(shard["HashKeyRange"]["StartingHashKey"])


@dataclass
class Member:
    """A reader driven as a runner drives it: each bundle starts where the claims of the last one ended."""

    source: KinesisSource
    share: Share
    restriction: Unread = field(init=False)
    reader: Reader = field(init=False)
    read: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restriction = decode(self.share.start)
        self.reader = Reader(self.source, self.share)

    def bundle(self, claims: int | None = None, fail: bool = False) -> int:
        """Read a bundle and return the number of its records.

        Args:
            claims: A checkpoint is taken after so many claims.
            fail: The bundle fails at its end: what it read counts for nothing, and it will be tried again.
        """
        self.reader.go_to(self.restriction)
        tracker = UnreadTracker(self.restriction)
        records: list[Record] = []
        for step in self.reader.read_bundle():
            if claims == 0:
                tracker.try_split(0)
            if not tracker.try_claim(step.claim):
                break
            claims = None if claims is None else claims - 1
            if step.chunk is not None:
                records += step.chunk.records
        if not fail:
            self.restriction = tracker.current_restriction()
            self.read += records
        return len(records)

    def restart(self) -> None:
        """A new process goes on from the last checkpoint."""
        self.reader = Reader(self.source, self.share)

    def read_until(self, amount: int) -> None:
        """Read bundles until so many records are read."""

        def enough() -> bool:
            self.bundle()
            return len(self.read) >= amount

        wait_for(enough, PATIENCE_SECONDS, f"{amount} records, there are {len(self.read)}")

    def read_to_end(self) -> None:
        """Read bundles until everything before the end is read."""

        def done() -> bool:
            self.bundle()
            self.reader.go_to(self.restriction)
            return self.reader.is_at_end()

        wait_for(done, PATIENCE_SECONDS, "the end of the stream")

    def numbers(self) -> list[int]:
        """Return the numbers read, in order."""
        return [int(record.value or b"") for record in self.read]

    def assert_in_order(self) -> None:
        """Fail if a number of a key was read before an earlier one."""
        by_key: dict[bytes | None, list[int]] = defaultdict(list)
        for record in self.read:
            by_key[record.key].append(int(record.value or b""))
        assert all(numbers == sorted(numbers) for numbers in by_key.values())


def let_time_pass(kinesis: Kinesis, stream: str) -> None:
    """Wait until the times of answers, which have whole seconds, are later than all records."""
    newest = max(record.arrival_ms for record in kinesis.records(stream))
    client = kinesis.client()
    wait_for(lambda: list_shards(client, stream)[1] > newest, PATIENCE_SECONDS, "the next second")


def begin_at(source: KinesisSource, start: str | int = "earliest") -> Checkpoint:
    """Return the checkpoint of a first run."""
    return begin(source.access.client(), source.stream, start)


def member(source: KinesisSource, start: str | int = "earliest", end: int | None = None) -> Member:
    """Return a reader that has the stream for itself."""
    return Member(source, deal(begin_at(source, start), end, 1)[0])
