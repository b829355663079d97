"""Which shards ListShards lists. Pure functions.

Source: ShardFilter in AWS's API reference. A time before the trim horizon counts as the trim horizon; AWS says so of
FROM_TIMESTAMP only.
"""

from __future__ import annotations

from typing import Any

from emulator.kinesis.errors import invalid_argument
from emulator.kinesis.stream import Shard, Stream


def filtered(stream: Stream, shard_filter: dict[str, Any] | None, horizon_ms: int) -> list[Shard]:
    """Return the shards of a stream that pass a `ShardFilter`, by index; all if there is no filter.

    Raises:
        KinesisError: The filter lacks something, or has something that belongs to another type.
    """
    shards = list(stream.shards.values())
    if shard_filter is None:
        return shards
    kind = shard_filter["Type"]
    shard_id, time = shard_filter.get("ShardId"), shard_filter.get("Timestamp")
    if (shard_id is not None) != (kind == "AFTER_SHARD_ID"):
        raise invalid_argument("ShardFilter: ShardId belongs to the type AFTER_SHARD_ID, which needs it")
    if (time is not None) != (kind in ("AT_TIMESTAMP", "FROM_TIMESTAMP")):
        raise invalid_argument("ShardFilter: Timestamp belongs to AT_TIMESTAMP and FROM_TIMESTAMP, which need it")
    if kind == "AFTER_SHARD_ID":
        return after(shards, shard_id)
    if kind == "AT_LATEST":
        return [shard for shard in shards if shard.is_open]
    time_ms = 0 if time is None else round(time * 1000)
    if kind == "FROM_TRIM_HORIZON" or (kind == "FROM_TIMESTAMP" and time_ms < horizon_ms):
        return shards
    if kind == "FROM_TIMESTAMP":
        return [shard for shard in shards if shard.closed_ms is None or shard.closed_ms >= time_ms]
    if kind == "AT_TRIM_HORIZON" or time_ms < max(horizon_ms, stream.created_ms):
        return oldest(shards)
    return [
        shard
        for shard in shards
        if shard.opened_ms <= time_ms and (shard.closed_ms is None or shard.closed_ms >= time_ms)
    ]


def after(shards: list[Shard], shard_id: str | None) -> list[Shard]:
    """Return the shards that follow one, which need not exist any more."""
    return shards if shard_id is None else [shard for shard in shards if shard.shard_id > shard_id]


def oldest(shards: list[Shard]) -> list[Shard]:
    """Return the shards that were open at the trim horizon: those whose parents have expired, or that never had any."""
    listed = {shard.shard_id for shard in shards}
    return [shard for shard in shards if not listed.intersection(shard.parents)]
