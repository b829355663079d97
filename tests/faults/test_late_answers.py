"""Two bundles are open while answers are awaited: what is committed meanwhile, and what a crash repeats."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from samples.loyalty import generate
from testing.services.process import ServiceProcess
from tests.e2e.scenario import Scenario
from tests.faults.campaign import ENDLESS, SMALL, during, finish, through
from tests.faults.front import Front

pytestmark = pytest.mark.kafka

OPEN = 600  # records of both open bundles together
OPTIONS = {"kafka_bundle_max_records": OPEN}


class Held:
    """A pipeline behind a collector that takes all it gets, and whose replies are held back."""

    def __init__(self, scenario: Scenario, replies: threading.Event, front: Front):
        self.scenario = scenario
        self.replies = replies
        self.front = front

    def start(self, session_ms: int = 60_000) -> ServiceProcess:
        """Start the pipeline; return when both bundles are posted.

        Args:
            session_ms: Short where a next run is to have the partitions of a killed one soon; a busy machine may let it
                lapse.
        """
        self.scenario.produce(generate(2_000, kind="events"))
        config = {"session.timeout.ms": session_ms}
        pipeline = self.scenario.start(**{**ENDLESS, **OPTIONS}, kafka_config=config)
        self.scenario.wait_until_accepted(OPEN)
        return pipeline


@pytest.fixture
def held(scenario: Scenario) -> Iterator[Held]:
    replies = threading.Event()

    def hold(*_: object) -> bool:
        replies.wait()
        return False

    with Front(scenario.emulator.url, hold) as front:
        through(scenario, front.url)
        yield Held(scenario, replies, front)
        replies.set()


def test_reading_goes_on_for_one_bundle_of_which_nothing_is_committed(held: Held) -> None:
    scenario = held.scenario
    pipeline = held.start()
    for _ in during(1.0):
        assert scenario.messages_accepted() == OPEN
        assert scenario.records_committed() == 0
    held.replies.set()
    scenario.wait_until_accepted(2_000)
    pipeline.signal(signal.SIGTERM)
    assert finish(scenario, pipeline)["accepted"] == 2_000
    assert scenario.records_committed() == 2_000
    scenario.check_every_sample(duplicates=0)


def test_a_crash_repeats_both_open_bundles_and_no_more(held: Held) -> None:
    scenario = held.scenario
    held.start(session_ms=6_000).kill()
    held.replies.set()
    finished = scenario.run(**{**SMALL, **OPTIONS})
    assert finished.code == 0, finished.output
    assert scenario.check_every_sample(duplicates=OPEN) == OPEN


def test_a_signal_waits_for_the_answers_of_both_and_commits_them(held: Held) -> None:
    scenario = held.scenario
    pipeline = held.start()
    pipeline.signal(signal.SIGTERM)
    for _ in during(0.5):
        assert pipeline.running
        assert scenario.records_committed() == 0
    held.replies.set()
    finish(scenario, pipeline)
    assert scenario.records_committed() == scenario.messages_accepted() == OPEN


def test_nothing_is_committed_whose_dead_letters_cannot_be_written_a_bundle_later(scenario: Scenario) -> None:
    scenario.produce(generate(2_000, kind="events"))
    scenario.emulator.faults(element_rate={"400": 1.0})
    topic = f"{scenario.name}-dead"
    scenario.broker.create_topic(topic, 1, max_message_bytes=100)  # too small for any of them: the broker refuses each
    finished = scenario.run(**{**SMALL, **OPTIONS}, dead_letter_topic=topic)
    assert finished.code != 0
    assert topic in finished.output
    assert scenario.records_committed() == 0


def test_dead_letters_of_late_answers_are_written_and_counted_once(scenario: Scenario) -> None:
    scenario.produce(generate(2_000, kind="events"))
    scenario.emulator.faults(latency_ms=100, element_rate={"400": 0.1}, seed=3)
    finished = scenario.run(**{**SMALL, **OPTIONS})
    assert finished.code == 0, finished.output
    summary = finished.summary
    assert summary["unaccounted"] == 0
    assert scenario.records_committed() == 2_000
    refused = {(one.partition, one.record.offset) for one in scenario.dead_lettered()}
    assert len(refused) == len(scenario.dead_lettered()) == 2_000 - summary["accepted"] > 0
