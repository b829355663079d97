"""Every hostile input ends as a failure with its code, or as the very same record."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aep.formats import json as strict_json
from aep.formats.json import (
    ParsedObject,
    ParseFailure,
    load_object,
    load_objects,
    parse_object,
    parse_objects,
)


def failure(value: bytes | None) -> ParseFailure:
    result = parse_object(value)
    assert isinstance(result, ParseFailure), result
    return result


def parsed(value: bytes) -> ParsedObject:
    result = parse_object(value)
    assert isinstance(result, ParsedObject), result
    return result


@pytest.mark.parametrize(
    ("value", "code", "words"),
    [
        (None, "empty", "empty"),
        (b"", "empty", "empty"),
        (b" \n", "empty", "white space"),
        (b'{"a":NaN}', "json", "at byte 5"),
        (b'{"a":-Infinity}', "json", "at byte"),
        (b'{"a":1e999}', "json", "at byte 5"),
        (b'{"a":' + b"1" * 5000 + b"}", "json", "at byte 5"),
        (b"\xef\xbb\xbf{}", "json", "byte order mark"),
        ('{"a":1}'.encode("utf-16"), "json", "UTF-16"),
        ('{"a":1}'.encode("utf-16-le"), "json", "at byte 1"),
        (b'{"a":"\xff"}', "json", "not UTF-8 at byte 6"),
        (b'{"a":"\xc0\xaf"}', "json", "not UTF-8 at byte 6"),
        (b'{"a":"\xed\xa0\x80"}', "json", "not UTF-8 at byte 6"),
        (b'{"a":"\\ud800"}', "json", "surrogate"),
        (b'{"a":1,}', "json", "at byte 6"),
        (b'{"a":1/*x*/}', "json", "at byte"),
        (b'{"a":01}', "json", "at byte"),
        (b'{"a":+1}', "json", "at byte"),
        (b'{"a":.5}', "json", "at byte"),
        (b"{} {}", "json", "at byte 3"),
        (b'{"a":1}\x00', "json", "at byte 7"),
        ('{"é":"é",x}'.encode(), "json", "at byte 11"),
        (b'\x00\x00\x00\x01\x02{"a":1}', "json", "Confluent Avro/JSON-Schema wire format"),
        (b"[1]", "type", "an array"),
        (b'"text"', "type", "a string"),
        (b"7", "type", "a number"),
        (b"true", "type", "true or false"),
        (b"null", "type", "null"),
        (b'{"a":' * 255 + b"1" + b"}" * 255, "too_deep", "254"),
        (b'{"a":' * 1100 + b"1" + b"}" * 1100, "too_deep", "254"),
        (b'{"a":' + b"[" * 1_000_000, "too_deep", "254"),
        (b'{"a":18446744073709551616}', "integer_range", "20 characters"),
        (b'{"a":-9223372036854775809}', "integer_range", "20 characters"),
        (b'{"a":[{"b": 99999999999999999999}]}', "integer_range", "64 bits"),
        (b'{"a":' + b"9" * 300 + b"}", "integer_range", "300 characters"),
        (b'{"a":1,"a":2}', "duplicate_key", "'a'"),
        (b'{"a":1,"\\u0061":1}', "duplicate_key", "'a'"),
        (b'{"x":[{"k":1,"k":{}}],"t":"a\\u003ab"}', "duplicate_key", "'k'"),
        (b'{"t":"\\u003A","k":1,"k":2}', "duplicate_key", "'k'"),
        (b'{"a":' + b"[" * 1000 + b"]" * 1000 + b',"a":1}', "too_deep", "254"),
        (b'{"a":' + b"[" * 254 + b"]" * 254 + b',"a":1}', "too_deep", "254"),
        (b'{"a":' + b"[" * 253 + b"]" * 253 + b',"a":"\\"[{"}', "duplicate_key", "'a'"),
        (b'{"a":"' + b"[" * 300 + b'","a":1}', "duplicate_key", "'a'"),
    ],
)
def test_hostile_input(value: bytes | None, code: str, words: str) -> None:
    result = failure(value)
    assert result.code == code
    assert words in result.message
    assert result.pointer == ""


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"a": 2**64 - 1, "b": -(2**63), "c": 2**53 + 1},
        {"a": 1e30, "b": -1.5e300, "c": 1e-7},
        {"ecid": "1" * 38, "text": 'say "12345678901234567890" and 99999999999999999999'},
        {"mail": "jane+tag@example.com", "text": "1e+30"},
        {"a": "", "": {"": ["", 0, False, None]}},
        {"zażółć": '日本 \U0001f600 \\ " / : \u2028'},
    ],
)
def test_a_good_record_comes_back_the_same(value: dict[str, Any]) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False), json.dumps(value, indent=2)):
        result = parsed(text.encode())
        assert result.entity == value
        assert orjson.loads(result.data) == value


def test_floats_may_have_many_digits() -> None:
    result = parsed(b'{"a":123456789012345678901e0,"b":0.12345678901234567890123,"c":1E30,"d":-0.0}')
    assert result.entity == {"a": 1.2345678901234568e20, "b": 0.12345678901234568, "c": 1e30, "d": 0.0}


def test_the_deepest_record_that_can_be_written_passes() -> None:
    value = b'{"a":' * 254 + b"1" + b"}" * 254
    assert parsed(value).data == value


def test_messages_quote_no_values_and_little_of_a_key() -> None:
    long_key = "k" * 500
    duplicate = failure(f'{{"{long_key}":"secret","{long_key}":"secret"}}'.encode())
    syntax = failure(b'{"a":"secret"')
    number = failure(b'{"a":98765432109876543210}')
    assert "secret" not in duplicate.message + syntax.message
    assert "9876" not in number.message
    assert len(duplicate.message) < 80


@given(st.binary(max_size=200))
@example(b"\x00")
@example(b'{"a":\x00')
def test_it_never_raises(value: bytes) -> None:
    result = parse_object(value)
    assert isinstance(result, ParsedObject) or result.code in ("empty", "json", "type")


# Texts that have members twice, large integers, escaped colons and white space in every place.
_NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from([2**63, 2**64, -(2**63), 2**64 - 1, -(2**63) - 1]).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.tuples(st.integers(1, 10**25), st.integers(0, 9)).map(lambda pair: f"{pair[0]}e{pair[1]}"),
)
_STRINGS = st.lists(
    st.sampled_from(
        ["a", "b", ":", "\\u003a", "\\u003A", "\\\\u003a", "\\u0061", '\\"', "12345678901234567890", "e+30", "é"]
    ),
    max_size=3,
).map(lambda parts: '"' + "".join(parts) + '"')
_SPACE = st.sampled_from(["", " ", "\n"])


def _members(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    member = st.tuples(_STRINGS, _SPACE, values).map(lambda parts: f"{parts[0]}{parts[1]}:{parts[1]}{parts[2]}")
    return st.lists(member, max_size=4).map(lambda members: "{" + ",".join(members) + "}")


_VALUES = st.recursive(
    st.one_of(_NUMBERS, _STRINGS, st.sampled_from(["true", "null", "[]"])),
    lambda inner: st.one_of(
        _members(inner), st.lists(inner, max_size=3).map(lambda items: "[" + ",".join(items) + "]")
    ),
    max_leaves=8,
)


class _FoundError(Exception):
    pass


def _oracle(text: str) -> str | None:
    """Read with Python's own parser: which of the two silent losses would happen first, if any."""

    def integer(digits: str) -> int:
        if not -(2**63) <= int(digits) < 2**64:
            raise _FoundError("integer_range")
        return int(digits)

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise _FoundError("duplicate_key")
        return dict(pairs)

    try:
        json.loads(text, parse_int=integer, object_pairs_hook=members)
    except _FoundError as found:
        return str(found)
    return None


@given(_members(_VALUES))
@example('{"a":1,"a":":"}')
@example('{"a\\u003a":1,"a:":2}')
@example('{"t":"\\u003A","k":1,"k":2}')
@example('{":":1,"\\u003a":"\\u003a"}')
def test_both_silent_losses_are_found(text: str) -> None:
    expected = _oracle(text)
    result = parse_object(text.encode())
    if expected is None:
        assert isinstance(result, ParsedObject)
        assert result.entity == json.loads(text)
        assert orjson.loads(result.data) == result.entity
    else:
        assert isinstance(result, ParseFailure)
        assert result.code == expected


_OBJECTS = _members(_VALUES).map(str.encode)
_FEW = st.lists(_OBJECTS, max_size=3)
_ODD = st.sampled_from([None, b"", b" ", b"[]", b"7", b"{", b'{"a":1,"a":2}', b'{"a":1e15}', b"\xff", b"[" * 300])


@given(st.one_of(_FEW, st.lists(st.one_of(_OBJECTS, _ODD), max_size=3)))
def test_objects_are_parsed_together_as_each_alone(values: list[bytes | None]) -> None:
    found, alone = parse_objects(values), [parse_object(value) for value in values]
    if found is not None:
        assert [ParsedObject(*one) for one in zip(*found, strict=True)] == alone
    loaded = load_objects(values)
    if loaded is not None:
        assert loaded == [load_object(value or b"") for value in values]


def test_ordinary_objects_are_parsed_together() -> None:
    values = [b"{}", b'{"a":{"b":[1,2.5,"\xc3\xa9",null]}}', b'{ "a" : "\\u0041" }']
    assert parse_objects(values) == ([orjson.loads(value) for value in values], [*values[:2], b'{"a":"A"}'])
    assert parse_objects([]) == ([], [])


def test_an_ordinary_record_is_not_read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(value: bytes) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(strict_json, "_read_exactly", fail)
    record = {"mail": "jane+tag@example.com", "when": "2025-01-01T10:00:00+02:00", "ecid": "1" * 38, "n": 1.5}
    for indent in (None, 2):
        assert parsed(json.dumps(record, indent=indent).encode()).entity == record
