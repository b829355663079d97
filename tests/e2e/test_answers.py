"""What AEP may answer, and that each record still ends where it belongs."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from samples.loyalty import generate
from testing.services.emulator import CLIENT_ID, CLIENT_SECRET
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.e2e.scenario import ORG_ID, SCHEMAS, Scenario

pytestmark = pytest.mark.kafka

COUNT = 3_000


def deliver(scenario: Scenario, *, duplicates: int = 0, **options: Any) -> dict[str, Any]:
    """Runs; every sample must arrive or be dead-lettered. Returns the summary."""
    # Small batches make many requests, each of which may meet the fault.
    finished = scenario.run(batch_max_messages=100, aep_retry_max_delay_seconds=0.2, **options)
    assert finished.code == 0, finished.output
    scenario.check_every_sample(duplicates)
    assert finished.summary["unaccounted"] == 0
    return finished.summary


@pytest.mark.parametrize("status", ["429", "503", "500", "408"])
def test_transient_statuses_are_tried_again(scenario: Scenario, status: str) -> None:
    scenario.produce(generate(COUNT, broken_share=0.01))
    scenario.emulator.faults(rate={status: 0.3}, seed=1)
    summary = deliver(scenario)
    assert summary["retries"][status] > 0


def test_connections_cut_before_or_after_the_messages_were_stored(scenario: Scenario) -> None:
    scenario.produce(generate(COUNT))
    scenario.emulator.faults(reset_rate=0.2, reset_when="before", seed=2)
    summary = deliver(scenario)
    assert summary["retries"]["reply"] > 0
    scenario.produce(list(generate(2 * COUNT))[COUNT:])
    scenario.emulator.faults(reset_rate=0.2, reset_when="after", seed=3)
    finished = scenario.run(batch_max_messages=100, aep_retry_max_delay_seconds=0.2)
    again = scenario.check_every_sample(duplicates=finished.summary["duplicates_possible"])
    assert 0 < again <= finished.summary["duplicates_possible"]


@pytest.mark.parametrize("dialect", ["status", "statusCode"])
def test_of_a_partly_refused_batch_only_the_refused_go_to_dead_letters(scenario: Scenario, dialect: str) -> None:
    scenario.produce(generate(COUNT))
    scenario.emulator.faults(element_rate={"400": 0.02, "429": 0.05, "500": 0.05}, dialect=dialect, seed=4)
    finished = scenario.run(batch_max_messages=100, aep_retry_max_delay_seconds=0.2)
    assert finished.code == 0, finished.output
    dead = scenario.dead_lettered()
    assert dead
    assert {(one.stage, one.code) for one in dead} == {("post", "rejected")}
    refused = {int(dict(one.record.headers)["sequence"] or b"-1") for one in dead}
    accepted = {kind: scenario.accepted(kind) for kind in scenario.topics}
    assert len(refused) == len(dead)
    for kind, numbers in accepted.items():
        assert set(numbers) == scenario.oracle.good(events=kind == "events") - refused
        assert set(numbers.values()) == {1}


@pytest.mark.parametrize("responses", ["short", "long", "missing", "reversed", "not_json"])
def test_replies_that_do_not_fit_are_never_guessed_at(scenario: Scenario, responses: str) -> None:
    scenario.produce(generate(COUNT))
    scenario.emulator.faults(responses=responses, responses_rate=0.2, seed=5)
    finished = scenario.run(batch_max_messages=100, aep_retry_max_delay_seconds=0.2)
    assert finished.code == 0, finished.output
    assert finished.summary["retries"]["mismatch"] > 0
    assert scenario.dead_lettered() == []
    scenario.check_every_sample(duplicates=finished.summary["duplicates_possible"])


def test_an_outage_is_sat_out(scenario: Scenario) -> None:
    scenario.produce(generate(COUNT))
    scenario.emulator.faults(outage_s=600, outage_mode="reset")
    pipeline = scenario.start(batch_max_messages=100, aep_retry_max_delay_seconds=0.2)
    wait_for(lambda: "trying again" in pipeline.log(), PATIENCE_SECONDS, "a try in vain")
    scenario.emulator.clear_faults()
    wait_for(lambda: not pipeline.running, PATIENCE_SECONDS, "the pipeline to end")
    assert pipeline.exit_code == 0, pipeline.log_tail()
    scenario.check_every_sample()
    summary = scenario.summary()
    assert summary["retries"]["reply"] > 0
    assert (summary["dead_lettered"], summary["unaccounted"]) == ({}, 0)


def test_tokens_are_fetched_renewed_when_revoked_and_never_shown(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEP_SECRET", CLIENT_SECRET)
    for kind in scenario.topics:
        schema = yaml.safe_load((SCHEMAS / f"loyalty-{kind.removesuffix('s')}.schema.json").read_text())
        scenario.inlets[kind] = scenario.emulator.create_inlet(
            name=f"{scenario.name}-{kind}-auth", org_id=ORG_ID, schema=schema, authentication_required=True
        )
    scenario.produce(generate(COUNT))
    # A token is renewed at half its life, which is shorter than the run, and is revoked besides. The other half is
    # for a busy machine: a message whose token expired on the way and was then revoked too would end the run.
    scenario.emulator.faults(token_ttl_s=10, latency_ms=600)
    pipeline = scenario.start(
        batch_max_messages=50,
        aep_max_in_flight=2,
        aep_auth="oauth",
        aep_ims_url=scenario.emulator.url,
        aep_client_id=CLIENT_ID,
        aep_client_secret="env:AEP_SECRET",
    )
    scenario.wait_until_accepted(500)
    scenario.emulator.revoke_tokens()
    wait_for(lambda: not pipeline.running, PATIENCE_SECONDS, "the pipeline to end")
    assert pipeline.exit_code == 0, pipeline.log_tail()
    scenario.check_every_sample()
    assert scenario.emulator.stats()["tokens_issued"] > 2
    assert CLIENT_SECRET not in pipeline.log()
