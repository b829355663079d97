"""Records of Kinesis as the records that flow through a pipeline."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from transforms.records.chunk import Chunk, Record

SHARD = "kinesis.shard"
SEQUENCE_NUMBER = "kinesis.sequence_number"
ARRIVAL = "kinesis.arrival"
"""The headers of each record: where it was read, and when it arrived (ApproximateArrivalTimestamp), in ISO 8601."""

# Of a sequence number's 56 digits these fit into 64 bits.
_OFFSET_DIGITS = 18


def partition_of(shard: str) -> int:
    """Return the number in a shard's id, which stands for a partition."""
    digits = re.search(r"\d{1,9}$", shard)
    return int(digits[0]) if digits else zlib.crc32(shard.encode())


def chunk_of(stream: str, shard: str, records: Sequence[Mapping[str, Any]]) -> Chunk:
    """Return a chunk of records as boto3 gives them.

    The key is the partition key; a stream that deals out records itself (AUTO) may have records without. The offset is
    made of the last 18 digits of the sequence number, which as a whole is in a header.
    """
    name = shard.encode()
    return Chunk(stream, partition_of(shard), [_record(name, record) for record in records])


def _record(shard: bytes, record: Mapping[str, Any]) -> Record:
    number: str = record["SequenceNumber"]
    arrival = record["ApproximateArrivalTimestamp"]  # in UTC, see kinesis.session
    key = record.get("PartitionKey")
    return Record(
        int(number[-_OFFSET_DIGITS:]),
        int(arrival.timestamp() * 1000),
        key.encode() if key else None,
        (
            (SHARD, shard),
            (SEQUENCE_NUMBER, number.encode()),
            (ARRIVAL, arrival.isoformat(timespec="milliseconds").encode()),
        ),
        record["Data"],
    )
