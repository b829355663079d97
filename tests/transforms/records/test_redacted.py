from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.examples import record
from transforms.records.dead_letter import DeadLetter
from transforms.records.redacted import redacted, shape

SECRET = "tok-4711"
leaves = st.just(SECRET) | st.just(4711) | st.just(47.11) | st.booleans() | st.none()
names = st.text(st.characters(codec="utf-8", exclude_characters="47"), max_size=9)
documents = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(names, inner, max_size=3),
    max_leaves=30,
)


@given(documents)
def test_no_value_is_left(document: object) -> None:
    shown = orjson.dumps(shape(orjson.dumps(document)))
    assert SECRET.encode() not in shown
    assert b"47" not in shown


def test_values_are_replaced_by_their_types() -> None:
    value = b'{"_id":"x","n":1,"f":1.5,"ok":true,"none":null,"list":[1,2,3,4,5],"@id":{"a":"b"}}'
    assert shape(value) == {
        "_id": "string",
        "n": "integer",
        "f": "number",
        "ok": "boolean",
        "none": "null",
        "list": ["integer", "integer", "integer", "and 2 more"],
        "@id": {"a": "string"},
    }


@pytest.mark.parametrize("name", ["ada@example.com", "+49 30 901820", "4711", "", "x" * 70, "<b>"])
def test_a_name_that_may_be_data_is_not_shown(name: str) -> None:
    assert shape(orjson.dumps({name: 1})) == {f"(a name of {len(name)} characters)": "integer"}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "no value"),
        (b"no json", "text that cannot be read as JSON, 7 bytes"),
        (b"\x00\x00\x00\x00\x01abc", "binary, 8 bytes"),
        (b"\xff", "binary, 1 byte"),
        (b'"text"', "string"),
    ],
)
def test_what_is_no_document_is_described(value: bytes | None, kind: str) -> None:
    assert shape(value) == kind


def test_a_huge_or_deep_record_has_an_example_of_a_page() -> None:
    assert len(shape(orjson.dumps({f"f{number}": 1 for number in range(100_000)}))) == 201
    deep = b'{"a":' * 500 + b"1" + b"}" * 500
    assert orjson.dumps(shape(deep)).count(b"a") == 20


def test_the_message_and_what_else_may_quote_the_record_is_left_out() -> None:
    kept = record(7, b'{"a":"tok-4711"}', key=b"tok-4711", headers=(("trace", b"tok-4711"),))
    errors = [
        {"code": "type", "pointer": "/people/tok@4711/0", "schema_pointer": "", "message": "tok-4711 is not a number"}
    ]
    one = DeadLetter("validate", "type", "tok-4711", "events", 1, kept, pointer="/people/tok@4711/0", errors=errors)
    shown = redacted(one)
    assert b"4711" not in orjson.dumps(shown)
    assert shown["pointer"] == "/people/(a name of 8 characters)/0"
    assert shown["violations"] == [{"code": "type", "pointer": "/people/(a name of 8 characters)/0"}]
    assert (shown["topic"], shown["partition"], shown["offset"], shown["headers"]) == ("events", 1, 7, ["trace"])


def test_a_missing_field_is_named_since_it_is_the_schemas() -> None:
    one = DeadLetter("validate", "required", "required key [tier] not found", "events", 1, record(7))
    assert redacted(one)["missing"] == "tier"
