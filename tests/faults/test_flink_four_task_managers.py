"""A job over four task managers of one slot: dealt evenly, and nothing missing whatever is killed or away."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testing.services.flink import FlinkCluster
from testing.services.kafka import KafkaBroker
from testing.services.process import free_port, is_listening
from testing.services.pytest_support import require
from testing.services.sharing import SharedServices
from tests.e2e.page import scrape
from tests.faults.flink_load import (
    EVENTS,
    LIMITED,
    PATIENT,
    SUBTASKS,
    Accepted,
    FlinkLoad,
    FullTopic,
    fill,
    flink_load,
)

pytestmark = [pytest.mark.kafka, pytest.mark.flink, pytest.mark.slow]


@pytest.fixture(scope="module")
def four() -> Iterator[FlinkCluster]:
    with require(FlinkCluster(task_managers=SUBTASKS, slots=1, settings=PATIENT)) as running:
        yield running


@pytest.fixture(scope="module")
def their_broker(shared_services: SharedServices) -> Iterator[KafkaBroker]:
    """One broker for all these tests, of which one restarts it."""
    with shared_services.one_at_a_time("own_broker"), require(KafkaBroker(session_ms=60_000)) as running:
        yield running


@pytest.fixture(scope="module")
def topic(their_broker: KafkaBroker) -> FullTopic:
    return fill(their_broker)


@pytest.fixture
def load(four: FlinkCluster, their_broker: KafkaBroker, topic: FullTopic, tmp_path: Path) -> Iterator[FlinkLoad]:
    with flink_load(their_broker, four, topic, tmp_path) as made:
        yield made


def test_every_process_reads_three_of_twelve_partitions(load: FlinkLoad) -> None:
    port = free_port()
    load.start(metrics_port=port)
    load.wait_until_committed()
    pages = [f"http://127.0.0.1:{each}" for each in range(port, port + 8) if is_listening(each)]
    read = [scrape(page)["beam_aep_read_records_total"][()] for page in pages]
    assert read == [EVENTS // SUBTASKS] * SUBTASKS
    assert load.duplicates() == 0


def kill_a_worker(load: FlinkLoad) -> None:
    os.kill(load.workers()[0], signal.SIGKILL)


def kill_the_pool_and_its_workers(load: FlinkLoad) -> None:
    load.restart_pool()


def kill_a_task_manager(load: FlinkLoad) -> None:
    load.flink.kill_task_manager()
    load.flink.start_task_manager()


@pytest.mark.parametrize("fault", [kill_a_worker, kill_the_pool_and_its_workers, kill_a_task_manager])
def test_what_dies_repeats_no_more_than_was_accepted_since_the_last_checkpoint_began(
    load: FlinkLoad, fault: Callable[[FlinkLoad], None]
) -> None:
    with Accepted(load.scenario) as accepted:
        load.start(**LIMITED)
        load.wait_until_at_work()
        fault(load)
        assert load.scenario.messages_accepted() < EVENTS
        load.wait_until_committed()
    assert load.flink.checkpoints(load.job)["counts"]["restored"] > 0
    assert load.duplicates() <= load.repeated_at_most(accepted)


def test_a_broker_that_restarts_repeats_nothing(load: FlinkLoad) -> None:
    load.start(**LIMITED)
    load.wait_until_at_work()
    load.scenario.broker.stop()
    load.scenario.broker.start()
    assert load.scenario.messages_accepted() < EVENTS
    load.wait_until_committed()
    assert load.flink.checkpoints(load.job)["counts"]["restored"] == 0
    assert load.duplicates() == 0


def test_aep_that_is_out_for_a_minute_repeats_nothing(load: FlinkLoad) -> None:
    load.start(**LIMITED)
    load.wait_until_at_work()
    load.scenario.emulator.faults(outage_s=60)
    assert load.scenario.messages_accepted() < EVENTS
    load.wait_until_committed()
    assert load.flink.checkpoints(load.job)["counts"]["restored"] == 0
    assert load.duplicates() == 0


def test_a_job_that_is_stopped_with_a_savepoint_and_started_from_it_repeats_nothing(load: FlinkLoad) -> None:
    load.start(**LIMITED)
    load.wait_until_at_work()
    savepoint = load.flink.stop(load.job)
    assert load.scenario.messages_accepted() < EVENTS
    load.start(**LIMITED, savepoint_path=savepoint)
    load.wait_until_committed()
    assert load.duplicates() == 0
