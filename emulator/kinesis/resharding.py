"""What splitting, merging and a new shard count do to the shards of a stream.

Sources: SplitShard, MergeShards and UpdateShardCount in AWS's API reference. A new count is reached by splits and
merges, as AWS says, so some shards are closed as soon as they are opened; AWS does not say which.
"""

from __future__ import annotations

from collections.abc import Callable

from emulator.kinesis.errors import KinesisError, invalid_argument, not_found
from emulator.kinesis.placement import even_ranges
from emulator.kinesis.stream import ACCOUNT, Change, Shard, Stream

MAX_SHARDS = 10_000
NextUid = Callable[[], int]


def plan_split(stream: Stream, shard_id: str, new_start: str) -> Change:
    """Check a split.

    Raises:
        KinesisError: It cannot be done.
    """
    shard = _open_shard(stream, shard_id)
    # AWS wants it above the first hash key + 1 and below the last, although a shard of one hash key is possible
    if not shard.start + 1 < int(new_start) < shard.end:
        raise invalid_argument(
            f"NewStartingHashKey {new_start} used in SplitShard() on shard {shard_id} in stream {stream.name} under "
            f"account {ACCOUNT} is not both greater than one plus the shard's StartingHashKey {shard.start} and less "
            f"than the shard's EndingHashKey {shard.end}."
        )
    return Change("split", [shard_id, new_start])


def plan_merge(stream: Stream, shard_id: str, adjacent_id: str) -> Change:
    """Check a merge.

    Raises:
        KinesisError: It cannot be done.
    """
    low, high = sorted((_open_shard(stream, each) for each in (shard_id, adjacent_id)), key=lambda each: each.start)
    if low.end + 1 != high.start:
        raise invalid_argument(
            f"Shards {shard_id} and {adjacent_id} in stream {stream.name} under account {ACCOUNT} are not an adjacent "
            "pair of shards eligible for merging"
        )
    return Change("merge", [shard_id, adjacent_id])


def plan_scale(stream: Stream, target: int) -> Change:
    """Check a new shard count.

    Raises:
        KinesisError: It cannot be done.
    """
    now = len(stream.open_shards())
    if target > MAX_SHARDS:
        raise KinesisError("LimitExceededException", f"a stream may have {MAX_SHARDS} shards at most, not {target}")
    if target > 2 * now or 2 * target < now:
        raise KinesisError(
            "LimitExceededException",
            f"UpdateShardCount can at most double or halve the {now} open shards of stream {stream.name}; {target} "
            "takes more than one call",
        )
    return Change("scale", [str(target)])


def carry_out(stream: Stream, change: Change, next_uid: NextUid, now_ms: int) -> None:
    """Carry out a planned change."""
    if change.kind == "split":
        shard_id, new_start = change.arguments
        _split(stream, stream.shards[shard_id], int(new_start), next_uid, now_ms)
    elif change.kind == "merge":
        shard, adjacent = (stream.shards[each] for each in change.arguments)
        _merge(stream, shard, adjacent, next_uid, now_ms)
    else:
        _scale(stream, int(change.arguments[0]), next_uid, now_ms)


def _split(stream: Stream, shard: Shard, new_start: int, next_uid: NextUid, now_ms: int) -> None:
    for start, end in ((shard.start, new_start - 1), (new_start, shard.end)):
        stream.open_shard(next_uid(), start, end, now_ms, (shard,))


def _merge(stream: Stream, shard: Shard, adjacent: Shard, next_uid: NextUid, now_ms: int) -> Shard:
    start, end = min(shard.start, adjacent.start), max(shard.end, adjacent.end)
    return stream.open_shard(next_uid(), start, end, now_ms, (shard, adjacent))


def _scale(stream: Stream, target: int, next_uid: NextUid, now_ms: int) -> None:
    ranges = even_ranges(target)
    for start, _ in ranges:
        across = stream.shard_of(start)
        if across.start != start:
            _split(stream, across, start, next_uid, now_ms)
    for start, end in ranges:
        merged = stream.shard_of(start)
        while merged.end != end:
            merged = _merge(stream, merged, stream.shard_of(merged.end + 1), next_uid, now_ms)


def _open_shard(stream: Stream, shard_id: str) -> Shard:
    shard = stream.shards.get(shard_id)
    if shard is None:
        raise not_found(f"Could not find shard {shard_id} in stream {stream.name} under account {ACCOUNT}.")
    if not shard.is_open:
        raise invalid_argument(
            f"Shard {shard_id} in stream {stream.name} under account {ACCOUNT} has already been merged or split, and "
            "thus is not eligible for merging or splitting."
        )
    return shard
