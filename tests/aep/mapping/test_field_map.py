from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aep.mapping.entries import EntriesError
from aep.mapping.field_map import MapFault, Origin, compile_map

ORIGIN = Origin(
    "orders", 3, 42, b"k-1", 1_700_000_000_123, (("x", b"1"), ("x", b"2"), ("none", None), ("bad", b"\xff"))
)


def made(fields: dict[str, Any], record: dict[str, Any] | None = None, origin: Origin = ORIGIN) -> Any:
    return compile_map(fields).apply({} if record is None else record, origin)


def test_a_record_is_made_of_fields_constants_and_kafkas_metadata() -> None:
    fields = {
        "/_id": {"from": "/orderId"},
        "timestamp": {"from": "/createdMs", "type": "date-time"},
        "/eventType": {"value": "commerce.purchases"},
        "_acme.partition": {"kafka": "partition"},
        "/_acme/xdm:a~1b": {"from": "/lines/1/sku"},
        "/commerce": {"value": {"purchases": {"value": 1}}},
    }
    record = {"orderId": "o-1", "createdMs": 1_700_000_000_000, "lines": [{}, {"sku": "s"}], "more": 1}
    before = copy.deepcopy(record)
    assert made(fields, record) == {
        "_id": "o-1",
        "timestamp": "2023-11-14T22:13:20.000Z",
        "eventType": "commerce.purchases",
        "_acme": {"partition": 3, "xdm:a/b": "s"},
        "commerce": {"purchases": {"value": 1}},
    }
    assert record == before


@pytest.mark.parametrize(
    ("kafka", "value"),
    [
        ("topic", "orders"),
        ("partition", 3),
        ("offset", 42),
        ("key", "k-1"),
        ("timestamp", 1_700_000_000_123),
        ("header:x", "2"),
    ],
)
def test_kafkas_metadata(kafka: str, value: Any) -> None:
    assert made({"/a": {"kafka": kafka}}) == {"a": value}


def test_a_timestamp_of_kafka_as_a_date_time() -> None:
    assert made({"/a": {"kafka": "timestamp", "type": "date-time"}}) == {"a": "2023-11-14T22:13:20.123Z"}


def test_kafkas_timestamp_is_believed_as_the_milliseconds_that_it_is() -> None:
    early = ORIGIN._replace(timestamp=1)
    assert made({"/a": {"kafka": "timestamp", "type": "date-time"}}, origin=early) == {"a": "1970-01-01T00:00:00.001Z"}
    assert made({"/a": {"kafka": "timestamp", "type": "date", "unit": "ms"}}, origin=early) == {"a": "1970-01-01"}


def test_numbers_are_dates_by_their_unit_text_by_its_pattern_and_base64_numbers_by_their_scale() -> None:
    fields = {
        "/day": {"from": "/days", "type": "date", "unit": "days"},
        "/at": {"from": "/ns", "type": "date-time", "unit": "ns"},
        "/header": {"kafka": "header:at", "type": "date-time", "unit": "s"},
        "/born": {"from": "/born", "type": "date", "pattern": "%d.%m.%Y"},
        "/bought": {"from": "/bought", "type": "date-time", "pattern": "%d/%b/%Y:%H:%M:%S %z"},
        "/basic": {"from": "/basic", "type": "date", "pattern": "%y%m%d"},
        "/price": {"from": "/price", "type": "number", "scale": 2},
    }
    record = {
        "days": 19_000,
        "ns": 1_700_000_000_123_456_789,
        "born": "31.1.1990",
        "bought": "31/Jan/2026:10:00:00 -0530",
        "basic": 260131,
        "price": "BNI=",
    }
    origin = ORIGIN._replace(headers=(("at", b"1700000000"),))
    assert made(fields, record, origin) == {
        "day": "2022-01-08",
        "at": "2023-11-14T22:13:20.123456789Z",
        "header": "2023-11-14T22:13:20.000Z",
        "born": "1990-01-31",
        "bought": "2026-01-31T10:00:00-05:30",
        "basic": "2026-01-31",
        "price": 12.34,
    }


def test_text_without_an_offset_has_that_of_the_zone() -> None:
    in_paris = {"type": "date-time", "zone": "Europe/Paris"}
    fields = {
        "/iso": {"from": "/iso", **in_paris},
        "/summer": {"from": "/summer", **in_paris},
        "/utc": {"from": "/iso", "type": "date-time", "zone": "UTC"},
        "/own": {"from": "/own", **in_paris},
        "/german": {"from": "/german", **in_paris, "pattern": "%d.%m.%Y %H:%M:%S"},
    }
    record = {
        "iso": "2026-01-31 10:00:00,5",
        "summer": "2026-07-31T10:00",
        "own": "2026-01-31T10:00:00Z",
        "german": "31.7.2026 10:00:00",
    }
    assert made(fields, record) == {
        "iso": "2026-01-31T10:00:00.5+01:00",
        "summer": "2026-07-31T10:00:00+02:00",
        "utc": "2026-01-31T10:00:00.5+00:00",
        "own": "2026-01-31T10:00:00Z",
        "german": "2026-07-31T10:00:00+02:00",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2026-03-29T02:30:00", "ambiguous or nonexistent"),
        ("2026-10-25T02:30:00", "ambiguous or nonexistent"),
        ("2026-02-30T02:30:00", "not a valid date and time"),
        ("2026-01-31T10:00:61", "not a valid date and time"),
        ("1890-01-01T00:00:00", "an offset from UTC with seconds"),
        ("2026-01-31", "neither an ISO 8601 date and time"),
    ],
)
def test_a_time_that_its_zone_does_not_tell_is_a_fault(text: str, words: str) -> None:
    fault = made({"/a": {"from": "/x", "type": "date-time", "zone": "Europe/Paris"}}, {"x": text})
    assert isinstance(fault, MapFault)
    assert words in fault.message


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("%y%m%d", 260131, "2026-01-31"),
        ("%y%m%d", 60131, None),  # 060131
        ("%y%m%d", "060131", "2006-01-31"),
        ("%d%m%Y", 1012026, None),  # 01012026, which strptime takes for the 10th
        ("%d%m%Y", "1012026", None),
        ("%Y%m%d", 20260131, "2026-01-31"),
    ],
)
def test_digits_that_can_be_read_in_several_ways_are_no_date(pattern: str, value: Any, expected: str | None) -> None:
    found = made({"/a": {"from": "/x", "type": "date", "pattern": pattern}}, {"x": value})
    assert found == {"a": expected} if expected else isinstance(found, MapFault)


@pytest.mark.parametrize("value", ["31.2.2026", "2026-01-31", "", [], None, "31.01.2026 "])
def test_text_in_another_pattern_is_a_fault(value: Any) -> None:
    fault = made({"/a": {"from": "/x", "type": "date", "pattern": "%d.%m.%Y"}}, {"x": value})
    assert isinstance(fault, MapFault)
    assert fault.pointer == "/x"


def test_a_number_whose_unit_is_in_doubt_is_a_fault_that_says_what_to_do() -> None:
    assert made({"/a": {"from": "/x", "type": "date-time"}}, {"x": 19_000}) == MapFault(
        "/x",
        "/a cannot be made from /x: as milliseconds it is within a month of 1970: set its unit "
        "(unit: days, s, ms, us, ns)",
    )


def test_identities_are_in_arrays() -> None:
    fields = {
        "/identityMap/Email/0/id": {"from": "/email", "optional": True},
        "/identityMap/Email/1/id": {"from": "/other", "optional": True},
        "/identityMap/CRM/0/id": {"from": "/crm"},
        "/identityMap/CRM/0/primary": {"value": True},
    }
    assert made(fields, {"email": "e", "crm": "c"}) == {
        "identityMap": {"Email": [{"id": "e"}], "CRM": [{"id": "c", "primary": True}]}
    }
    assert made(fields, {"other": "o", "crm": "c"})["identityMap"]["Email"] == [{"id": "o"}]
    assert made(fields, {"crm": "c"})["identityMap"] == {"CRM": [{"id": "c", "primary": True}]}


def test_what_is_optional_is_left_out_with_all_around_it() -> None:
    assert made({"/a/b/c": {"from": "/x", "optional": True}}) == {}
    assert made({"/a/b": {"from": "/x", "optional": True}}, {"x": None}) == {}


def test_a_default_stands_for_what_is_missing_only() -> None:
    fields = {"/a": {"from": "/x", "type": "integer", "default": 7}}
    assert made(fields) == {"a": 7}
    assert made(fields, {"x": 0}) == {"a": 0}
    assert made(fields, {"x": "seven"}) == MapFault("/x", "/a cannot be made from /x: not a 64-bit integer")


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ({"from": "/x/0"}, MapFault("/x/0", "/a cannot be made from /x/0: the field is absent or null")),
        ({"kafka": "header:y"}, MapFault("", "/a cannot be made from Kafka's header:y: the record has none")),
        ({"kafka": "header:none"}, MapFault("", "/a cannot be made from Kafka's header:none: the record has none")),
        ({"kafka": "header:bad"}, MapFault("", "/a cannot be made from Kafka's header:bad: it is not UTF-8 text")),
        (
            {"from": "", "type": "string"},
            MapFault("", "/a cannot be made from the record: expected a string, got an object or array"),
        ),
    ],
)
def test_what_does_not_apply_is_told_with_its_source(source: dict[str, Any], fault: MapFault) -> None:
    assert made({"/a": source}) == fault


def test_a_record_without_key_or_timestamp() -> None:
    bare = ORIGIN._replace(key=None, timestamp=-1)
    assert isinstance(made({"/a": {"kafka": "key"}}, origin=bare), MapFault)
    assert isinstance(made({"/a": {"kafka": "timestamp"}}, origin=bare), MapFault)


@pytest.mark.parametrize("places", [("/at", "/at"), ("/at", "/at/city"), ("/at/city", "/at"), ("", "/at"), ("/at", "")])
def test_what_two_fields_are_made_of_is_not_shared(places: tuple[str, str]) -> None:
    """A transform may change one of them in place."""
    record = {"at": {"city": {"name": "Rome"}}, "a": 1}
    found = made({"/one": {"from": places[0]}, "/two": {"from": places[1]}}, record)
    two = copy.deepcopy(found["two"])
    _change(found["one"])
    assert found["two"] == two


def _change(value: dict[str, Any]) -> None:
    for inner in value.values():
        if isinstance(inner, dict):
            _change(inner)
    value["changed"] = True


def test_the_whole_record_can_be_a_field() -> None:
    assert made({"/_acme/order": {"from": ""}}, {"a": [1]}) == {"_acme": {"order": {"a": [1]}}}


@pytest.mark.parametrize(
    ("fields", "problems"),
    [
        ({"": {"value": 1}}, {"": "is not a field path"}),
        ({"/a//b": {"value": 1}}, {"/a//b": "is not a field path"}),
        ({"/a~2": {"value": 1}}, {"/a~2": "is not a field path"}),
        ({"/a": 1}, {"/a": "needs a source, such as {from: /orderId}"}),
        ({"/a": {}}, {"/a": "needs one of from, value, kafka"}),
        ({"/a": {"from": "/x", "value": 1}}, {"/a": "needs one of from, value, kafka"}),
        (
            {"/a": {"from": "/x", "typ": "string"}},
            {"/a": "has an unknown key typ: expected from, value, kafka, type, unit, pattern, zone"},
        ),
        ({"/a": {"from": "x"}}, {"/a": "from must be a JSON pointer"}),
        (
            {"/a": {"kafka": "topics"}},
            {"/a": "kafka must be one of topic, partition, offset, key, timestamp, header:NAME"},
        ),
        ({"/a": {"kafka": "header:"}}, {"/a": "kafka must be one of"}),
        ({"/a": {"from": "/x", "type": "int"}}, {"/a": "type must be one of string, integer, number, boolean"}),
        ({"/a": {"from": "/x", "type": ["string"]}}, {"/a": "type must be one of"}),
        ({"/a": {"from": "/x", "optional": "yes"}}, {"/a": "optional must be true or false"}),
        ({"/a": {"from": "/x", "optional": True, "default": 1}}, {"/a": "a field with a default is never missing"}),
        ({"/a": {"from": "/x", "unit": "s"}}, {"/a": "unit needs type: date-time or date"}),
        ({"/a": {"from": "/x", "type": "integer", "unit": "s"}}, {"/a": "unit needs type: date-time or date"}),
        ({"/a": {"from": "/x", "type": "date", "unit": "weeks"}}, {"/a": "unit must be one of days, s, ms, us, ns"}),
        ({"/a": {"from": "/x", "type": "date", "unit": ["s"]}}, {"/a": "unit must be one of"}),
        ({"/a": {"kafka": "timestamp", "type": "date", "unit": "s"}}, {"/a": "unit: Kafka's timestamp is in milli"}),
        (
            {"/a": {"kafka": "timestamp", "type": "date-time", "zone": "UTC"}},
            {"/a": "zone: Kafka's timestamp is in mi"},
        ),
        ({"/a": {"from": "/x", "pattern": "%Y"}}, {"/a": "pattern needs type: date-time or date"}),
        ({"/a": {"from": "/x", "type": "date", "pattern": 5}}, {"/a": "pattern must be text"}),
        ({"/a": {"from": "/x", "type": "date", "pattern": "%d.%m"}}, {"/a": "pattern has no day, month or year"}),
        ({"/a": {"from": "/x", "type": "date", "pattern": "dd.MM.yyyy"}}, {"/a": "pattern has no day, month or year"}),
        ({"/a": {"from": "/x", "type": "date", "pattern": "%Q"}}, {"/a": "pattern is not a strptime pattern"}),
        ({"/a": {"from": "/x", "type": "date", "pattern": "%Y%Y%m%d"}}, {"/a": "pattern is not a strptime pattern"}),
        (
            {"/a": {"from": "/x", "type": "date-time", "pattern": "%Y-%m-%d %H:%M"}},
            {"/a": "pattern has no offset from UTC (%z), which a date-time needs: add the time zone of the text"},
        ),
        (
            {"/a": {"from": "/x", "type": "date-time", "pattern": "%Y-%m-%d %H:%M%z", "zone": "UTC"}},
            {"/a": "pattern contains the offset from UTC (%z): remove the zone"},
        ),
        (
            {"/a": {"from": "/x", "type": "date-time", "zone": "Paris"}},
            {"/a": "zone must be UTC or the name of a time"},
        ),
        ({"/a": {"from": "/x", "type": "date-time", "zone": "Europe"}}, {"/a": "zone must be UTC"}),
        ({"/a": {"from": "/x", "type": "date-time", "zone": "../x"}}, {"/a": "zone must be UTC"}),
        ({"/a": {"from": "/x", "type": "date-time", "zone": ""}}, {"/a": "zone must be UTC"}),
        ({"/a": {"from": "/x", "type": "date-time", "zone": 1}}, {"/a": "zone must be UTC"}),
        ({"/a": {"from": "/x", "type": "date", "zone": "UTC"}}, {"/a": "zone needs type: date-time"}),
        (
            {"/a": {"from": "/x", "type": "date-time", "unit": "s", "zone": "UTC"}},
            {"/a": "has both a unit (for numbers) and a zone (for text)"},
        ),
        ({"/a": {"from": "/x", "type": "date-time", "pattern": "%Y-%m-%d%z"}}, {"/a": "pattern has no hours or min"}),
        (
            {"/a": {"from": "/x", "type": "date", "unit": "s", "pattern": "%Y-%m-%d"}},
            {"/a": "has both a unit (for numbers) and a pattern (for text)"},
        ),
        ({"/a": {"from": "/x", "scale": 2}}, {"/a": "scale needs type: number"}),
        ({"/a": {"from": "/x", "type": "number", "scale": "2"}}, {"/a": "scale must be a whole number from -400"}),
        ({"/a": {"from": "/x", "type": "number", "scale": True}}, {"/a": "scale must be a whole number"}),
        ({"/a": {"value": 1, "unit": "s"}}, {"/a": "a value is a constant"}),
        ({"/a": {"value": 1, "type": "string"}}, {"/a": "a value is a constant"}),
        ({"/a": {"value": None}}, {"/a": "value must not be null"}),
        ({"/a": {"from": "/x", "default": 2**64}}, {"/a": "default can't be written as JSON"}),
        ({"/a": {"value": 1}, "a": {"value": 1}}, {"a": "is already the target of another field"}),
        ({"/a": {"value": 1}, "/a/b": {"value": 1}}, {"/a/b": "is inside /a, which already has a value"}),
        (
            {"/a/b": {"value": 1}, "/a": {"value": 1}},
            {"/a": "is already the target of another field, or contains targets"},
        ),
        ({"/a/1": {"value": 1}}, {"/a": "an array needs the places /a/0, /a/1 and so on"}),
        ({"/a/0": {"value": 1}, "/a/b": {"value": 1}}, {"/a": "an array needs the places"}),
        ({"/a/00": {"value": 1}}, {"/a": "an array needs the places"}),
    ],
)
def test_maps_that_are_none(fields: dict[str, Any], problems: dict[str, str]) -> None:
    with pytest.raises(EntriesError) as caught:
        compile_map(fields)
    assert set(caught.value.entries) == set(problems)
    for target, words in problems.items():
        assert caught.value.entries[target].startswith(f"{target}: {words}")


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(EntriesError) as caught:
        compile_map({"/a": 1, "/b": {"value": 1}, "/c": {}})
    assert list(caught.value.entries) == ["/a", "/c"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(st.text(max_size=3), below, max_size=2),
    max_leaves=4,
)


@given(
    json_values,
    st.sampled_from(
        [
            {},
            *({"type": kind} for kind in ("string", "integer", "number", "boolean", "date-time", "date")),
            *({"type": kind, "unit": unit} for kind in ("date-time", "date") for unit in ("days", "s", "ns")),
            {"type": "date", "pattern": "%Y%m%d"},
            {"type": "date-time", "pattern": "%Y-%m-%dT%H:%M:%S%z"},
            {"type": "date-time", "zone": "Europe/Paris"},
            {"type": "number", "scale": 2},
        ]
    ),
    st.sampled_from([{}, {"optional": True}, {"default": "d"}]),
)
def test_any_value_is_made_the_type_or_told_of(value: Any, kind: dict[str, Any], more: dict[str, Any]) -> None:
    source = {"from": "/x", **more, **kind}
    field_map = compile_map({"/a": source})
    assert pickle.loads(pickle.dumps(field_map)) == field_map
    found = field_map.apply({"x": value}, ORIGIN)
    assert isinstance(found, dict | MapFault)
    if isinstance(found, MapFault):
        assert "default" not in more or value is not None
        if isinstance(value, str) and len(value) > 8:
            assert value not in found.message
