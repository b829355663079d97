"""Several processes of one run, as users start them: one account, one page of metrics, and a dead one started again."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
import requests

from samples.loyalty import generate
from testing.services.emulator import Emulator
from testing.services.kafka import KafkaBroker
from testing.services.process import PATIENCE_SECONDS, ServiceProcess, free_port, wait_for
from tests.e2e.scenario import Scenario
from tests.faults.campaign import ENDLESS, SMALL, finish, wait_until_all_committed

pytestmark = pytest.mark.kafka

BUNDLE = 500
REPEATED = BUNDLE + 500  # a poll's worth may come on top
OPTIONS = {
    "kafka_bundle_max_records": BUNDLE,
    "kafka_config": {"session.timeout.ms": 6_000, "heartbeat.interval.ms": 500},
}
STARTED = re.compile(r"process (\d) started, pid (\d+)")


def pids(run: ServiceProcess) -> dict[str, int]:
    """Return the process id of each process, as last started."""
    return {number: int(pid) for number, pid in STARTED.findall(run.log_path.read_text())}


def lives(pid: int) -> bool:
    """Return whether there is such a process, not counting one that only its parent has not taken notice of."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def accepted_on(page: str) -> float:
    """Return how many records a page of metrics says were accepted."""
    text = requests.get(f"{page}/metrics", timeout=PATIENCE_SECONDS).text
    return sum(map(float, re.findall(r"^beam_aep_accepted_records_total\{.*\} (\S+)$", text, re.MULTILINE)))


def test_processes_of_a_run_have_one_account_and_end_together_also_those_without_partitions(
    broker: KafkaBroker, emulator: Emulator, tmp_path: Path
) -> None:
    scenario = Scenario(broker, emulator, tmp_path, partitions=1)
    scenario.produce(generate(2_000, broken_share=0.02))
    report = tmp_path / "report.html"
    # Nobody dies here, so that a session may be long, and a busy machine ends none.
    options = {**OPTIONS, "kafka_config": {"session.timeout.ms": 45_000, "heartbeat.interval.ms": 500}}
    done = scenario.run(processes=3, kafka_start="earliest", report_file=str(report), **options)
    assert done.code == 0, done.output
    assert done.output.count("Kafka to AEP: finished") == 1
    assert f"3 processes of group {scenario.group} share 2 partitions: 1 will be idle" in done.output
    scenario.check_every_sample(duplicates=0)  # though partitions change hands as the processes join
    assert done.summary["accepted"] == scenario.messages_accepted()
    assert done.summary["read"] == 2_000
    assert done.summary["unaccounted"] == 0
    assert done.summary["latency_milliseconds"]["records"] == done.summary["accepted"]
    assert report.read_text().count("<svg") > 0
    assert re.search(r"^\[[123]\] .*this process now reads", done.output, re.MULTILINE)


@pytest.mark.slow
def test_a_killed_process_is_started_again_and_the_page_of_metrics_and_the_account_are_of_all(
    scenario: Scenario,
) -> None:
    port = free_port()
    samples = list(generate(8_000))
    scenario.produce(samples[:4_000])
    run = scenario.start(**ENDLESS, processes=2, metrics_port=port, **OPTIONS)
    page = f"http://127.0.0.1:{port}"
    wait_for(lambda: len(pids(run)) == 2, PATIENCE_SECONDS, "both processes")
    wait_for(lambda: requests.get(f"{page}/ready", timeout=PATIENCE_SECONDS).ok, PATIENCE_SECONDS, "both to read")
    wait_until_all_committed(scenario)
    # A process reports twice a second; what it has not reported as it is killed is in no account.
    wait_for(lambda: accepted_on(page) == scenario.messages_accepted(), PATIENCE_SECONDS, "all to be on the page")
    killed = pids(run)["1"]
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: pids(run)["1"] != killed, PATIENCE_SECONDS, "a new process in its place")
    scenario.produce(samples[4_000:])
    wait_until_all_committed(scenario)
    assert "process 1 was ended by SIGKILL; it is started again in 1 s" in run.log_path.read_text()
    accepted = scenario.messages_accepted()
    wait_for(lambda: accepted_on(page) == accepted, PATIENCE_SECONDS, "all to be on the page")
    for pid in (*pids(run).values(), run.pid):  # as systemd does by default, to all processes of a service
        os.kill(pid, signal.SIGTERM)
    summary = finish(scenario, run)
    assert summary["outcome"] == "stopped"
    assert summary["accepted"] == accepted
    assert summary["unaccounted"] == 0
    assert run.log_path.read_text().count("stopping:") == 1
    scenario.check_every_sample(duplicates=0)


@pytest.mark.slow
def test_a_run_to_the_end_misses_nothing_though_a_process_is_killed(scenario: Scenario) -> None:
    scenario.produce(generate(10_000))
    scenario.emulator.faults(latency_ms=200)
    run = scenario.start(processes=3, **SMALL, aep_max_in_flight=1, **OPTIONS)
    scenario.wait_until_accepted(1_000)
    os.kill(pids(run)["2"], signal.SIGKILL)
    finish(scenario, run)
    assert "process 2 was ended by SIGKILL" in run.log_path.read_text()
    scenario.check_every_sample(duplicates=REPEATED)


@pytest.mark.slow
def test_a_configuration_error_ends_all_processes_with_one_message(scenario: Scenario) -> None:
    scenario.produce(generate(400))
    routes = scenario.routes()
    for route in routes.values():
        route["inlet_url"] += "-of-nobody"
    file = scenario.write_routes(routes, "wrong.yaml")
    done = scenario.run(processes=2, routes_file=str(file), **ENDLESS, **OPTIONS)
    assert done.code == 2, done.output
    assert done.summary["outcome"] == "failed"
    assert done.output.count("error: ") == 1, done.output
    assert done.output.count("Nothing of the bundle was committed") == 1


@pytest.mark.slow
def test_processes_end_when_their_parent_is_killed(scenario: Scenario) -> None:
    run = scenario.start(**ENDLESS, processes=2, **OPTIONS)
    wait_for(lambda: len(pids(run)) == 2, PATIENCE_SECONDS, "both processes")
    started = pids(run).values()
    scenario.produce(generate(500))
    wait_until_all_committed(scenario)
    os.kill(run.pid, signal.SIGKILL)
    wait_for(lambda: not any(map(lives, started)), PATIENCE_SECONDS, "the processes to end")
    scenario.check_every_sample(duplicates=0)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_second_signal_ends_all_processes_at_once(scenario: Scenario, number: signal.Signals) -> None:
    run = scenario.start(**ENDLESS, processes=2, shutdown_seconds=10 * PATIENCE_SECONDS, **OPTIONS)
    scenario.emulator.faults(outage_s=10 * PATIENCE_SECONDS)
    scenario.produce(generate(500))
    wait_for(lambda: "trying again" in run.log_path.read_text(), PATIENCE_SECONDS, "a process to miss AEP")
    started = pids(run).values()
    os.kill(run.pid, number)
    waiting = r"waiting up to \d+ s for AEP: "
    wait_for(lambda: re.search(waiting, run.log_path.read_text()), PATIENCE_SECONDS, "the run to wait for AEP")
    assert run.running
    os.kill(run.pid, number)
    wait_for(lambda: not run.running and not any(map(lives, started)), PATIENCE_SECONDS, "all to end")
    assert run.exit_code == 128 + number
