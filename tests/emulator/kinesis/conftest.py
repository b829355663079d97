"""The local Kinesis inside the test's process, with a clock that the test turns."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from emulator.kinesis.errors import KinesisError
from emulator.kinesis.service import Kinesis
from emulator.kinesis.signature import Caller
from emulator.kinesis.store import KinesisStore
from emulator.kinesis.switches import SwitchState
from emulator.state.store import Store

CALLER = Caller("AKIDEXAMPLE", "us-east-1")
NAME = "stream"


class Service:
    """A service with one client of one stream. Times are in seconds."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.switches = SwitchState(lambda: self.now, {})
        self._database = Store(None)
        self.restart()

    def restart(self) -> None:
        """Forget all but what is in the database."""
        store = KinesisStore(self._database, lambda: self.now, lambda: self.switches.now.retention_seconds)
        self.kinesis = Kinesis(store, self.switches, {}, lambda: self.now)

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        return self.kinesis.answer(CALLER, operation, parameters) or {}

    def of_stream(self, operation: str, **parameters: Any) -> dict[str, Any]:
        return self.call(operation, StreamName=NAME, **parameters)

    def refusal(self, operation: str, **parameters: Any) -> str:
        """Return the code of the error that a call is refused with."""
        with pytest.raises(KinesisError) as refused:
            self.call(operation, **parameters)
        return refused.value.code

    def create(self, shards: int = 1, **more: Any) -> None:
        self.of_stream("CreateStream", ShardCount=shards, **more)

    def put(self, *data: bytes, key: str = "key", hash_key: int | None = None) -> list[dict[str, Any]]:
        explicit = {} if hash_key is None else {"ExplicitHashKey": str(hash_key)}
        records = [{"Data": base64.b64encode(each).decode(), "PartitionKey": key, **explicit} for each in data]
        return list(self.of_stream("PutRecords", Records=records)["Records"])

    def iterator(self, shard_id: str = "shardId-000000000000", kind: str = "TRIM_HORIZON", **more: Any) -> str:
        reply = self.of_stream("GetShardIterator", ShardId=shard_id, ShardIteratorType=kind, **more)
        return str(reply["ShardIterator"])

    def read(self, iterator: str, **more: Any) -> dict[str, Any]:
        return self.call("GetRecords", ShardIterator=iterator, **more)

    def data(self, shard_id: str = "shardId-000000000000", kind: str = "TRIM_HORIZON", **more: Any) -> list[bytes]:
        """Return the data that one read gives from an iterator on."""
        return [base64.b64decode(each["Data"]) for each in self.read(self.iterator(shard_id, kind, **more))["Records"]]

    def shards(self, **more: Any) -> list[dict[str, Any]]:
        return list(self.of_stream("ListShards", **more)["Shards"])

    def shard_ids(self, kind: str | None = None, **more: Any) -> list[int]:
        """Return the numbers of the shards that pass a filter."""
        shard_filter = {"ShardFilter": {"Type": kind, **more}} if kind else {}
        return [int(each["ShardId"][-12:]) for each in self.shards(**shard_filter)]

    def split(self, shard_id: str = "shardId-000000000000", at: int = 1 << 127) -> None:
        """Split a shard and let the time pass that this takes."""
        self.of_stream("SplitShard", ShardToSplit=shard_id, NewStartingHashKey=str(at))
        self.now += 1

    def unlimited(self) -> None:
        """Switch the limits off that hold for a second."""
        self.switches.change({"limits": False})


@pytest.fixture
def service() -> Service:
    return Service()
