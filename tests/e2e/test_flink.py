"""The same pipeline, and the same options, on a real Flink cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from samples.loyalty import generate
from tests.e2e.scenario import Scenario
from tests.services.flink import FlinkCluster
from tests.services.pytest_support import require

pytestmark = [pytest.mark.kafka, pytest.mark.flink]


@pytest.fixture(scope="module")
def flink() -> Iterator[FlinkCluster]:
    with require(FlinkCluster(slots=2)) as running:
        yield running


@pytest.mark.parametrize("batch_mode", ["bundle", "state"])
def test_every_event_arrives_over_flink(scenario: Scenario, flink: FlinkCluster, batch_mode: str) -> None:
    scenario.produce(generate(10_000, broken_share=0.01))
    finished = scenario.run(
        **flink.options(),
        shutdown_sources_after_idle_ms=3000,
        batch_mode=batch_mode,
    )
    assert finished.code == 0, finished.output
    assert scenario.check_every_sample() == 0
    assert finished.summary["unaccounted"] == 0
    assert finished.summary["accepted"] == scenario.messages_accepted()
    assert {job["state"] for job in flink.jobs()} == {"FINISHED"}
    # Offsets are committed only where a finalised bundle's records are posted.
    none: dict[str, dict[int, int]] = {topic: {} for topic in scenario.topics.values()}
    assert scenario.committed() == (scenario.end_offsets() if batch_mode == "bundle" else none)
