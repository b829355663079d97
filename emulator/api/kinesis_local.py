"""`/__local/kinesis`: the local Kinesis' own endpoints, for tests. Requests from other web pages are refused.

| call | does |
| --- | --- |
| GET /__local/kinesis/streams | every stream: status, shards, and how many records each has received |
| GET /__local/kinesis/records?stream=NAME&region=REGION | all records that a stream keeps, shard by shard |
| GET, POST, DELETE /__local/kinesis/faults | shows, merges, clears the switches (see `switches.Switches`) |
| GET, POST, DELETE /__local/kinesis/keys | lists, adds `{"access_key_id", "secret_access_key"}`, removes all keys |
"""

from __future__ import annotations

import base64
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from emulator.api.local import Answer, local_route
from emulator.kinesis.errors import KinesisError
from emulator.kinesis.sequence import sequence_number
from emulator.kinesis.service import Kinesis
from emulator.kinesis.stream import Shard, Stream
from emulator.state.store import Store

DEFAULT_REGION = "us-east-1"
MOST_BYTES = 1 << 40  # no limit: tests see everything


class KinesisLocal:
    """Serves `/__local/kinesis`."""

    def __init__(self, kinesis: Kinesis, store: Store) -> None:
        self._kinesis = kinesis
        self._store = store

    def routes(self) -> list[Route]:
        """Return all endpoints under /__local/kinesis."""
        endpoints: list[tuple[str, str, Answer]] = [
            ("GET", "streams", self._streams),
            ("GET", "records", self._records),
            ("GET", "faults", lambda _request, _body: self._kinesis.switches.shown()),
            ("POST", "faults", self._change_faults),
            ("DELETE", "faults", self._clear_faults),
            ("GET", "keys", lambda _request, _body: {"access_key_ids": sorted(self._kinesis.secrets)}),
            ("POST", "keys", self._add_key),
            ("DELETE", "keys", self._remove_keys),
        ]
        return [local_route(method, f"kinesis/{name}", answer) for method, name, answer in endpoints]

    def _streams(self, request: Request, _body: Any) -> object:
        region = request.query_params.get("region", DEFAULT_REGION)
        return {"streams": [_described(stream) for stream in self._kinesis.store.streams(region)]}

    def _records(self, request: Request, _body: Any) -> object:
        region = request.query_params.get("region", DEFAULT_REGION)
        try:
            stream = self._kinesis.store.stream(region, request.query_params.get("stream", ""))
        except KinesisError as error:
            raise ValueError(f"stream: {error.message}") from error
        return {"records": [record for shard in stream.shards.values() for record in self._records_of(shard)]}

    def _records_of(self, shard: Shard) -> list[dict[str, Any]]:
        records, _ = self._kinesis.store.read(shard, 1, limit=shard.last, max_bytes=MOST_BYTES)
        return [
            {
                "shardId": shard.shard_id,
                "sequenceNumber": sequence_number(shard.prefix, record.position, record.stored_ms),
                "partitionKey": record.partition_key,
                "arrivalTimeMs": record.arrival_ms,
                "data": base64.b64encode(record.data).decode(),
            }
            for record in records
        ]

    def _change_faults(self, _request: Request, body: Any) -> object:
        self._kinesis.switches.change(body)
        return self._save_faults()

    def _clear_faults(self, _request: Request, _body: Any) -> object:
        self._kinesis.switches.clear()
        return self._save_faults()

    def _save_faults(self) -> object:
        shown = self._kinesis.switches.shown()
        self._store.define("kinesis", "switches", shown)
        return shown

    def _add_key(self, _request: Request, body: Any) -> object:
        key, secret = (body.get(name) for name in ("access_key_id", "secret_access_key"))
        if not all(isinstance(value, str) and value for value in (key, secret)):
            raise ValueError("give access_key_id and secret_access_key, both text")
        self._kinesis.secrets[key] = secret
        self._store.define("kinesis_key", key, secret)
        return {"access_key_id": key}

    def _remove_keys(self, _request: Request, _body: Any) -> object:
        self._kinesis.secrets.clear()
        self._store.undefine("kinesis_key")
        return {"access_key_ids": []}


def _described(stream: Stream) -> dict[str, Any]:
    shards = [
        {
            "shardId": shard.shard_id,
            "open": shard.is_open,
            "parents": shard.parents,
            "recordsEver": shard.last,
            "recordsKept": shard.last - shard.first + 1,
        }
        for shard in stream.shards.values()
    ]
    return {"name": stream.name, "arn": stream.arn, "status": stream.status, "shards": shards}
