from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from aep.mapping.conditions import compile_conditions
from tests.transforms.eager import apply_refusing
from tests.transforms.examples import chunk, record, route, routes
from transforms.parse import ParseRecords
from transforms.parse_avro import ParseAvro
from transforms.records.chunk import Chunk
from transforms.records.route import Routes
from transforms.worker import metrics

ROUTES = routes(route("events"), route("profiles", "^profiles"))


def test_records_get_their_entity_their_canonical_json_and_their_route() -> None:
    (parsed,), dead = apply_refusing(
        ParseRecords(ROUTES, "skip"), [chunk(b'{ "a": [1, 2.50] }', b'{"b":"\\u00e9"}', start=7)]
    )
    assert parsed.entities == [{"a": [1, 2.5]}, {"b": "é"}]
    assert parsed.bodies == [b'{"a":[1,2.5]}', '{"b":"é"}'.encode()]
    assert [one.offset for one in parsed.records] == [7, 8]
    assert parsed.records[0].value == b'{ "a": [1, 2.50] }'
    assert (parsed.route, dead) == ("events", [])


def test_each_topic_takes_its_route() -> None:
    chunks, _ = apply_refusing(
        ParseRecords(ROUTES, "skip"), [chunk(b"{}", topic="profiles-eu"), chunk(b"{}", topic="events")]
    )
    assert {one.topic: one.route for one in chunks} == {"profiles-eu": "profiles", "events": "events"}


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "empty"),
        (b'{"a":', "json"),
        (b"[1]", "type"),
        (b'{"a":1,"a":2}', "duplicate_key"),
        (b'{"a":123456789012345678901}', "integer_range"),
        (b'{"a":' * 300 + b"1" + b"}" * 300, "too_deep"),
    ],
)
def test_what_is_not_one_json_object_is_refused_with_its_bytes_and_its_neighbours_go_on(
    value: bytes, code: str
) -> None:
    (parsed,), (dead,) = apply_refusing(ParseRecords(ROUTES, "skip"), [chunk(b'{"n":1}', value, b'{"n":2}', start=5)])
    assert parsed.entities == [{"n": 1}, {"n": 2}]
    assert [one.offset for one in parsed.records] == [5, 7]
    assert (dead.stage, dead.code, dead.topic, dead.partition, dead.route) == ("parse", code, "events", 0, "events")
    assert dead.record == record(6, value)
    assert dead.message


def test_tombstones_are_counted_and_skipped() -> None:
    (parsed,), dead = apply_refusing(ParseRecords(ROUTES, "skip"), [chunk(None, b"{}", None)])
    assert [one.offset for one in parsed.records] == [1]
    assert dead == []
    assert metrics.process_counts() == {"tombstones": 2}


def test_tombstones_can_be_dead_lettered() -> None:
    (parsed,), (dead,) = apply_refusing(ParseRecords(ROUTES, "dead_letter"), [chunk(b"{}", None)])
    assert len(parsed.records) == 1
    assert (dead.code, dead.record.offset, dead.record.value) == ("tombstone", 1, None)
    assert metrics.process_counts() == {}


def test_tombstones_can_be_parsed_into_what_is_to_be_deleted() -> None:
    read = Chunk("events", 0, [record(0, None, b"a-1"), record(1, None, None), record(2)])
    keyed = Routes([route("events", payload="raw", key_field="memberId")])
    (parsed,), (dead,) = apply_refusing(ParseRecords(keyed, "delete"), [read])
    assert parsed.entities == [{"memberId": "a-1"}, {}]
    assert parsed.bodies == [b'{"memberId":"a-1"}', b"{}"]
    assert (dead.code, dead.record.offset) == ("tombstone", 1)


def test_a_chunk_of_which_nothing_is_left_does_not_go_on() -> None:
    parsed, dead = apply_refusing(ParseRecords(ROUTES, "skip"), [chunk(b"1", b"2"), Chunk("events", 0, [])])
    assert parsed == []
    assert len(dead) == 2


BY_TYPE = routes(
    replace(route("a"), topics=("events",), when=compile_conditions({"/type": "a"})),
    replace(route("b"), topics=("^ev",), when=compile_conditions({"/type": ["b", "c"]})),
)
WITH_REST = Routes([*BY_TYPE, route("rest", "events", key_field="memberId")])


def test_a_field_of_the_record_decides_which_route_it_takes() -> None:
    values = [b'{"type":"b"}', b'{"type":"a"}', b'{"type":"z"}', b'{"type":"c"}', b"{}", b'{"type":["a"]}']
    chunks, dead = apply_refusing(ParseRecords(WITH_REST, "skip"), [chunk(*values, start=5)])
    assert {one.route: [record.offset for record in one.records] for one in chunks} == {
        "b": [5, 8],
        "a": [6],
        "rest": [7, 9, 10],
    }
    for one in chunks:
        assert [orjson.loads(record.value or b"") for record in one.records] == one.entities
        assert [orjson.loads(body) for body in one.bodies] == one.entities
        assert (one.topic, one.partition) == ("events", 0)
    assert dead == []


def test_where_order_matters_records_of_routes_to_one_place_go_on_as_they_came() -> None:
    values = [b'{"type":"%c"}' % kind for kind in b"baabb"]
    together = WITH_REST.in_turn(lambda _: "one place")
    chunks, _ = apply_refusing(ParseRecords(WITH_REST, "skip", turns=together), [chunk(*values)])
    assert [(one.route, [record.offset for record in one.records]) for one in chunks] == [
        ("b", [0]),
        ("a", [1, 2]),
        ("b", [3, 4]),
    ]
    apart = Routes([route("a", "one"), route("b", "other")]).in_turn(lambda _: "one place")
    assert apart == {"a": (), "b": ()}


def test_a_record_that_fits_no_route_is_dead_lettered_alone() -> None:
    (parsed,), dead = apply_refusing(ParseRecords(BY_TYPE, "skip"), [chunk(b'{"type":"b"}', b'{"type":"z"}', b"no")])
    assert (parsed.route, [one.offset for one in parsed.records]) == ("b", [0])
    assert [(one.stage, one.code, one.route, one.record.offset) for one in dead] == [
        ("map", "no_route", "", 1),
        ("parse", "json", "", 2),
    ]


def test_a_tombstone_takes_the_route_without_conditions() -> None:
    read = Chunk("events", 0, [record(0, None, b"a-1")])
    (parsed,), _ = apply_refusing(ParseRecords(WITH_REST, "delete"), [read])
    assert (parsed.route, parsed.entities) == ("rest", [{"memberId": "a-1"}])
    keyed = Chunk("events", 0, [record(0, None, b'{"type":"a"}')])
    none, (dead,) = apply_refusing(ParseRecords(BY_TYPE, "delete"), [keyed])
    assert (none, dead.code) == ([], "no_route")


def test_each_topic_is_read_in_its_routes_format() -> None:
    avro = ParseAvro('{"type":"record","name":"R","fields":[{"name":"a","type":"bytes"}]}')
    both = routes(route("events"), replace(route("avro"), parse=avro))
    chunks, (dead,) = apply_refusing(
        ParseRecords(both, "skip"), [chunk(b'{"a":1}'), chunk(b"\x02x", b"\x04x", topic="avro", start=3)]
    )
    assert {one.route: one.bodies for one in chunks} == {"events": [b'{"a":1}'], "avro": [b'{"a":"eA=="}']}
    assert (dead.stage, dead.code, dead.route, dead.record) == ("parse", "avro", "avro", record(4, b"\x04x"))
