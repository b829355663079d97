"""A job over four task managers of one slot: dealt evenly, and nothing missing when one of them dies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.services.emulator import Emulator
from testing.services.flink import FlinkCluster
from testing.services.kafka import KafkaBroker
from testing.services.process import free_port, is_listening
from testing.services.pytest_support import require
from tests.e2e.page import scrape
from tests.e2e.scenario import Scenario
from tests.faults.flink_load import EVENTS, LIMITED, PARTITIONS, PATIENT, SUBTASKS, Accepted, FlinkLoad, flink_load

pytestmark = [pytest.mark.kafka, pytest.mark.flink, pytest.mark.slow]


@pytest.fixture(scope="module")
def four() -> Iterator[FlinkCluster]:
    with require(FlinkCluster(task_managers=SUBTASKS, slots=1, settings=PATIENT)) as running:
        yield running


@pytest.fixture
def load(four: FlinkCluster, own_broker: KafkaBroker, tmp_path: Path) -> Iterator[FlinkLoad]:
    """A load on a broker and an AEP of its own, which it leaves full."""
    with Emulator() as aep, flink_load(Scenario(own_broker, aep, tmp_path, PARTITIONS), four, tmp_path) as made:
        yield made


def test_every_process_reads_three_of_twelve_partitions(load: FlinkLoad) -> None:
    events = 12_000
    load.produce(events)
    port = free_port()
    load.start(metrics_port=port)
    load.wait_until_committed()
    pages = [f"http://127.0.0.1:{each}" for each in range(port, port + 8) if is_listening(each)]
    read = [scrape(page)["beam_aep_read_records_total"][()] for page in pages]
    assert read == [events // SUBTASKS] * SUBTASKS
    assert load.duplicates() == 0


def test_a_task_manager_that_dies_repeats_no_more_than_was_accepted_since_the_last_checkpoint_began(
    load: FlinkLoad,
) -> None:
    load.produce(EVENTS)
    with Accepted(load.scenario) as accepted:
        load.start(**LIMITED)
        load.wait_until_at_work()
        load.flink.kill_task_manager()
        load.flink.start_task_manager()
        assert load.scenario.messages_accepted() < EVENTS
        load.wait_until_committed()
    assert load.flink.checkpoints(load.job)["counts"]["restored"] > 0
    assert load.duplicates() <= load.repeated_at_most(accepted)
