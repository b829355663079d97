from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from aep.mapping.conditions import compile_conditions
from aep.mapping.field_map import compile_map
from aep.mapping.json_patch import compile_patch
from aep.mapping.transform import RecordTransform, TransformError
from tests.transforms.eager import apply_refusing
from tests.transforms.examples import record, route
from transforms.map import ApplyMapping
from transforms.parse import ParseRecords
from transforms.records.chunk import Chunk
from transforms.records.route import Route, Routes
from transforms.worker import metrics, process


def mapped(one: Route, *values: bytes | None) -> tuple[list[dict[str, object]], list[tuple[str, str, str, int]]]:
    """Return what goes on, as its JSON has it, and (stage, code, pointer, offset) of the dead letters."""
    read = Chunk("events", 2, [record(offset, value, b"k-%d" % offset) for offset, value in enumerate(values)])
    (parsed,), dead = apply_refusing(ParseRecords(Routes([one]), "delete"), [read])
    assert dead == []
    chunks, dead = apply_refusing(ApplyMapping(Routes([one])), [parsed])
    found = []
    for chunk in chunks:
        assert [orjson.loads(body) for body in chunk.bodies] == chunk.entities
        assert len(chunk.records) == len(chunk.entities)
        found += chunk.entities
    return found, [(letter.stage, letter.code, letter.pointer, letter.record.offset) for letter in dead]


def test_what_a_route_drops_and_refuses_is_counted_by_the_route() -> None:
    metrics.reset()
    one = replace(
        route("one", "events"),
        drop=compile_conditions({"/test": True}),
        transform=RecordTransform("tests.own_steps:enrich"),
    )
    entities, dead = mapped(one, b'{"test":true}', b'{"kind":"b"}', b'{"kind":1}', b'{"kind":"a"}', b'{"test":true}')
    assert entities == [{"kind": "a", "name": "events-2-3"}]
    assert dead == [("transform", "transform", "", 2)]
    assert metrics.process_counts() == {"dropped": 3, "route/one/dropped": 3}


def test_where_the_function_cannot_be_imported_the_first_bundle_says_so() -> None:
    process.start_run()
    one = replace(route("events"), transform=RecordTransform("acme_not_there:enrich"))
    with pytest.raises(TransformError, match="acme_not_there:enrich cannot be imported"):
        mapped(one, b"{}")
    assert isinstance(process.failure, TransformError)
    process.start_run()


def test_a_route_that_adds_nothing_leaves_records_as_they_are() -> None:
    assert mapped(route("events"), b'{"a":1}') == ([{"a": 1}], [])
    assert mapped(route("events", payload="raw"), b'{"a":1}') == ([{"a": 1}], [])


def test_an_id_that_is_missing_is_filled_in() -> None:
    entities, dead = mapped(replace(route("events"), id_from=("offset",)), b'{"_id":"mine"}', b'{"a":1}', b"{}")
    assert entities == [{"_id": "mine"}, {"a": 1, "_id": "events-2-1"}, {"_id": "events-2-2"}]
    assert dead == []


def test_a_record_without_the_fields_of_its_id_is_dead_lettered_alone() -> None:
    entities, dead = mapped(replace(route("events"), id_from=("/a",)), b'{"a":1}', b'{"b":1}')
    assert [len(str(entity["_id"])) for entity in entities] == [32]
    assert dead == [("map", "id_field_missing", "/a", 1)]


def test_the_entity_of_a_ready_made_message_gets_its_id() -> None:
    by_offset = replace(route("events", payload="message"), id_from=("offset",))
    whole = b'{"header":{},"body":{"xdmEntity":{"a":1}}}'
    has_one = b'{"body":{"xdmEntity":{"_id":"mine"}}}'
    entities, _ = mapped(by_offset, whole, has_one, b'{"body":{}}', b'{"body":1}')
    assert entities == [
        {"header": {}, "body": {"xdmEntity": {"a": 1, "_id": "events-2-0"}}},
        {"body": {"xdmEntity": {"_id": "mine"}}},
        {"body": {}},
        {"body": 1},
    ]


def test_upserts_and_deletes() -> None:
    upserts = route("events", payload="raw", flow_id="f", operations={"data": "merge"}, key_field="memberId")
    own = b'{"header":{"operations":{"data":"create"}},"body":{"a":2}}'
    header = {"flowId": "f", "imsOrgId": "ACME@AdobeOrg", "datasetId": "d" * 24}
    assert mapped(upserts, b'{"a":1}', own, None)[0] == [
        {"header": {**header, "operations": {"data": "merge"}}, "body": {"a": 1}},
        orjson.loads(own),
        {"header": {**header, "operations": {"data": "delete"}}, "body": {"memberId": "k-2"}},
    ]


def test_a_tombstone_is_a_delete_also_where_records_are_no_upserts() -> None:
    raw = route("events", payload="raw", key_field="memberId")
    plain, delete = mapped(raw, b'{"a":1}', None)[0]
    assert plain == {"a": 1}
    assert delete["body"] == {"memberId": "k-1"}


def test_a_map_makes_records_which_then_get_their_id() -> None:
    fields = {"/order": {"from": "/a"}, "/at": {"kafka": "offset"}, "/by": {"kafka": "key"}}
    by_field = replace(route("events"), mapping=compile_map(fields), id_from=("/order",))
    entities, dead = mapped(by_field, b'{"a":1,"more":2}', b'{"b":1}', b'{"a":null}', b'{"a":{"x":1}}')
    assert [{name: entity[name] for name in ("order", "at", "by")} for entity in entities] == [
        {"order": 1, "at": 0, "by": "k-0"},
        {"order": {"x": 1}, "at": 3, "by": "k-3"},
    ]
    assert all(entity["_id"] and "more" not in entity for entity in entities)
    assert dead == [("map", "map", "/a", 1), ("map", "map", "/a", 2)]


def test_a_patch_changes_records_or_refuses_them_as_they_were() -> None:
    patch = compile_patch(
        [{"op": "add", "path": "/x", "value": 1}, {"op": "move", "from": "/a", "path": "/b"}], "rfc6902"
    )
    entities, dead = mapped(replace(route("events"), mapping=patch), b'{"a":1}', b'{"c":1}', b'{"a":[],"x":2}')
    assert entities == [{"x": 1, "b": 1}, {"x": 1, "b": []}]
    assert dead == [("map", "patch", "/b", 1)]


def test_a_chunk_of_which_no_record_could_be_mapped_does_not_go_on() -> None:
    patch = replace(route("events", payload="raw"), mapping=compile_patch([{"op": "remove", "path": "/a"}], "rfc6902"))
    assert mapped(patch, b"{}") == ([], [("map", "patch", "/a", 0)])


def test_a_mapping_that_nests_a_record_too_deeply() -> None:
    deep = b'{"a":' * 253 + b"1" + b"}" * 253
    nest = replace(route("events"), mapping=compile_map({"/a/b": {"from": ""}}))
    entities, dead = mapped(nest, b"{}", deep)
    assert (entities, dead) == ([{"a": {"b": {}}}], [("map", "map", "", 1)])


def test_an_upsert_has_its_header_around_the_mapped_record_and_a_tombstone_is_not_mapped() -> None:
    patch = compile_patch([{"op": "move", "from": "/a", "path": "/b"}], "rfc6902")
    upserts = replace(route("events", payload="raw", operations={"data": "merge"}, key_field="memberId"), mapping=patch)
    entities, dead = mapped(upserts, b'{"a":1}', None)
    assert [entity["body"] for entity in entities] == [{"b": 1}, {"memberId": "k-1"}]
    assert dead == []


def test_adobes_patch_makes_an_upsert_too() -> None:
    header = {"operations": {"data": "merge"}}
    patch = compile_patch(
        [
            {"op": "add", "path": "/body", "value": {}},
            {"op": "move", "from": "/a", "path": "/body/a"},
            {"op": "add", "path": "/header", "value": header},
        ],
        "rfc6902",
    )
    assert mapped(replace(route("events", payload="raw"), mapping=patch), b'{"a":1}') == (
        [{"body": {"a": 1}, "header": header}],
        [],
    )
