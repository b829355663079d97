"""Routes that leave records out, and routes with a function of the user's: accepted, dropped or dead-lettered."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from samples.loyalty import EVENTS_TOPIC, Sample, generate
from tests.e2e.scenario import Scenario
from tests.e2e.test_replay import replay

pytestmark = pytest.mark.kafka


def event_of(sample: Sample) -> dict[str, Any]:
    return dict(orjson.loads(sample.value or b"{}"))


def tier_of(sample: Sample) -> str:
    return str(event_of(sample)["_acme"]["loyalty"]["tier"])


def test_every_record_is_accepted_dropped_or_dead_lettered(scenario: Scenario) -> None:
    samples = list(generate(600))
    scenario.produce(samples)
    oracle = scenario.oracle
    for sample in samples:
        if sample.topic != EVENTS_TOPIC:
            continue
        if tier_of(sample) == "gold" or event_of(sample)["eventType"] == "commerce.purchases":
            oracle.dropped.add(sample.sequence)
        elif tier_of(sample) == "platinum":
            oracle.refused[sample.sequence] = ("transform", "transform")
    routes = scenario.routes()
    routes["events"] |= {
        "drop": {"/_acme/loyalty/tier": "gold"},
        "transform": "tests.own_steps:without_purchases",
    }
    finished = scenario.run(routes_file=str(scenario.write_routes(routes, "own-steps.yaml")))
    assert finished.code == 0, finished.output
    scenario.check_every_sample()
    summary = finished.summary
    assert (summary["read"], summary["unaccounted"]) == (600, 0)
    assert summary["dropped"] == summary["routes"]["events"]["dropped"] == len(oracle.dropped) > 20
    assert len(oracle.refused) > 20
    assert "dropped by its route" in finished.output
    messages = [one.message for one in scenario.dead_lettered() if one.stage == "transform"]
    assert set(messages) == {"ValueError: members of this tier are handled elsewhere"}
    received = scenario.emulator.messages(scenario.inlets["events"]["inletId"])
    assert {message["entity"]["_acme"]["loyalty"]["tier"] for message in received} == {"member"}

    # What the function refused goes through a route without it, once somebody says so.
    del routes["events"]["transform"]
    replayed = replay(scenario, routes_file=str(scenario.write_routes(routes)), replay_stages=["transform"])
    assert replayed.summary["accepted"] == len(messages)
