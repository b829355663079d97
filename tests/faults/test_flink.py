"""A task manager of a Flink cluster crashes: the job goes on from its last checkpoint."""

from __future__ import annotations

import pytest

from samples.loyalty import generate
from testing.services.flink import FlinkCluster
from testing.services.process import wait_for
from tests.e2e.scenario import Scenario
from tests.faults.campaign import STEP_SECONDS, finish

pytestmark = [pytest.mark.kafka, pytest.mark.flink]

PARTITIONS = 8  # of both topics, each with a reader of its own
BUNDLE = 200  # records of a reader; a poll's worth may come on top


def test_fault_14_a_flink_task_manager_is_killed(scenario: Scenario, flink: FlinkCluster) -> None:
    scenario.produce(generate(12_000, broken_share=0.01))
    pipeline = scenario.start(
        **flink.options(),
        shutdown_sources_after_idle_ms=60_000,
        kafka_bundle_max_records=BUNDLE,
        aep_max_messages_per_second=1_000,  # slow enough to be caught at work
    )
    scenario.wait_until_accepted(1_500)
    job = flink.jobs()[-1]
    wait_for(lambda: flink.checkpoints(job["jid"])["counts"]["completed"], STEP_SECONDS, "a checkpoint")
    flink.kill_task_manager()
    assert scenario.messages_accepted() < 10_000
    flink.start_task_manager()
    wait_for(lambda: scenario.committed() == scenario.end_offsets(), STEP_SECONDS, "the offsets to be committed")
    assert flink.checkpoints(job["jid"])["counts"]["restored"] == 1
    flink.cancel(job["jid"])
    finish(scenario, pipeline, code=1)
    # What was read since the last checkpoint, a second before: a few bundles of each reader.
    scenario.check_every_sample(duplicates=3 * PARTITIONS * (BUNDLE + 500))
