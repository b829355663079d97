"""A job over four task managers of one slot: dealt evenly, and nothing missing whatever is killed or away."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

import pytest

from testing.services import downloads
from testing.services.flink import FlinkCluster
from testing.services.kafka import KafkaBroker
from testing.services.process import free_ports, is_listening
from testing.services.pytest_support import require
from testing.services.sharing import SharedServices
from tests.e2e.page import scrape
from tests.faults.flink_load import (
    EVENTS,
    LIMITED,
    PARTITIONS,
    PATIENT,
    SUBTASKS,
    Accepted,
    FlinkLoad,
    FullTopic,
    fill,
    flink_load,
)

PAGES = 8  # of metrics: each worker process takes the next free port
STARTS = 10
SLOW = {"aep_max_messages_per_second": 250, "kafka_bundle_max_records": 125, "checkpointing_interval": 1_000}
"""So slow that the events outlast all starts, with a first checkpoint that may fall into the first bundle."""

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


@dataclass(frozen=True)
class Calm:
    """What a job came to that met no fault.

    Attributes:
        read: Records that each worker has read.
        duplicates: How often events arrived again.
        checkpoints: Those that were completed once all its tasks ran, oldest first, as Flink's REST API shows them.
    """

    read: list[int]
    duplicates: int
    checkpoints: list[dict[str, Any]]


@pytest.fixture(scope="module")
def calm(
    four: FlinkCluster, their_broker: KafkaBroker, topic: FullTopic, tmp_path_factory: pytest.TempPathFactory
) -> Calm:
    with flink_load(their_broker, four, topic, tmp_path_factory.mktemp("calm")) as load:
        port = free_ports(PAGES)
        load.start(**LIMITED, metrics_port=port)
        load.wait_until_committed()
        pages = [f"http://127.0.0.1:{each}" for each in range(port, port + PAGES) if is_listening(each)]
        read = [scrape(page)["beam_aep_read_records_total"][()] for page in pages]
        history = load.flink.checkpoints(load.job)["history"]
        completed = [one for one in reversed(history) if one["status"] == "COMPLETED"]
        return Calm(read, load.duplicates(), completed[1:])  # the first waits for what starts


def test_every_process_reads_three_of_twelve_partitions(calm: Calm) -> None:
    assert calm.read == [EVENTS // SUBTASKS] * SUBTASKS
    assert calm.duplicates == 0


def test_a_checkpoint_waits_for_two_bundles_of_each_reader_at_most(calm: Calm) -> None:
    bundle_seconds = LIMITED["kafka_bundle_max_records"] / LIMITED["aep_max_messages_per_second"]
    took = [one["end_to_end_duration"] / 1000 for one in calm.checkpoints]
    # The quickest quarter of them: a busy machine makes the others longer.
    assert quantiles(took)[0] <= 2 * PARTITIONS / SUBTASKS * bundle_seconds + 2, took


def test_checkpoints_do_not_grow(calm: Calm, request: pytest.FixtureRequest) -> None:
    runner = downloads.flink_job_server_jars().name.rpartition("-")[2]
    reason = "Beam's runner before 2.76 keeps something of each bundle for ever: apache/beam#27648"
    old = tuple(map(int, runner.split("."))) < (2, 76)
    request.applymarker(pytest.mark.xfail(old, reason=reason, strict=True))
    sizes = [one["state_size"] for one in calm.checkpoints]
    earlier, later = sizes[: len(sizes) // 2], sizes[len(sizes) // 2 :]
    assert max(later) <= 1.2 * max(earlier), f"bytes of the checkpoints: {sizes}"


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
    load.start(savepoint_path=savepoint)
    load.wait_until_committed()
    assert load.duplicates() == 0


def test_a_job_that_its_job_manager_has_forgotten_goes_on_where_offsets_are_committed(load: FlinkLoad) -> None:
    load.start(**LIMITED)
    load.wait_until_at_work()
    load.flink.restart_job_manager()
    assert load.flink.jobs() == []
    uncommitted = load.uncommitted()
    assert load.scenario.messages_accepted() < EVENTS
    load.start()
    load.wait_until_committed()
    assert load.duplicates() <= uncommitted


@pytest.mark.timeout(STARTS * 180)
def test_a_job_that_is_cancelled_and_submitted_again_ten_times_gets_to_work_each_time(load: FlinkLoad) -> None:
    uncommitted = 0
    for _ in range(STARTS):
        load.start(**SLOW)
        load.wait_until_more_is_committed()
        load.flink.cancel(load.job)
        uncommitted += load.uncommitted()
    load.start()
    load.wait_until_committed()
    assert load.duplicates() <= uncommitted
