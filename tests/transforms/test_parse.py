from __future__ import annotations

import pytest

from tests.transforms.eager import apply_refusing
from tests.transforms.records import chunk, record, route, routes
from transforms import account
from transforms.chunks import Chunk
from transforms.parse import ParseJson

ROUTES = routes(route("events"), route("profiles", "^profiles"))


def test_records_get_their_entity_their_canonical_json_and_their_route() -> None:
    (parsed,), dead = apply_refusing(ParseJson(ROUTES), [chunk(b'{ "a": [1, 2.50] }', b'{"b":"\\u00e9"}', start=7)])
    assert parsed.entities == [{"a": [1, 2.5]}, {"b": "é"}]
    assert parsed.bodies == [b'{"a":[1,2.5]}', '{"b":"é"}'.encode()]
    assert [one.offset for one in parsed.records] == [7, 8]
    assert parsed.records[0].value == b'{ "a": [1, 2.50] }'
    assert (parsed.route, dead) == ("events", [])


def test_each_topic_takes_its_route() -> None:
    chunks, _ = apply_refusing(ParseJson(ROUTES), [chunk(b"{}", topic="profiles-eu"), chunk(b"{}", topic="events")])
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
    (parsed,), (dead,) = apply_refusing(ParseJson(ROUTES), [chunk(b'{"n":1}', value, b'{"n":2}', start=5)])
    assert parsed.entities == [{"n": 1}, {"n": 2}]
    assert [one.offset for one in parsed.records] == [5, 7]
    assert (dead.stage, dead.code, dead.topic, dead.partition, dead.route) == ("parse", code, "events", 0, "events")
    assert dead.record == record(6, value)
    assert dead.message


def test_tombstones_are_counted_and_skipped() -> None:
    (parsed,), dead = apply_refusing(ParseJson(ROUTES), [chunk(None, b"{}", None)])
    assert [one.offset for one in parsed.records] == [1]
    assert dead == []
    assert account.process_counts() == {"tombstones": 2}


def test_tombstones_can_be_dead_lettered() -> None:
    (parsed,), (dead,) = apply_refusing(ParseJson(ROUTES, "dead_letter"), [chunk(b"{}", None)])
    assert len(parsed.records) == 1
    assert (dead.code, dead.record.offset, dead.record.value) == ("tombstone", 1, None)
    assert account.process_counts() == {"tombstones": 1}


def test_a_chunk_of_which_nothing_is_left_does_not_go_on() -> None:
    parsed, dead = apply_refusing(ParseJson(ROUTES), [chunk(b"1", b"2"), Chunk("events", 0, [])])
    assert parsed == []
    assert len(dead) == 2
