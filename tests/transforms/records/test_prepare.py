"""A record prepared whole, as commands do, and step by step over chunks, as the pipeline does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import orjson
import pytest
from apache_beam.pvalue import TaggedOutput
from hypothesis import given, settings
from hypothesis import strategies as st

from aep.mapping.conditions import Condition, compile_conditions
from aep.mapping.field_map import FieldMap, compile_map
from aep.mapping.ids import OFFSET
from aep.mapping.json_patch import Patch, compile_patch
from aep.mapping.transform import RecordTransform
from aep.xdm.rules import XdmRules
from samples.loyalty import EVENTS_TOPIC, generate
from testing.defaults import by_default
from testing.services.process import PATIENCE_SECONDS
from tests.transforms.examples import EVENT_SCHEMA, chunk, record, route, small_schema
from transforms.aep.inlet import as_inlet
from transforms.map import ApplyMappingFn
from transforms.parse import ParseRecordsFn
from transforms.records.chunk import Chunk
from transforms.records.outcome import Dropped, Prepared, Refusal
from transforms.records.prepare import MapStep, ParseStep, Preparation, ValidateStep, route_of
from transforms.records.record import Record
from transforms.records.route import Route, Routes
from transforms.validate import ValidateXdmFn

TOPIC = "t"
SCHEMA = small_schema(
    _id={"type": "string"}, name={"type": "string"}, kind={"type": "string"}, n={"type": "integer", "maximum": 9}
)
DESTINATION = {"schema_id": SCHEMA.id}

# What became of a record: the route and the bytes to post, or the fields of its dead letter, or None when dropped.
Fate = tuple[str, bytes] | tuple[Any, ...] | None


def by_pipeline(read: Chunk, routes: Routes, rules: XdmRules, tombstones: Any) -> dict[int, Fate]:
    """Return what the pipeline's steps make of each record, by its offset, all in one chunk."""
    fates: dict[int, Fate] = dict.fromkeys((one.offset for one in read.records), None)
    chunks = [read]
    for step in (ParseRecordsFn(routes, tombstones), ApplyMappingFn(routes), ValidateXdmFn(routes, rules)):
        outputs = [output for each in chunks for output in step.process(each)]
        chunks = [output for output in outputs if isinstance(output, Chunk)]
        for output in outputs:
            if isinstance(output, TaggedOutput):
                letter = output.value
                fates[letter.record.offset] = (
                    letter.stage,
                    letter.route,
                    letter.code,
                    letter.message,
                    letter.pointer,
                    letter.errors,
                    letter.error_count,
                    letter.schema.get("sha256"),
                )
    for each in chunks:
        for one, body in zip(each.records, each.bodies, strict=True):
            fates[one.offset] = each.route, body
    return fates


def by_command(read: Chunk, routes: Routes, rules: XdmRules, tombstones: Any) -> dict[int, Fate]:
    """Return what the whole preparation makes of each record, by its offset."""
    prepare = Preparation(routes.of_topic(read.topic), rules, tombstones)
    return {one.offset: fate(prepare(read.topic, read.partition, one)) for one in read.records}


def fate(outcome: Prepared | Refusal | Dropped) -> Fate:
    if isinstance(outcome, Prepared):
        return outcome.route.name, outcome.body
    if isinstance(outcome, Dropped):
        return None
    errors = [error._asdict() for error in outcome.errors]
    return (*outcome[:5], errors, outcome.error_count, outcome.schema.sha256 if outcome.schema else None)


ENTITIES = st.fixed_dictionaries(
    {},
    optional={
        "_id": st.sampled_from([None, "", "given"]),
        "name": st.sampled_from([None, "Ana", "\u00fc", ""]),
        "kind": st.sampled_from(["a", "b", None, 1]),
        "n": st.sampled_from([None, 0, 9, 10, 1.5]),
        "other": st.sampled_from([None, [None], [{"x": None}]]),
    },
)


def messages() -> st.SearchStrategy[dict[str, Any]]:
    version = "application/vnd.adobe.xed-full+json;version=1"
    reference = {"schemaRef": {"id": SCHEMA.id, "contentType": version}}
    header = st.sampled_from([{**reference, "datasetId": "d" * 24}, {**reference, "datasetId": "e"}, {}, None])
    body = st.fixed_dictionaries({"xdmMeta": st.just(reference), "xdmEntity": ENTITIES | st.none()})
    return st.fixed_dictionaries({"header": header, "body": body | st.none()})


def raw_records() -> st.SearchStrategy[dict[str, Any]]:
    operations = st.sampled_from([{"data": "merge"}, {"data": "drop"}, {"identity": "create"}, {}, None])
    header = st.builds(lambda one: {"operations": one}, operations)
    return st.fixed_dictionaries({"header": header}, optional={"body": ENTITIES | st.just(1)})


values = st.one_of(
    (ENTITIES | messages() | raw_records()).map(
        lambda one: orjson.dumps(one, option=orjson.OPT_INDENT_2 if len(one) % 2 else 0)
    ),
    st.sampled_from([b"", b" ", b"[]", b"{", b'{"name":"a","name":"b"}', b'{"n":99999999999999999999}', b"\xff"]),
    st.none(),
)
keys = st.sampled_from([None, b"", b"m-1", b'{"name":"x"}', b"\xff"])
read_records = st.builds(
    lambda at, parts: Record(at, 1_700_000_000_000 + at, parts[0], (("h", b"v"),), parts[1]),
    st.integers(0, 2**40),
    st.tuples(keys, values),
)
mappings: st.SearchStrategy[Patch | FieldMap | None] = st.sampled_from(
    [
        None,
        compile_patch(
            [{"op": "remove", "path": "/other"}, {"op": "add", "path": "/name", "value": "patched"}], "rfc6902"
        ),
        compile_map(
            {
                "/name": {"from": "/name", "default": "none"},
                "/n": {"from": "/n", "type": "integer", "optional": True},
                "/kind": {"kafka": "header:h"},
            }
        ),
        compile_map({"/_id": {"kafka": "key"}, "/name": {"kafka": "topic"}}),
    ]
)
transforms: st.SearchStrategy[RecordTransform | None] = st.sampled_from(
    [None, *(RecordTransform(f"tests.own_steps:{name}") for name in ("enrich", "in_place", "as_it_is", "not_a_number"))]
)
conditions: st.SearchStrategy[tuple[Condition, ...]] = st.sampled_from(
    [(), compile_conditions({"/kind": "a"}), compile_conditions({"/kind": ["b", 1]})]
)


@st.composite
def one_route(draw: st.DrawFn, name: str) -> Route:
    payload = draw(st.sampled_from(["entity", "message", "raw"]))
    operations: Mapping[str, str] = draw(st.sampled_from([{}, {"data": "merge"}])) if payload == "raw" else {}
    key_field = draw(st.sampled_from([None, "name"]))
    inlet: dict[str, Any] = {"payload": payload, "operations": operations, "key_field": key_field, **DESTINATION}
    made = route(name, TOPIC, schema=draw(st.sampled_from([SCHEMA, None])), **inlet)
    return replace(
        made,
        when=draw(conditions),
        drop=draw(conditions),
        mapping=draw(mappings),
        transform=draw(transforms),
        id_from=() if payload == "raw" else draw(st.sampled_from([(), (OFFSET,), ("/name",), ("/name", "/n")])),
    )


@settings(max_examples=300)
@given(
    st.tuples(one_route("one"), one_route("two")),
    st.lists(read_records, max_size=8, unique_by=lambda one: one.offset),
    st.sampled_from(["reject", "prune"]),
    st.sampled_from(["skip", "dead_letter", "delete"]),
    st.sampled_from([102_400, 60, 30]),
)
def test_a_record_goes_through_commands_and_pipeline_to_the_same_bytes_or_the_same_refusal(
    both: tuple[Route, Route], read: list[Record], nulls: Any, tombstones: Any, largest: int
) -> None:
    routes, rules = Routes(both), by_default(XdmRules, nulls=nulls, max_record_bytes=largest)
    whole = Chunk(TOPIC, 3, read)
    assert by_pipeline(whole, routes, rules, tombstones) == by_command(whole, routes, rules, tombstones)


GOOD = {"_id": "given", "name": "Ana", "n": 0}


@given(st.lists(ENTITIES | st.just(GOOD), max_size=4), st.lists(messages(), max_size=6), st.sampled_from([102_400, 30]))
def test_what_is_surely_valid_is_valid(entities: list[Any], envelopes: list[Any], largest: int) -> None:
    for one in envelopes:
        if one["body"] is not None:
            one["body"]["xdmEntity"] = GOOD
    cases = [("entity", entities), ("message", envelopes)]
    for (payload, found), schema in product(cases, (SCHEMA, None)):
        only = route("one", TOPIC, schema=schema, payload=payload, **DESTINATION)
        rules = by_default(XdmRules, max_record_bytes=largest)
        bodies = [orjson.dumps(one) for one in found]
        sure = ValidateStep(only, rules).surely(found, bodies)
        alone = [ValidateStep(only, rules)(one, body) for one, body in zip(found, bodies, strict=True)]
        valid = [one == body for one, body in zip(alone, bodies, strict=True)]
        assert all(is_valid for is_valid, is_sure in zip(valid, sure, strict=True) if is_sure)
        if largest > 30:
            assert sure == valid


@pytest.mark.parametrize("payload", ["entity", "message", "raw"])
def test_a_record_too_large_for_a_request_is_refused_by_both(payload: str) -> None:
    only = route("one", TOPIC, schema=None, payload=payload)
    version = "application/vnd.adobe.xed-full+json;version=1"
    reference = {"schemaRef": {"id": as_inlet(only.destination).schema_id, "contentType": version}}
    message = {"header": {**reference, "datasetId": "d" * 24}, "body": {"xdmMeta": reference, "xdmEntity": {}}}
    read = Chunk(TOPIC, 0, [record(at, orjson.dumps({**message, "x": "x" * at})) for at in (1, 1_000_000)])
    found = by_command(read, Routes([only]), by_default(XdmRules), "skip")
    assert found == by_pipeline(read, Routes([only]), by_default(XdmRules), "skip")
    assert [(one or ())[2:3] for one in found.values()] == [(), ("too_large",)]


def test_an_upsert_too_deep_to_be_written_again_is_refused_by_both() -> None:
    only = route("one", TOPIC, payload="raw", operations={"data": "merge"})
    values = [b'{"a":' * levels + b"null" + b"}" * levels for levels in (253, 254)]
    for nulls in ("reject", "prune"):
        rules = by_default(XdmRules, nulls=nulls)
        found = by_command(chunk(*values, topic=TOPIC), Routes([only]), rules, "skip")
        assert found == by_pipeline(chunk(*values, topic=TOPIC), Routes([only]), rules, "skip")
        expected = [(), ("too_deep",)] if nulls == "prune" else [(), ()]
        assert [(one or ())[2:3] for one in found.values()] == expected


def test_the_sample_is_prepared_as_its_oracle_says() -> None:
    samples = list(generate(300, kind="events", broken_share=0.3))
    read = Chunk(EVENTS_TOPIC, 0, [record(sample.sequence, sample.value) for sample in samples])
    prepare = Preparation((route("events", EVENTS_TOPIC, schema=EVENT_SCHEMA),), by_default(XdmRules), "skip")
    outcomes = {one.offset: prepare(EVENTS_TOPIC, 0, one) for one in read.records}
    refused = {offset: one[:1] + one[2:3] for offset, one in outcomes.items() if isinstance(one, Refusal)}
    assert refused == {one.sequence: (one.expected_stage, one.expected_code) for one in samples if one.broken}
    assert len(refused) > 30


def test_conditions_mappings_and_tombstones_count() -> None:
    schema = small_schema(name={"type": "string"})
    patch = compile_patch([{"op": "move", "from": "/n", "path": "/name"}, {"op": "remove", "path": "/kind"}], "rfc6902")
    one = replace(route("one", "t", schema=schema), when=compile_conditions({"/kind": "a"}), mapping=patch)
    two = replace(route("two", "t", schema=schema), when=compile_conditions({"/kind": "b"}))
    read = [{"kind": "a", "n": "x"}, {"kind": "a"}, {"kind": "b", "name": "x"}, {"kind": "c"}]
    prepare = Preparation((one, two), by_default(XdmRules), "skip")
    outcomes = [prepare("t", 0, each) for each in chunk(*map(orjson.dumps, read), None).records]
    assert [fate and fate[:3:2] for fate in map(fate, outcomes)] == [
        ("one",),
        ("map", "patch"),
        ("validate", "additionalProperties"),
        ("map", "no_route"),
        None,
    ]
    assert isinstance(outcomes[0], Prepared)
    assert orjson.loads(outcomes[0].body) == {"name": "x"}


def test_a_route_drops_before_it_maps_and_transforms_after_it() -> None:
    schema = small_schema(name={"type": "string"}, kind={"type": "string"})
    patch = compile_patch([{"op": "move", "from": "/is", "path": "/kind"}], "rfc6902")
    only = replace(
        route("one", "t", schema=schema),
        drop=compile_conditions({"/is": ["x", "y"], "/test": True}),
        mapping=patch,
        transform=RecordTransform("tests.own_steps:enrich"),
    )
    read = [{"is": "x", "test": True}, {"is": "b"}, {"is": 1}, {"is": "a"}, {"kind": "b"}, {"is": "x", "test": 1}]
    prepare = Preparation((only,), by_default(XdmRules), "skip")
    outcomes = [prepare("t", 3, each) for each in chunk(*map(orjson.dumps, read)).records]
    assert outcomes[0] == Dropped("drop", "one")
    assert outcomes[1] == Dropped("transform", "one")
    assert outcomes[2] == Refusal("transform", "one", "transform", "ValueError: kind 1 is unknown")
    assert isinstance(outcomes[3], Prepared)
    assert orjson.loads(outcomes[3].body) == {"kind": "a", "name": "t-3-3"}
    assert [fate(one) and fate(one)[0:3:2] for one in outcomes[4:]] == [  # type: ignore[index]
        ("map", "patch"),
        ("validate", "additionalProperties"),
    ]


def test_a_transform_that_returns_one_object_for_all_records_makes_records_of_their_own() -> None:
    only = replace(
        route("one", TOPIC, schema=SCHEMA, **DESTINATION),
        transform=RecordTransform("tests.own_steps:reused"),
        id_from=(OFFSET,),
    )
    read = chunk(b'{"name":1}', b'{"name":"Ana"}', topic=TOPIC)
    found = by_pipeline(read, Routes([only]), by_default(XdmRules), "skip")
    assert found == by_command(read, Routes([only]), by_default(XdmRules), "skip")
    assert (found[0] or ())[2:5:2] == ("type", "/name")
    assert found[1] == ("one", b'{"name":"Ana","_id":"t-0-1"}')


def test_text_of_another_class_than_pythons_is_text() -> None:
    only = replace(
        route("one", TOPIC, schema=SCHEMA, **DESTINATION),
        transform=RecordTransform("tests.own_steps:text_of_a_library"),
    )
    prepared = Preparation((only,), by_default(XdmRules), "skip")(TOPIC, 0, record(0))
    assert isinstance(prepared, Prepared)
    assert prepared.body == b'{"name":"Ana"}'


def test_a_delete_is_neither_dropped_nor_transformed() -> None:
    deletes = replace(
        route("one", "t", payload="raw", key_field="name"),
        drop=compile_conditions({"/name": "m-1"}),
        transform=RecordTransform("tests.own_steps:a_list"),
    )
    outcome = Preparation((deletes,), by_default(XdmRules), "delete")("t", 0, record(1, None, b"m-1"))
    assert isinstance(outcome, Prepared)


def test_where_neither_is_used_the_step_is_not_needed() -> None:
    assert not MapStep(route("one", "t")).is_needed
    assert MapStep(replace(route("one", "t"), drop=compile_conditions({"/a": 1}))).is_needed
    assert MapStep(replace(route("one", "t"), transform=RecordTransform("tests.own_steps:as_it_is"))).is_needed


def test_each_step_can_be_taken_alone() -> None:
    only = replace(route("r", "t", schema=SCHEMA, **DESTINATION), id_from=(OFFSET,))
    read = record(7, b' {"name": null, "n": 1}')
    parsed = ParseStep((only,), "skip")(read)
    assert parsed == ({"name": None, "n": 1}, b'{"name":null,"n":1}')
    assert route_of(read, {"name": None, "n": 1}, (only,)) is only
    mapped = MapStep(only)("t", 2, read, {"name": None, "n": 1}, b'{"name":null,"n":1}')
    assert mapped == ({"name": None, "n": 1, "_id": "t-2-7"}, b'{"name":null,"n":1,"_id":"t-2-7"}')
    pruned = ValidateStep(only, by_default(XdmRules, nulls="prune"))(*mapped[:2])
    assert pruned == b'{"n":1,"_id":"t-2-7"}'
    refusal = ValidateStep(only, by_default(XdmRules))(*mapped[:2])
    assert isinstance(refusal, Refusal)
    assert (refusal.stage, refusal.route, refusal.code, refusal.pointer, refusal.schema) == (
        "validate",
        "r",
        "type",
        "/name",
        SCHEMA,
    )


@pytest.mark.parametrize("module", ["transforms.records.prepare", "pipelines.cli.event_lines"])
def test_preparing_a_record_takes_no_beam(module: str) -> None:
    code = f"import sys, {module}; sys.exit('apache_beam' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=PATIENCE_SECONDS).returncode == 0
