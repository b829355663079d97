"""ReadFromKafka: chunks of records from Kafka topics, without Java.

Positions live in the restriction, so in the runner's checkpoint. The group's offsets are committed when the bundle
that read them is finalised: after everything fused with the read, posting included, has succeeded.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import replace

import apache_beam as beam
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Duration, Timestamp

from transforms.kafka.client import KafkaSetupError, Partition
from transforms.kafka.flink_keys import Subtasks
from transforms.kafka.owned_properties import OWNED_PROPERTIES
from transforms.kafka.reader import Reader
from transforms.kafka.restriction import PositionsProvider, Shard, deal
from transforms.kafka.source import KafkaSource
from transforms.kafka.start import Start
from transforms.records.bundle_limits import SHARED_DEFER_SECONDS
from transforms.records.chunk import Chunk
from transforms.worker import ending, metrics, process
from transforms.worker.late_answers import forget_late_answers, late_answers


class ReadFromKafka(beam.PTransform):
    """Reads topics into chunks.

    Args:
        source: What to read. With `share_group` one process reads everything it is assigned, as in local runs;
            otherwise the partitions are spread over the workers.
        start: Where each partition starts and ends, from `resolve_start`: looked up once, before the pipeline runs, so
            that a bundle that is retried starts at the same place.
        commit: Commit the group's offsets as bundles are finalised. Off where batches grow in state: there a finalised
            bundle's records may not be posted yet.
        subtasks: The subtasks of a Flink job, among which the shards are dealt evenly; None leaves it to the runner.

    Raises:
        KafkaSetupError: `kafka_config` has a property that this source decides itself.
    """

    def __init__(self, source: KafkaSource, start: Start, commit: bool = True, subtasks: Subtasks | None = None):
        super().__init__()
        for name in OWNED_PROPERTIES.keys() & source.cluster.config.keys():
            raise KafkaSetupError(f"{name} must not be in kafka_config: {OWNED_PROPERTIES[name]}")
        self._source = replace(source, left_out=start.left_out, commits=commit)
        self._start = start
        self._subtasks = subtasks

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection[Chunk]:
        source = self._source
        shards = deal(self._start, 1 if source.share_group else max(1, len(self._start.positions)))
        if self._subtasks is not None:
            shards = self._subtasks.deal(shards)
        if not source.share_group:
            source = replace(source, limits=source.limits.on_shared_thread())
        if source.late_answers:
            source = replace(source, limits=source.limits.for_two_open())
        chunks = (
            pipeline
            | "Shards" >> beam.Create([tuple(shard) for shard in shards], reshuffle=False)
            # Without it all shards would be read by the one worker that made them.
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(_ReadShard(source))
        )
        chunks.element_type = Chunk
        return chunks


class _ReadShard(beam.DoFn):
    def __init__(self, source: KafkaSource):
        self._source = source

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        element: tuple[int, int, bytes],
        bundle_finalizer: beam.DoFn.BundleFinalizerParam = beam.DoFn.BundleFinalizerParam,
        tracker: beam.DoFn.RestrictionParam = beam.DoFn.RestrictionParam(PositionsProvider()),
        watermark: beam.DoFn.WatermarkEstimatorParam = beam.DoFn.WatermarkEstimatorParam(
            ManualWatermarkEstimator.default_provider()
        ),
    ) -> Iterator[TimestampedValue]:
        shard = Shard(*element)
        reader = shard_reader(self._source, shard)
        late = late_answers(self._source.id)
        with reader.lock, process.remember_failure():
            reader.go_to(tracker.current_restriction())
            claimed: set[Partition] = set()
            # With nothing to read, the offsets of the bundle before should not wait for longer than for its answers.
            for step in reader.read_bundle(late.are_in if late.owes_commit else None):
                if not tracker.try_claim(step.claim):
                    break  # the runner has given the rest to another bundle
                claimed.update(step.claim.partitions())
                if step.chunk is not None:
                    newest = _count(step.chunk)
                    yield TimestampedValue(step.chunk, newest)
                    _advance(watermark, newest)
            else:
                if reader.must_stop() or reader.is_at_ends():
                    tracker.try_claim(None)
                else:
                    idle = not claimed and not self._source.share_group
                    tracker.defer_remainder(Duration(seconds=SHARED_DEFER_SECONDS if idle else 0))
                    late.allowed = self._source.late_answers and not reader.hands_over()
            lag = reader.measure_lag()
            if lag is not None:
                metrics.observe(metrics.LAG, lag)
            if not claimed:
                _advance(watermark, Timestamp.now())
            if self._source.commits and (claimed or reader.owes_commit() or late.owes_commit):
                commit = reader.commit_later(tracker.current_restriction().to_commit(claimed))
                bundle_finalizer.register(late.as_finalised(commit))


def shard_reader(source: KafkaSource, shard: Shard) -> Reader:
    key = _reader_key(source.id, shard.number)

    def make() -> Reader:
        reader = Reader(source, shard)
        # Measured by who asks: a bundle that waits for its destination goes on for as long as that is down.
        metrics.watch(metrics.LAG, key, reader.measure_lag)
        metrics.watch(metrics.KAFKA_SILENCE, key, reader.silence)
        metrics.watch(metrics.UNCOMMITTED, key, reader.uncommitted)
        last = f"commits of group {source.group_id}, so records may be delivered twice"
        ending.before_end(key, last, reader.has_committed)
        return reader

    return process.shared(key, make)


def close_readers(source_id: str, commit_seconds: float = 0.0) -> None:
    """Close the readers that this process has for a source, at the end of a local run.

    Args:
        source_id: The source.
        commit_seconds: How long to wait for commits still to come: a cluster's worker in this process (LOOPBACK) may
            hear that its last bundles are final a moment after the job has ended.
    """
    deadline = time.monotonic() + commit_seconds
    number = 0
    while (reader := process.take(_reader_key(source_id, number))) is not None:
        assert isinstance(reader, Reader)
        while reader.awaits_commit() and time.monotonic() < deadline:
            time.sleep(0.05)
        key = _reader_key(source_id, number)
        for level in (metrics.LAG, metrics.KAFKA_SILENCE, metrics.UNCOMMITTED):
            metrics.unwatch(level, key)
        ending.forget(key)
        reader.close()
        number += 1
    forget_late_answers(source_id)


def _reader_key(source_id: str, number: int) -> tuple[str, str, int]:
    return "kafka reader", source_id, number


def new_source_id() -> str:
    return uuid.uuid4().hex


def _count(chunk: Chunk) -> Timestamp:
    """Count the records of a chunk and return the newest timestamp, but not after now.

    A producer may write any timestamp: one in the future would end the pipeline's time, or be too large for Beam.
    """
    records = chunk.records
    metrics.count(metrics.READ, len(records))
    metrics.count(metrics.OFFSETS_SKIPPED, records[-1].offset - records[0].offset + 1 - len(records))
    newest = Timestamp(micros=max([record.timestamp for record in records]) * 1000)
    return min(newest, Timestamp.now())


def _advance(watermark: ManualWatermarkEstimator, time: Timestamp) -> None:
    current = watermark.current_watermark()
    if current is None or time > current:
        watermark.set_watermark(time)
