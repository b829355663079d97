"""The parameters of each call, and their constraints in AWS's service model. Pure functions.

The texts are AWS's. Parameters that are not in the tables are ignored, as AWS ignores unknown ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from emulator.kinesis.errors import KinesisError, invalid_form

Parameters = dict[str, Any]

HASH_KEY_PATTERN = r"0|([1-9]\d{0,38})"


@dataclass(frozen=True)
class Text:
    """A string: between `low` and `high` characters, of a pattern, or one of some values."""

    required: bool = False
    low: int = 0
    high: int | None = None
    pattern: str | None = None
    choices: tuple[str, ...] = ()

    def check(self, where: str, value: Any) -> None:
        """Check a value that is given.

        Raises:
            KinesisError: It does not fit.
        """
        if not isinstance(value, str):
            raise serialization_error(where, "a string")
        if len(value) < self.low:
            raise constraint(where, value, f"Member must have length greater than or equal to {self.low}")
        if self.high is not None and len(value) > self.high:
            raise constraint(where, value, f"Member must have length less than or equal to {self.high}")
        if self.pattern is not None and not re.fullmatch(self.pattern, value):
            raise constraint(where, value, f"Member must satisfy regular expression pattern: {self.pattern}")
        if self.choices and value not in self.choices:
            raise constraint(where, value, f"Member must satisfy enum value set: [{', '.join(self.choices)}]")


@dataclass(frozen=True)
class Whole:
    """A whole number from `low` to `high`."""

    required: bool = False
    low: int | None = None
    high: int | None = None

    def check(self, where: str, value: Any) -> None:
        """Check a value that is given.

        Raises:
            KinesisError: It does not fit.
        """
        if not isinstance(value, int) or isinstance(value, bool):
            raise serialization_error(where, "a whole number")
        if self.low is not None and value < self.low:
            raise constraint(where, value, f"Member must have value greater than or equal to {self.low}")
        if self.high is not None and value > self.high:
            raise constraint(where, value, f"Member must have value less than or equal to {self.high}")


@dataclass(frozen=True)
class Time:
    """Seconds since the epoch."""

    required: bool = False

    def check(self, where: str, value: Any) -> None:
        """Check a value that is given.

        Raises:
            KinesisError: It does not fit.
        """
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise serialization_error(where, "a number of seconds since the epoch")


@dataclass(frozen=True)
class Structure:
    """An object with members."""

    members: Mapping[str, Rule]
    required: bool = False

    def check(self, where: str, value: Any) -> None:
        """Check a value that is given.

        Raises:
            KinesisError: It does not fit.
        """
        if not isinstance(value, dict):
            raise serialization_error(where, "an object")
        for name, rule in self.members.items():
            inside = ".".join(filter(None, (where, name[0].lower() + name[1:])))
            member = value.get(name)
            if member is not None:
                rule.check(inside, member)
            elif rule.required:
                raise constraint(inside, None, "Member must not be null")


Rule = Text | Whole | Time | Structure

_NAME = Text(low=1, high=128, pattern=r"[a-zA-Z0-9_.-]+")
_ARN = Text(low=1, high=2048, pattern=r"arn:aws.*:kinesis:.*:\d{12}:stream/\S+")
_SHARD = replace(_NAME, required=True)
_HASH_KEY = Text(pattern=HASH_KEY_PATTERN)
_SEQUENCE = Text(pattern=r"0|([1-9]\d{0,128})")
_PAGE = Whole(low=1, high=10_000)
_TOKEN = Text(low=1, high=1_048_576)
_COUNT = Whole(low=1)
_HOURS = Whole(required=True)
_RECORD_KIB = Whole(low=1024, high=10_240)
_STRATEGY = Text(choices=("AUTO", "USER_PARTITION_KEY"))
_STREAM: dict[str, Rule] = {"StreamName": _NAME, "StreamARN": _ARN}
_ITERATORS = ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER", "TRIM_HORIZON", "LATEST", "AT_TIMESTAMP")
_FILTERS = (
    "AFTER_SHARD_ID",
    "AT_TRIM_HORIZON",
    "FROM_TRIM_HORIZON",
    "AT_LATEST",
    "AT_TIMESTAMP",
    "FROM_TIMESTAMP",
)

RULES: dict[str, Structure] = {
    "CreateStream": Structure(
        {
            "StreamName": replace(_NAME, required=True),
            "ShardCount": _COUNT,
            "StreamModeDetails": Structure({"StreamMode": Text(required=True, choices=("PROVISIONED", "ON_DEMAND"))}),
            "MaxRecordSizeInKiB": _RECORD_KIB,
            "RecordDistributionStrategy": _STRATEGY,
        }
    ),
    "DeleteStream": Structure(_STREAM),
    "DescribeStream": Structure({**_STREAM, "Limit": _PAGE, "ExclusiveStartShardId": _NAME}),
    "DescribeStreamSummary": Structure(_STREAM),
    "ListStreams": Structure({"Limit": _PAGE, "ExclusiveStartStreamName": _NAME, "NextToken": _TOKEN}),
    "ListShards": Structure(
        {
            **_STREAM,
            "NextToken": _TOKEN,
            "ExclusiveStartShardId": _NAME,
            "MaxResults": _PAGE,
            "StreamCreationTimestamp": Time(),
            "ShardFilter": Structure(
                {"Type": Text(required=True, choices=_FILTERS), "ShardId": _NAME, "Timestamp": Time()}
            ),
        }
    ),
    "PutRecord": Structure({**_STREAM, "SequenceNumberForOrdering": _SEQUENCE}),
    "PutRecords": Structure(_STREAM),
    "GetShardIterator": Structure(
        {
            **_STREAM,
            "ShardId": _SHARD,
            "ShardIteratorType": Text(required=True, choices=_ITERATORS),
            "StartingSequenceNumber": _SEQUENCE,
            "Timestamp": Time(),
        }
    ),
    "GetRecords": Structure({"ShardIterator": Text(required=True, low=1, high=512), "Limit": _PAGE, "StreamARN": _ARN}),
    "SplitShard": Structure(
        {**_STREAM, "ShardToSplit": _SHARD, "NewStartingHashKey": replace(_HASH_KEY, required=True)}
    ),
    "MergeShards": Structure({**_STREAM, "ShardToMerge": _SHARD, "AdjacentShardToMerge": _SHARD}),
    "UpdateShardCount": Structure(
        {
            **_STREAM,
            "TargetShardCount": replace(_COUNT, required=True),
            "ScalingType": Text(required=True, choices=("UNIFORM_SCALING",)),
        }
    ),
    "UpdateMaxRecordSize": Structure({"StreamARN": _ARN, "MaxRecordSizeInKiB": replace(_RECORD_KIB, required=True)}),
    "UpdateStreamRecordDistributionStrategy": Structure(
        {
            "StreamARN": replace(_ARN, required=True),
            "RecordDistributionStrategy": replace(_STRATEGY, required=True),
        }
    ),
    "IncreaseStreamRetentionPeriod": Structure({**_STREAM, "RetentionPeriodHours": _HOURS}),
    "DecreaseStreamRetentionPeriod": Structure({**_STREAM, "RetentionPeriodHours": _HOURS}),
}


def constraint(where: str, value: Any, rule: str) -> KinesisError:
    """Make the error of a value outside its constraint, in AWS's words."""
    shown = "null" if value is None else f"'{str(value)[:200]}'"
    return invalid_form(f"Value {shown} at '{where}' failed to satisfy constraint: {rule}")


def serialization_error(where: str, wanted: str) -> KinesisError:
    """Make the error of a value of another JSON type than the service model has."""
    return KinesisError("SerializationException", f"{where or 'the request'} must be {wanted}")
