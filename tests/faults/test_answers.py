"""What AEP and its token service answer: each message is acted on by its own answer, and never guessed at."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from samples.loyalty import EVENTS_TOPIC, Sample, generate
from testing.services.emulator import CLIENT_ID, CLIENT_SECRET
from testing.services.process import wait_for
from tests.e2e.scenario import Scenario
from tests.faults.campaign import (
    ENDLESS,
    SMALL,
    STEP_SECONDS,
    ask_for_tokens,
    deliver,
    during,
    finish,
    nothing_happened,
    refused,
    wait_until_all_committed,
)

pytestmark = pytest.mark.kafka


@pytest.fixture
def oauth(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Make the scenario's inlets ask for a token; return the options that get one."""
    monkeypatch.setenv("AEP_SECRET", CLIENT_SECRET)
    return ask_for_tokens(scenario, CLIENT_ID, CLIENT_SECRET)


def issued(scenario: Scenario) -> int:
    """Access tokens issued so far, to any test."""
    return int(scenario.emulator.stats()["tokens_issued"])


def test_fault_07_a_revoked_token_is_renewed_once_for_all_also_when_ims_is_down(
    scenario: Scenario, oauth: dict[str, Any]
) -> None:
    scenario.produce(generate(6_000))
    scenario.emulator.faults(latency_ms=100)
    before = issued(scenario)
    pipeline = scenario.start(**SMALL, **oauth)
    scenario.wait_until_accepted(1_000)
    scenario.emulator.faults(ims_status=503)
    scenario.emulator.revoke_tokens()

    def stands_still() -> bool:
        held = scenario.messages_accepted()
        for _ in during(2):
            assert pipeline.running, pipeline.log_tail()
        return scenario.messages_accepted() == held

    wait_for(stands_still, STEP_SECONDS, "the last of what the inlet had let in already")
    assert scenario.messages_accepted() < 6_000
    scenario.emulator.clear_faults()
    summary = finish(scenario, pipeline)
    assert issued(scenario) - before == 2
    assert summary["retries"]["ims"] > 0
    assert 0 < summary["retries"]["token"] <= 16  # of two inlets
    assert summary["dead_lettered"] == {}
    scenario.check_every_sample()


def test_fault_07_tokens_that_expire_long_before_ims_says_so(scenario: Scenario, oauth: dict[str, Any]) -> None:
    scenario.produce(generate(3_000))
    # Said to live for more than an hour, they are refused after four seconds.
    scenario.emulator.faults(token_ttl_s=4, token_milliseconds=True, latency_ms=200)
    before = issued(scenario)
    summary = deliver(scenario, aep_max_in_flight=1, **oauth)
    assert issued(scenario) - before >= 2
    assert summary["dead_lettered"] == {}


@pytest.mark.parametrize("status", ["401", "403"])
def test_fault_07_a_credential_refused_for_ever_stops_the_run(
    scenario: Scenario, oauth: dict[str, Any], status: str
) -> None:
    scenario.produce(generate(3_000, broken_share=0))
    scenario.emulator.faults(rate={status: 1.0})
    before = issued(scenario)
    finished = scenario.run(**SMALL, **oauth)
    assert finished.code == 2, finished.output
    assert f"AEP answers {status}" in finished.output
    assert "Traceback" not in finished.output
    assert nothing_happened(scenario)
    # Each request under way renews the token once at most.
    assert issued(scenario) - before <= 1 + 2 * 8
    scenario.emulator.clear_faults()
    deliver(scenario, **oauth)


def mark_refused(scenario: Scenario) -> int:
    """Tell the oracle that what was dead-lettered after a post was refused; return how many that is."""
    samples = scenario.oracle.samples
    dead = [one for one in scenario.dead_lettered() if one.stage == "post"]
    for one in dead:
        number = int(dict(one.record.headers)["sequence"] or b"-1")
        samples[number] = samples[number]._replace(broken="refused", expected_stage="post", expected_code="rejected")
    return len(dead)


def test_fault_08_of_a_207_each_message_is_acted_on_by_its_own_answer(scenario: Scenario) -> None:
    scenario.produce(generate(4_000))
    scenario.emulator.faults(element_rate={"400": 0.02, "429": 0.05, "500": 0.05, "503": 0.05}, seed=8)
    scenario.emulator.faults(inlet=scenario.inlets["profiles"]["inletId"], dialect="statusCode")
    finished = scenario.run(**SMALL)
    assert finished.code == 0, finished.output
    assert mark_refused(scenario) == refused(scenario) > 0
    assert finished.summary["retries"].keys() == {"element"}
    scenario.check_every_sample()


def test_fault_08_answers_that_do_not_fit_are_never_guessed_at(scenario: Scenario) -> None:
    pipeline = scenario.start(**{**ENDLESS, "aep_retry_max_delay_seconds": 0.1})
    kinds = ["short", "long", "missing", "reversed", "duplicate", "not_json"]
    samples = generate(500 * len(kinds))
    for kind in kinds:
        before = scenario.check_every_sample(duplicates=100_000)
        scenario.emulator.faults(responses=kind, responses_rate=0.5, seed=8)
        scenario.produce(itertools.islice(samples, 500))
        wait_until_all_committed(scenario)
        # What was received and not acknowledged in a way that fits was sent again.
        assert scenario.check_every_sample(duplicates=100_000) > before, kind
    pipeline.terminate()
    summary = finish(scenario, pipeline)
    assert summary["retries"].keys() == {"mismatch"}
    assert summary["dead_lettered"] == {}
    scenario.check_every_sample(duplicates=summary["duplicates_possible"])


def test_fault_09_a_batch_too_large_is_halved_and_a_message_too_large_is_dead_lettered(scenario: Scenario) -> None:
    good = list(generate(2_000))
    large = [
        sample._replace(broken="large", expected_stage="post", expected_code="too_large")
        for sample in list(generate(2_010, kind="events", event_bytes=9_000))[2_000:]
    ]
    scenario.produce([*good[:1_000], *large, *good[1_000:]])
    scenario.emulator.faults(max_body_bytes=8_000)
    summary = deliver(scenario)
    assert summary["retries"].keys() == {"413"}
    assert summary["dead_lettered"] == {"too_large": len(large)}


def test_fault_10_the_limit_counts_bytes_of_the_whole_request(scenario: Scenario) -> None:
    (small, *samples) = generate(5, kind="events", event_bytes=1_500)
    pipeline = scenario.start(**ENDLESS, xdm_max_event_bytes=2_000_000)
    scenario.produce([small])
    wait_until_all_committed(scenario)
    envelope = scenario.emulator.inlet_stats(scenario.inlets["events"]["inletId"])["bytes"] - len(small.value)
    wanted = [("x", 999_999), ("x", 1_000_001), ("é", 999_999), ("é", 1_000_001)]
    for sample, (letter, size) in zip(samples, wanted, strict=True):
        grown = grow(sample, letter, size - envelope)
        if size > 1_000_000:
            grown = grown._replace(broken="too large", expected_stage="validate", expected_code="too_large")
        scenario.produce([grown])
    wait_until_all_committed(scenario)
    pipeline.terminate()
    finish(scenario, pipeline)
    scenario.check_every_sample()
    assert refused(scenario) == 0


def grow(sample: Sample, letter: str, size: int) -> Sample:
    """Return an event that is so many bytes of UTF-8 large."""
    assert sample.topic == EVENTS_TOPIC
    start = b'"receiptNote":"'
    room = size - len(sample.value)
    filler = letter.encode() * (room // len(letter.encode()))
    filler += b"x" * (room - len(filler))
    return sample._replace(value=sample.value.replace(start, start + filler, 1))
