"""Beam's own runner, over many bundles."""

from __future__ import annotations

import gc
from types import GeneratorType

import apache_beam as beam
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.core import RestrictionProvider

from pipelines.runtime.local_runner import keep_metrics_small

BUNDLES = 300


class Range(RestrictionProvider):
    def initial_restriction(self, element: int) -> OffsetRange:
        return OffsetRange(0, element)

    def create_tracker(self, restriction: OffsetRange) -> OffsetRestrictionTracker:
        return OffsetRestrictionTracker(restriction)

    def restriction_size(self, _: int, restriction: OffsetRange) -> int:
        return int(restriction.size())


RANGE = beam.DoFn.RestrictionParam(Range())


class OneABundle(beam.DoFn):
    """Ends the bundle after each number."""

    def process(self, _: int, tracker: beam.DoFn.RestrictionParam = RANGE) -> None:
        number = tracker.current_restriction().start
        if tracker.try_claim(number):
            Metrics.counter("test", "numbers").inc()
            Metrics.distribution("test", "number").update(number)
            tracker.defer_remainder()


def generators() -> int:
    """Return how many are kept in which Beam would add up metrics."""
    return sum(isinstance(one, GeneratorType) and one.__name__ == "consolidate" for one in gc.get_objects())


def test_metrics_of_bundles_are_added_up_as_they_end() -> None:
    keep_metrics_small()
    before = generators()
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
        pipeline | beam.Create([BUNDLES], reshuffle=False) | beam.ParDo(OneABundle())
    assert generators() <= before
    metrics = pipeline.result.metrics().query()
    (counter,) = metrics["counters"]
    assert counter.committed == BUNDLES
    (distribution,) = metrics["distributions"]
    assert (distribution.committed.min, distribution.committed.max) == (0, BUNDLES - 1)
