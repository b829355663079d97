"""A stream as a reader sees it, for a look before a run. Takes nothing from it."""

from __future__ import annotations

from typing import Any, NamedTuple

from kinesis.listing import list_shards, named
from kinesis.read_errors import boto_errors, unreachable, why_again
from kinesis.stream import Stream, StreamSummary


class Seen(NamedTuple):
    """What was found of a stream.

    Attributes:
        shards: How many exist, closed ones too.
        summary: What it is like; None where the right to ask is missing.
    """

    shards: int
    summary: StreamSummary | None


def try_reading(client: Any, stream: str) -> Seen:
    """Make each call that a reader makes, once; the records of one shard may then be asked for four times a second.

    Args:
        client: Of boto3.
        stream: Its name or ARN.

    Raises:
        KinesisError: A right that is needed is missing, or what else keeps the stream from being read.
    """
    try:
        listed, _ = list_shards(client, stream)
        for shard in sorted(listed)[-1:]:
            at = client.get_shard_iterator(**named(stream), ShardId=shard, ShardIteratorType="TRIM_HORIZON")
            client.get_records(ShardIterator=at["ShardIterator"], Limit=1)
    except boto_errors() as error:
        why = why_again(error, stream)
        raise unreachable(stream, why, client) from None
    return Seen(len(listed), Stream(stream, lambda: client).describe())
