"""What fits: data and partition key together, in bytes, and keys of at most 256 characters."""

from __future__ import annotations

import pytest

from kinesis.limits import Fault, Measure, PutRecord, measure

CHARACTERS = ["k", "é", "語", "🙂"]  # 1 to 4 bytes


@pytest.mark.parametrize("character", CHARACTERS)
@pytest.mark.parametrize("length", [1, 256])
def test_a_record_counts_with_the_bytes_of_its_key(character: str, length: int) -> None:
    key = character * length
    room = 2**20 - len(key.encode())
    for size, fits in ((room - 1, True), (room, True), (room + 1, False)):
        found = measure(PutRecord(b"x" * size, key), 2**20)
        if fits:
            assert isinstance(found, Measure)
            assert found.size == size + len(key.encode())
        else:
            assert found == Fault("too_large", "1048577 bytes with its partition key, 1048576 fit into a record")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("", "is empty"),
        ("k" * 257, "has 257 characters, 256 are allowed"),
        ("🙂" * 257, "has 257 characters"),
        ("a\ud83d", "cannot be encoded as UTF-8"),
    ],
)
def test_keys_that_kinesis_would_refuse_the_whole_request_for(key: str, words: str) -> None:
    found = measure(PutRecord(b"{}", key), 2**20)
    assert isinstance(found, Fault)
    assert found.code == "bad_key"
    assert words in found.message
    assert key not in found.message or not key


@pytest.mark.parametrize("key", ["a", "\0", "k" * 256, "🙂" * 256])
def test_keys_that_it_takes(key: str) -> None:
    assert isinstance(measure(PutRecord(b"", key), 2**20), Measure)


def test_the_hash_key_is_the_md5() -> None:
    found = measure(PutRecord(b"", "a"), 2**20)
    assert isinstance(found, Measure)
    assert found.hash_key == 0x0CC175B9C0F1B6A831C399E269772661  # md5sum of "a"
