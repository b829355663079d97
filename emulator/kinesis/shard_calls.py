"""The calls about shards: list, split, merge, change their number."""

from __future__ import annotations

from emulator.kinesis.context import Context, find_active, find_stream, in_ms
from emulator.kinesis.errors import in_use, invalid_argument, invalid_form, not_found
from emulator.kinesis.parameters import Parameters
from emulator.kinesis.resharding import plan_merge, plan_scale, plan_split
from emulator.kinesis.shard_filters import after, filtered
from emulator.kinesis.stream import ACCOUNT, Change, Stream
from emulator.kinesis.stream_calls import Reply, page_start
from emulator.kinesis.tokens import seal

SHARD_PAGE = 1000


def list_shards(context: Context, region: str, parameters: Parameters) -> Reply:
    """Answer ListShards."""
    now_ms = context.store.now_ms()
    token = parameters.get("NextToken")
    if token is not None:
        alone = ("StreamName", "ExclusiveStartShardId", "StreamCreationTimestamp", "ShardFilter")
        for other in alone:
            if other in parameters:
                raise invalid_argument(f"NextToken and {other} cannot be provided together.")
        of_region, name, created_ms, start, shard_filter = page_start(token, "shards", now_ms)
        stream = find_stream(context, region, {"StreamName": name})
        if (of_region, created_ms) != (region, stream.created_ms):
            raise not_found(f"Stream {name} under account {ACCOUNT} not found.")
    else:
        stream = find_stream(context, region, parameters)
        created = parameters.get("StreamCreationTimestamp")
        if created is not None and int(created) != stream.created_ms // 1000:
            raise not_found(f"Stream {stream.name} under account {ACCOUNT} created at {created} not found.")
        start, shard_filter = parameters.get("ExclusiveStartShardId"), parameters.get("ShardFilter")
    if stream.status == "CREATING":
        raise in_use(f"Stream {stream.name} under account {ACCOUNT} not ACTIVE, instead in state CREATING")
    shards = after(filtered(stream, shard_filter, context.store.horizon_ms(stream)), start)
    page = shards[: min(parameters.get("MaxResults", SHARD_PAGE), SHARD_PAGE)]
    reply = {"Shards": [shard.described() for shard in page]}
    if len(page) == len(shards):
        return reply
    fields = ["shards", now_ms, region, stream.name, stream.created_ms, page[-1].shard_id, shard_filter]
    return {**reply, "NextToken": seal(fields)}


def split_shard(context: Context, region: str, parameters: Parameters) -> Reply:
    """Answer SplitShard."""
    stream = _provisioned(context, region, parameters)
    _start(context, stream, plan_split(stream, parameters["ShardToSplit"], parameters["NewStartingHashKey"]))
    return None


def merge_shards(context: Context, region: str, parameters: Parameters) -> Reply:
    """Answer MergeShards."""
    stream = _provisioned(context, region, parameters)
    _start(context, stream, plan_merge(stream, parameters["ShardToMerge"], parameters["AdjacentShardToMerge"]))
    return None


def update_shard_count(context: Context, region: str, parameters: Parameters) -> Reply:
    """Answer UpdateShardCount."""
    stream = _provisioned(context, region, parameters)
    target = parameters["TargetShardCount"]
    before = len(stream.open_shards())
    _start(context, stream, plan_scale(stream, target))
    return {
        "StreamName": stream.name,
        "CurrentShardCount": before,
        "TargetShardCount": target,
        "StreamARN": stream.arn,
    }


def _provisioned(context: Context, region: str, parameters: Parameters) -> Stream:
    stream = find_active(context, region, parameters)
    if stream.mode != "PROVISIONED":
        raise invalid_form(f"the shards of stream {stream.name} are managed by its mode, {stream.mode}")
    return stream


def _start(context: Context, stream: Stream, change: Change) -> None:
    context.store.start(stream, change, context.store.now_ms() + in_ms(context.switches.now.reshard_seconds))
