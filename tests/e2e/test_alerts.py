"""A real Prometheus looks at a real run, with the configuration, the rules and the dashboard that are shipped."""

from __future__ import annotations

import math
import os
import re
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from pipelines.dashboard import dashboard
from samples.loyalty import generate
from testing.services.process import PATIENCE_SECONDS, ServiceProcess, wait_for
from testing.services.prometheus import Prometheus
from tests.e2e.page import page, settled
from tests.e2e.scenario import ROOT, Scenario
from tests.e2e.test_processes import pids

pytestmark = [pytest.mark.kafka, pytest.mark.promtool, pytest.mark.slow]

SHIPPED = ROOT / "deploy" / "prometheus"

# What does not happen in these runs.
NO_DATA = {
    "Lag of streams: {{instance}}",
    "Dropped, repeated, possibly twice: dropped {{route}}",
    "Dropped, repeated, possibly twice: repeated ids {{route}}",
}


def quick_rules() -> dict[str, Any]:
    """Return the rules for people in a hurry: minutes are seconds, and the windows of rates half a minute."""
    text = (SHIPPED / "alerts.yaml").read_text()
    text = re.sub(r"for: (\d+)m", r"for: \1s", text)
    text = re.sub(r"((?:rate|increase|deriv)\(.*?)\[\d+m\]", r"\1[30s]", text)
    return dict(yaml.safe_load(text.replace("timestamp_seconds) < 60)", "timestamp_seconds) < 5)")))


@pytest.fixture
def run(own_scenario: Scenario) -> Iterator[ServiceProcess]:
    """A run of two processes, with records of which some are broken."""
    own_scenario.produce(generate(1_000, broken_share=0.02))
    started = own_scenario.start(kafka_stop_at="never", metrics_port=0, processes=2, aep_max_in_flight=2)
    yield started
    started.kill()


@pytest.fixture
def prometheus(run: ServiceProcess) -> Iterator[Prometheus]:
    configuration = yaml.safe_load((SHIPPED / "prometheus.yaml").read_text())
    (job,) = configuration["scrape_configs"]
    job["static_configs"][0]["targets"] = [page(run).removeprefix("http://")]
    with Prometheus(configuration, quick_rules()) as running:
        yield running


def goes_through(prometheus: Prometheus, alert: str, trouble: Callable[[], object], end: Callable[[], object]) -> None:
    """Have an alert pending, firing and resolved.

    Args:
        prometheus: Where.
        alert: Its name.
        trouble: What makes it fire, again and again.
        end: What ends that.
    """
    seen: list[str | None] = []

    def state() -> str | None:
        trouble()
        seen.append(prometheus.alerts().get(alert))
        return seen[-1]

    wait_for(lambda: state() == "firing", PATIENCE_SECONDS, f"{alert} to fire")
    assert "pending" in seen
    end()
    wait_for(lambda: alert not in prometheus.alerts(), PATIENCE_SECONDS, f"{alert} to be resolved")


def test_each_query_of_the_dashboard_has_data(
    own_scenario: Scenario, run: ServiceProcess, prometheus: Prometheus
) -> None:

    def without_data() -> set[str]:
        own_scenario.produce(generate(20, broken_share=0.02))
        found = set()
        for panel in dashboard()["panels"]:
            for target in panel["targets"]:
                query = target["expr"]
                for variable, value in {"$job": "beam-aep", "$instance": ".+", "$__rate_interval": "4m"}.items():
                    query = query.replace(variable, value)
                values = prometheus.query(query)
                if not values or any(map(math.isnan, values)):
                    found.add(f"{panel['title']}: {target['legendFormat']}")
        return found

    wait_for(lambda: without_data() - NO_DATA == set(), PATIENCE_SECONDS, "all the others to have data")
    assert without_data() == NO_DATA
    all_settled = "sum(beam_aep_accepted_records_total) + sum(beam_aep_dead_letters_total)"
    wait_for(
        lambda: prometheus.query(all_settled) == [settled(page(run))], PATIENCE_SECONDS, "what the page of the run says"
    )
    assert prometheus.query("count(beam_aep_process_resident_memory_bytes)") == [2]
    wait_for(lambda: not prometheus.alerts(), PATIENCE_SECONDS, "no alert, now that all has started")


def test_an_outage_throttling_and_broken_records_raise_their_alerts_and_resolve_them(
    own_scenario: Scenario, run: ServiceProcess, prometheus: Prometheus
) -> None:
    wait_for(lambda: settled(page(run)) == 1_000, PATIENCE_SECONDS, "all records to be settled")

    def produce(broken: float = 0.0) -> None:
        own_scenario.produce(generate(20, broken_share=broken))

    own_scenario.emulator.faults(outage_s=10 * PATIENCE_SECONDS)
    goes_through(prometheus, "BeamAepNothingAccepted", produce, own_scenario.emulator.clear_faults)
    own_scenario.emulator.faults(rate={"429": 0.7}, retry_after=1)
    goes_through(prometheus, "BeamAepManyRetries", produce, own_scenario.emulator.clear_faults)
    goes_through(prometheus, "BeamAepDeadLetters", lambda: produce(0.5), produce)


def test_a_frozen_kafka_a_process_that_dies_again_and_again_and_the_end_raise_their_alerts(
    own_scenario: Scenario, run: ServiceProcess, prometheus: Prometheus
) -> None:
    wait_for(lambda: settled(page(run)) == 1_000, PATIENCE_SECONDS, "all records to be settled")
    wait_for(lambda: not prometheus.alerts(), PATIENCE_SECONDS, "nothing to be wrong")
    own_scenario.broker.pause()
    goes_through(prometheus, "BeamAepNotReady", lambda: None, own_scenario.broker.resume)
    starts = 'changes(beam_aep_process_start_time_seconds{process="2"}[10m])'
    for times in (1, 2, 3):
        os.kill(pids(run)["2"], signal.SIGKILL)
        wait_for(lambda: prometheus.query(starts) == [times], PATIENCE_SECONDS, "a new process in its place")  # noqa: B023
    wait_for(lambda: "BeamAepRestarts" in prometheus.alerts(), PATIENCE_SECONDS, "BeamAepRestarts")
    run.kill()
    wait_for(lambda: prometheus.alerts().get("BeamAepDown") == "firing", PATIENCE_SECONDS, "BeamAepDown")
