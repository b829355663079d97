"""What a run holds in memory does not grow with what it has done."""

from __future__ import annotations

import pytest

from samples.loyalty import generate
from tests.e2e.scenario import Scenario

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def test_bundles_leave_nothing_behind(scenario: Scenario) -> None:
    scenario.produce(generate(2_500))
    # A bundle holds what one poll finds, and the first finds one record: a run of days has as many bundles.
    pipeline = scenario.start(kafka_stop_at="never", kafka_bundle_max_records=1)
    scenario.wait_until_accepted(500)
    before = pipeline.resident_bytes
    scenario.wait_until_accepted(2_500)
    after = pipeline.resident_bytes
    pipeline.terminate()
    assert pipeline.exit_code == 0, pipeline.log_tail()
    assert scenario.summary()["requests"] > 1_500
    assert before > 0
    assert (after - before) / 1e6 < 60
