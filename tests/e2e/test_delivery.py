"""Nothing is lost: the account by sequence numbers, over crashes of each part."""

from __future__ import annotations

import signal

import pytest

from samples.loyalty import generate
from testing.services.emulator import Emulator
from testing.services.process import PATIENCE_SECONDS, ServiceProcess, wait_for
from tests.e2e.scenario import RUN_SECONDS, Scenario

pytestmark = pytest.mark.kafka

BUNDLE = 2_000  # records: what a crash may repeat


def wait_for_end(pipeline: ServiceProcess) -> int:
    """Return the exit code of the pipeline."""
    wait_for(lambda: not pipeline.running, RUN_SECONDS, "the pipeline to end")
    return pipeline.exit_code


def test_100_000_events_of_which_2_percent_are_broken_arrive_as_the_oracle_says(scenario: Scenario) -> None:
    scenario.produce(generate(100_000, broken_share=0.02))
    finished = scenario.run()
    assert finished.code == 0, finished.output
    assert scenario.check_every_sample() == 0
    assert finished.summary["read"] == 100_000
    assert finished.summary["accepted"] == scenario.messages_accepted()
    assert sum(finished.summary["dead_lettered"].values()) == len(scenario.oracle.broken())
    assert finished.summary["unaccounted"] == 0
    assert finished.summary["latency_milliseconds"]["records"] == finished.summary["accepted"]
    assert scenario.committed() == scenario.end_offsets()


def test_a_run_with_nothing_new_reads_nothing(scenario: Scenario) -> None:
    scenario.produce(generate(500))
    assert scenario.run().summary["read"] == 500
    again = scenario.run("--runner=DirectRunner")
    assert again.code == 0, again.output
    assert again.summary["read"] == 0
    scenario.check_every_sample()


def test_killed_and_started_again_nothing_is_missing(scenario: Scenario) -> None:
    scenario.produce(generate(20_000, broken_share=0.01))
    repeated = 0
    for part in (3_000, 9_000):
        # Slow enough to be caught at work.
        scenario.emulator.faults(latency_ms=40)
        pipeline = scenario.start(kafka_bundle_max_records=BUNDLE)
        scenario.wait_until_accepted(part)
        pipeline.kill()
        repeated += 1
    scenario.emulator.clear_faults()
    finished = scenario.run(kafka_bundle_max_records=BUNDLE)
    assert finished.code == 0, finished.output
    # A poll's worth of records may come on top of the limit.
    scenario.check_every_sample(duplicates=repeated * (BUNDLE + 500))
    assert scenario.committed() == scenario.end_offsets()


def test_the_broker_restarts_mid_run(own_scenario: Scenario) -> None:
    scenario = own_scenario
    scenario.produce(generate(20_000))
    scenario.emulator.faults(latency_ms=100)
    pipeline = scenario.start(aep_max_in_flight=2)
    scenario.wait_until_accepted(2_000)
    scenario.broker.kill()
    scenario.broker.start()
    scenario.emulator.clear_faults()
    assert wait_for_end(pipeline) == 0, pipeline.log_tail()
    scenario.check_every_sample(duplicates=0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_a_run_with_its_bundle_finished_and_committed(scenario: Scenario, number: signal.Signals) -> None:
    scenario.produce(generate(20_000))
    # So slow that it is at work when the signal comes, also where that takes a second.
    scenario.emulator.faults(latency_ms=500)
    pipeline = scenario.start(kafka_stop_at="never", kafka_bundle_max_records=BUNDLE)
    scenario.wait_until_accepted(3_000)
    pipeline.signal(number)
    assert wait_for_end(pipeline) == 0, pipeline.log_tail()
    summary = scenario.summary()
    assert summary["outcome"] == "stopped"
    assert summary["read"] == summary["accepted"] == scenario.messages_accepted()
    assert scenario.records_committed() == summary["read"] < 20_000
    scenario.emulator.clear_faults()
    assert scenario.run().code == 0
    assert scenario.check_every_sample() == 0


def test_a_signal_while_aep_is_down_ends_the_run_with_nothing_committed(scenario: Scenario) -> None:
    scenario.produce(generate(1_000))
    scenario.emulator.faults(outage_s=600)
    pipeline = scenario.start()
    wait_for(lambda: "trying again" in pipeline.log(), PATIENCE_SECONDS, "a first try")
    pipeline.signal(signal.SIGTERM)
    assert wait_for_end(pipeline) == 1
    assert "will be read again" in pipeline.log()
    assert scenario.records_committed() == 0
    scenario.emulator.clear_faults()
    assert scenario.run().code == 0
    scenario.check_every_sample()


def test_a_failing_dead_letter_sink_commits_nothing(scenario: Scenario) -> None:
    scenario.produce(generate(1_000, broken_share=0.05))
    topic = f"{scenario.name}-dead"
    # Too small for any of them: the broker refuses each.
    scenario.broker.create_topic(topic, 1, max_message_bytes=100)
    finished = scenario.run(dead_letter_topic=topic)
    assert finished.code != 0
    assert topic in finished.output
    assert scenario.records_committed() == 0
    assert scenario.run().code == 0
    scenario.check_every_sample(duplicates=2_000)


def test_dead_letters_in_a_topic_hold_the_original_and_the_reason(scenario: Scenario) -> None:
    scenario.produce(generate(2_000, broken_share=0.05))
    topic = f"{scenario.name}-dead"
    scenario.broker.create_topic(topic, 2)
    finished = scenario.run(dead_letter_topic=topic, dead_letter_path=None)
    assert finished.code == 0, finished.output
    found = {}
    for message in scenario.broker.consume_all(topic):
        headers = dict(message.headers() or [])
        number = int(headers["sequence"])
        sample = scenario.oracle.samples[number]
        assert (message.key(), message.value()) == (sample.key, sample.value)
        assert headers["__connect.errors.topic"].decode() in scenario.topics.values()
        found[number] = (headers["beam_aep.stage"].decode(), headers["beam_aep.code"].decode())
    assert found == scenario.oracle.broken()


def test_two_topics_with_different_schemas_end_in_their_own_datasets(scenario: Scenario, emulator: Emulator) -> None:
    scenario.produce(generate(300))
    assert scenario.run().code == 0
    for kind, inlet in scenario.inlets.items():
        assert set(scenario.accepted(kind)) == scenario.oracle.good(events=kind == "events")
        assert emulator.failed(inlet["inletId"]) == []
