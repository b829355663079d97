"""Which shard a record belongs to. Pure functions.

Source: "Kinesis Data Streams terminology and concepts": the MD5 of the partition key, read as a 128-bit number, lies in
the hash key range of exactly one open shard; an explicit hash key takes its place.
"""

from __future__ import annotations

import hashlib
import itertools
from bisect import bisect_right
from collections.abc import Sequence

HASH_KEYS = 1 << 128  # so many there are, from 0


def hash_key(partition_key: str) -> int:
    """Return the hash key of a partition key."""
    digest = hashlib.md5(partition_key.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest, "big")


def even_ranges(shards: int) -> list[tuple[int, int]]:
    """Return the first and last hash keys of so many shards of equal size, in order."""
    starts = [HASH_KEYS * number // shards for number in range(shards + 1)]
    return [(start, following - 1) for start, following in itertools.pairwise(starts)]


def slot(starts: Sequence[int], key: int) -> int:
    """Return which range holds a hash key, of adjoining ranges from 0 on with these first hash keys."""
    return bisect_right(starts, key) - 1
