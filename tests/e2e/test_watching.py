"""A run as it is watched from outside: what Prometheus scrapes, and what probes ask."""

from __future__ import annotations

import re
import signal
from collections import Counter

import pytest
import requests

from samples.loyalty import generate
from testing.services.emulator import CLIENT_ID, CLIENT_SECRET
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.e2e.page import accepted, measured, page, ready, scrape, settled
from tests.e2e.scenario import Scenario
from transforms.worker.monitor import Monitor

pytestmark = pytest.mark.kafka


def test_what_is_scraped_of_a_run_is_what_its_report_says(scenario: Scenario) -> None:
    scenario.produce(generate(2_000, broken_share=0.05))
    pipeline = scenario.start(kafka_stop_at="never", metrics_port=0, batch_max_messages=100)
    address = page(pipeline)
    assert requests.get(f"{address}/health", timeout=PATIENCE_SECONDS).json() == {"alive": True}
    wait_for(lambda: settled(address) == 2_000, PATIENCE_SECONDS, "all records to be settled")
    # Accepted is counted as answers come, what is measured of a delivery when its bundle takes it up.
    wait_for(lambda: measured(address) == accepted(address), PATIENCE_SECONDS, "all deliveries to be measured")
    wait_for(lambda: ready(address)[1]["lag_records"] == 0, PATIENCE_SECONDS, "the lag to be measured")
    code, body = ready(address)
    assert (code, body["reason"]) == (200, None)
    assert body["seconds_since_last_poll"] < PATIENCE_SECONDS
    assert body["seconds_since_last_accepted"] < PATIENCE_SECONDS
    found = scrape(address)
    pipeline.terminate()
    assert pipeline.exit_code == 0, pipeline.log_tail()
    account = scenario.summary()
    assert found["beam_aep_read_records_total"][()] == account["read"] == 2_000
    by_route = {(route,): counts["accepted"] for route, counts in account["routes"].items()}
    assert found["beam_aep_accepted_records_total"] == by_route
    dead: Counter[str] = Counter()
    routes: Counter[str] = Counter()
    for (code_, route), number in found["beam_aep_dead_letters_total"].items():
        dead[code_] += number
        routes[route] += number
    assert dead == account["dead_lettered"]
    assert {route: routes[route] for route in account["routes"]} == {
        route: counts["dead_lettered"] for route, counts in account["routes"].items()
    }
    assert found["beam_aep_requests_total"][()] == account["requests"]
    assert found["beam_aep_request_bytes_total"][()] == account["request_bytes"]
    assert found["beam_aep_latency_seconds_count"].total() == account["latency_milliseconds"]["records"]
    assert found["beam_aep_delivery_records_sum"].total() == account["accepted"]
    assert found["beam_aep_delivery_size_bytes_sum"].total() == account["request_bytes"]
    # Neither contents of records nor identities.
    assert not any(word in str(found) for word in ("ACME@AdobeOrg", "@example", scenario.group))


def test_a_run_that_waits_for_aep_says_so_as_it_is_to_end_and_is_ready_no_more(scenario: Scenario) -> None:
    scenario.emulator.faults(outage_s=600)
    scenario.produce(generate(300))
    pipeline = scenario.start(kafka_stop_at="never", metrics_port=0, shutdown_seconds=PATIENCE_SECONDS)
    address = page(pipeline)
    wait_for(lambda: scrape(address)["beam_aep_batches_waiting"][()] > 0, PATIENCE_SECONDS, "a batch to wait")
    assert ready(address)[0] == 200  # nobody else could read in its place

    # The lag rises meanwhile, although the reader is held up, once it has read the second bundle that may be open.
    def rises() -> bool:
        scenario.produce(generate(300))
        return bool(ready(address)[1]["lag_records"] >= 300)

    wait_for(rises, PATIENCE_SECONDS, "the lag to rise")
    pipeline.signal(signal.SIGTERM)
    wait_for(lambda: ready(address)[1]["reason"] == "stopping", PATIENCE_SECONDS, "the run to be stopping")
    assert ready(address)[0] == 503
    waiting = r"waiting up to \d+ s for AEP: .*to be sent again, AEP answers 503"
    wait_for(lambda: re.search(waiting, pipeline.log()), PATIENCE_SECONDS, "the run to say so")
    pipeline.signal(signal.SIGTERM)  # it would wait on
    wait_for(lambda: not pipeline.running, PATIENCE_SECONDS, "the end of the run")
    assert scenario.records_committed() == 0


def test_a_port_in_use_stops_the_run_before_anything_is_read_and_names_the_option(scenario: Scenario) -> None:
    taken = Monitor(0)
    try:
        finished = scenario.run(metrics_port=taken.port)
    finally:
        taken.close()
    assert finished.code == 2
    assert f"error: metrics_port: port {taken.port} is in use by another program" in finished.output
    assert "Traceback" not in finished.output


@pytest.mark.slow
def test_brokers_that_are_frozen_are_named_and_the_run_is_not_ready_until_they_answer(own_scenario: Scenario) -> None:
    own_scenario.produce(generate(300))
    pipeline = own_scenario.start(kafka_stop_at="never", metrics_port=0)
    address = page(pipeline)
    wait_for(lambda: settled(address) == 300, PATIENCE_SECONDS, "all records to be settled")
    assert ready(address)[0] == 200
    own_scenario.broker.pause()
    named = "Kafka has not answered for "
    wait_for(lambda: (ready(address)[1]["reason"] or "").startswith(named), PATIENCE_SECONDS, "the reason")
    assert (ready(address)[0], scrape(address)["beam_aep_ready"][()]) == (503, 0)
    own_scenario.broker.resume()
    wait_for(lambda: ready(address)[0] == 200, PATIENCE_SECONDS, "the run to be ready again")
    own_scenario.produce(generate(300))
    wait_for(lambda: settled(address) >= 600, PATIENCE_SECONDS, "all records to be settled")
    pipeline.terminate()
    assert pipeline.exit_code == 0, pipeline.log_tail()
    assert "Kafka has not answered for " in pipeline.log()


def test_a_run_that_is_started_while_ims_is_away_waits_and_says_so(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario.emulator.faults(ims_status=503)
    scenario.produce(generate(300))
    login = {"aep_auth": "oauth", "aep_client_id": CLIENT_ID, "aep_client_secret": "env:SECRET"}
    options = {**login, "aep_ims_url": scenario.emulator.url, "aep_allow_plain_http": True}
    monkeypatch.setenv("SECRET", CLIENT_SECRET)
    pipeline = scenario.start(kafka_stop_at="never", metrics_port=0, **options)
    address = page(pipeline)
    reason = f"reading has not begun: no token: IMS at {scenario.emulator.url} answers 503"
    wait_for(lambda: ready(address)[1]["reason"] == reason, PATIENCE_SECONDS, "the run to say what it waits for")
    assert "answers 503; waiting until there is one" in pipeline.log()
    scenario.emulator.clear_faults()
    wait_for(lambda: settled(address) == 300, PATIENCE_SECONDS, "all records to be settled")
    pipeline.terminate()
    assert pipeline.exit_code == 0, pipeline.log_tail()
