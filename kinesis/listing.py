"""What is asked of a whole stream: which shards exist, when it was created, how long it keeps records."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

# Of one reply (ListShards: at most 10,000, 1,000 by default).
_PAGE_SHARDS = 1_000


class Summary(NamedTuple):
    """What DescribeStreamSummary answers.

    Attributes:
        created: When the stream was created, in milliseconds since 1970.
        retention: How long records are kept, in milliseconds.
    """

    created: int
    retention: int


def named(stream: str) -> dict[str, str]:
    """Return the parameter of a call that names a stream, by its name or its ARN."""
    return {"StreamARN": stream} if stream.startswith("arn:") else {"StreamName": stream}


def list_shards(client: Any, stream: str) -> tuple[dict[str, tuple[str, ...]], int]:
    """Return the shards that exist, each with its parents, and the time of the answer.

    Args:
        client: Of boto3.
        stream: Its name or ARN.

    Raises:
        ClientError, BotoCoreError: As boto3 does.
    """
    listed: dict[str, tuple[str, ...]] = {}
    page: dict[str, Any] = named(stream)
    first: int | None = None
    while True:
        reply = client.list_shards(**page, MaxResults=_PAGE_SHARDS)
        # Of the first page: a shard that is opened between two pages is as new as the list.
        first = server_time(reply) if first is None else first
        listed |= {shard["ShardId"]: parents_of(shard) for shard in reply["Shards"]}
        if not reply.get("NextToken"):
            return listed, first
        page = {"NextToken": reply["NextToken"]}


def parents_of(shard: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the parents of a shard that was listed."""
    names = (shard.get("ParentShardId"), shard.get("AdjacentParentShardId"))
    return tuple(name for name in names if name)


def describe(client: Any, stream: str) -> Summary:
    """Return what is known of the stream; needs the right `kinesis:DescribeStreamSummary`.

    Raises:
        ClientError, BotoCoreError: As boto3 does.
    """
    found = client.describe_stream_summary(**named(stream))["StreamDescriptionSummary"]
    return Summary(
        int(found["StreamCreationTimestamp"].timestamp() * 1000), int(found["RetentionPeriodHours"]) * 3_600_000
    )


def server_time(reply: Mapping[str, Any]) -> int:
    """Return the time of a reply by the clock of Kinesis, which dates the records too, in milliseconds since 1970.

    The clock of this machine may be minutes off, and would skip records or wait for them. HTTP's `Date` has whole
    seconds, rounded down.
    """
    headers = reply.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        return int(parsedate_to_datetime(headers["date"]).timestamp() * 1000)
    except (KeyError, ValueError):
        return int(time.time() * 1000)
