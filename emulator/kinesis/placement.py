"""Which shard a record belongs to. Pure functions.

Source: "Kinesis Data Streams terminology and concepts": the MD5 of the partition key, read as a 128-bit number, lies in
the hash key range of exactly one open shard; an explicit hash key takes its place.
"""

from __future__ import annotations

import hashlib
import itertools
from bisect import bisect_right
from collections.abc import Sequence

HASH_KEYS = 1 << 128  # hash keys are below this


def hash_key(partition_key: str) -> int:
    """Return the hash key of a partition key."""
    digest = hashlib.md5(partition_key.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest, "big")


def even_ranges(shards: int) -> list[tuple[int, int]]:
    """Return the first and last hash keys of a number of equal shards, in order."""
    starts = [HASH_KEYS * number // shards for number in range(shards + 1)]
    return [(start, following - 1) for start, following in itertools.pairwise(starts)]


def slot(starts: Sequence[int], key: int) -> int:
    """Return the index of the range that holds a hash key, given the first hash keys of adjoining ranges from 0."""
    return bisect_right(starts, key) - 1
