"""What is sent more than once: recognisable by its `_id`, and in order where that is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import orjson
import pytest

from samples.loyalty import Sample, generate
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.e2e.scenario import ORG_ID, Scenario
from tests.faults.campaign import wait_until_all_committed

pytestmark = pytest.mark.kafka

BUNDLE = 1_000
SOON_DEAD = {"session.timeout.ms": 2_000, "heartbeat.interval.ms": 500}


def without_ids(samples: Iterable[Sample]) -> Iterable[Sample]:
    for sample in samples:
        entity = orjson.loads(sample.value)
        del entity["_id"]
        yield sample._replace(value=orjson.dumps(entity))


@pytest.mark.parametrize("rule", [["offset"], ["/eventType", "/timestamp", "/_acme"]])
def test_killed_again_and_again_each_event_is_in_the_profile_store_once(scenario: Scenario, rule: list[str]) -> None:
    count, kills = 8_000, 3
    scenario.produce(without_ids(generate(count, kind="events")))
    inlet = scenario.inlets["events"]["inletId"]
    routes = scenario.routes()
    routes["events"]["id_from"] = rule
    path = scenario.write_routes(routes, "with-ids.yaml")
    options: dict[str, Any] = {"routes_file": str(path), "kafka_bundle_max_records": BUNDLE, "kafka_config": SOON_DEAD}
    # One small request after the other, so that the kill comes in the middle of a bundle and not just after its commit.
    options |= {"batch_max_messages": 50, "aep_max_in_flight": 1}
    for kill in range(1, kills + 1):
        scenario.emulator.faults(latency_ms=40)
        pipeline = scenario.start(**options)
        scenario.wait_until_accepted(kill * 2_000 + 100)
        pipeline.kill()
    scenario.emulator.clear_faults()
    finished = scenario.run(**options)
    assert finished.code == 0, finished.output
    received = scenario.emulator.ids(inlet)
    # The data lake has some of them twice, the Profile store has none.
    assert count == len(received) < sum(received.values()) <= count + kills * (BUNDLE + 500)
    stored = scenario.emulator.local("GET", f"profile_events?inlet={inlet}")["ids"]
    assert set(received) <= set(stored)
    if rule == ["offset"]:
        topic = scenario.topics["events"]
        ends = scenario.broker.end_offsets(topic)
        assert set(received) == {f"{topic}-{number}-{at}" for number, end in ends.items() for at in range(end)}


def test_a_run_says_that_its_events_share_an_id_and_accepts_them(scenario: Scenario) -> None:
    events = [orjson.loads(sample.value) | {"_id": "same"} for sample in generate(200, kind="events")]
    scenario.broker.produce(scenario.topics["events"], [(None, orjson.dumps(event), None, None) for event in events])
    scenario.produce(generate(50, kind="profiles"))
    finished = scenario.run()
    assert finished.code == 0, finished.output
    assert finished.summary["accepted"] == 250
    assert finished.summary["repeated_ids"] == {"events": {"repeated": 199, "looked_at": 200}}
    warning = "warning: route events: 199 of the 200 different events looked at have an _id that another one has"
    assert warning in finished.output
    assert "events that share an _id: events" in finished.output


def disorder(scenario: Scenario) -> int:
    """Return how many records arrived, for the last time, after a later record of their key."""
    messages = scenario.emulator.messages(scenario.inlets["events"]["inletId"])
    last = {message["entity"]["_id"]: place for place, message in enumerate(messages)}
    keys: dict[bytes | None, list[int]] = {}
    for sample in scenario.oracle.samples.values():
        keys.setdefault(sample.key, []).append(last[orjson.loads(sample.value)["_id"]])
    return sum(one > other for places in keys.values() for one, other in pairwise(places))


@pytest.mark.parametrize("order", ["key", "none"])
def test_records_of_a_key_arrive_in_their_order_whatever_goes_wrong(scenario: Scenario, order: str) -> None:
    samples = generate(6_000, kind="events")
    scenario.produce(sample._replace(key=b"customer-%d" % (sample.sequence % 41)) for sample in samples)
    scenario.emulator.faults(
        latency_ms=5,
        jitter_ms=60,
        rate={"429": 0.1, "503": 0.1},
        element_rate={"429": 0.01, "500": 0.01},
        reset_rate=0.05,
        reset_when="after",
        seed=6,
    )
    finished = scenario.run(aep_order=order, batch_max_messages=50, aep_retry_max_delay_seconds=0.2)
    assert finished.code == 0, finished.output
    summary = finished.summary
    scenario.check_every_sample(duplicates=summary["duplicates_possible"])
    if order == "key":
        assert disorder(scenario) == 0
    else:  # or nothing would have been shown
        assert disorder(scenario) > 0


def test_routes_to_one_inlet_keep_the_order_of_each_key_together(scenario: Scenario) -> None:
    samples = [sample._replace(key=b"customer-%d" % (sample.sequence % 11)) for sample in generate(500, kind="events")]
    scenario.produce(samples)
    routes = scenario.routes()
    kinds = sorted({orjson.loads(sample.value)["eventType"] for sample in samples})
    divided = {"some": {**routes["events"], "name": "some", "when": {"/eventType": kinds[0]}}, **routes}
    path = scenario.write_routes(divided, "divided.yaml")
    finished = scenario.run(routes_file=str(path), aep_order="key")
    assert finished.code == 0, finished.output
    assert all(finished.summary["routes"][name]["accepted"] for name in ("some", "events"))
    assert disorder(scenario) == 0


def test_upserts_and_tombstones_that_delete(scenario: Scenario) -> None:
    inlet = scenario.emulator.create_inlet(name=f"{scenario.name}-raw", org_id=ORG_ID, data_type="raw")
    operations = {"data": "merge", "identity": "create", "identityDatasetId": "5f1"}
    topic = scenario.topics["profiles"]
    own = b'{"header":{"operations":{"data":"create"}},"body":{"points":3}}'
    bad = b'{"header":{"operations":{"data":"replace"}},"body":{"points":4}}'
    values = [b'{"points":1}', None, own, bad]
    scenario.broker.produce(topic, [(b"member-1", value, None, 0) for value in values])
    finished = scenario.run(
        routes_file=None,
        kafka_topics=[topic],
        kafka_tombstones="delete",
        xdm_payload="raw",
        aep_inlet_url=inlet["inletUrl"],
        aep_dataset_id=inlet["datasetId"],
        aep_org_id=ORG_ID,
        aep_flow_id="flow-1",
        aep_operations=operations,
        aep_key_field="memberId",
        aep_order="key",
    )
    assert finished.code == 0, finished.output
    assert finished.summary["dead_lettered"] == {"operations": 1}
    header = {"flowId": "flow-1", "imsOrgId": ORG_ID, "datasetId": inlet["datasetId"]}
    assert [message["entity"] for message in scenario.emulator.messages(inlet["inletId"])] == [
        {"header": {**header, "operations": operations}, "body": {"points": 1}},
        {"header": {**header, "operations": {"data": "delete"}}, "body": {"memberId": "member-1"}},
        orjson.loads(own),
    ]
    (dead,) = scenario.dead_lettered()
    assert (dead.stage, dead.pointer, dead.record.value) == ("validate", "/header/operations", bad)


def test_each_accepted_record_has_its_receipt(scenario: Scenario) -> None:
    scenario.produce(generate(2_000, broken_share=0.05))
    topic = f"{scenario.name}-receipts"
    scenario.broker.create_topic(topic)
    folder = scenario.folder / "receipts"
    scenario.emulator.faults(element_rate={"503": 0.02}, rate={"503": 0.1}, seed=1)
    finished = scenario.run(receipt_path=str(folder), receipt_topic=topic)
    assert finished.code == 0, finished.output
    lines = [line for file in sorted(folder.iterdir()) for line in file.read_bytes().splitlines()]
    assert sorted(lines) == sorted(message.value() or b"" for message in scenario.broker.consume_all(topic))
    receipts = [orjson.loads(line) for line in lines]
    assert finished.summary["receipts"] == finished.summary["accepted"] == len(receipts)
    places = {(one["topic"], one["partition"], one["offset"]) for one in receipts}
    dead = {(one.topic, one.partition, one.record.offset) for one in scenario.dead_lettered()}
    ends = scenario.end_offsets()
    everywhere = {(topic, number, at) for topic in ends for number in ends[topic] for at in range(ends[topic][number])}
    assert len(places) == len(receipts)
    assert places | dead == everywhere
    assert not places & dead
    for kind, inlet in scenario.inlets.items():
        known = {message["xactionId"] for message in scenario.emulator.messages(inlet["inletId"])}
        assert {one["xactionId"] for one in receipts if one["route"] == kind} == known


def test_the_log_in_json(scenario: Scenario) -> None:
    scenario.produce(generate(300, broken_share=0.1))
    pipeline = scenario.start("--progress=on", kafka_stop_at="never", log_format="json")
    wait_until_all_committed(scenario)  # the first line may be of a run that has read nothing yet
    wait_for(lambda: "in flight" in pipeline.log(), PATIENCE_SECONDS, "a line of progress")
    pipeline.terminate()
    assert pipeline.exit_code == 0
    lines: list[dict[str, Any]] = [orjson.loads(line) for line in pipeline.log().splitlines()]
    assert all({"time", "severity", "logger", "message"} <= set(line) for line in lines)
    progress = next(line["progress"] for line in lines if "progress" in line)
    assert {"read", "accepted", "dead_lettered", "in_flight", "lag", "events_per_second"} <= progress.keys()
    (account,) = [line["account"] for line in lines if "account" in line]
    assert account == scenario.summary()
    assert account["routes"].keys() == {"events", "profiles"}
    assert sum(route["accepted"] + route["dead_lettered"] for route in account["routes"].values()) == 300
    # No contents of records.
    assert not any(sample.value.decode("utf-8", "replace")[:40] in pipeline.log() for sample in generate(300))
