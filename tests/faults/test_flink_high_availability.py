"""The job manager of a cluster with high availability dies: the new one takes the job up again."""

from __future__ import annotations

from pathlib import Path

import pytest

from testing.services.flink import FlinkCluster
from testing.services.kafka import KafkaBroker
from testing.services.pytest_support import require
from tests.faults.flink_load import EVENTS, LIMITED, PATIENT, SUBTASKS, Accepted, fill, flink_load

pytestmark = [pytest.mark.kafka, pytest.mark.flink, pytest.mark.slow]


def test_a_job_manager_that_dies_repeats_no_more_than_was_accepted_since_the_last_checkpoint_began(
    own_broker: KafkaBroker, tmp_path: Path
) -> None:
    cluster = FlinkCluster(task_managers=SUBTASKS, slots=1, settings=PATIENT, high_availability=True)
    with (
        require(cluster) as flink,
        flink_load(own_broker, flink, fill(own_broker), tmp_path) as load,
        Accepted(load.scenario) as accepted,
    ):
        load.start(**LIMITED)
        load.wait_until_at_work()
        job, began = load.job, load.began()
        flink.restart_job_manager()
        assert load.scenario.messages_accepted() < EVENTS
        load.wait_until_committed()
        assert load.job == job
        assert load.duplicates() <= load.repeated_at_most(accepted, began)
