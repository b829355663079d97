from __future__ import annotations

from dataclasses import replace

import orjson

from aep.conditions import compile_conditions
from aep.json_patch import compile_patch
from aep.xdm.rules import XdmRules
from samples.loyalty import EVENTS_TOPIC, generate
from tests.transforms.records import EVENT_SCHEMA, chunk, record, route, small_schema
from transforms.chunks import Chunk
from transforms.judge import judge
from transforms.routes import Routes


def test_the_sample_is_judged_as_the_pipeline_does() -> None:
    samples = list(generate(300, kind="events", broken_share=0.3))
    read = Chunk(EVENTS_TOPIC, 0, [record(sample.sequence, sample.value) for sample in samples])
    routes = Routes([route("events", EVENTS_TOPIC, schema=EVENT_SCHEMA)])
    found = judge([read], routes, XdmRules(), "skip")
    expected = {sample.sequence: (sample.expected_stage, sample.expected_code) for sample in samples if sample.broken}
    assert {one.record.offset: (one.stage, one.code) for one in found.dead_letters} == expected
    assert (found.records, found.posted, found.skipped) == (300, 300 - len(expected), 0)
    assert len(expected) > 30


def test_conditions_mappings_and_tombstones_count() -> None:
    schema = small_schema(name={"type": "string"})
    patch = compile_patch([{"op": "move", "from": "/n", "path": "/name"}, {"op": "remove", "path": "/kind"}])
    one = replace(route("one", "t", schema=schema), when=compile_conditions({"/kind": "a"}), mapping=patch)
    two = replace(route("two", "t", schema=schema), when=compile_conditions({"/kind": "b"}))
    values = [{"kind": "a", "n": "x"}, {"kind": "a"}, {"kind": "b", "name": "x"}, {"kind": "c"}]
    found = judge([chunk(*map(orjson.dumps, values), None, topic="t")], Routes([one, two]), XdmRules(), "skip")
    assert (found.records, found.posted, found.skipped) == (5, 1, 1)
    assert sorted((letter.record.offset, letter.code) for letter in found.dead_letters) == [
        (1, "patch"),
        (2, "additionalProperties"),
        (3, "no_route"),
    ]
