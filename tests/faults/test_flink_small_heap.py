"""Batches in Flink's state, and a heap that is too small for them: the task manager ends, and the job goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from testing.services.flink import FlinkCluster
from testing.services.kafka import KafkaBroker
from testing.services.process import PATIENCE_SECONDS, wait_for
from testing.services.pytest_support import require
from tests.faults.flink_load import EVENTS, PATIENT, fill, flink_load

pytestmark = [pytest.mark.kafka, pytest.mark.flink, pytest.mark.slow]

SMALL_MB, LARGE_MB = 128, 1_024

# An OutOfMemoryError in a thread of gRPC otherwise leaves a job that runs and does nothing.
NEVER_HANG = {"cluster.uncaught-exception-handling": "FAIL"}


def test_a_job_in_state_mode_fails_on_a_heap_that_is_too_small_and_goes_on_with_a_larger_one(
    own_broker: KafkaBroker, tmp_path: Path
) -> None:
    cluster = FlinkCluster(task_managers=0, slots=1, settings=PATIENT | NEVER_HANG)
    with (
        require(cluster) as flink,
        flink_load(own_broker, flink, fill(own_broker), tmp_path) as load,
    ):
        small = flink.start_task_manager(SMALL_MB)
        load.scenario.emulator.faults(outage_s=3_600)  # what is read stays in the heap
        load.start(parallelism=1, batch_mode="state", checkpointing_interval=2_000)
        wait_for(flink.jobs, PATIENCE_SECONDS, "the job")
        wait_for(lambda: flink.failure(load.job), PATIENCE_SECONDS, "the job to fail")
        small.kill()
        load.scenario.emulator.faults(outage_s=0)
        flink.start_task_manager(LARGE_MB)
        wait_for(lambda: len(load.scenario.accepted("events")) == EVENTS, PATIENCE_SECONDS, "all events")
        load.duplicates()
