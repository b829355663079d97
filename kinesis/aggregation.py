"""Records that the Kinesis Producer Library (KPL) has put several into one of."""

from __future__ import annotations

# "Aggregation" in the KPL's description of its format: four bytes, a Protocol Buffers message, its MD5.
_MAGIC = b"\xf3\x89\x9a\xc2"

ADVICE = (
    "several records that the Kinesis Producer Library has put into one, which is not taken apart here: set "
    "AggregationEnabled=false in the producer's configuration, or take them apart with the Kinesis Client Library"
)


def is_aggregated(data: bytes) -> bool:
    """Return whether the data of a record is an aggregate."""
    return data.startswith(_MAGIC)
