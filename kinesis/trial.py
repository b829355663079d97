"""Tries to read a stream, before a run. Consumes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from kinesis.listing import list_shards, named
from kinesis.read_errors import boto_errors, unreachable, why_again
from kinesis.stream import Stream, StreamSummary

# A shard takes five calls a second of all its readers, and its first replies may be empty.
_CALLS = 3
_PAUSE_SECONDS = 0.25
_SHARDS = 20


class Seen(NamedTuple):
    """What was found of a stream.

    Attributes:
        shards: How many exist, closed ones too.
        summary: None without the right to it.
        records: Some of the oldest, as boto3 gives them, by the id of their shard.
    """

    shards: int
    summary: StreamSummary | None
    records: Mapping[str, Sequence[Mapping[str, Any]]]


def try_reading(client: Any, stream: str, number: int, pause: Callable[[float], object] = time.sleep) -> Seen:
    """Make each call that a reader makes, and read a few records of the newest 20 shards.

    Args:
        client: Of boto3.
        stream: Its name or ARN.
        number: Records to read in all, at most; 0 reads no more than shows that it is allowed.
        pause: Waits between two calls for a shard, in seconds.

    Raises:
        KinesisError: The stream cannot be read: a right is missing, for instance.
    """
    records: dict[str, Sequence[Mapping[str, Any]]] = {}
    try:
        listed, _ = list_shards(client, stream)
        newest = sorted(listed)[-_SHARDS if number else -1 :]
        for shard in newest:
            records[shard] = _oldest(client, stream, shard, -(-number // len(newest)) or 1, pause)
    except boto_errors() as error:
        why = why_again(error, stream)
        raise unreachable(stream, why, client) from None
    return Seen(len(listed), Stream(stream, lambda: client).describe(), records if number else {})


def _oldest(
    client: Any, stream: str, shard: str, number: int, pause: Callable[[float], object]
) -> Sequence[Mapping[str, Any]]:
    """Return the oldest records of a shard, none where its first replies are empty."""
    at = client.get_shard_iterator(**named(stream), ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    for call in range(_CALLS):
        reply = client.get_records(ShardIterator=at, Limit=number)
        found: Sequence[Mapping[str, Any]] = reply["Records"]
        at = reply.get("NextShardIterator")
        if found or at is None or not reply.get("MillisBehindLatest"):
            return found
        if call < _CALLS - 1:
            pause(_PAUSE_SECONDS)
    return ()
