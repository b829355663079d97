"""A local Amazon Kinesis: the emulator's, as a process of its own, with unmodified boto3 to call it."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import boto3
from botocore.config import Config

from testing.services.emulator import Emulator
from testing.services.process import PATIENCE_SECONDS, free_port, wait_for

REGION = "us-east-1"
ACCESS_KEY_ID = "AKIDEXAMPLE"
SECRET_ACCESS_KEY = "any secret: the emulator takes all keys unless it is given some"
_KINESIS = re.compile(r"^Kinesis: (http://\S+)$", re.MULTILINE)


class KeptRecord(NamedTuple):
    """A record that a stream keeps."""

    shard_id: str
    sequence_number: str
    partition_key: str | None
    arrival_ms: int
    data: bytes


class Kinesis(Emulator):
    """An emulator whose Kinesis is used. It can be killed and started again on the same ports, with the same state.

    Args:
        state: SQLite file that survives restarts; None forgets everything at the end.
        arguments: More command-line arguments.
    """

    def __init__(self, *, state: Path | None = None, arguments: Sequence[str] = ()) -> None:
        super().__init__(state=state, arguments=arguments)
        self.endpoint = ""

    def start(self) -> Kinesis:
        """Start it; return when it listens."""
        self._arguments = [each for each in self._arguments if not each.startswith("--kinesis-port")]
        self._arguments.append(f"--kinesis-port={self.endpoint.rpartition(':')[2] or free_port()}")
        super().start()
        found = wait_for(lambda: _KINESIS.search(self.process.log()), PATIENCE_SECONDS, "the address of Kinesis")
        assert found
        self.endpoint = found[1]
        return self

    def __enter__(self) -> Kinesis:
        return self.start()

    def client(
        self,
        *,
        access_key_id: str = ACCESS_KEY_ID,
        secret_access_key: str = SECRET_ACCESS_KEY,
        region: str = REGION,
        endpoint: str | None = None,
        connections: int = 10,
    ) -> Any:
        """Make a boto3 client that makes each call once, without proxies, and waits long for an answer."""
        config = Config(
            retries={"total_max_attempts": 1},
            proxies={},
            read_timeout=PATIENCE_SECONDS,
            max_pool_connections=connections,
        )
        return boto3.session.Session().client(
            "kinesis",
            endpoint_url=endpoint or self.endpoint,
            region_name=region,
            aws_access_key_id=access_key_id,
            aws_secret_access_key=secret_access_key,
            config=config,
        )

    def create_stream(self, shards: int = 1, **more: Any) -> str:
        """Create a stream with a name that no other test has, and return the name once it is ACTIVE."""
        name = f"stream-{uuid.uuid4().hex[:12]}"
        client = self.client()
        client.create_stream(StreamName=name, ShardCount=shards, **more)
        self.wait_until_active(name)
        return name

    def wait_until_active(self, name: str) -> dict[str, Any]:
        """Wait for the end of a change; return the stream's `StreamDescriptionSummary`."""
        client = self.client()

        def summary() -> dict[str, Any] | None:
            found = dict(client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"])
            return found if found["StreamStatus"] == "ACTIVE" else None

        found = wait_for(summary, PATIENCE_SECONDS, f"stream {name} to be ACTIVE")
        assert found
        return found

    def records(self, name: str) -> list[KeptRecord]:
        """Return all records that a stream keeps, shard by shard, without the limits of GetRecords."""
        found = self.local("GET", f"kinesis/records?region={REGION}&stream={name}")["records"]
        return [
            KeptRecord(
                each["shardId"],
                each["sequenceNumber"],
                each["partitionKey"],
                each["arrivalTimeMs"],
                base64.b64decode(each["data"]),
            )
            for each in found
        ]

    def switch(self, **changes: Any) -> dict[str, Any]:
        """Set switches of Kinesis, besides those that are set."""
        return dict(self.local("POST", "kinesis/faults", changes))

    def clear_switches(self) -> None:
        """Switch all off."""
        self.local("DELETE", "kinesis/faults")
