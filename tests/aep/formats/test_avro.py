from __future__ import annotations

import base64
import io
import json
import struct
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import fastavro
import orjson
import pytest
from confluent_kafka.schema_registry import dual_schema_id_deserializer
from confluent_kafka.schema_registry.serde import SchemaId
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError
from hypothesis import given
from hypothesis import strategies as st

from aep.formats.avro import VALUE_SCHEMA_ID, AvroReader, AvroSchemaError, schema_key
from aep.formats.json import ParsedObject, ParseFailure
from aep.xdm.rejection import MAX_POINTER

FIXED = {"type": "fixed", "name": "F", "size": 16}


def record_of(**types: Any) -> dict[str, Any]:
    fields = [{"name": name, "type": kind} for name, kind in types.items()]
    return {"type": "record", "name": "R", "namespace": "acme", "fields": fields}


def written(schema: Any, value: Any) -> bytes:
    """Avro by fastavro's writer."""
    data = io.BytesIO()
    fastavro.schemaless_writer(data, fastavro.parse_schema(schema), value)
    return data.getvalue()


def read(kind: Any, data: bytes) -> Any:
    """Return what a record's only field, of a type, is read as: the value, or (code, pointer) of the failure."""
    result = AvroReader(json.dumps(record_of(a=kind))).read(data)
    if isinstance(result, ParseFailure):
        return result.code, result.pointer
    assert orjson.loads(result.data) == result.entity
    return result.entity["a"]


def logical(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "logicalType": name, **more}


UTC = timezone.utc


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("null", None, None),
        ("boolean", True, True),
        ("long", 2**63 - 1, 2**63 - 1),
        ("double", 2.5, 2.5),
        ("float", 0.5, 0.5),
        ("string", "é", "é"),
        ("bytes", b"\xff\x00", "/wA="),
        (FIXED, b"0123456789abcdef", base64.b64encode(b"0123456789abcdef").decode()),
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, "B", "B"),
        ({"type": "array", "items": "bytes"}, [b"a", b""], ["YQ==", ""]),
        ({"type": "map", "values": ["null", "int"]}, {"x": 1, "y/z": None}, {"x": 1, "y/z": None}),
        (["null", "string"], None, None),
        (["null", logical("int", "date")], date(2024, 2, 29), "2024-02-29"),
        (logical("int", "date"), date(1, 1, 1), "0001-01-01"),
        (logical("long", "timestamp-millis"), datetime(2024, 1, 2, 3, 4, 5, 6000, UTC), "2024-01-02T03:04:05.006Z"),
        (
            logical("long", "timestamp-millis"),
            datetime(1969, 12, 31, 23, 59, 59, 1000, UTC),
            "1969-12-31T23:59:59.001Z",
        ),
        (logical("long", "timestamp-micros"), datetime(2024, 1, 2, 3, 4, 5, 6, UTC), "2024-01-02T03:04:05.000006Z"),
        (logical("long", "timestamp-nanos"), 1, "1970-01-01T00:00:00.000000001Z"),
        (logical("long", "local-timestamp-millis"), datetime(2024, 1, 2, 3, 4), "2024-01-02T03:04:00.000"),
        (logical("int", "time-millis"), time(3, 4, 5, 6000), "03:04:05.006"),
        (logical("long", "time-micros"), time(23, 59, 59, 999999), "23:59:59.999999"),
        (logical("string", "uuid"), UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({**FIXED, "logicalType": "uuid"}, UUID(int=1).bytes, "00000000-0000-0000-0000-000000000001"),
        (logical("bytes", "decimal", precision=9, scale=2), Decimal("-12.30"), -12.3),
        (logical("bytes", "decimal", precision=20), Decimal(2**63), 2**63),
        ({**FIXED, "logicalType": "decimal", "precision": 9, "scale": 2}, Decimal("0.01"), 0.01),
        # A logical type that is unknown, or on another type, does not count.
        (logical("string", "date"), "x", "x"),
        (logical("bytes", "duration"), b"\x00", "AA=="),
        # An int and a long in one union are told apart by their branch.
        ([logical("int", "date"), logical("long", "timestamp-millis")], 0, "1970-01-01"),
    ],
)
def test_values_as_xdm_wants_them(kind: Any, value: Any, expected: Any) -> None:
    writer = {"type": "record", "name": "W", "fields": [{"name": "a", "type": kind}]}
    assert read(kind, written(writer, {"a": value})) == expected


def connect(kind: str, name: str, **more: Any) -> dict[str, Any]:
    """Return a type as Connect's AvroConverter writes one that has a name."""
    return {"type": kind, "connect.version": 1, "connect.name": name, **more}


CONNECT = "org.apache.kafka.connect.data"
VARIABLE = {
    "type": "record",
    "name": "VariableScaleDecimal",
    "namespace": "io.debezium.data",
    "fields": [{"name": "scale", "type": "int"}, {"name": "value", "type": "bytes"}],
    "connect.version": 1,
    "connect.name": "io.debezium.data.VariableScaleDecimal",
}


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (connect("int", "io.debezium.time.Date"), 19_000, "2022-01-08"),
        (connect("long", "io.debezium.time.Timestamp"), 1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
        (connect("long", "io.debezium.time.MicroTimestamp"), 1_700_000_000_123_456, "2023-11-14T22:13:20.123456Z"),
        (
            connect("long", "io.debezium.time.NanoTimestamp"),
            1_700_000_000_123_456_789,
            "2023-11-14T22:13:20.123456789Z",
        ),
        (
            connect("string", "io.debezium.time.ZonedTimestamp"),
            "2026-01-31T10:00:00+01:00",
            "2026-01-31T10:00:00+01:00",
        ),
        (connect("int", "io.debezium.time.Time"), 11_045_006, "03:04:05.006"),
        (connect("long", "io.debezium.time.MicroTime"), 11_045_000_006, "03:04:05.000006"),
        (connect("long", "io.debezium.time.NanoTime"), 11_045_000_000_006, "03:04:05.000000006"),
        # MySQL's TIME is a span too.
        (connect("long", "io.debezium.time.MicroTime"), -3_020_399_000_000, "-838:59:59.000000"),
        (connect("int", f"{CONNECT}.Date"), 19_000, "2022-01-08"),
        (connect("int", f"{CONNECT}.Date", logicalType="date"), 19_000, "2022-01-08"),
        (connect("int", f"{CONNECT}.Time"), 11_045_006, "03:04:05.006"),
        (connect("long", f"{CONNECT}.Timestamp"), 1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
        (connect("bytes", f"{CONNECT}.Decimal", scale=2), b"\x04\xd2", 12.34),
        (connect("bytes", f"{CONNECT}.Decimal", **{"connect.parameters": {"scale": "2"}}), b"\x04\xd2", 12.34),
        (connect("bytes", f"{CONNECT}.Decimal"), b"\x0c", 12),
        (VARIABLE, {"scale": 3, "value": b"\x04\xd2"}, 1.234),
        (VARIABLE, {"scale": -1, "value": b"\x0c"}, 120),
        # A name on another type, or one that says nothing of the value, does not count.
        (connect("string", "io.debezium.time.Date"), "x", "x"),
        (connect("int", "io.debezium.time.Year"), 2026, 2026),
        (connect("bytes", "io.debezium.data.Bits"), b"\x01", "AQ=="),
    ],
)
def test_types_that_only_connect_name_marks_are_read_as_what_they_are(kind: Any, value: Any, expected: Any) -> None:
    plain = kind if kind is VARIABLE or "logicalType" in kind else kind["type"]
    value = date(2022, 1, 8) if "logicalType" in kind else value
    data = written(record_of(a=["null", plain]), {"a": value})
    assert read(["null", kind], data) == expected


def test_a_type_of_connects_that_is_used_twice_by_its_name_is_read_twice() -> None:
    schema = record_of(a=VARIABLE, b={"type": "array", "items": "io.debezium.data.VariableScaleDecimal"})
    price = {"scale": 1, "value": b"\x0c"}
    result = AvroReader(json.dumps(schema)).read(written(schema, {"a": price, "b": [price]}))
    assert isinstance(result, ParsedObject)
    assert result.entity == {"a": 1.2, "b": [1.2]}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (connect("int", "io.debezium.time.Date"), 2**31 - 1),
        (connect("int", f"{CONNECT}.Time"), 86_400_000),
        (VARIABLE, {"scale": 9_999, "value": b"\x0c"}),
        (VARIABLE, {"scale": 0, "value": b"\x01" * 9}),
        ("double", float("nan")),
        ("float", float("-inf")),
        (logical("int", "date"), 2**31 - 1),
        (logical("int", "time-millis"), 86_400_000),
        (logical("long", "timestamp-millis"), 2**63 - 1),
        (logical("long", "timestamp-micros"), -(2**63)),
        (logical("bytes", "decimal", precision=40), Decimal(2**64)),
        (logical("bytes", "decimal", precision=40, scale=20), Decimal("1.00000000000000000001")),
    ],
)
def test_what_json_cannot_carry_unchanged_is_told_with_its_place(kind: Any, value: Any) -> None:
    as_it_is = kind is VARIABLE or (isinstance(kind, dict) and kind.get("logicalType") == "decimal")
    plain = kind["type"] if isinstance(kind, dict) and not as_it_is else kind
    data = written(record_of(a={"type": "array", "items": plain}), {"a": [value]})
    assert read({"type": "array", "items": kind}, data) == ("avro", "/a/0")


def test_a_type_within_a_type_is_that_type() -> None:
    assert read({"type": {"type": "bytes"}}, b"\x02a") == "YQ=="


def test_a_decimal_of_thousands_of_digits_is_refused_for_its_digits() -> None:
    reader = AvroReader(json.dumps(record_of(a=logical("bytes", "decimal", precision=9_000, scale=2))))
    result = reader.read(written(record_of(a="bytes"), {"a": b"\x7f" * 3_000}))
    assert result == ParseFailure("avro", "has more digits than a JSON number holds exactly", "/a")


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ("{", "not a valid Avro schema: not JSON: "),
        ('{"type":"record","name":"R"}', "not a valid Avro schema: a type or field has no 'fields'"),
        ("null", "not a valid Avro schema: malformed type"),
        ("[" * 100_000, "not a valid Avro schema: its types are nested too deeply"),
    ],
)
def test_what_is_no_schema_is_told_in_words(schema: str, words: str) -> None:
    with pytest.raises(AvroSchemaError) as caught:
        AvroReader(schema)
    assert str(caught.value).startswith(words)


def test_a_decimal_beyond_its_precision_is_not_rounded() -> None:
    kind = logical("bytes", "decimal", precision=4, scale=2)
    assert read(kind, b"\x08" + (123456789).to_bytes(4, "big")) == 1234567.89


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("string", b""),
        ("string", b"\x0aabc"),
        ("string", b"\x05abc"),
        ("string", b"\x02\xff"),
        ("boolean", b""),
        ("double", b"\x00" * 7),
        ("long", b"\xff" * 20),
        (["null", "int"], b"\x04"),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, b"\x08"),
        ({"type": "array", "items": "int"}, b"\x06\x02"),
        ({"type": "map", "values": "int"}, b"\x02\x02"),
        ("int", b"\x02\x02"),
    ],
)
def test_what_is_not_avro_of_the_schema(kind: Any, data: bytes) -> None:
    assert read(kind, data)[0] == "avro"


def test_a_long_name_in_the_record_is_cut() -> None:
    schema = record_of(m={"type": "map", "values": {"type": "map", "values": "double"}})
    result = AvroReader(json.dumps(schema)).read(written(schema, {"m": {"k" * 90_000: {"x": float("nan")}}}))
    assert isinstance(result, ParseFailure)
    assert result.pointer == f"/m/{'k' * (MAX_POINTER - 6)}..."


@pytest.mark.parametrize("levels", [300, 100_000])
def test_records_nested_too_deeply_do_not_end_the_process(levels: int) -> None:
    reader = AvroReader(json.dumps(record_of(next=["null", "R"])))
    assert reader.read(b"\x02\x02\x00") == ParsedObject(
        {"next": {"next": {"next": None}}}, b'{"next":{"next":{"next":null}}}'
    )
    result = reader.read(b"\x02" * levels + b"\x00")
    assert isinstance(result, ParseFailure)
    assert result.code == "too_deep"


def test_a_schema_may_refer_to_others() -> None:
    money = {"type": "record", "name": "shop.Money", "fields": [{"name": "amount", "type": "bytes"}]}
    line = {"type": "record", "name": "shop.Line", "fields": [{"name": "price", "type": "Money"}]}
    order = record_of(lines={"type": "array", "items": "shop.Line"}, total="shop.Money")
    reader = AvroReader(json.dumps(order), [json.dumps(money), json.dumps(line)])
    result = reader.read(b"\x02\x02a\x00\x02b")
    assert isinstance(result, ParsedObject)
    assert result.entity == {"lines": [{"price": {"amount": "YQ=="}}], "total": {"amount": "Yg=="}}


@pytest.mark.parametrize(
    "schema",
    [
        "",
        "{",
        "5",
        "null",
        "{}",
        '"Order"',
        '{"type":"record"}',
        '{"type":"record","name":"R","fields":5}',
        '{"type":"record","name":"R","fields":[{"name":"a","type":"Money"}]}',
        '{"type":"enum","name":"E","symbols":["A","A"]}',
        '{"type":"fixed","name":"F"}',
        '{"type":"bytes","logicalType":"decimal","scale":-1}',
        "[" * 5_000,
    ],
)
def test_what_is_no_schema(schema: str) -> None:
    with pytest.raises(AvroSchemaError):
        AvroReader(schema)


def test_a_schema_of_something_else_than_a_record() -> None:
    result = AvroReader('"string"').read(b"\x02a")
    assert isinstance(result, ParseFailure)
    assert (result.code, result.message) == ("type", "the Avro schema is not of type record")


GUID = bytes(range(16))


@pytest.mark.parametrize(
    ("value", "header", "words"),
    [
        (b"", None, "the value has 0 bytes, fewer than the 5"),
        (b"\x00\x00\x00\x01", None, "the value has 4 bytes, fewer than the 5 that name the schema"),
        (b"\x01\x00\x00\x00\x01", None, "the value has 5 bytes, fewer than the 17 that name the schema"),
        (b'{"a":1}', None, "the value begins with the byte 0x7b, not 0x00 or 0x01, and looks like JSON"),
        (b"\x02a", None, "the value begins with the byte 0x02, not 0x00 or 0x01"),
        # A header counts also where it names nothing.
        (b"\x00\x00\x00\x00\x01a", b"", "the header __value_schema_id has 0 bytes, fewer than the 5"),
        (b"\x00\x00\x00\x00\x01a", b"\x01" + GUID[:15], "the header __value_schema_id has 16 bytes, fewer than the 17"),
        (b"\x00\x00\x00\x00\x01a", b"\x07", "the header __value_schema_id begins with the byte 0x07"),
    ],
)
def test_what_is_not_confluents_wire_format(value: bytes, header: bytes | None, words: str) -> None:
    result = schema_key(value, header)
    assert isinstance(result, ParseFailure)
    assert result.code == "avro"
    assert words in result.message


@pytest.mark.parametrize(
    ("value", "header", "found"),
    [
        (b"\x00\x00\x00\x01\x02", None, (258, 5)),
        (b"\x00\xff\xff\xff\xffab", None, (2**32 - 1, 5)),
        (b"\x01" + GUID + b"ab", None, (GUID, 17)),
        (b"ab", b"\x01" + GUID, (GUID, 0)),
        (b"\x00\x00\x00\x01\x02ab", b"\x01" + GUID, (GUID, 0)),
        (b"ab", b"\x00\x00\x00\x01\x02", (258, 0)),
    ],
)
def test_confluents_wire_format(value: bytes, header: bytes | None, found: tuple[int | bytes, int]) -> None:
    assert schema_key(value, header) == found


perhaps_named = st.tuples(st.sampled_from([b"", b"\x00", b"\x01"]), st.binary(max_size=20)).map(b"".join)


@given(perhaps_named, st.none() | perhaps_named)
def test_the_schema_that_confluents_deserializer_takes_is_taken(value: bytes, header: bytes | None) -> None:
    headers = None if header is None else [(VALUE_SCHEMA_ID, header)]
    theirs = SchemaId("AVRO")
    try:
        rest = dual_schema_id_deserializer(value, SerializationContext("t", MessageField.VALUE, headers), theirs).read()
    except (SerializationError, struct.error, ValueError):
        assert isinstance(schema_key(value, header), ParseFailure)
        return
    key = theirs.id if theirs.guid is None else theirs.guid.bytes
    assert schema_key(value, header) == (key, len(value) - len(rest))


EVERYTHING = record_of(
    flag="boolean",
    number=["null", "int", "double"],
    text="string",
    data="bytes",
    day=logical("int", "date"),
    moment=["null", logical("long", "timestamp-micros")],
    price=logical("bytes", "decimal", precision=15, scale=3),
    tags={"type": "array", "items": "string"},
    more={"type": "map", "values": {"type": "record", "name": "Inner", "fields": [{"name": "id", "type": "long"}]}},
)
values = st.fixed_dictionaries(
    {
        "flag": st.booleans(),
        "number": st.none() | st.integers(-(2**31), 2**31 - 1) | st.floats(allow_nan=False, allow_infinity=False),
        "text": st.text(max_size=20),
        "data": st.binary(max_size=20),
        "day": st.dates(),
        "moment": st.none() | st.datetimes(timezones=st.just(UTC)),
        "price": st.integers(-(10**15) + 1, 10**15 - 1).map(lambda unscaled: Decimal(unscaled).scaleb(-3)),
        "tags": st.lists(st.text(max_size=5), max_size=3),
        "more": st.dictionaries(st.text(max_size=5), st.fixed_dictionaries({"id": st.integers(-(2**63), 2**63 - 1)})),
    }
)
READER = AvroReader(json.dumps(EVERYTHING))


@given(values)
def test_what_fastavro_writes_is_read_back(value: dict[str, Any]) -> None:
    result = READER.read(written(EVERYTHING, value))
    assert isinstance(result, ParsedObject)
    entity = orjson.loads(result.data)
    assert entity == result.entity
    same = {name: entity[name] for name in ("flag", "number", "text", "tags", "more")}
    assert same == {name: value[name] for name in same}
    assert base64.b64decode(entity["data"]) == value["data"]
    assert date.fromisoformat(entity["day"]) == value["day"]
    if value["moment"] is None:
        assert entity["moment"] is None
    else:
        assert datetime.fromisoformat(entity["moment"].replace("Z", "+00:00")) == value["moment"]
    assert Decimal(repr(entity["price"])) == value["price"]


RECURSIVE = AvroReader(json.dumps(record_of(next=["null", "R"], tags={"type": "array", "items": "R"}, price="double")))


@given(st.sampled_from([READER, RECURSIVE]), st.binary(max_size=60))
def test_any_bytes_are_read_or_told_of(reader: AvroReader, data: bytes) -> None:
    result = reader.read(data)
    assert isinstance(result, ParsedObject | ParseFailure)


@given(values, st.data())
def test_a_damaged_record_is_read_or_told_of(value: dict[str, Any], data: st.DataObject) -> None:
    whole = written(EVERYTHING, value)
    at = data.draw(st.integers(0, len(whole) - 1))
    assert isinstance(READER.read(whole[:at]), ParseFailure)
    damaged = whole[:at] + data.draw(st.binary(min_size=1, max_size=9)) + whole[at + 1 :]
    assert isinstance(READER.read(damaged), ParsedObject | ParseFailure)


def test_years_before_1000_and_the_last_moment() -> None:
    kind = logical("long", "timestamp-micros")
    last = datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)
    for moment in (datetime(1, 1, 1, tzinfo=UTC), last):
        units = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        text = read(kind, written(record_of(a="long"), {"a": units}))
        assert text == f"{moment.isoformat(timespec='microseconds').removesuffix('+00:00')}Z"
