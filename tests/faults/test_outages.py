"""AEP is down, fails or throttles: nothing is dead-lettered, reading waits, and everything arrives in the end."""

from __future__ import annotations

import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from aep.http.network import Network
from aep.http.transport import RequestsTransport, Timeouts
from aep.ingestion.client import InletClient
from aep.ingestion.decision import RetryPolicy
from aep.ingestion.envelope import Destination
from aep.ingestion.limits import RequestLimit
from samples.loyalty import generate
from testing.defaults import by_default
from testing.fakes.fake_aep import multi_status
from testing.fakes.http_server import Exchange, HttpServer
from testing.services.emulator import Emulator
from testing.services.kafka import KafkaBroker
from testing.services.process import wait_for
from testing.services.toxiproxy import Proxy
from tests.e2e.scenario import Scenario
from tests.faults.campaign import (
    ENDLESS,
    SMALL,
    STEP_SECONDS,
    during,
    finish,
    requests,
    wait_until_all_committed,
)

pytestmark = pytest.mark.kafka


def test_fault_01_connections_are_refused_for_long(scenario: Scenario, proxy: Proxy) -> None:
    scenario.produce(generate(20_000))
    pipeline = scenario.start(aep_retry_max_delay_seconds=0.5)
    scenario.wait_until_accepted(1_000)
    proxy.down()
    memory = []
    for _ in during(4):
        assert pipeline.running, pipeline.log_tail()
    held = scenario.records_committed()
    for _ in during(8):
        assert pipeline.running, pipeline.log_tail()
        memory.append(pipeline.resident_bytes / 1e6)
    # Reading waits.
    assert scenario.records_committed() == held
    assert max(memory) < 400
    assert memory[-1] - memory[0] < 10
    assert scenario.dead_lettered() == []
    proxy.up()
    summary = finish(scenario, pipeline)
    assert summary["retries"]["connect"] > 0
    assert summary["dead_lettered"] == {}
    scenario.check_every_sample(duplicates=summary["duplicates_possible"])


def test_fault_01_aep_is_killed_and_started_again_and_then_hangs(broker: KafkaBroker, tmp_path: Path) -> None:
    with Emulator(state=tmp_path / "aep.sqlite") as aep:
        scenario = Scenario(broker, aep, tmp_path)
        scenario.produce(generate(12_000))
        aep.faults(latency_ms=50)
        pipeline = scenario.start(aep_max_in_flight=2, aep_timeout_seconds=1.5, **SMALL)
        scenario.wait_until_accepted(2_000)
        aep.kill()
        for _ in during(3):
            assert pipeline.running, pipeline.log_tail()
        aep.start()
        scenario.wait_until_accepted(6_000)
        aep.process.pause()
        for _ in during(4):
            assert pipeline.running, pipeline.log_tail()
        aep.process.resume()
        summary = finish(scenario, pipeline)
        assert summary["retries"]["connect"] > 0
        assert summary["retries"]["reply"] > 0
        # What was under way when it hung was received after all, and sent again.
        assert scenario.check_every_sample(duplicates=summary["duplicates_possible"]) > 0


def sit_out(scenario: Scenario, seconds: float, faults: dict[str, Any]) -> dict[str, Any]:
    """Run into a fault of every request, which ends after so many seconds. Returns the summary."""
    scenario.produce(generate(5_000))
    scenario.emulator.faults(seed=2, **faults)
    pipeline = scenario.start(aep_retry_max_delay_seconds=2)
    wait_for(lambda: requests(scenario) > 0, STEP_SECONDS, "a first request")
    for _ in during(seconds):
        assert pipeline.running, pipeline.log_tail()
    # Each of the six batches pauses longer and longer between its tries; without that they would be thousands.
    assert requests(scenario) < 20 * seconds
    assert scenario.messages_accepted() == 0
    assert scenario.records_committed() == 0
    scenario.emulator.clear_faults()
    summary = finish(scenario, pipeline)
    assert summary["dead_lettered"] == {}
    scenario.check_every_sample()
    return summary


def test_fault_02_a_burst_of_server_errors(scenario: Scenario) -> None:
    summary = sit_out(scenario, 5, {"rate": {"500": 0.25, "502": 0.25, "503": 0.25, "504": 0.25}})
    assert {"500", "502", "503", "504"} <= summary["retries"].keys()


def test_fault_03_throttled_without_a_word_for_how_long(scenario: Scenario) -> None:
    summary = sit_out(scenario, 4, {"rate": {"429": 1.0}})
    assert summary["retries"].keys() == {"429"}


def test_fault_04_retry_after_in_seconds_and_as_a_date_is_obeyed(scenario: Scenario) -> None:
    # A batch for each route, also where a busy machine fetches the records bit by bit.
    pipeline = scenario.start(**{**ENDLESS, "batch_max_seconds": 3})
    wait_for(lambda: "reads 8 partitions" in pipeline.log(), STEP_SECONDS, "the partitions")
    date = formatdate(time.time() + 20, usegmt=True)
    for kind, status, retry_after in (("events", "429", 15), ("profiles", "503", date)):
        inlet = scenario.inlets[kind]["inletId"]
        scenario.emulator.faults(inlet=inlet, rate={status: 1.0}, retry_after=retry_after)
    scenario.produce(generate(100))
    wait_for(lambda: requests(scenario) >= 2, STEP_SECONDS, "the first try of both batches")
    for _ in during(2.5):
        assert requests(scenario) == 2
    scenario.emulator.clear_faults()
    wait_until_all_committed(scenario)
    pipeline.terminate()
    assert finish(scenario, pipeline)["retries"] == {"429": 1, "503": 1}
    scenario.check_every_sample()


@pytest.mark.parametrize(
    ("retry_after", "least", "most"),
    [
        ("3", 3, 3.5),
        (formatdate(time.time() + 100_000, usegmt=True), 300, 300.5),
        (formatdate(time.time() - 3_600, usegmt=True), 0, 0.5),
        ("99999999999999999999", 300, 300.5),
        ("-7", 0, 0.5),
        ("1e3", 0, 0.5),
        ("soon", 0, 0.5),
        ("", 0, 0.5),
    ],
    # Not their own: dates differ between processes, and each must find the same tests.
    ids=["seconds", "a date far ahead", "a date past", "huge", "negative", "exponent", "a word", "nothing"],
)
def test_fault_04_retry_after_is_capped_and_nonsense_is_ignored(retry_after: str, least: float, most: float) -> None:
    answered = []

    def answer(exchange: Exchange) -> None:
        answered.append(exchange)
        if len(answered) == 1:
            exchange.reply(503, Retry_After=retry_after)
        else:
            exchange.reply(207, multi_status([200]))

    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return False

    with HttpServer(answer) as server:
        destination = Destination(f"{server.url}/collection/inlet", payload="raw")
        client = InletClient(
            destination,
            RequestsTransport(by_default(Timeouts), by_default(Network)),
            None,
            by_default(RetryPolicy),
            RequestLimit(8, None),
            wait=wait,
        )
        assert client.deliver([b"{}"]).answers[0].accepted
    assert len(waits) == 1
    assert least <= waits[0] <= most
