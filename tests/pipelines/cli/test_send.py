"""What `beam-aep send` posts of an event: what a pipeline would. Sending itself is in test_provision_cli."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from aep.mapping.conditions import compile_conditions
from aep.mapping.ids import OFFSET
from aep.mapping.json_patch import compile_patch
from aep.mapping.transform import RecordTransform
from aep.xdm.rules import XdmRules
from pipelines.cli.main import main
from pipelines.cli.send import EventError, _show_dropped, prepare_event, read_events
from testing.defaults import by_default
from tests.transforms.examples import route, small_schema
from transforms.parse_avro import ParseAvro
from transforms.records.outcome import Dropped, Refusal
from transforms.records.route import Route, Routes

NOW_MS = 1_790_000_000_000
SCHEMA = small_schema(_id={"type": "string"}, name={"type": "string"})
REFERENCE = {"schemaRef": {"id": SCHEMA.id, "contentType": "application/vnd.adobe.xed-full+json;version=1"}}


def prepared(event: Any, only: Route, *others: Route, **rules: Any) -> bytes | Refusal | Dropped:
    value = event if isinstance(event, bytes) else orjson.dumps(event)
    return prepare_event(value, only, Routes([only, *others]), by_default(XdmRules, **rules), NOW_MS)


def test_an_id_is_filled_into_a_ready_made_message() -> None:
    only = replace(route("r", "t", schema=SCHEMA, schema_id=SCHEMA.id, payload="message"), id_from=(OFFSET,))
    message = {
        "header": {**REFERENCE, "datasetId": "d" * 24},
        "body": {"xdmMeta": REFERENCE, "xdmEntity": {"name": "x"}},
    }
    sent = prepared(message, only)
    assert isinstance(sent, bytes)
    assert orjson.loads(sent)["body"]["xdmEntity"] == {"name": "x", "_id": f"t-0-{NOW_MS}"}


def test_nulls_are_taken_out_where_the_options_say_so() -> None:
    only = route("r", "t", schema=SCHEMA)
    assert prepared({"name": None, "_id": "a"}, only, nulls="prune") == b'{"_id":"a"}'
    assert isinstance(prepared({"name": None, "_id": "a"}, only), Refusal)


def test_operations_that_a_pipeline_refuses_are_not_sent() -> None:
    found = prepared({"header": {"operations": {"data": "drop"}}, "body": {}}, route("r", "t", payload="raw"))
    assert isinstance(found, Refusal)
    assert (found.stage, found.code) == ("validate", "operations")


def test_a_mapping_that_does_not_apply_is_a_refusal() -> None:
    only = replace(route("r", "t"), mapping=compile_patch([{"op": "remove", "path": "/x"}], "rfc6902"))
    found = prepared({}, only)
    assert isinstance(found, Refusal)
    assert (found.stage, found.code) == ("map", "patch")


def test_an_event_that_its_route_drops_is_not_sent() -> None:
    drops = replace(route("r", "t"), drop=compile_conditions({"/test": True}))
    assert prepared({"test": True}, drops) == Dropped("drop", "r")
    assert prepared({"test": False}, drops) == b'{"test":false}'
    transforms = replace(route("r", "t"), transform=RecordTransform("tests.own_steps:enrich"))
    assert prepared({"kind": "b"}, transforms) == Dropped("transform", "r")


@pytest.mark.parametrize(("rule", "words"), [("drop", "the route's conditions"), ("transform", "returned None")])
def test_an_event_that_is_dropped_says_by_which_rule(rule: Any, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _show_dropped(Dropped(rule, "r")) == 1
    assert words in capsys.readouterr().out


def test_an_event_that_a_pipeline_sends_by_another_route_is_not_sent_by_this_one() -> None:
    one = replace(route("one", "t"), when=compile_conditions({"/kind": "a"}))
    two = route("two", "t")
    assert prepared({"kind": "a"}, one, two) == b'{"kind":"a"}'
    with pytest.raises(EventError, match=r"through the route two, whose conditions .* use --route two"):
        prepared({"kind": "b"}, one, two)
    with pytest.raises(EventError, match="no record through the route two: one takes them all"):
        prepare_event(b"{}", two, Routes([replace(one, when=()), two]), by_default(XdmRules), NOW_MS)


def test_an_event_for_a_route_of_avro_may_be_json() -> None:
    schema = '{"type":"record","name":"r","fields":[{"name":"name","type":"string"}]}'
    only = replace(route("r", "^t.*", schema=SCHEMA), parse=ParseAvro(schema))
    assert prepared({"name": "x"}, only) == prepared(b"\x02x", only) == b'{"name":"x"}'


@pytest.mark.parametrize("value", [b"", b"{", b'{"a":1,"a":2}', b'"a"'])
def test_what_is_no_event_is_said(value: bytes) -> None:
    with pytest.raises(EventError, match="not a valid event: "):
        prepared(value, route("r", "t"))


def test_a_compressed_file_that_was_cut_off_is_not_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "event.json.gz"
    path.write_bytes(gzip.compress(b'{"_id":"1"}')[:-1])
    assert main(["send", "--route", "r", "--routes_file=none.yaml", str(path)]) == 2
    assert f"error: {path} is cut off" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b'{"a":1}', b'[{"a":1}]', b'{\r\n"a": 1\r\n}\r\n'])
def test_a_byte_order_mark_in_front_of_a_file_is_not_sent(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "event.json"
    path.write_bytes(b"\xef\xbb\xbf" + content)
    assert [orjson.loads(event) for event in read_events(str(path))] == [{"a": 1}]


def test_an_option_that_a_run_refuses_beside_a_routes_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "event.json"
    path.write_bytes(b'{"a":1}')
    assert main(["send", "--route=r", "--routes_file=none.yaml", "--xdm_id_from=offset", str(path)]) == 2
    assert "xdm_id_from (command line): contradicts routes_file" in capsys.readouterr().err
