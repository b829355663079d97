"""The calls about streams: create, delete, list, describe, and what can be changed of them."""

from __future__ import annotations

from typing import Any

from emulator.kinesis.context import Context, find_active, find_stream, in_ms
from emulator.kinesis.errors import KinesisError, invalid_argument, invalid_form
from emulator.kinesis.parameters import Parameters
from emulator.kinesis.resharding import MAX_SHARDS
from emulator.kinesis.shard_filters import after
from emulator.kinesis.stream import Mode, Strategy, Stream
from emulator.kinesis.tokens import LIFE_MS, seal, unseal

Reply = dict[str, Any] | None

ON_DEMAND_SHARDS = 4  # of a new stream
MAX_RETENTION_HOURS = 8760
MIN_RETENTION_HOURS = 24
PAGE = 100


def create_stream(context: Context, region: str, parameters: Parameters) -> Reply:
    """Answer CreateStream."""
    mode: Mode = parameters.get("StreamModeDetails", {}).get("StreamMode", "PROVISIONED")
    shards = parameters.get("ShardCount")
    if mode == "PROVISIONED" and shards is None:
        raise invalid_form("ShardCount must be given for a stream with the mode PROVISIONED")
    if mode == "ON_DEMAND" and shards is not None:
        raise invalid_form("ShardCount must not be given for a stream with the mode ON_DEMAND")
    if shards is not None and shards > MAX_SHARDS:
        raise KinesisError("LimitExceededException", f"a stream may have {MAX_SHARDS} shards at most, not {shards}")
    strategy: Strategy = parameters.get("RecordDistributionStrategy", "USER_PARTITION_KEY")
    _check_strategy(mode, strategy)
    now_ms = context.store.now_ms()
    stream = Stream(
        region,
        parameters["StreamName"],
        now_ms,
        mode=mode,
        strategy=strategy,
        due_ms=now_ms + in_ms(context.switches.now.create_seconds),
        max_record_kib=parameters.get("MaxRecordSizeInKiB", 1024),
    )
    context.store.create(stream, shards or ON_DEMAND_SHARDS)
    return None


def delete_stream(context: Context, region: str, parameters: Parameters) -> Reply:
    """Answer DeleteStream."""
    stream = find_stream(context, region, parameters)
    context.store.delete(stream, context.store.now_ms() + in_ms(context.switches.now.delete_seconds))
    return None


def list_streams(context: Context, region: str, parameters: Parameters) -> Reply:
    """Answer ListStreams."""
    start = parameters.get("ExclusiveStartStreamName", "")
    if "NextToken" in parameters:
        start = page_start(parameters["NextToken"], "streams", context.store.now_ms())[0]
    streams = [stream for stream in context.store.streams(region) if stream.name > start]
    page = streams[: min(parameters.get("Limit", PAGE), PAGE)]
    more = len(page) < len(streams)
    return {
        "StreamNames": [stream.name for stream in page],
        "HasMoreStreams": more,
        "StreamSummaries": [
            {
                "StreamName": stream.name,
                "StreamARN": stream.arn,
                "StreamStatus": stream.status,
                "StreamModeDetails": {"StreamMode": stream.mode},
                "StreamCreationTimestamp": stream.created_ms / 1000,
            }
            for stream in page
        ],
        **({"NextToken": seal(["streams", context.store.now_ms(), page[-1].name])} if more else {}),
    }


def describe_stream(context: Context, region: str, parameters: Parameters) -> Reply:
    """Answer DescribeStream."""
    stream = find_stream(context, region, parameters)
    shards = [] if stream.status == "CREATING" else list(stream.shards.values())
    shards = after(shards, parameters.get("ExclusiveStartShardId"))
    page = shards[: min(parameters.get("Limit", PAGE), PAGE)]
    return {
        "StreamDescription": {
            **_described(stream),
            "Shards": [shard.described() for shard in page],
            "HasMoreShards": len(page) < len(shards),
        }
    }


def describe_stream_summary(context: Context, region: str, parameters: Parameters) -> Reply:
    """Answer DescribeStreamSummary."""
    stream = find_stream(context, region, parameters)
    return {
        "StreamDescriptionSummary": {
            **_described(stream),
            "OpenShardCount": 0 if stream.status == "CREATING" else len(stream.open_shards()),
            "ConsumerCount": 0,
            "MaxRecordSizeInKiB": stream.max_record_kib,
            "RecordDistributionStrategy": stream.strategy,
        }
    }


def update_max_record_size(context: Context, region: str, parameters: Parameters) -> Reply:
    """Answer UpdateMaxRecordSize."""
    stream = find_active(context, region, parameters)
    stream.max_record_kib = parameters["MaxRecordSizeInKiB"]
    context.store.save(stream)
    return None


def update_strategy(context: Context, region: str, parameters: Parameters) -> Reply:
    """Answer UpdateStreamRecordDistributionStrategy."""
    stream = find_active(context, region, parameters)
    strategy: Strategy = parameters["RecordDistributionStrategy"]
    _check_strategy(stream.mode, strategy)
    stream.strategy = strategy
    context.store.save(stream)
    return None


def increase_retention(context: Context, region: str, parameters: Parameters) -> Reply:
    """Answer IncreaseStreamRetentionPeriod."""
    stream = find_active(context, region, parameters)
    hours = parameters["RetentionPeriodHours"]
    if not stream.retention_hours < hours <= MAX_RETENTION_HOURS:
        raise invalid_argument(
            f"RetentionPeriodHours {hours} for stream {stream.name} must be more than its {stream.retention_hours} "
            f"and at most {MAX_RETENTION_HOURS}"
        )
    return _retain(context, stream, hours)


def decrease_retention(context: Context, region: str, parameters: Parameters) -> Reply:
    """Answer DecreaseStreamRetentionPeriod."""
    stream = find_active(context, region, parameters)
    hours = parameters["RetentionPeriodHours"]
    if not MIN_RETENTION_HOURS <= hours < stream.retention_hours:
        raise invalid_argument(
            f"RetentionPeriodHours {hours} for stream {stream.name} must be less than its {stream.retention_hours} "
            f"and at least {MIN_RETENTION_HOURS}"
        )
    return _retain(context, stream, hours)


def page_start(token: str, kind: str, now_ms: int) -> list[Any]:
    """Return what a page token of one kind says, as `seal([kind, now_ms, ...])` made it.

    Raises:
        KinesisError: It is not such a token, or older than 300 seconds.
    """
    try:
        found, issued_ms, *fields = unseal(token)
    except ValueError as error:
        raise invalid_argument("NextToken is invalid.") from error
    if found != kind:
        raise invalid_argument("NextToken is invalid.")
    if now_ms - issued_ms > LIFE_MS:
        raise KinesisError("ExpiredNextTokenException", "NextToken has expired: it can be used for 300 seconds")
    return fields


def _described(stream: Stream) -> dict[str, Any]:
    return {
        "StreamName": stream.name,
        "StreamARN": stream.arn,
        "StreamStatus": stream.status,
        "StreamModeDetails": {"StreamMode": stream.mode},
        "RetentionPeriodHours": stream.retention_hours,
        "StreamCreationTimestamp": stream.created_ms / 1000,
        "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
        "EncryptionType": "NONE",
    }


def _retain(context: Context, stream: Stream, hours: int) -> Reply:
    stream.retention_hours = hours
    context.store.save(stream)
    return None


def _check_strategy(mode: Mode, strategy: Strategy) -> None:
    if strategy == "AUTO" and mode != "ON_DEMAND":
        raise invalid_argument("RecordDistributionStrategy AUTO needs a stream with the mode ON_DEMAND")
