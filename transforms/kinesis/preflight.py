"""Checks a stream before a run writes to it. Writes nothing."""

from __future__ import annotations

from typing import NamedTuple

from kinesis.read_errors import reached
from kinesis.stream import Stream, StreamSummary
from transforms.kinesis.errors import KinesisSetupError, as_user_error
from transforms.records.delivery import Order

_WRITABLE = ("ACTIVE", "UPDATING")


class StreamFindings(NamedTuple):
    """What was found of a stream.

    Attributes:
        summary: None without the right to it.
        shards: How many are open; None without either right to look.
        missing_rights: In words, with the consequence of each.
    """

    summary: StreamSummary | None
    shards: int | None
    missing_rights: list[str]


def check_stream(stream: Stream, order: Order, *, patient: bool = False) -> StreamFindings:
    """Check that a stream exists, can be written to, and keeps keys in order if that is asked for.

    The right to put records is not tried: PutRecords would put some.

    Args:
        stream: Its calls.
        order: What is asked for.
        patient: Whether to try again for half a minute while there is no answer.

    Raises:
        UserError: What is wrong, and what to do.
    """
    missing = []
    with as_user_error():
        summary = reached(stream.describe) if patient else stream.describe()
        listed = reached(stream.list_shards) if patient else stream.list_shards()
    if summary is None:
        missing.append("no right to kinesis:DescribeStreamSummary: its record limit and its order are not known")
    else:
        _check_summary(stream.name, summary, order)
    if listed is None:
        missing.append("no right to kinesis:ListShards: shards are learned from replies")
    shards = len(listed.ids) if listed is not None else summary.open_shards if summary is not None else None
    return StreamFindings(summary, shards, missing)


def _check_summary(name: str, summary: StreamSummary, order: Order) -> None:
    if summary.status not in _WRITABLE:
        raise KinesisSetupError(f"the stream {name} is {summary.status}: it can be written to when it is ACTIVE")
    if order == "key" and summary.distribution == "AUTO":
        raise KinesisSetupError(
            f"kinesis_order=key: the stream {name} deals records to shards without regard to their keys "
            "(RecordDistributionStrategy AUTO), so they cannot be kept in order: use kinesis_order=none, or a stream "
            "with USER_PARTITION_KEY"
        )
