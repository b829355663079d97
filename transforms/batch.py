"""GroupIntoBatches: records into requests, by count, bytes and age."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
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

from aep.streaming import BATCH_OVERHEAD, Envelope
from transforms.chunks import Batch, Chunk, ChunkCoder
from transforms.routes import Routes

BatchMode = Literal["bundle", "state"]


@dataclass(frozen=True)
class BatchLimits:
    """When a batch is full, whichever comes first.

    Attributes:
      max_messages: records in a request.
      max_bytes: bytes of the whole request body, envelopes included. A record that is larger by itself makes a batch
        of its own.
      max_seconds: how long a record may wait for the batch to fill.
    """

    max_messages: int = 1000
    max_bytes: int = 950_000
    max_seconds: float = 1.0


class Packer:
    """Packs the chunks of one route into batches. Each record ends in exactly one batch, in the order they came.

    Args:
      overhead: bytes that each record costs in a request beside its own.
    """

    def __init__(self, route: str, limits: BatchLimits, overhead: int):
        self._route = route
        self._limits = limits
        self._overhead = overhead
        self._chunks: list[Chunk] = []
        self._messages = 0
        self._bytes = BATCH_OVERHEAD

    def add(self, chunk: Chunk) -> Iterator[Batch]:
        """Takes in a chunk and yields the batches that it filled."""
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
        """Yields what is waiting, full or not."""
        if self._chunks:
            yield Batch(self._route, self._chunks)
        self._chunks, self._messages, self._bytes = [], 0, BATCH_OVERHEAD

    @property
    def waiting(self) -> list[Chunk]:
        """What is not in a batch yet."""
        return self._chunks


class GroupIntoBatches(beam.PTransform):
    """Groups the records of each route into batches.

    Mode ``bundle``: batches end with their bundle, fused with the read, so that nothing is committed before it is
    posted; safe on every runner. Mode ``state``: batches grow across bundles in keyed state with timers, for runners
    that make small bundles and keep state durably.
    """

    def __init__(self, routes: Routes, limits: BatchLimits | None = None, mode: BatchMode = "bundle"):
        super().__init__()
        self._overheads = {route.name: Envelope(route.destination).overhead for route in routes}
        self._limits = limits or BatchLimits()
        self._mode = mode

    def expand(self, chunks: beam.PCollection[Chunk]) -> beam.PCollection[Batch]:
        """Adds the step."""
        if self._mode == "bundle":
            batches = chunks | "InBundle" >> beam.ParDo(_BatchInBundle(self._overheads, self._limits))
        else:
            batches = (
                chunks
                | "ByPartition" >> beam.Map(_by_partition).with_output_types(tuple[str, Chunk])
                | "InState" >> beam.ParDo(_BatchInState(self._overheads, self._limits))
            )
        batches.element_type = Batch
        return batches


class _BatchInBundle(beam.DoFn):
    def __init__(self, overheads: Mapping[str, int], limits: BatchLimits, clock: Callable[[], float] = time.monotonic):
        self._overheads = overheads
        self._limits = limits
        self._clock = clock

    def start_bundle(self) -> None:
        self._packers: dict[str, Packer] = {}
        self._oldest: dict[str, float] = {}  # by route: when its oldest waiting record came

    def process(self, element: Chunk) -> Iterator[Batch]:
        now = self._clock()
        route = element.route
        packer = self._packers.get(route)
        if packer is None:
            packer = self._packers[route] = Packer(route, self._limits, self._overheads[route])
        full = list(packer.add(element))
        yield from full
        if not packer.waiting:
            self._oldest.pop(route, None)
        elif full or route not in self._oldest:
            self._oldest[route] = now
        # A busy route must not keep a quiet one's records waiting until the bundle ends.
        for name in [name for name, since in self._oldest.items() if now - since >= self._limits.max_seconds]:
            del self._oldest[name]
            yield from self._packers[name].flush()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for packer in self._packers.values():
            for batch in packer.flush():
                yield GlobalWindows.windowed_value(batch)


class _BatchInState(beam.DoFn):
    """Chunks wait in state as bytes, keyed by route and topic partition, until a batch is full or a timer fires."""

    _CHUNKS = BagStateSpec("chunks", ChunkCoder())
    _SIZE = ReadModifyWriteStateSpec("size", coders.TupleCoder((coders.VarIntCoder(), coders.VarIntCoder())))
    _AGE = TimerSpec("age", TimeDomain.REAL_TIME)
    # A drained or finished pipeline must not keep what waits.
    _END = TimerSpec("end", TimeDomain.WATERMARK)

    def __init__(self, overheads: Mapping[str, int], limits: BatchLimits, clock: Callable[[], float] = time.time):
        self._overheads = overheads
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
        chunk = element[1]
        overhead = self._overheads[chunk.route]
        messages, total = size.read() or (0, BATCH_OVERHEAD)
        if not messages:
            age.set(Timestamp.of(self._clock() + self._limits.max_seconds))
            end.set(GlobalWindow().max_timestamp())
        messages += len(chunk.bodies)
        total += sum(map(len, chunk.bodies)) + overhead * len(chunk.bodies)
        chunks.add(chunk)
        if messages < self._limits.max_messages and total < self._limits.max_bytes:
            size.write((messages, total))
            return
        packer = Packer(chunk.route, self._limits, overhead)
        for waiting in chunks.read():
            yield from packer.add(waiting)
        chunks.clear()
        rest = packer.waiting
        for waiting in rest:
            chunks.add(waiting)
        count = sum(len(waiting.bodies) for waiting in rest)
        size.write((count, BATCH_OVERHEAD + sum(len(b) + overhead for waiting in rest for b in waiting.bodies)))
        if not count:
            age.clear()

    @on_timer(_AGE)
    def on_age(
        self, chunks: Any = beam.DoFn.StateParam(_CHUNKS), size: Any = beam.DoFn.StateParam(_SIZE)
    ) -> Iterator[Batch]:
        return self._flush(chunks, size)

    @on_timer(_END)
    def on_end(
        self,
        chunks: Any = beam.DoFn.StateParam(_CHUNKS),
        size: Any = beam.DoFn.StateParam(_SIZE),
        age: Any = beam.DoFn.TimerParam(_AGE),
    ) -> Iterator[Batch]:
        # Flink lets no timer of this kind fire at a job's end, and the job would wait for it for ever.
        age.clear()
        return self._flush(chunks, size)

    def _flush(self, chunks: Any, size: Any) -> Iterator[Batch]:
        waiting = list(chunks.read())
        chunks.clear()
        size.clear()
        if waiting:
            route = waiting[0].route
            packer = Packer(route, self._limits, self._overheads[route])
            for chunk in waiting:
                yield from packer.add(chunk)
            yield from packer.flush()


def _by_partition(chunk: Chunk) -> tuple[str, Chunk]:
    return f"{chunk.route}/{chunk.topic}/{chunk.partition}", chunk
