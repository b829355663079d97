"""Processes of one group come and go: partitions change hands, and what was read of them is delivered first."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from samples.loyalty import generate
from testing.services.emulator import Emulator
from testing.services.kafka import KafkaBroker
from testing.services.process import ServiceProcess, wait_for
from tests.e2e.scenario import Scenario
from tests.faults.campaign import ENDLESS, STEP_SECONDS, requests, wait_until_all_committed

pytestmark = pytest.mark.kafka

BUNDLE = 2_000  # records
# Members hear of a rebalance by their heartbeats, from which a busy machine may keep them for seconds.
BEATS = {"session.timeout.ms": 20_000, "heartbeat.interval.ms": 300}
# Requests are slow and few, so that there is always one under way.
BUSY: dict[str, Any] = {
    **ENDLESS,
    "kafka_config": BEATS,
    "kafka_bundle_max_records": BUNDLE,
    "aep_max_in_flight": 4,
}


def reads(process: ServiceProcess, partitions: int) -> None:
    """Wait until the process has so many partitions."""

    def last() -> int:
        said = re.findall(r"now reads (\d+) partitions", process.log())
        return int(said[-1]) if said else -1

    wait_for(lambda: last() == partitions, STEP_SECONDS, f"{partitions} partitions of {process.log_tail()}")


def leave(process: ServiceProcess) -> None:
    process.terminate()
    assert process.exit_code == 0, process.log_tail()


def test_fault_29_a_process_that_joins_and_one_that_leaves_repeat_nothing(scenario: Scenario) -> None:
    scenario.produce(generate(30_000))
    scenario.emulator.faults(latency_ms=300)
    first = scenario.start(**BUSY)
    scenario.wait_until_accepted(500)
    second = scenario.start(**BUSY)
    reads(second, 4)
    assert scenario.messages_accepted() < 29_000, "or nothing was open as partitions changed hands"
    scenario.wait_until_accepted(scenario.messages_accepted() + 500)
    assert scenario.messages_accepted() < 29_000
    leave(first)
    scenario.emulator.clear_faults()
    wait_until_all_committed(scenario)
    leave(second)
    assert "delivered twice" not in first.log() + second.log()
    scenario.check_every_sample(duplicates=0)


@pytest.mark.slow
def test_fault_29_partitions_change_hands_in_time_although_aep_is_away(scenario: Scenario) -> None:
    scenario.produce(generate(2_000))
    scenario.emulator.faults(outage_s=600)
    options = {**BUSY, "shutdown_seconds": 2}
    first = scenario.start(**options)
    wait_for(lambda: requests(scenario) > 0, STEP_SECONDS, "a first try")
    second = scenario.start(**options)
    reads(second, 4)
    said = re.search(
        r"handing (\d) partitions to another process, .* after 2 s .* up to ([\d,]+) records may", first.log()
    )
    assert said is not None, first.log_tail()
    assert (int(said[1]), scenario.messages_accepted()) == (4, 0)
    scenario.emulator.clear_faults()
    wait_until_all_committed(scenario)
    for process in (first, second):
        leave(process)
    scenario.check_every_sample(duplicates=int(said[2].replace(",", "")))


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_fault_29_three_processes_join_leave_die_and_begin(
    broker: KafkaBroker, emulator: Emulator, tmp_path: Path, protocol: str
) -> None:
    scenario = Scenario(broker, emulator, tmp_path, partitions=12)
    scenario.produce(generate(60_000, kind="events"))
    emulator.faults(latency_ms=150)
    config = {"group.protocol": protocol} if protocol == "consumer" else BEATS
    options = {**BUSY, "kafka_config": config}
    first, second = scenario.start(**options), scenario.start(**options)
    scenario.wait_until_accepted(2_000)
    third = scenario.start(**options)
    reads(third, 8)  # of two topics, of which one is empty
    scenario.wait_until_accepted(scenario.messages_accepted() + 2_000)
    leave(first)
    scenario.wait_until_accepted(scenario.messages_accepted() + 2_000)
    again = sum(times - 1 for times in scenario.accepted("events").values())
    second.kill()
    fourth = scenario.start(**options)
    assert scenario.messages_accepted() < 50_000
    reads(fourth, 12)
    scenario.emulator.clear_faults()
    wait_until_all_committed(scenario)
    for process in (third, fourth):
        leave(process)
    assert again == 0
    assert "delivered twice" not in first.log() + third.log() + fourth.log()
    scenario.check_every_sample(duplicates=BUNDLE)
