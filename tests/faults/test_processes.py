"""Processes crash, freeze and restart: ours, the broker's, AEP's."""

from __future__ import annotations

import signal
import threading
import time

import pytest
from requests import Response

from samples.loyalty import generate
from testing.fakes.http_server import Exchange
from testing.services.kafka import KafkaBroker
from testing.services.process import BUSY_SECONDS, PATIENCE_SECONDS, ServiceProcess, wait_for
from tests.e2e.page import page, scrape
from tests.e2e.scenario import Scenario
from tests.faults.campaign import (
    ENDLESS,
    SMALL,
    STEP_SECONDS,
    deliver,
    during,
    finish,
    produced,
    requests,
    through,
    wait_until_all_committed,
)
from tests.faults.front import Front

pytestmark = pytest.mark.kafka

BUNDLE = 2_000  # records; a poll's worth may come on top
REPEATED = BUNDLE + 500
SOON_DEAD = {"session.timeout.ms": 2_000, "heartbeat.interval.ms": 500}


def test_fault_14_killed_in_the_middle_of_posts_and_bundles(scenario: Scenario) -> None:
    scenario.produce(generate(10_000, broken_share=0.01))
    scenario.emulator.faults(latency_ms=1_000)
    options = {**SMALL, "kafka_config": SOON_DEAD, "kafka_bundle_max_records": BUNDLE}
    kills = 2
    with Front(scenario.emulator.url) as front:
        through(scenario, front.url)
        for kill in range(kills):
            # Beyond its first bundle, and in the middle of another.
            enough = scenario.messages_accepted() + 2_500
            pipeline = scenario.start(**options)
            scenario.wait_until_accepted(enough)

            def caught(pipeline: ServiceProcess = pipeline) -> bool:
                """Freeze it with a request under way: what AEP answers from now on it never reads."""
                pipeline.pause()
                is_under_way = bool(front.under_way)
                if not is_under_way:
                    pipeline.resume()
                return is_under_way

            wait_for(caught, STEP_SECONDS, f"a request under way, kill {kill}")
            pipeline.kill()
            wait_for(lambda: not front.under_way, STEP_SECONDS, "AEP to end what was under way")
            assert scenario.records_committed() < scenario.messages_accepted()
        scenario.emulator.clear_faults()
        deliver(scenario, duplicates=kills * REPEATED, **options)
    assert scenario.records_committed() == produced(scenario)


def test_fault_15_the_broker_stops_crashes_freezes_and_gets_partitions(own_scenario: Scenario) -> None:
    scenario = own_scenario
    samples = list(generate(8_000))
    pipeline = scenario.start(**ENDLESS, kafka_discovery_seconds=1, kafka_bundle_max_records=BUNDLE)
    scenario.produce(samples[:2_000])
    scenario.emulator.faults(latency_ms=50)
    scenario.wait_until_accepted(500)
    scenario.broker.stop()
    scenario.broker.start()
    scenario.produce(samples[2_000:4_000])
    scenario.wait_until_accepted(2_500)
    scenario.broker.kill()
    scenario.broker.start()
    scenario.produce(samples[4_000:6_000])
    scenario.wait_until_accepted(4_500)
    scenario.broker.pause()
    for _ in during(2):
        assert pipeline.running, pipeline.log_tail()
    scenario.broker.resume()
    for topic in scenario.topics.values():
        scenario.broker.add_partitions(topic, 7)
    scenario.produce(samples[6_000:])
    wait_until_all_committed(scenario)
    assert all(len(partitions) == 7 for partitions in scenario.committed().values())
    pipeline.terminate()
    summary = finish(scenario, pipeline)
    assert summary["retries"] == {}
    assert summary["dead_lettered"] == {}
    scenario.check_every_sample(duplicates=REPEATED)


def test_fault_15_the_leader_of_partitions_changes(own_scenario: Scenario) -> None:
    scenario = own_scenario
    broker = scenario.broker
    scenario.committed()  # makes the topic of the groups' offsets, on the broker that stays
    with KafkaBroker(joins=broker) as second:
        for kind in scenario.topics:
            scenario.topics[kind] += "-twice"
            broker.create_topic(scenario.topics[kind], 4, replicas=2)
        samples = list(generate(4_000))
        scenario.emulator.faults(latency_ms=50)
        pipeline = scenario.start(**ENDLESS, kafka_bundle_max_records=BUNDLE)
        scenario.produce(samples[:2_000])
        scenario.wait_until_accepted(500)
        assert second.node in broker.leaders(scenario.topics["events"])
        second.kill()
        topics = scenario.topics.values()
        wait_for(
            lambda: {node for topic in topics for node in broker.leaders(topic)} == {broker.node},
            STEP_SECONDS,
            "new leaders",
        )
        scenario.produce(samples[2_000:])
        wait_until_all_committed(scenario)
        pipeline.terminate()
        summary = finish(scenario, pipeline)
    assert summary["read"] == 4_000
    scenario.check_every_sample()


def test_fault_16_aep_is_always_slower_than_the_group_allows(scenario: Scenario) -> None:
    scenario.produce(generate(450))
    # Long enough for a busy machine, which may keep a process from its polls and heartbeats for seconds.
    impatient = {"max.poll.interval.ms": 8_000, "session.timeout.ms": 8_000, "heartbeat.interval.ms": 500}
    # Each bundle takes longer than a member may go without a poll, and the thread that is in the group polls on.
    scenario.emulator.faults(latency_ms=10_000)
    pipeline = scenario.start(**ENDLESS, kafka_config=impatient, kafka_bundle_max_records=300)
    wait_until_all_committed(scenario)
    pipeline.terminate()
    finish(scenario, pipeline)
    assert "considered this process dead" not in pipeline.log()
    scenario.check_every_sample()


def test_fault_16_a_frozen_process_comes_back_after_another_took_over(scenario: Scenario) -> None:
    options = {**ENDLESS, "kafka_bundle_max_records": BUNDLE, "kafka_config": SOON_DEAD}
    samples = list(generate(9_000))
    scenario.emulator.faults(latency_ms=100)
    scenario.produce(samples[:3_000])
    frozen = scenario.start(**options)
    scenario.wait_until_accepted(1_000)
    frozen.pause()
    other = scenario.start(**options)
    scenario.produce(samples[3_000:6_000])
    wait_until_all_committed(scenario)
    at = scenario.committed()
    frozen.resume()
    wait_for(
        lambda: "considered this process dead" in frozen.log(), STEP_SECONDS, "the frozen process to see what happened"
    )
    for topic, partitions in scenario.committed().items():
        assert all(offset >= at[topic][partition] for partition, offset in partitions.items())
    scenario.produce(samples[6_000:])
    wait_until_all_committed(scenario)
    for one in (other, frozen):
        one.terminate()
        assert one.exit_code == 0, one.log_tail()
    scenario.check_every_sample(duplicates=2 * REPEATED)


def test_fault_20_half_full_batches_are_posted_when_the_run_is_ended(scenario: Scenario) -> None:
    scenario.produce(generate(250))
    patient = {"batch_max_seconds": 600, "kafka_bundle_max_seconds": 600, "kafka_stop_at": "never"}
    pipeline = scenario.start(metrics_port=0, **patient)
    address = page(pipeline)
    wait_for(lambda: scrape(address)["beam_aep_read_records_total"][()] == 250, STEP_SECONDS, "the records to be read")
    assert requests(scenario) == 0
    pipeline.signal(signal.SIGTERM)
    summary = finish(scenario, pipeline)
    assert summary["outcome"] == "stopped"
    assert summary["accepted"] == scenario.records_committed() == 250
    scenario.check_every_sample()


def test_fault_20_ended_at_once_the_half_full_batches_are_read_again(scenario: Scenario) -> None:
    scenario.produce(generate(250))
    scenario.emulator.faults(outage_s=600)
    pipeline = scenario.start(kafka_stop_at="never", kafka_config=SOON_DEAD)
    wait_for(lambda: requests(scenario) > 0, STEP_SECONDS, "a first try")
    for number in (1, 2):
        pipeline.signal(signal.SIGTERM)
        if number == 1:
            wait_for(lambda: "press Ctrl-C again" in pipeline.log(), STEP_SECONDS, "the signal to be heard")
    wait_for(lambda: not pipeline.running, STEP_SECONDS, "the pipeline to end at once")
    assert pipeline.exit_code == 128 + signal.SIGTERM
    assert scenario.records_committed() == 0
    scenario.emulator.clear_faults()
    # An upgrade: other limits, the same group.
    deliver(scenario, batch_max_messages=7)


def test_fault_20_aep_hangs_when_the_run_is_to_end(scenario: Scenario) -> None:
    scenario.produce(generate(300, kind="events"))
    hung: list[Exchange] = []

    def hang(exchange: Exchange, _: Response) -> bool:
        # The emulator has taken the batch. The first answer is late, and in time; the others never come.
        hung.append(exchange)
        return len(hung) > 1 and exchange.pause(PATIENCE_SECONDS)

    with Front(scenario.emulator.url, hang) as front:
        through(scenario, front.url)
        pipeline = scenario.start(kafka_stop_at="never", shutdown_seconds=2, batch_max_messages=50, aep_max_in_flight=3)
        # The fourth is sent once the first is answered.
        wait_for(lambda: len(hung) > 3, STEP_SECONDS, "requests without an answer")
        pipeline.signal(signal.SIGTERM)
        asked = time.monotonic()
        summary = finish(scenario, pipeline, code=1)
        took = time.monotonic() - asked
    assert "waiting up to 2 s for AEP: " in pipeline.log()
    assert 2 <= took < 2 + BUSY_SECONDS, "aep_timeout_seconds is 60"
    assert (summary["outcome"], summary["accepted"]) == ("failed", 50)
    # Each that is given up makes room for one that may still begin, be counted, and not arrive, at the last moment.
    assert len(hung) <= summary["requests"] <= len(hung) + 3
    assert scenario.records_committed() == 0


def test_fault_20_answers_that_come_after_the_signal_to_end_are_counted_and_committed(scenario: Scenario) -> None:
    scenario.produce(generate(200))
    signalled = threading.Event()

    def late(exchange: Exchange, _: Response) -> bool:
        signalled.wait(PATIENCE_SECONDS)
        return not exchange.pause(0.5)

    with Front(scenario.emulator.url, late) as front:
        through(scenario, front.url)
        pipeline = scenario.start(kafka_stop_at="never", shutdown_seconds=PATIENCE_SECONDS, batch_max_messages=50)
        wait_for(lambda: scenario.messages_accepted() == 200, STEP_SECONDS, "the emulator to have all")
        pipeline.signal(signal.SIGTERM)
        wait_for(lambda: "requests without an answer yet" in pipeline.log(), STEP_SECONDS, "the signal to be heard")
        signalled.set()
        summary = finish(scenario, pipeline)
    assert (summary["outcome"], summary["accepted"], summary["duplicates_possible"]) == ("stopped", 200, 0)
    assert scenario.records_committed() == 200
