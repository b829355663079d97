"""Records that are broken, and schemas and dead-letter sinks that are."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import orjson
import pytest
import yaml

from samples.broken import BROKEN_KINDS
from samples.loyalty import EVENTS_TOPIC, Sample, generate
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.e2e.scenario import ORG_ID, SCHEMAS, Scenario
from tests.faults.campaign import ENDLESS, SMALL, deliver, nothing_happened, wait_until_all_committed

pytestmark = pytest.mark.kafka

EVENT_SCHEMA = orjson.loads((SCHEMAS / "loyalty-event.schema.json").read_bytes())

POISON: list[tuple[str, bytes | None]] = [
    ("tombstone", None),
    ("empty", b""),
    ("empty", b" \n"),
    ("json", b'{"_id":"a'),
    ("json", b'{"_id":"\xff"}'),
    ("json", b'{"_id":"\\ud800"}'),
    ("json", b'{"a":NaN}'),
    ("json", b'{"a":1}{"a":1}'),
    ("json", b"\x00" * 1_000),
    ("type", b"null"),
    ("type", b"42"),
    ("duplicate_key", b'{"a":1,"a":2}'),
    ("json", b'{"a":' + b"9" * 400 + b"}"),
    ("integer_range", b'{"a":-' + b"9" * 30 + b"}"),
    ("too_deep", b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    ("too_deep", b'{"a":' + b"[" * 500_000),
]


def test_fault_11_poison_is_dead_lettered_and_its_neighbours_go_on(scenario: Scenario) -> None:
    parse = [name for name, kind in BROKEN_KINDS.items() if kind.stage == "parse"]
    samples = list(generate(3_000, broken_share=0.05, broken_kinds=parse))
    for place, (code, value) in enumerate(POISON):
        poison = Sample(3_000 + place, EVENTS_TOPIC, b"key", cast("bytes", value), "poison", code, "parse")
        samples.insert(place * 150, poison)
    scenario.produce(samples)
    summary = deliver(scenario, kafka_tombstones="dead_letter")
    assert sum(summary["dead_lettered"].values()) == len(scenario.oracle.broken())


def test_fault_12_what_does_not_fit_the_schema_tells_where(scenario: Scenario) -> None:
    validate = [name for name, kind in BROKEN_KINDS.items() if kind.stage == "validate"]
    scenario.produce(generate(2_000, broken_share=0.2, broken_kinds=validate))
    deliver(scenario)
    for one in scenario.dead_lettered():
        assert one.schema["id"].startswith("https://ns.adobe.com/acme/schemas/loyalty-")
        # A record that lacks a field, has one too many or is too large is itself the place.
        whole = one.code in ("required", "additionalProperties", "wrong_tenant", "too_large")
        assert one.pointer or whole, one.to_json()


def test_fault_12_a_message_that_names_another_schema(scenario: Scenario) -> None:
    samples = list(generate(100))
    for place, sample in enumerate(samples):
        kind = "events" if sample.topic == EVENTS_TOPIC else "profiles"
        schema_id = f"https://ns.adobe.com/acme/schemas/loyalty-{kind.removesuffix('s')}"
        samples[place] = sample._replace(value=envelope(scenario, kind, schema_id, sample.value))
        if place % 7 == 0:
            unknown = envelope(scenario, kind, "https://ns.adobe.com/acme/schemas/unknown", sample.value)
            samples[place] = sample._replace(
                value=unknown, broken="schema", expected_stage="validate", expected_code="schema_ref"
            )
    scenario.produce(samples)
    path = scenario.routes_file(payload="message").rename(scenario.folder / "messages.yaml")
    deliver(scenario, routes_file=str(path))


def envelope(scenario: Scenario, kind: str, schema_id: str, entity: bytes) -> bytes:
    """Return a whole message, as AEP takes it."""
    reference = {"id": schema_id, "contentType": "application/vnd.adobe.xed-full+json;version=1"}
    header = {"schemaRef": reference, "imsOrgId": ORG_ID, "datasetId": scenario.inlets[kind]["datasetId"]}
    body = {"xdmMeta": {"schemaRef": reference}, "xdmEntity": orjson.Fragment(entity)}
    return orjson.dumps({"header": header, "body": body})


def test_fault_12_a_schema_that_aep_does_not_know(scenario: Scenario) -> None:
    scenario.produce(
        sample._replace(broken="schema", expected_stage="post", expected_code="rejected")
        if sample.topic == EVENTS_TOPIC
        else sample
        for sample in generate(500)
    )
    routes = yaml.safe_load(scenario.routes_file().read_text())
    events = next(route for route in routes["routes"] if route["name"] == "events")
    events["schema_id"] = "https://ns.adobe.com/acme/schemas/unknown"
    path = scenario.folder / "unknown.yaml"
    path.write_text(yaml.safe_dump(routes))
    finished = scenario.run(**SMALL, routes_file=str(path))
    assert finished.code == 2, finished.output
    assert "Traceback" not in finished.output
    assert finished.output.count("error:") == 1, finished.output
    error = finished.output[finished.output.index("error:") :]
    for words in ("messages were all refused", "unknown xdm format", "xdm_schema_id", "aep_dataset_id", "aep_org_id"):
        assert words in error, finished.output
    assert scenario.dead_lettered() == []
    assert scenario.records_committed("events") == 0
    # Whoever wants them as dead letters can have them. Profiles may have been accepted the first time.
    all_of_them = scenario.folder / "all.yaml"
    all_of_them.write_text("aep_max_first_refusals: null\n")
    finished = scenario.run("--options_file", str(all_of_them), **SMALL, routes_file=str(path))
    assert finished.code == 0, finished.output
    assert finished.summary["unaccounted"] == 0
    scenario.check_every_sample(duplicates=len(scenario.oracle.good(events=False)))
    assert all("unknown xdm format" in one.message for one in scenario.dead_lettered())


def with_field(scenario: Scenario, field: dict[str, Any]) -> str:
    """Return a routes file whose schema of events has this definition of the receipt's note."""
    schema = orjson.loads(orjson.dumps(EVENT_SCHEMA))
    schema["properties"]["_acme"]["properties"]["receiptNote"] = field
    path = scenario.folder / "changed.schema.json"
    path.write_bytes(orjson.dumps(schema))
    routes = yaml.safe_load(scenario.routes_file().read_text())
    events = next(route for route in routes["routes"] if route["name"] == "events")
    events["schema_file"] = str(path)
    changed = scenario.folder / "changed.yaml"
    changed.write_text(yaml.safe_dump(routes))
    return str(changed)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ({"type": "object", "properties": {"again": {"$ref": "#/properties/_acme"}}}, "is recursive"),
        ({"type": "string", "pattern": "(?=a)a"}, "runs in linear time"),
    ],
)
def test_fault_12_a_schema_without_end_is_refused(scenario: Scenario, field: dict[str, Any], words: str) -> None:
    scenario.produce(generate(10))
    finished = scenario.run(routes_file=with_field(scenario, field))
    assert finished.code == 2, finished.output
    assert words in finished.output
    assert "/properties/_acme/properties/receiptNote" in finished.output
    assert "Traceback" not in finished.output
    assert nothing_happened(scenario)


def test_fault_12_a_pattern_that_others_backtrack_in_takes_bounded_time(scenario: Scenario) -> None:
    samples = list(generate(200, kind="events"))
    for place in range(0, 200, 2):
        entity = orjson.loads(samples[place].value)
        entity["_acme"]["receiptNote"] = "a" * 5_000 + ("!" if place % 4 else "")
        samples[place] = samples[place]._replace(value=orjson.dumps(entity))
        if place % 4:
            samples[place] = samples[place]._replace(
                broken="pattern", expected_stage="validate", expected_code="pattern"
            )
    scenario.produce(samples)
    routes = with_field(scenario, {"type": "string", "pattern": "^(a+)+$"})
    deliver(scenario, routes_file=routes)  # a pattern that backtracks in 5,000 letters never ends


def test_fault_13_a_dead_letter_folder_that_is_lost_ends_the_run_and_no_record(scenario: Scenario) -> None:
    samples = list(generate(2_000, broken_share=0.05))
    scenario.produce(samples[:1_000])
    pipeline = scenario.start(**ENDLESS)
    wait_until_all_committed(scenario)
    away = scenario.dead_letters.rename(scenario.folder / "away")
    scenario.dead_letters.write_text("a file where the folder was")
    scenario.produce(samples[1_000:])
    wait_for(lambda: not pipeline.running, PATIENCE_SECONDS, "the pipeline to end")
    assert pipeline.exit_code != 0
    assert str(scenario.dead_letters) in pipeline.log()
    assert scenario.records_committed() == 1_000
    scenario.dead_letters.unlink()
    Path(away).rename(scenario.dead_letters)
    # The bundle that failed is posted once more.
    deliver(scenario, duplicates=1_000)


def test_fault_13_a_dead_letter_topic_that_takes_nothing_ends_the_run_and_no_record(scenario: Scenario) -> None:
    topic = f"{scenario.name}-dead"
    scenario.broker.create_topic(topic, 1, max_message_bytes=100)
    scenario.produce(generate(500, broken_share=0.05))
    finished = scenario.run(dead_letter_topic=topic, **SMALL)
    assert finished.code == 2, finished.output
    assert topic in finished.output
    assert scenario.records_committed() == 0
    # The folder had its dead letters before the topic refused them.
    deliver(scenario, duplicates=500)
