"""The thread that a bundle waits for at its end."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.worker import statesampler

from tests.transforms.eager import Collect
from transforms.worker.state_sampler import end_bundles_at_once


class SamplingPeriod(beam.DoFn):
    """Returns how long the thread sleeps, in milliseconds."""

    def process(self, _: None) -> Iterator[int]:
        yield statesampler.get_current_tracker().sampling_period_ms


def test_a_bundle_does_not_wait_long_for_the_thread_that_measures_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statesampler, "StateSampler", statesampler.StateSampler)  # and back
    end_bundles_at_once()
    collect = Collect()
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
        pipeline | beam.Create([None], reshuffle=False) | beam.ParDo(SamplingPeriod()) | collect
    (period,) = collect.taken()
    assert period <= 5
