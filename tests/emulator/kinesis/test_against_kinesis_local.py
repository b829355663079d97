"""The same calls to our Kinesis and to kinesis-local, a stand-in by others. Where they differ is named here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from testing.services.kinesis import Kinesis
from testing.services.kinesis_local import KinesisLocal
from testing.services.process import PATIENCE_SECONDS, wait_for
from testing.services.pytest_support import require

pytestmark = pytest.mark.node

HALF = 1 << 127
LAST = (1 << 128) - 1
FIRST = "shardId-000000000000"


def about(hash_key: str) -> float:
    """Return a hash key as a part of the whole: with kinesis-local ranges end one hash key too early."""
    return round(int(hash_key) / LAST, 6)


class World:
    """One of the two: a client, a stream, and what earlier steps have kept."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.name = "compared"
        self.kept: dict[str, Any] = {}

    def of_stream(self, operation: str, **parameters: Any) -> dict[str, Any]:
        reply = getattr(self.client, operation)(StreamName=self.name, **parameters)
        return {key: value for key, value in reply.items() if key != "ResponseMetadata"}

    def refused(self, operation: str, **parameters: Any) -> str:
        """Return the code that a call is refused with, or "taken"."""
        try:
            getattr(self.client, operation)(**parameters)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "taken"

    def wait(self) -> None:
        """Wait for the end of a change."""

        def active() -> bool:
            summary = self.of_stream("describe_stream_summary")["StreamDescriptionSummary"]
            return summary["StreamStatus"] == "ACTIVE"

        wait_for(active, PATIENCE_SECONDS, "the stream to be ACTIVE")

    def shards(self, **parameters: Any) -> list[dict[str, Any]]:
        return list(self.of_stream("list_shards", **parameters)["Shards"])

    def shard_ids(self, kind: str, **more: Any) -> list[int]:
        found = self.shards(ShardFilter={"Type": kind, **more})
        return sorted(int(shard["ShardId"][-12:]) for shard in found)

    def shape(self) -> list[tuple[Any, ...]]:
        """Return the shards as far as both must agree: their names, ranges, parents, and whether they are open."""
        return [
            (
                shard["ShardId"],
                about(shard["HashKeyRange"]["StartingHashKey"]),
                about(shard["HashKeyRange"]["EndingHashKey"]),
                {shard.get("ParentShardId"), shard.get("AdjacentParentShardId")} - {None},
                "EndingSequenceNumber" in shard["SequenceNumberRange"],
            )
            for shard in sorted(self.shards(), key=lambda shard: str(shard["ShardId"]))
        ]

    def put(self, key: str, *, at: int | None = None) -> str:
        """Put a record whose data is its key; return its shard."""
        explicit = {} if at is None else {"ExplicitHashKey": str(at)}
        result = self.of_stream("put_record", Data=key.encode(), PartitionKey=key, **explicit)
        self.kept[key] = result["SequenceNumber"]
        return str(result["ShardId"])

    def iterator(self, shard_id: str, kind: str, **more: Any) -> str:
        reply = self.of_stream("get_shard_iterator", ShardId=shard_id, ShardIteratorType=kind, **more)
        return str(reply["ShardIterator"])

    def read(self, iterator: str, **more: Any) -> tuple[list[bytes], bool, list[str]]:
        """Read: the data, whether it goes on, and the children of a shard that has ended."""
        reply = self.client.get_records(ShardIterator=iterator, **more)
        self.kept["iterator"] = reply.get("NextShardIterator")
        data = [record["Data"] for record in reply["Records"]]
        children = sorted(child["ShardId"] for child in reply.get("ChildShards", ()))
        return data, "NextShardIterator" in reply, children

    def read_from(self, shard_id: str, kind: str, **more: Any) -> list[bytes]:
        return self.read(self.iterator(shard_id, kind, **more))[0]

    def create(self) -> list[tuple[Any, ...]]:
        self.client.create_stream(StreamName=self.name, ShardCount=2)
        self.wait()
        return self.shape()

    def split(self) -> list[tuple[Any, ...]]:
        self.of_stream("split_shard", ShardToSplit=FIRST, NewStartingHashKey=str(1 << 126))
        self.wait()
        return self.shape()

    def merge(self) -> list[tuple[Any, ...]]:
        self.of_stream("merge_shards", ShardToMerge="shardId-000000000002", AdjacentShardToMerge="shardId-000000000003")
        self.wait()
        return self.shape()

    def scale(self) -> list[tuple[float, float]]:
        """Change the number of shards: both must come to the same open ranges, on ways of their own."""
        self.of_stream("update_shard_count", TargetShardCount=4, ScalingType="UNIFORM_SCALING")
        self.wait()
        return sorted(shape[1:3] for shape in self.shape() if not shape[4])

    def pages(self) -> list[str]:
        reply = self.of_stream("list_shards", MaxResults=1)
        found = list(reply["Shards"])
        while "NextToken" in reply:
            reply = self.client.list_shards(NextToken=reply["NextToken"], MaxResults=1)
            found += reply["Shards"]
        return [shard["ShardId"] for shard in found]

    def described(self) -> list[tuple[list[str], bool]]:
        pages: list[tuple[list[str], bool]] = []
        start: dict[str, str] = {}
        while not pages or pages[-1][1]:
            reply = self.of_stream("describe_stream", Limit=2, **start)["StreamDescription"]
            pages.append(([shard["ShardId"] for shard in reply["Shards"]], reply["HasMoreShards"]))
            start = {"ExclusiveStartShardId": pages[-1][0][-1]}
        return pages

    def rising(self) -> bool:
        """Return whether sequence numbers have 56 digits and rise, from parents to children too."""
        numbers = [self.kept[key] for key in ("a", "b", "c", "left")]
        return {len(number) for number in numbers} == {56} and numbers == sorted(numbers)

    def by_arn(self) -> str:
        arn = self.of_stream("describe_stream_summary")["StreamDescriptionSummary"]["StreamARN"]
        return str(self.client.describe_stream_summary(StreamARN=arn)["StreamDescriptionSummary"]["StreamName"])


def refused(operation: str, **parameters: Any) -> Callable[[World], object]:
    return lambda world: world.refused(operation, **{"StreamName": world.name, **parameters})


STEPS: list[tuple[str, Callable[[World], object]]] = [
    ("an unknown stream", refused("describe_stream_summary")),
    ("create", World.create),
    ("create again", refused("create_stream", ShardCount=1)),
    ("by ARN", World.by_arn),
    ("50 keys", lambda world: [world.put(f"key {number}") for number in range(50)]),
    ("hash key 0", lambda world: world.put("0", at=0)),
    ("hash key below the half", lambda world: world.put("below", at=HALF - 1)),
    ("hash key at the half", lambda world: world.put("half", at=HALF)),
    ("the last hash key", lambda world: world.put("last", at=LAST)),
    ("a hash key that is too large", refused("put_record", Data=b"x", PartitionKey="k", ExplicitHashKey=str(LAST + 1))),
    ("latest iterator", lambda world: world.kept.update(latest=world.iterator(FIRST, "LATEST"))),
    ("three more", lambda world: [world.put(key, at=1) for key in "abc"]),
    ("latest", lambda world: world.read(world.kept["latest"])),
    ("at b", lambda world: world.read_from(FIRST, "AT_SEQUENCE_NUMBER", StartingSequenceNumber=world.kept["b"])),
    ("after b", lambda world: world.read_from(FIRST, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=world.kept["b"])),
    ("from 1970", lambda world: world.read_from(FIRST, "AT_TIMESTAMP", Timestamp=1)),
    ("two from the beginning", lambda world: world.read(world.iterator(FIRST, "TRIM_HORIZON"), Limit=2)),
    ("two more", lambda world: world.read(world.kept["iterator"], Limit=2)),
    (
        "a number of another shard",
        lambda world: world.refused(
            "get_shard_iterator",
            StreamName=world.name,
            ShardId=FIRST,
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            StartingSequenceNumber=world.kept["last"],
        ),
    ),
    ("an iterator of no shard", refused("get_shard_iterator", ShardId="shardId-9", ShardIteratorType="LATEST")),
    ("a garbage iterator", lambda world: world.refused("get_records", ShardIterator="garbage")),
    ("501 records", refused("put_records", Records=[{"Data": b"x", "PartitionKey": "k"}] * 501)),
    ("a key of 257 characters", refused("put_records", Records=[{"Data": b"x", "PartitionKey": "k" * 257}])),
    ("a merge with itself", refused("merge_shards", ShardToMerge=FIRST, AdjacentShardToMerge=FIRST)),
    ("split", World.split),
    ("split again", refused("split_shard", ShardToSplit=FIRST, NewStartingHashKey=str(1 << 125))),
    ("to a child", lambda world: world.put("left", at=1)),
    ("rising numbers", World.rising),
    ("the end of the parent", lambda world: world.read(world.iterator(FIRST, "AT_TIMESTAMP", Timestamp=1))[1:]),
    ("the child", lambda world: world.read_from("shardId-000000000002", "TRIM_HORIZON")),
    ("merge", World.merge),
    ("scale", World.scale),
    ("scale too far", refused("update_shard_count", TargetShardCount=100, ScalingType="UNIFORM_SCALING")),
    ("pages", lambda world: world.pages() == sorted(shard["ShardId"] for shard in world.shards())),
    ("described pages", lambda world: [len(page) for page, _ in world.described()][:-1]),
    ("filter at latest", lambda world: len(world.shard_ids("AT_LATEST"))),
    ("filter at trim horizon", lambda world: world.shard_ids("AT_TRIM_HORIZON")),
    ("filter from trim horizon", lambda world: world.shard_ids("FROM_TRIM_HORIZON")[:4]),
    ("filter after a shard", lambda world: world.shard_ids("AFTER_SHARD_ID", ShardId="shardId-000000000001")[0]),
    ("shards after one", lambda world: world.shards(ExclusiveStartShardId=FIRST)[0]["ShardId"]),
    ("more retention", refused("increase_stream_retention_period", RetentionPeriodHours=48)),
    ("less than it was", refused("increase_stream_retention_period", RetentionPeriodHours=24)),
    ("delete", refused("delete_stream")),
]

# Each with its reason. One that goes away fails the test, as one that comes does.
DIFFERENCES = {
    "hash key below the half": "with kinesis-local the first of two shards ends one hash key before the half",
    "from 1970": "the record at the hash key below the half lies in the other shard",
    "a number of another shard": "AWS documents no ResourceNotFoundException for a shard that exists",
    "a garbage iterator": "kinesis-local fails with status 500",
    "501 records": "kinesis-local takes them; AWS's service model allows 500",
    "a key of 257 characters": "AWS's service model allows 256, and names what breaks it ValidationException",
    "split again": "kinesis-local says ResourceInUseException; the stream is ACTIVE, so ours is about the argument",
    "scale too far": "AWS lists twice the number of shards among the limits, without saying which error it is",
    "filter at trim horizon": "kinesis-local lists children too, with which a reader would start everywhere at once",
}


@pytest.fixture(scope="module")
def answers() -> dict[str, tuple[object, object]]:
    """What both say to each step."""
    with require(KinesisLocal()) as theirs, Kinesis() as ours:
        worlds = [World(ours.client()), World(ours.client(endpoint=theirs.endpoint))]
        ours.switch(limits=False)  # the other has none
        return {label: tuple(_attempt(step, world) for world in worlds) for label, step in STEPS}  # type: ignore[misc]


def _attempt(step: Callable[[World], object], world: World) -> object:
    try:
        return step(world)
    except ClientError as error:
        return f"refused: {error.response['Error']['Code']}"


def test_only_known_answers_differ(answers: dict[str, tuple[object, object]]) -> None:
    differing = {label: answer for label, answer in answers.items() if answer[0] != answer[1]}
    assert differing.keys() == DIFFERENCES.keys(), differing
