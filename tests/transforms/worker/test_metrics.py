from __future__ import annotations

import apache_beam as beam

from transforms.worker import metrics


class _Count(beam.DoFn):
    def process(self, element: int) -> None:
        metrics.count(metrics.READ, element)
        metrics.count(metrics.DEAD_LETTERED + "json", element % 2)


def test_counts_are_the_same_in_the_process_and_in_beam() -> None:
    pipeline = beam.Pipeline("FnApiRunner")
    pipeline | beam.Create([1, 2, 3, 4], reshuffle=False) | beam.ParDo(_Count())
    result = pipeline.run()
    result.wait_until_finish()
    assert metrics.process_counts() == {"read": 10, "dead_lettered/json": 2}
    assert metrics.beam_counts(result.metrics()) == metrics.process_counts()


def test_nothing_counted_makes_no_counter() -> None:
    metrics.count(metrics.TOMBSTONES, 0)
    assert metrics.process_counts() == {}


def test_reset_forgets_and_what_was_given_out_stays_as_it_was() -> None:
    metrics.count(metrics.READ, 3)
    before = metrics.process_counts()
    metrics.reset()
    assert metrics.process_counts() == {}
    assert before == {"read": 3}
