from __future__ import annotations

import gzip
from pathlib import Path

import apache_beam as beam
import orjson
import pytest

from aep.errors import ConfigurationError
from tests.transforms.eager import Collect
from transforms.read_files import ReadJsonLines, partition_of
from transforms.records.chunk import CHUNK_RECORDS, Chunk
from transforms.sinks.files import read_file
from transforms.worker import metrics, process


def read(pattern: Path | str) -> list[Chunk]:
    collect = Collect()
    with beam.Pipeline("FnApiRunner") as pipeline:
        pipeline | ReadJsonLines(str(pattern), "events") | collect
    return collect.taken()


def test_lines_are_records_numbered_from_1_with_the_file_in_a_header(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n":1}\r\n\n{"n":"\xc3\xa9"}')
    (chunk,) = read(path)
    assert (chunk.topic, chunk.partition) == ("events", partition_of(str(path)))
    assert [(one.offset, one.value) for one in chunk.records] == [(1, b'{"n":1}'), (2, b""), (3, '{"n":"é"}'.encode())]
    assert {one.headers for one in chunk.records} == {(("file", str(path).encode()),)}
    assert metrics.process_counts() == {"read": 3}


def test_a_long_file_is_read_in_chunks_and_many_files_by_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "long.jsonl").write_bytes(b"".join(b"%d\n" % number for number in range(250)))
    (tmp_path / "short.jsonl").write_bytes(b"-1\n")
    (tmp_path / "other.txt").write_bytes(b"-2\n")
    chunks = read(tmp_path / "*.jsonl")
    assert sorted(len(chunk.records) for chunk in chunks) == [1] + [CHUNK_RECORDS] * (250 // CHUNK_RECORDS)
    values = [int(one.value or b"") for chunk in chunks for one in chunk.records]
    assert sorted(values) == list(range(-1, 250))


def test_no_two_records_have_the_same_place(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("a.jsonl", "b.jsonl", "a/a.jsonl"):
        (tmp_path / name).write_bytes(b"1\n2\n")
    places = [
        (chunk.partition, one.offset)
        for pattern in ("*.jsonl", "a/*.jsonl")
        for chunk in read(tmp_path / pattern)
        for one in chunk.records
    ]
    assert len(set(places)) == len(places) == 6


def test_compressed_files_are_read_by_their_ending(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.jsonl.gz", "wb") as file:
        file.write(b"1\n2\n")
    (chunk,) = read(tmp_path / "a.jsonl.gz")
    assert [one.value for one in chunk.records] == [b"1", b"2"]


def test_pretty_printed_records_and_the_items_of_an_array_are_numbered_from_1(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'{\n  "n": 1\n}\n{\n  "n": 2\n}\n')
    (tmp_path / "b.json").write_bytes(b'[{"n":1},{"n":2}]')
    for name in ("a.json", "b.json"):
        (chunk,) = read(tmp_path / name)
        assert [(one.offset, orjson.loads(one.value or b"")) for one in chunk.records] == [(1, {"n": 1}), (2, {"n": 2})]


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"")
    assert read(tmp_path / "a.jsonl") == []


@pytest.mark.parametrize("name", ["missing.jsonl", "*.jsonl"])
def test_no_file_at_all_is_an_error_that_names_the_pattern(tmp_path: Path, name: str) -> None:
    with pytest.raises(Exception, match="kafka_file_pattern"):
        read(tmp_path / name)
    assert isinstance(process.failure, ConfigurationError)
    assert str(tmp_path / name) in str(process.failure)


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("", "cannot be read: Is a directory"),
        ("nowhere://bucket/a.jsonl", "cannot be looked for: Unable to get filesystem"),
    ],
)
def test_what_cannot_be_opened_or_looked_for_is_an_error_in_words(tmp_path: Path, place: str, says: str) -> None:
    pattern = place or str(tmp_path)
    with pytest.raises(Exception, match="cannot be"):
        read(pattern)
    assert isinstance(process.failure, ConfigurationError)
    assert str(process.failure).startswith(f"{pattern} {says}")


def test_a_file_of_dead_letters_that_cannot_be_opened_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"{tmp_path} cannot be read: Is a directory"):
        list(read_file(str(tmp_path)))
