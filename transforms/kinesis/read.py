"""ReadFromKinesis: chunks of records of a stream.

Positions live in the restriction, so in the runner's checkpoint. A local runner forgets its checkpoints: there they are
written to a file when the bundle that read them is finalised, after everything fused with the read has ended well.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace

import apache_beam as beam
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Duration, Timestamp

from kinesis.positions import Checkpoint
from transforms.kinesis.checkpoint import LocalCheckpoint, local_checkpoint
from transforms.kinesis.reader import Reader
from transforms.kinesis.restriction import Share, UnreadProvider, deal
from transforms.kinesis.source import KinesisSource
from transforms.records.bundle_limits import SHARED_DEFER_SECONDS
from transforms.records.chunk import Chunk
from transforms.worker import metrics, process


class ReadFromKinesis(beam.PTransform):
    """Read a stream into chunks.

    Records of a partition key come in their order as long as one reader has their shards: a child of a reshard is read
    when its parents are read to their ends. See docs/kinesis-reading.md for merges over several readers.

    Args:
        source: What to read.
        start: Where each shard starts, from `kinesis.discovery.begin` or a checkpoint file: looked up once, before the
            pipeline runs, so that a bundle that is retried starts at the same place.
        end: Read what arrived before this time, in milliseconds since 1970; None reads for ever.
        readers: How many share the stream; 1 where this process reads it all.
    """

    def __init__(self, source: KinesisSource, start: Checkpoint, end: int | None = None, readers: int = 1):
        super().__init__()
        self._source = source
        self._shares = deal(start, end, readers)

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection[Chunk]:
        """Add the read."""
        source = self._source
        if source.checkpoint_file is None:
            source = replace(source, limits=source.limits.on_shared_thread())
        chunks = (
            pipeline
            | "Shares" >> beam.Create([tuple(share) for share in self._shares], reshuffle=False)
            # Without it all shares would be read by the one worker that made them.
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(_ReadShare(source))
        )
        chunks.element_type = Chunk
        return chunks


class _ReadShare(beam.DoFn):
    def __init__(self, source: KinesisSource):
        self._source = source

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        element: tuple[int, int, bytes],
        bundle_finalizer: beam.DoFn.BundleFinalizerParam = beam.DoFn.BundleFinalizerParam,
        tracker: beam.DoFn.RestrictionParam = beam.DoFn.RestrictionParam(UnreadProvider()),
        watermark: beam.DoFn.WatermarkEstimatorParam = beam.DoFn.WatermarkEstimatorParam(
            ManualWatermarkEstimator.default_provider()
        ),
    ) -> Iterator[TimestampedValue]:
        reader = share_reader(self._source, Share(*element))
        local = self._source.checkpoint_file is not None
        with reader.lock, process.remember_failure():
            reader.go_to(tracker.current_restriction())
            idle = True
            for step in reader.read_bundle():
                if not tracker.try_claim(step.claim):
                    break  # the runner has given the rest to another bundle
                if step.chunk is not None:
                    idle = False
                    yield TimestampedValue(step.chunk, _count(step.chunk))
                _advance(watermark, reader.read_to())
            else:
                if reader.must_stop() or reader.is_at_end():
                    tracker.try_claim(None)
                else:
                    tracker.defer_remainder(Duration(seconds=SHARED_DEFER_SECONDS if idle and not local else 0))
            lag = reader.measure_lag()
            if lag is not None:
                metrics.observe(metrics.LAG_MILLISECONDS, lag)
            if local:
                bundle_finalizer.register(
                    local_checkpoint(self._source).write_later(tracker.current_restriction().checkpoint)
                )


def share_reader(source: KinesisSource, share: Share) -> Reader:
    """Return the process's reader of a share."""
    key = _reader_key(source.id, share.number)

    def make() -> Reader:
        reader = Reader(source, share)
        metrics.watch(metrics.LAG_MILLISECONDS, key, lambda: reader.lag)
        return reader

    return process.shared(key, make)


def close_readers(source: KinesisSource) -> None:
    """Forget the readers that this process has for a source, and let its checkpoint file go, at the end of a run."""
    number = 0
    while process.take(_reader_key(source.id, number)) is not None:
        metrics.unwatch(metrics.LAG_MILLISECONDS, _reader_key(source.id, number))
        number += 1
    LocalCheckpoint.close_of(source)


def _reader_key(source_id: str, number: int) -> tuple[str, str, int]:
    return "kinesis reader", source_id, number


def new_source_id() -> str:
    """Return an id for a source."""
    return uuid.uuid4().hex


def _count(chunk: Chunk) -> Timestamp:
    """Count the records of a chunk and return the time of the newest, now at the latest."""
    metrics.count(metrics.READ, len(chunk.records))
    newest = max(record.timestamp for record in chunk.records)
    return min(Timestamp(micros=newest * 1000), Timestamp.now())


def _advance(watermark: ManualWatermarkEstimator, milliseconds: int) -> None:
    """Advance to what all shards are read to: one that cannot be read holds the watermark back."""
    time = Timestamp(micros=milliseconds * 1000)
    current = watermark.current_watermark()
    if milliseconds and (current is None or time > current):
        watermark.set_watermark(time)
