"""GroupIntoBatches: records into requests, by count, bytes and age."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import apache_beam as beam
from apache_beam import coders
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from transforms.records.chunk import Batch, Chunk, ChunkCoder
from transforms.records.destination import Sizes
from transforms.records.route import Routes, Turns

BatchMode = Literal["bundle", "state"]


@dataclass(frozen=True)
class BatchLimits:
    """When a batch is full, whichever comes first.

    Attributes:
        max_messages: Records in a request.
        max_bytes: Bytes of the whole request body, envelopes included. A record that is larger by itself makes a batch
            of its own.
        max_seconds: How long a record may wait for the batch to fill.
    """

    max_messages: int
    max_bytes: int
    max_seconds: float

    def within(self, sizes: Sizes) -> BatchLimits:
        """Return these limits where a destination allows them, and its own where not."""
        return replace(
            self,
            max_messages=min(self.max_messages, sizes.max_records or self.max_messages),
            max_bytes=min(self.max_bytes, sizes.max_request_bytes),
        )


class Packer:
    """Packs the chunks of one route into batches. Each record ends in exactly one batch, in the order they came.

    Args:
        sizes: Sizes of the route's destination.
        shard: Of keys, that the chunks are of.
    """

    def __init__(self, route: str, limits: BatchLimits, sizes: Sizes, shard: int = 0):
        self._route = route
        self._shard = shard
        self._limits = limits.within(sizes)
        self._request_overhead, self._overhead = sizes.request_overhead, sizes.record_overhead
        self._chunks: list[Chunk] = []
        self._messages = 0
        self._bytes = self._request_overhead

    def add(self, chunk: Chunk) -> Iterator[Batch]:
        """Take in a chunk and yield the batches that it filled."""
        messages = self._messages + len(chunk.bodies)
        size = self._bytes + sum(map(len, chunk.bodies)) + self._overhead * len(chunk.bodies)
        if chunk.bodies and messages < self._limits.max_messages and size <= self._limits.max_bytes:
            self._chunks.append(chunk)
            self._messages, self._bytes = messages, size
            return
        start = 0
        for stop, body in enumerate(chunk.bodies):
            cost = len(body) + self._overhead
            if self._messages and (
                self._bytes + cost > self._limits.max_bytes or self._messages >= self._limits.max_messages
            ):
                if stop > start:
                    self._chunks.append(chunk.slice(start, stop))
                    start = stop
                yield from self.flush()
            self._messages += 1
            self._bytes += cost
        if start < len(chunk.bodies):
            self._chunks.append(chunk.slice(start, len(chunk.bodies)) if start else chunk)
        if self._messages >= self._limits.max_messages:
            yield from self.flush()

    def flush(self) -> Iterator[Batch]:
        """Yield what is waiting, full or not."""
        if self._chunks:
            yield Batch(self._route, self._chunks, self._shard)
        self._chunks, self._messages, self._bytes = [], 0, self._request_overhead

    @property
    def waiting(self) -> list[Chunk]:
        """What is not in a batch yet."""
        return self._chunks


class GroupIntoBatches(beam.PTransform):
    """Groups the records of each route into batches.

    Mode `bundle`: batches end with their bundle, fused with the read, so that nothing is committed before it is
    posted; safe on every runner. Mode `state`: batches grow across bundles in keyed state with timers, for runners
    that make small bundles and keep state durably.

    Args:
        shards: A batch holds keys of one shard out of so many, for `Post` to keep the records of a key in order.
        turns: Routes whose batches must not overtake each other. In mode `state` they do.
    """

    def __init__(
        self, routes: Routes, limits: BatchLimits, mode: BatchMode, shards: int = 1, turns: Turns | None = None
    ):
        super().__init__()
        self._sizes = {route.name: route.destination.sizes() for route in routes}
        self._limits = limits
        self._mode = mode
        self._shards = shards
        self._turns = turns

    def expand(self, chunks: beam.PCollection[Chunk]) -> beam.PCollection[Batch]:
        """Add the step."""
        if self._mode == "bundle":
            in_bundle = _BatchInBundle(self._sizes, self._limits, self._shards, turns=self._turns)
            batches = chunks | "InBundle" >> beam.ParDo(in_bundle)
        else:
            batches = (
                chunks
                | "ByPartition" >> beam.FlatMap(_by_partition, self._shards).with_output_types(tuple[str, Chunk])
                | "InState" >> beam.ParDo(_BatchInState(self._sizes, self._limits))
            )
        batches.element_type = Batch
        return batches


class _BatchInBundle(beam.DoFn):
    def __init__(
        self,
        sizes: Mapping[str, Sizes],
        limits: BatchLimits,
        shards: int = 1,
        clock: Callable[[], float] = time.monotonic,
        turns: Turns | None = None,
    ):
        self._sizes = sizes
        self._limits = limits
        self._shards = shards
        self._clock = clock
        self._turns = turns or {}

    def start_bundle(self) -> None:
        self._packers: dict[tuple[str, int], Packer] = {}  # by route and shard
        self._oldest: dict[tuple[str, int], float] = {}  # when the oldest waiting record came

    def process(self, element: Chunk) -> Iterator[Batch]:
        now = self._clock()
        for shard, chunk in element.by_shard(self._shards).items():
            yield from self._add((chunk.route, shard), chunk, now)
        # A busy route must not keep a quiet one's records waiting until the bundle ends.
        for one in [one for one, since in self._oldest.items() if now - since >= self._limits.max_seconds]:
            del self._oldest[one]
            yield from self._packers[one].flush()

    def _add(self, one: tuple[str, int], chunk: Chunk, now: float) -> Iterator[Batch]:
        route, shard = one
        for other in self._turns.get(route, ()):
            if (waiting := self._packers.get((other, shard))) is not None:
                self._oldest.pop((other, shard), None)
                yield from waiting.flush()
        packer = self._packers.get(one)
        if packer is None:
            packer = self._packers[one] = Packer(route, self._limits, self._sizes[route], shard)
        full = list(packer.add(chunk))
        yield from full
        if not packer.waiting:
            self._oldest.pop(one, None)
        elif full or one not in self._oldest:
            self._oldest[one] = now

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for packer in self._packers.values():
            for batch in packer.flush():
                yield GlobalWindows.windowed_value(batch)


class _BatchInState(beam.DoFn):
    """Chunks wait in state as bytes until a batch is full or a timer fires.

    The key is route, topic partition and shard of keys.
    """

    _CHUNKS = BagStateSpec("chunks", ChunkCoder())
    _SIZE = ReadModifyWriteStateSpec("size", coders.TupleCoder((coders.VarIntCoder(), coders.VarIntCoder())))
    _AGE = TimerSpec("age", TimeDomain.REAL_TIME)
    # A drained or finished pipeline must not keep what waits.
    _END = TimerSpec("end", TimeDomain.WATERMARK)

    def __init__(self, sizes: Mapping[str, Sizes], limits: BatchLimits, clock: Callable[[], float] = time.time):
        self._sizes = sizes
        self._limits = limits
        self._clock = clock

    def process(
        self,
        element: tuple[str, Chunk],
        chunks: Any = beam.DoFn.StateParam(_CHUNKS),
        size: Any = beam.DoFn.StateParam(_SIZE),
        age: Any = beam.DoFn.TimerParam(_AGE),
        end: Any = beam.DoFn.TimerParam(_END),
    ) -> Iterator[Batch]:
        key, chunk = element
        sizes = self._sizes[chunk.route]
        limits = self._limits.within(sizes)
        overhead = sizes.record_overhead
        messages, total = size.read() or (0, sizes.request_overhead)
        if not messages:
            age.set(Timestamp.of(self._clock() + self._limits.max_seconds))
            end.set(GlobalWindow().max_timestamp())
        messages += len(chunk.bodies)
        total += sum(map(len, chunk.bodies)) + overhead * len(chunk.bodies)
        chunks.add(chunk)
        if messages < limits.max_messages and total < limits.max_bytes:
            size.write((messages, total))
            return
        packer = Packer(chunk.route, self._limits, sizes, _shard_of(key))
        for waiting in chunks.read():
            yield from packer.add(waiting)
        chunks.clear()
        rest = packer.waiting
        for waiting in rest:
            chunks.add(waiting)
        count = sum(len(waiting.bodies) for waiting in rest)
        size.write((count, sizes.request_overhead + sum(len(b) + overhead for waiting in rest for b in waiting.bodies)))
        if not count:
            age.clear()

    @on_timer(_AGE)
    def on_age(
        self,
        key: str = beam.DoFn.KeyParam,
        chunks: Any = beam.DoFn.StateParam(_CHUNKS),
        size: Any = beam.DoFn.StateParam(_SIZE),
    ) -> Iterator[Batch]:
        return self._flush(key, chunks, size)

    @on_timer(_END)
    def on_end(
        self,
        key: str = beam.DoFn.KeyParam,
        chunks: Any = beam.DoFn.StateParam(_CHUNKS),
        size: Any = beam.DoFn.StateParam(_SIZE),
        age: Any = beam.DoFn.TimerParam(_AGE),
    ) -> Iterator[Batch]:
        # Flink lets no timer of this kind fire at a job's end, and the job would wait for it for ever.
        age.clear()
        return self._flush(key, chunks, size)

    def _flush(self, key: str, chunks: Any, size: Any) -> Iterator[Batch]:
        waiting = list(chunks.read())
        chunks.clear()
        size.clear()
        if waiting:
            route = waiting[0].route
            packer = Packer(route, self._limits, self._sizes[route], _shard_of(key))
            for chunk in waiting:
                yield from packer.add(chunk)
            yield from packer.flush()


def _by_partition(chunk: Chunk, shards: int) -> Iterator[tuple[str, Chunk]]:
    for shard, part in chunk.by_shard(shards).items():
        yield f"{chunk.route}/{chunk.topic}/{chunk.partition}/{shard}", part


def _shard_of(key: str) -> int:
    return int(key.rpartition("/")[2])
