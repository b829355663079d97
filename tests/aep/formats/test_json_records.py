from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aep.formats import json_records
from aep.formats.json_records import Entry, read_records

TEXTS = st.text('a\\"{}[],:\n\u00fc', max_size=5)
JSON = st.recursive(
    st.sampled_from([None, True, 1, -2.5]) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(TEXTS, JSON, min_size=1, max_size=3), max_size=5)


def read(content: bytes, max_bytes: int | None = None) -> tuple[str, list[tuple[int, bytes | None]]]:
    shape, entries = read_records(io.BytesIO(content), max_bytes)
    return shape, [(number, value) for number, value in entries]


@pytest.mark.parametrize(
    ("content", "shape", "values"),
    [
        (b"", "lines", []),
        (b'{"a":1}', "lines", [b'{"a":1}']),
        (b'\n{"a":1}\r\n{"b":2}\n', "lines", [b"", b'{"a":1}', b'{"b":2}']),
        (b'{\n  "a": "}"\n}\n', "documents", [b'{\n  "a": "}"\n}']),
        (b'{"a": [\n1]}\n\n{"a": 2}', "documents", [b'{"a": [\n1]}', b'{"a": 2}']),
        (b'[{"a":1},{"b":[1,2]}]', "array", [b'{"a":1}', b'{"b":[1,2]}']),
        (b'[\n{"a":1},\n{"b":2}\n]\n', "array", [b'{"a":1}', b'{"b":2}']),
        (b"[]", "array", []),
        (b"[1, [2, 3], null]", "array", [b"1", b"[2, 3]", b"null"]),
        # What is damaged is left to the parser, record by record.
        (b'{"a":1\n{"b":2}\n', "lines", [b'{"a":1', b'{"b":2}']),
        (b'{"a":"x\n{"b":2}\n', "lines", [b'{"a":"x', b'{"b":2}']),
        (b'[1]\n{"b":2}\n', "lines", [b"[1]", b'{"b":2}']),
        (b'not json\n{"b":2}', "lines", [b"not json", b'{"b":2}']),
        (b'[{"a":1},{"b":', "array", [b'{"a":1}', b'{"b":']),
        (b'[{"a":1},]', "array", [b'{"a":1}']),
        (b'[{"a":1}] x', "array", [b'{"a":1}', b"x"]),
        (b'{\n"a":1\n}\n{\n"a":"x', "documents", [b'{\n"a":1\n}', b'{\n"a":"x']),
    ],
)
def test_records_stand_in_lines_one_after_another_or_in_an_array(
    content: bytes, shape: str, values: list[bytes]
) -> None:
    found = read(content)
    assert found == (shape, list(enumerate(values, start=1)))


@pytest.mark.parametrize(
    "content", [b"", b'{"a":1}\n{"a":2}\n', b'{\n"a":1\n}\n', b'[{"a":1}]', b"x" * 200 + b'\n{"a":1}']
)
@pytest.mark.parametrize("max_bytes", [None, 100, 7, 8])
def test_a_byte_order_mark_at_the_beginning_of_a_file_is_not_part_of_its_first_record(
    content: bytes, max_bytes: int | None
) -> None:
    assert read(b"\xef\xbb\xbf" + content, max_bytes) == read(content, max_bytes)


@pytest.mark.parametrize("block", [1, 7, 10_000])
@settings(max_examples=60)
@given(objects=OBJECTS, indent=st.sampled_from([None, 0, 2]))
def test_every_record_comes_back(block: int, objects: list[Any], indent: int | None) -> None:
    before, json_records._BLOCK_BYTES = json_records._BLOCK_BYTES, block
    try:
        texts = [json.dumps(one, indent=indent, ensure_ascii=False).encode() for one in objects]
        for content in (b"\n".join(texts), json.dumps(objects, indent=indent).encode()):
            _, entries = read(content)
            assert [json.loads(value or b"") for _, value in entries] == objects
    finally:
        json_records._BLOCK_BYTES = before


def test_a_line_that_is_too_long_is_passed_over() -> None:
    good = b'{"a":1}\n'
    assert read(good + b"x" * 1_000 + b"\n" + good, 100)[1] == [(1, b'{"a":1}'), (2, None), (3, b'{"a":1}')]


def test_behind_an_item_that_is_too_long_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_records, "_BLOCK_BYTES", 10)
    content = b'[{"a":1},\n{"a":"' + b"x" * 1_000 + b'"},{"a":2}]'
    assert list(read_records(io.BytesIO(content), 100).entries) == [Entry(1, b'{"a":1}'), Entry(2, None)]
