"""The streams and their records, in the emulator's database.

Like all of the emulator's state they are used by the event loop alone, one transaction a call: no two calls are ever in
progress at once, and what was acknowledged outlives a kill of the process. What takes time (creating, deleting,
resharding) has a due time and is done when the stream is next asked for, so that the clock of a test decides.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import NamedTuple

from emulator.kinesis.errors import KinesisError, not_found
from emulator.kinesis.placement import even_ranges
from emulator.kinesis.resharding import carry_out
from emulator.kinesis.sequence import sequence_number
from emulator.kinesis.stream import ACCOUNT, Change, Shard, Stream
from emulator.state.store import Store

# The id of a record is its shard's uid and its position in the shard, so that a shard is a range of ids.
_SHARD_SPAN = 1 << 40
_TABLES = """
CREATE TABLE IF NOT EXISTS kinesis_records (
    id INTEGER PRIMARY KEY, stored_ms INTEGER NOT NULL, arrival_ms INTEGER NOT NULL, partition_key TEXT,
    data BLOB NOT NULL
);
"""
_KIND = "kinesis_stream"
_READ_ROWS = 500  # read at a time, since records of 10 MiB are possible


class NewRecord(NamedTuple):
    """A record on its way into a shard."""

    shard: Shard
    partition_key: str | None
    data: bytes


class StoredRecord(NamedTuple):
    """A record of a shard. `stored_ms` is the emulator's time of arrival, `arrival_ms` the one that clients see."""

    position: int
    stored_ms: int
    arrival_ms: int
    partition_key: str | None
    data: bytes


class KinesisStore:
    """All streams.

    Args:
        store: The emulator's database.
        clock: Seconds since the epoch.
        retention_seconds: Returns how long records are kept in all streams; None for what each stream says.
    """

    def __init__(
        self, store: Store, clock: Callable[[], float], retention_seconds: Callable[[], float | None] = lambda: None
    ) -> None:
        self._store = store
        self._clock = clock
        self._retention_seconds = retention_seconds
        store.add_tables(_TABLES, forgotten=("kinesis_records",))
        kept = dict(store.definitions("kinesis"))
        self._last_uid = kept.get("last_uid", 0)
        self._largest_offset_ms = kept.get("largest_offset_ms", 0)
        self._streams: dict[tuple[str, str], Stream] = {}
        for _, saved in store.definitions(_KIND):
            stream = Stream.from_json(saved)
            self._streams[stream.region, stream.name] = stream
            for shard in stream.shards.values():
                self._look_up_ends(shard)

    def now_ms(self) -> int:
        """Return the time, in milliseconds since the epoch."""
        return round(self._clock() * 1000)

    def create(self, stream: Stream, shards: int) -> None:
        """Add a new stream with a number of shards of equal size.

        Raises:
            KinesisError: The region has a stream of this name.
        """
        self.settle()
        if (stream.region, stream.name) in self._streams:
            raise KinesisError(
                "ResourceInUseException", f"Stream {stream.name} under account {ACCOUNT} already exists."
            )
        self._streams[stream.region, stream.name] = stream
        for start, end in even_ranges(shards):
            stream.open_shard(self._next_uid(), start, end, stream.created_ms)
        self.save(stream)

    def stream(self, region: str, name: str) -> Stream:
        """Return the stream of this name.

        Raises:
            KinesisError: The region has none.
        """
        stream = self._streams.get((region, name))
        if stream is not None:
            self._settle(stream)
        if (region, name) not in self._streams or stream is None:
            raise not_found(f"Stream {name} under account {ACCOUNT} not found.")
        return stream

    def streams(self, region: str | None = None) -> list[Stream]:
        """Return the streams of a region, or of all regions, by name."""
        self.settle()
        found = (each for each in self._streams.values() if region in (None, each.region))
        return sorted(found, key=lambda each: (each.name, each.region))

    def settle(self) -> None:
        """Complete the changes that are due."""
        for stream in list(self._streams.values()):
            self._settle(stream)

    def start(self, stream: Stream, change: Change, due_ms: int) -> None:
        """Start a reshard that completes at a time."""
        stream.status = "UPDATING"
        stream.change = change
        stream.due_ms = due_ms
        self.save(stream)
        self._settle(stream)

    def delete(self, stream: Stream, due_ms: int) -> None:
        """Delete a stream, which completes at a time."""
        stream.status = "DELETING"
        stream.change = None
        stream.due_ms = due_ms
        self.save(stream)
        self._settle(stream)

    def save(self, stream: Stream) -> None:
        """Save a changed stream."""
        self._store.define(_KIND, f"{stream.region}/{stream.name}", stream.to_json())

    def put(self, records: Iterable[NewRecord], arrival_offset_ms: int = 0) -> list[str]:
        """Append records to their shards, in one transaction; return their sequence numbers."""
        if arrival_offset_ms > self._largest_offset_ms:
            self._largest_offset_ms = arrival_offset_ms
            self._store.define("kinesis", "largest_offset_ms", arrival_offset_ms)
        now_ms = self.now_ms()
        rows = []
        numbers = []
        for shard, partition_key, data in records:
            shard.last += 1
            if shard.first_ms is None:
                shard.first_ms = now_ms
            rows.append((shard.uid * _SHARD_SPAN + shard.last, now_ms, now_ms + arrival_offset_ms, partition_key, data))
            numbers.append(sequence_number(shard.prefix, shard.last, now_ms))
        with self._store.transaction():
            self._store.db.executemany("INSERT INTO kinesis_records VALUES (?, ?, ?, ?, ?)", rows)
        return numbers

    def read(self, shard: Shard, position: int, *, limit: int, max_bytes: int) -> tuple[list[StoredRecord], bool]:
        """Read records of a shard from a position on, at least one if there is any.

        Returns:
            The records, and whether `max_bytes` of data ended them.
        """
        base = shard.uid * _SHARD_SPAN
        found: list[StoredRecord] = []
        size = 0
        position = max(position, shard.first)
        while len(found) < limit:
            rows = self._store.db.execute(
                "SELECT * FROM kinesis_records WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?",
                (base + position + len(found), base + shard.last, min(limit - len(found), _READ_ROWS)),
            )
            before = len(found)
            for number, *row in rows:
                record = StoredRecord(number - base, *row)
                size += len(record.data) + len((record.partition_key or "").encode())
                if found and size > max_bytes:
                    return found, True
                found.append(record)
            if len(found) - before < _READ_ROWS:
                break
        return found, False

    def stored_ms(self, shard: Shard, position: int) -> int | None:
        """Return when the record at a position came, or the oldest one kept after it; None if there is none."""
        row = self._store.db.execute(
            "SELECT stored_ms FROM kinesis_records WHERE id BETWEEN ? AND ? ORDER BY id LIMIT 1",
            self._ids(shard, position),
        ).fetchone()
        return None if row is None else int(row[0])

    def position_at(self, shard: Shard, arrival_ms: int) -> int:
        """Return the position of the first record with this time of arrival or a later one, as clients see it."""
        # stored_ms rises with the position and can be searched by halves; arrivals are then looked at one by one
        earliest = bisect_left(
            range(shard.first, shard.last + 1),
            arrival_ms - self._largest_offset_ms,
            key=lambda position: self.stored_ms(shard, position) or 0,
        )
        row = self._store.db.execute(
            "SELECT id FROM kinesis_records WHERE id BETWEEN ? AND ? AND arrival_ms >= ? ORDER BY id LIMIT 1",
            (*self._ids(shard, shard.first + earliest), arrival_ms),
        ).fetchone()
        return shard.last + 1 if row is None else int(row[0]) - shard.uid * _SHARD_SPAN

    def forget_records(self) -> None:
        """Follow a reset of the database, which empties all shards."""
        for stream in self._streams.values():
            for shard in stream.shards.values():
                shard.first, shard.first_ms = shard.last + 1, None
            self.save(stream)

    def horizon_ms(self, stream: Stream) -> int:
        """Return the time before which records are not kept."""
        seconds = self._retention_seconds()
        return self.now_ms() - round((stream.retention_hours * 3600 if seconds is None else seconds) * 1000)

    def _settle(self, stream: Stream) -> None:
        now_ms = self.now_ms()
        if stream.status != "ACTIVE" and now_ms >= stream.due_ms:
            if stream.status == "DELETING":
                self._remove(stream)
                return
            if stream.change is not None:
                carry_out(stream, stream.change, self._next_uid, stream.due_ms)
            stream.status, stream.change = "ACTIVE", None
            self.save(stream)
        self._trim(stream)

    def _trim(self, stream: Stream) -> None:
        """Forget records, and then closed shards, that are older than the stream's retention."""
        horizon_ms = self.horizon_ms(stream)
        shards = list(stream.shards.values())
        trimmed = [shard for shard in shards if shard.first_ms is not None and shard.first_ms < horizon_ms]
        expired = [shard for shard in shards if shard.closed_ms is not None and shard.closed_ms < horizon_ms]
        for shard in expired:
            del stream.shards[shard.shard_id]
        if trimmed or expired:
            self.save(stream)  # first: without its records, only the saved shard says which position comes next
        for shard in trimmed:
            self._trim_shard(shard, horizon_ms)

    def _trim_shard(self, shard: Shard, horizon_ms: int) -> None:
        row = self._store.db.execute(
            "SELECT id, stored_ms FROM kinesis_records WHERE id BETWEEN ? AND ? AND stored_ms >= ? ORDER BY id LIMIT 1",
            (*self._ids(shard, shard.first), horizon_ms),
        ).fetchone()
        kept, shard.first_ms = row or (shard.uid * _SHARD_SPAN + shard.last + 1, None)
        shard.first = kept - shard.uid * _SHARD_SPAN
        self._delete(shard.uid * _SHARD_SPAN, kept - 1)

    def _remove(self, stream: Stream) -> None:
        del self._streams[stream.region, stream.name]
        with self._store.transaction():
            self._store.undefine(_KIND, f"{stream.region}/{stream.name}")
            for shard in stream.shards.values():
                self._delete(*self._ids(shard, 0))

    def _look_up_ends(self, shard: Shard) -> None:
        """Find the oldest and the newest record of a shard that was saved; trimmed ones are counted in `last`."""
        first, last = self._store.db.execute(
            "SELECT min(id), max(id) FROM kinesis_records WHERE id BETWEEN ? AND ?",
            (shard.uid * _SHARD_SPAN, (shard.uid + 1) * _SHARD_SPAN - 1),
        ).fetchone()
        base = shard.uid * _SHARD_SPAN
        shard.last = max(shard.last, (last or base) - base)
        shard.first = first - base if first is not None else shard.last + 1
        shard.first_ms = self.stored_ms(shard, shard.first)

    def _delete(self, first_id: int, last_id: int) -> None:
        self._store.db.execute("DELETE FROM kinesis_records WHERE id BETWEEN ? AND ?", (first_id, last_id))

    def _ids(self, shard: Shard, position: int) -> tuple[int, int]:
        base = shard.uid * _SHARD_SPAN
        return base + position, base + shard.last

    def _next_uid(self) -> int:
        self._last_uid += 1
        self._store.define("kinesis", "last_uid", self._last_uid)
        return int(self._last_uid)
