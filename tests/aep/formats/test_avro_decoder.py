"""Bytes by hand, as the specification has them (Avro 1.12, Binary encoding), and fastavro as a second opinion."""

from __future__ import annotations

import io
import json
import math
import struct
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aep.formats.avro import AvroReader
from aep.formats.avro_decoder import MAX_ITEMS
from aep.formats.avro_primitives import shortest
from aep.formats.json import ParsedObject, ParseFailure

FIXED = {"type": "fixed", "name": "F", "size": 4}
ENUM = {"type": "enum", "name": "E", "symbols": ["A", "B"]}
EMPTY = {"type": "record", "name": "Empty", "fields": []}


def reader(kind: Any) -> AvroReader:
    """Of records with one field of a type."""
    return AvroReader(json.dumps({"type": "record", "name": "R", "fields": [{"name": "a", "type": kind}]}))


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        # An index that fastavro counts from the end.
        (["null", "int"], "01", "at byte 0 of 1: branch -1 of a union with 2"),
        (["null", "int"], "03 02", "at byte 0 of 2: branch -2 of a union with 2"),
        (["null", "int"], "04", "at byte 0 of 1: branch 2 of a union with 2"),
        (["null", "int"], "80 80 80 80 20", "at byte 0 of 5: an integer of more than 32 bits"),
        (ENUM, "01", "at byte 0 of 1: symbol -1 of an enum with 2"),
        (ENUM, "04", "at byte 0 of 1: symbol 2 of an enum with 2"),
        # Of 33 bits, and in six bytes; of 65 bits, and in eleven.
        ("int", "80 80 80 80 10", "at byte 0 of 5: an integer of more than 32 bits"),
        ("int", "82 80 80 80 80 00", "at byte 0 of 6: an integer of more than 32 bits"),
        ("long", "80 80 80 80 80 80 80 80 80 02", "at byte 0 of 10: an integer of more than 64 bits"),
        ("long", "82 80 80 80 80 80 80 80 80 80 00", "at byte 0 of 11: an integer of more than 64 bits"),
        ({"type": "int", "logicalType": "date"}, "80 80 80 80 10", "an integer of more than 32 bits"),
        ("int", "80 80", "at byte 2 of 2: the data ends too early"),
        ("int", "", "at byte 0 of 0: the data ends too early"),
        ("boolean", "02", "at byte 0 of 1: a boolean is the byte 0x02, expected 0 or 1"),
        ("string", "01", "at byte 0 of 1: a length of -1 bytes, but only 0 are left"),
        ("bytes", "03 61 62 63", "at byte 0 of 4: a length of -2 bytes, but only 3 are left"),
        ("string", "08 61", "at byte 0 of 2: a length of 4 bytes, but only 1 are left"),
        ("bytes", "fe ff ff ff ff ff ff ff ff 01", "a length of 9223372036854775807 bytes, but only 0 are left"),
        ("string", "02 ff", "a string that is not UTF-8"),
        (FIXED, "61 62", "at byte 2 of 2: the data ends too early"),
        ("double", "00 00 00", "at byte 3 of 3: the data ends too early"),
        ("float", "00 00 c0 7f", "JSON has no NaN and no infinity"),
        (
            {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 10**30},
            "02 61",
            "not a valid date or number",
        ),
        # Blocks: one that says it is of -1 bytes, and counts that a record of these few bytes cannot hold.
        ({"type": "array", "items": "int"}, "01 01 02 00", "at byte 0 of 4: a block of -1 bytes"),
        ({"type": "map", "values": "int"}, "01 01 02 61 02 00", "at byte 0 of 6: a block of -1 bytes"),
        ({"type": "array", "items": "int"}, "fe ff ff ff ff ff ff ff ff 01", "an array of more than 1000000 items"),
        ({"type": "array", "items": "int"}, "ff ff ff ff ff ff ff ff ff 01 00", "an array of more than 1000000 items"),
        ({"type": "array", "items": "null"}, "82 89 7a 00", "an array of more than 1000000 items"),
        ({"type": "array", "items": EMPTY}, "fe ff ff ff 0f 00", "an array of more than 1000000 items"),
        ({"type": "map", "values": "null"}, "fe ff ff ff 0f 00", "at byte 6 of 6: the data ends too early"),
        ({"type": "map", "values": "int"}, "04 02 61 02 02 61 04 00", "duplicate key in a map"),
        ("int", "02 02", "1 byte left over"),
    ],
)
def test_bytes_that_the_specification_does_not_allow_are_refused(kind: Any, data: str, words: str) -> None:
    result = reader(kind).read(bytes.fromhex(data))
    assert isinstance(result, ParseFailure)
    assert result.code == "avro"
    assert words in result.message


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        ("int", "ff ff ff ff 0f", -(2**31)),
        ("int", "fe ff ff ff 0f", 2**31 - 1),
        ("int", "82 80 80 80 00", 1),  # longer than need be, as Java takes it
        ("long", "ff ff ff ff ff ff ff ff ff 01", -(2**63)),
        ("long", "fe ff ff ff ff ff ff ff ff 01", 2**63 - 1),
        ({"type": "array", "items": "int"}, "02 02 04 04 06 00", [1, 2, 3]),  # two blocks
        ({"type": "array", "items": "int"}, "03 04 02 04 00", [1, 2]),  # a block with its size
        ({"type": "map", "values": "int"}, "01 06 02 61 02 02 02 62 04 00", {"a": 1, "b": 2}),
        ({"type": "array", "items": "null"}, "06 00", [None, None, None]),
        (["null"] * 70 + ["int"], "8c 01 06", 3),  # an index of two bytes
        ([{**ENUM, "name": "Other"}, ENUM], "02 02", "B"),
    ],
)
def test_bytes_that_the_specification_allows_are_read(kind: Any, data: str, value: Any) -> None:
    result = reader(kind).read(bytes.fromhex(data))
    assert isinstance(result, ParsedObject)
    assert result.entity == {"a": value}


def test_a_long_array_is_read_up_to_the_bound() -> None:
    result = reader({"type": "array", "items": "null"}).read(bytes.fromhex("80 89 7a 00"))
    assert isinstance(result, ParsedObject)
    assert len(result.entity["a"]) == MAX_ITEMS


def test_a_refusal_has_the_place_within_the_record() -> None:
    line = {"type": "record", "name": "Line", "fields": [{"name": "price", "type": ["null", "int"]}]}
    kind = {"type": "map", "values": {"type": "array", "items": line}}
    result = reader(kind).read(bytes.fromhex("02 06 6f 2f 31 04 00 05 00 00"))
    assert result == ParseFailure(
        "avro", "does not match its Avro schema, at byte 7 of 10: branch -3 of a union with 2", "/a/o~11/1/price"
    )


def test_types_that_refer_to_one_another_are_read() -> None:
    leaf = {"type": "record", "name": "Leaf", "fields": [{"name": "tree", "type": ["null", "Tree"]}]}
    tree = {
        "type": "record",
        "name": "Tree",
        "fields": [
            {"name": "leaf", "type": ["null", leaf]},
            {"name": "more", "type": {"type": "array", "items": "Tree"}},
        ],
    }
    result = AvroReader(json.dumps(tree)).read(bytes.fromhex("02 02 00 00 02 00 00 00"))
    assert isinstance(result, ParsedObject)
    assert result.entity == {"leaf": {"tree": {"leaf": None, "more": []}}, "more": [{"leaf": None, "more": []}]}


def test_a_record_that_is_nothing_but_itself_is_refused() -> None:
    result = AvroReader('{"type":"record","name":"R","fields":[{"name":"r","type":"R"}]}').read(b"")
    assert isinstance(result, ParseFailure)
    assert result.code == "too_deep"


MONEY = {"type": "record", "name": "Money", "fields": [{"name": "amount", "type": "float"}]}


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("float", 19.99, "19.99"),
        ("float", 0.1, "0.1"),
        ("float", 16777216.0, "16777216.0"),
        ("float", -0.0, "-0.0"),
        ("float", 3.4028234663852886e38, "3.4028235e+38"),
        ("float", 1.401298464324817e-45, "1e-45"),
        (["null", "float"], 19.99, "19.99"),
        ({"type": "array", "items": "float"}, [19.99, 5.0], "[19.99,5.0]"),
        ({"type": "map", "values": ["float", "string"]}, {"x": 19.99}, '{"x":19.99}'),
        (MONEY, {"amount": 19.99}, '{"amount":19.99}'),
        ({"type": "float", "logicalType": "unknown"}, 19.99, "19.99"),
        ("double", 19.99, "19.99"),
        ("double", 19.989999771118164, "19.989999771118164"),
    ],
)
def test_a_float_of_32_bits_is_the_shortest_text_that_gives_it_back(kind: Any, value: Any, text: str) -> None:
    schema = {"type": "record", "name": "W", "fields": [{"name": "a", "type": kind}]}
    data = io.BytesIO()
    fastavro.schemaless_writer(data, fastavro.parse_schema(schema), {"a": value})
    result = reader(kind).read(data.getvalue())
    assert isinstance(result, ParsedObject)
    assert result.data == b'{"a":%s}' % text.encode()


def digits(text: str) -> int:
    """Return how many digits count."""
    return len(text.split("e")[0].replace(".", "").replace("-", "").strip("0"))


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_the_shortest_text_of_a_float_is_numpys(number: float) -> None:
    assume(math.frexp(abs(number))[0] != 0.5)  # the test below is of these
    short = shortest(number)
    assert struct.pack("<f", short) == struct.pack("<f", number)
    assert digits(repr(short)) == digits(str(np.float32(number)))


def test_all_powers_of_two_but_three_have_the_shortest_text_too() -> None:
    # Below a power of two the next float is half as far away as above.
    longer = []
    for exponent in range(-149, 128):
        number = math.ldexp(1.0, exponent)
        short = shortest(number)
        assert struct.pack("<f", short) == struct.pack("<f", number)
        if digits(repr(short)) != digits(str(np.float32(number))):
            longer.append(exponent)
    assert longer == [-96, 87, 90]


SCHEMA = {
    "type": "record",
    "name": "R",
    "fields": [
        {"name": "flag", "type": "boolean"},
        {"name": "whole", "type": ["null", "int", "long"]},
        {"name": "real", "type": "double"},
        {"name": "text", "type": "string"},
        {"name": "kind", "type": ENUM},
        {"name": "list", "type": {"type": "array", "items": ["null", "long"]}},
        {"name": "map", "type": {"type": "map", "values": "string"}},
    ],
}
OURS, THEIRS = AvroReader(json.dumps(SCHEMA)), fastavro.parse_schema(SCHEMA)


@given(st.binary(max_size=40))
def test_what_is_read_fastavro_reads_alike(data: bytes) -> None:
    result = OURS.read(data)
    if isinstance(result, ParsedObject):
        source = io.BytesIO(data)
        assert result.entity == fastavro.schemaless_reader(source, THEIRS, None)
        assert source.tell() == len(data)
