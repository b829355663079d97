from __future__ import annotations

import pickle
from typing import Any

import orjson
import pytest

from aep.ingestion.envelope import MAX_REQUEST_BYTES, Envelope
from aep.xdm.rules import XdmRules
from samples.loyalty import EVENTS_TOPIC, generate
from testing.defaults import by_default
from tests.transforms.eager import apply_refusing
from tests.transforms.examples import EVENT_SCHEMA, record, route, routes, small_schema
from transforms.aep.inlet import as_inlet
from transforms.records.chunk import Chunk
from transforms.validate import ValidateXdm, ValidateXdmFn
from transforms.worker import metrics

NAMES = small_schema(name={"type": "string"}, age={"type": "integer"})


def parsed(*entities: dict[str, Any]) -> Chunk:
    """Return a chunk as `ParseRecords` makes it."""
    bodies = [orjson.dumps(entity) for entity in entities]
    rows = [record(at, b" " + body) for at, body in enumerate(bodies)]
    return Chunk("events", 3, rows, "events", list(entities), bodies)


def test_valid_records_go_on_with_their_bodies_and_without_entities() -> None:
    chunk = parsed({"name": "a"}, {"name": "b", "age": 3})
    (valid,), dead = apply_refusing(ValidateXdm(routes(route(schema=NAMES)), by_default(XdmRules)), [chunk])
    assert (valid.bodies, valid.records, valid.route) == (chunk.bodies, chunk.records, "events")
    assert (valid.entities, dead) == ([], [])


def test_a_refused_record_tells_all_its_violations_and_the_schema() -> None:
    chunk = parsed({"name": "a"}, {"name": 1, "age": "x"}, {"name": "b"})
    (valid,), (dead,) = apply_refusing(ValidateXdm(routes(route(schema=NAMES)), by_default(XdmRules)), [chunk])
    assert [one.offset for one in valid.records] == [0, 2]
    assert valid.bodies == [b'{"name":"a"}', b'{"name":"b"}']
    assert (dead.stage, dead.code, dead.pointer, dead.error_count) == ("validate", "type", "/age", 2)
    assert [error["pointer"] for error in dead.errors] == ["/age", "/name"]
    assert set(dead.errors[0]) == {"code", "pointer", "schema_pointer", "message"}
    assert dead.schema == {"id": NAMES.id, "version": "1.2", "sha256": NAMES.sha256}
    assert dead.record == chunk.records[1]
    assert (dead.topic, dead.partition, dead.route) == ("events", 3, "events")


def test_without_a_schema_all_goes_on() -> None:
    chunk = parsed({"anything": None})
    (valid,), dead = apply_refusing(ValidateXdm(routes(route(payload="raw")), by_default(XdmRules)), [chunk])
    assert (valid.bodies, dead) == (chunk.bodies, [])


def test_pruned_nulls_are_gone_from_what_is_posted_and_kept_in_what_was_read() -> None:
    chunk = parsed({"name": "a", "age": None}, {"name": "null"})
    rules = by_default(XdmRules, nulls="prune")
    (valid,), dead = apply_refusing(ValidateXdm(routes(route(schema=NAMES)), rules), [chunk])
    assert valid.bodies == [b'{"name":"a"}', b'{"name":"null"}']
    assert valid.records[0].value == b' {"name":"a","age":null}'
    assert dead == []
    valid_chunks, (refused,) = apply_refusing(
        ValidateXdm(routes(route(schema=NAMES)), by_default(XdmRules)), [parsed({"age": None})]
    )
    assert (valid_chunks, refused.pointer) == ([], "/age")


def test_the_largest_record_that_fits_a_request_goes_on_and_one_byte_more_does_not() -> None:
    only = route(payload="raw")
    room = (
        MAX_REQUEST_BYTES - len(Envelope(as_inlet(only.destination)).batch([b""])) - 1
    )  # a comma is counted for each message
    entities = [{"name": "x" * (room - len(b'{"name":""}') + more)} for more in (0, 1)]
    (valid,), (dead,) = apply_refusing(ValidateXdm(routes(only), by_default(XdmRules)), [parsed(*entities)])
    assert [len(body) for body in valid.bodies] == [room]
    assert (dead.stage, dead.code, dead.record.offset) == ("validate", "too_large", 1)
    assert f"{room:d} fit" in dead.message


def message(entity: dict[str, Any], dataset: str = "d" * 24, schema: str = NAMES.id) -> dict[str, Any]:
    ref = {"id": schema, "contentType": "application/vnd.adobe.xed-full+json;version=1"}
    header = {"schemaRef": ref, "imsOrgId": "ACME@AdobeOrg", "datasetId": dataset}
    return {"header": header, "body": {"xdmMeta": {"schemaRef": ref}, "xdmEntity": entity}}


@pytest.mark.parametrize(
    ("bad", "code", "pointer"),
    [
        (message({"name": 1}), "type", "/name"),
        (message({"name": "a"}, dataset="other"), "dataset", "/header/datasetId"),
        (message({"name": "a"}, schema="https://other"), "schema_ref", "/header/schemaRef"),
        ({"name": "a"}, "envelope", ""),
    ],
)
def test_ready_made_messages_are_checked_inside_and_out(bad: dict[str, Any], code: str, pointer: str) -> None:
    only = route(payload="message", schema=NAMES, schema_id=NAMES.id)
    good = message({"name": "a"})
    (valid,), (dead,) = apply_refusing(ValidateXdm(routes(only), by_default(XdmRules)), [parsed(good, bad)])
    assert valid.bodies == [orjson.dumps(good)]
    assert (dead.code, dead.pointer, dead.record.offset) == (code, pointer, 1)


def test_the_sample_is_judged_as_its_oracle_says() -> None:
    samples = list(generate(300, kind="events", broken_share=0.3))
    samples = [one for one in samples if one.expected_stage != "parse"]
    rows = [record(one.sequence, one.value) for one in samples]
    entities = [orjson.loads(one.value) for one in samples]
    chunk = Chunk(EVENTS_TOPIC, 0, rows, "events", entities, [one.value for one in samples])
    (valid,), dead = apply_refusing(ValidateXdm(routes(route(schema=EVENT_SCHEMA)), by_default(XdmRules)), [chunk])
    expected = {one.sequence: one.expected_code for one in samples if one.broken}
    assert {one.record.offset: one.code for one in dead} == expected
    assert len(expected) > 30
    assert len(valid.records) == len(samples) - len(expected)


def events_with(identifier: str, count: int) -> list[dict[str, Any]]:
    samples = [orjson.loads(sample.value) for sample in generate(count, kind="events")]
    return [{**entity, "_id": identifier} for entity in samples]


def test_events_that_share_an_id_are_counted_and_said_once_though_their_bundle_is_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    step = ValidateXdmFn(routes(route(schema=EVENT_SCHEMA)), by_default(XdmRules))
    for again in (step, pickle.loads(pickle.dumps(step))):  # Flink makes a copy for each bundle that waits
        (valid,) = again.process(parsed(*events_with("same", 150)))
        assert isinstance(valid, Chunk)
        assert len(valid.bodies) == 150  # warned of, never refused
    counts = metrics.process_counts()
    assert counts == {"ids_looked_at/events": 150, "repeated_ids/events": 149}
    (said,) = caplog.messages
    assert said.startswith("route events: 149 of the 150 different events looked at have an _id that another one has")
    assert "same" not in said


def test_each_run_looks_at_ids_anew_and_profiles_have_none_that_matter() -> None:
    for _ in range(2):
        list(
            ValidateXdmFn(routes(route(schema=EVENT_SCHEMA)), by_default(XdmRules)).process(
                parsed(*events_with("same", 2))
            )
        )
    assert metrics.process_counts() == {"ids_looked_at/events": 4, "repeated_ids/events": 2}
    metrics.reset()
    list(ValidateXdmFn(routes(route(schema=NAMES)), by_default(XdmRules)).process(parsed({"name": "a"}, {"name": "b"})))
    assert metrics.process_counts() == {}
