from __future__ import annotations

import orjson
from apache_beam import coders
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.examples import json_bodies, packed, records
from transforms.records.chunk import Batch, BatchCoder, Chunk, ChunkCoder, Record

names = st.text(min_size=1, max_size=12)


@st.composite
def chunks(draw: st.DrawFn) -> Chunk:
    """Chunks as they are after the read, after the parse, and after the validation."""
    read = draw(st.lists(records, max_size=5))
    chunk = Chunk(draw(names), draw(st.integers(0, 10_000)), read)
    stage = draw(st.sampled_from(["read", "parsed", "valid"]))
    if stage != "read":
        chunk.route = draw(names)
        chunk.bodies = draw(st.lists(json_bodies, min_size=len(read), max_size=len(read)))
    if stage == "parsed":
        chunk.entities = [orjson.loads(body) for body in chunk.bodies]
    return chunk


def copy(chunk: Chunk) -> Chunk:
    """Return an equal chunk that shares nothing with it."""
    again = [
        Record(r.offset, r.timestamp, r.key and bytes(bytearray(r.key)), tuple(r.headers), r.value)
        for r in chunk.records
    ]
    return Chunk(chunk.topic, chunk.partition, again, chunk.route, list(chunk.entities), list(chunk.bodies))


@given(chunks())
def test_a_chunk_comes_back_equal_and_equal_chunks_have_equal_bytes(chunk: Chunk) -> None:
    coder = ChunkCoder()
    encoded = coder.encode(chunk)
    assert coder.decode(encoded) == chunk
    assert coder.encode(copy(chunk)) == encoded
    assert coder.encode(coder.decode(encoded)) == encoded


@given(names, st.lists(chunks(), max_size=4))
def test_a_batch_comes_back_equal_and_equal_batches_have_equal_bytes(route: str, of: list[Chunk]) -> None:
    coder = BatchCoder()
    encoded = coder.encode(Batch(route, of))
    assert coder.decode(encoded) == Batch(route, of)
    assert coder.decode(coder.encode(Batch(route, of, 7))) == Batch(route, of, 7)
    assert coder.encode(Batch(route, [copy(chunk) for chunk in of])) == encoded


def test_a_large_value_and_all_kinds_of_nothing_are_kept_apart() -> None:
    rows = [
        Record(0, -1, None, (), None),
        Record(1, 0, b"", (("", b""), ("a", None)), b""),
        Record(2, 1, b"k", (), b"x" * 2_000_000),
    ]
    chunk = Chunk("t", 0, rows)
    assert ChunkCoder().decode(ChunkCoder().encode(chunk)).records == rows


def test_beam_finds_the_coders_and_takes_them_for_deterministic() -> None:
    for kind, coder in ((Chunk, ChunkCoder), (Batch, BatchCoder)):
        found = coders.registry.get_coder(kind)
        assert isinstance(found, coder)
        assert found.is_deterministic()
        assert found.to_type_hint() is kind


def test_a_slice_holds_the_records_with_their_bodies_and_keys_and_no_entities() -> None:
    whole = packed(b"1", b"2", b"3", start=10)
    whole.entities = [{}, {}, {}]
    whole.partition_keys = ["a", "b", "c"]
    part = whole.slice(1, 3)
    assert part.partition_keys == ["b", "c"]
    assert [record.offset for record in part.records] == [11, 12]
    assert (part.topic, part.partition, part.route, part.bodies, part.entities) == (
        "events",
        0,
        "events",
        [b"2", b"3"],
        [],
    )


def test_a_batch_lists_bodies_and_their_origins_in_the_same_order() -> None:
    first, second = packed(b"1", b"2"), packed(b"3", topic="other", partition=4)
    batch = Batch("events", [first, second])
    assert batch.bodies == [b"1", b"2", b"3"]
    assert [(chunk.topic, record.value) for chunk, record in batch.origins()] == [
        ("events", b"1"),
        ("events", b"2"),
        ("other", b"3"),
    ]


@given(chunks(), st.integers(1, 9))
def test_by_shard_each_record_is_in_one_part_and_all_of_a_key_in_the_same(chunk: Chunk, shards: int) -> None:
    chunk = Chunk(
        chunk.topic, chunk.partition, chunk.records, "r", bodies=[b"%d" % at for at in range(len(chunk.records))]
    )
    parts = chunk.by_shard(shards)
    assert all(0 <= shard < shards for shard in parts)
    assert sorted(body for part in parts.values() for body in part.bodies) == sorted(chunk.bodies)
    shard_of: dict[bytes | None, int] = {}
    for shard, part in parts.items():
        assert (part.topic, part.partition, part.route) == (chunk.topic, chunk.partition, "r")
        assert [chunk.records[int(body)] for body in part.bodies] == part.records
        assert [int(body) for body in part.bodies] == sorted(int(body) for body in part.bodies)
        for record in part.records:
            assert shard_of.setdefault(record.key, shard) == shard


def test_the_size_that_beam_asks_for_is_near_the_encoded_one_without_encoding() -> None:
    chunk = packed(*[b"%d" % number * 300 for number in range(100)])
    encoded = len(ChunkCoder().encode(chunk))
    assert 0.9 * encoded < coders.registry.get_coder(Chunk).get_impl().estimate_size(chunk) < 1.1 * encoded
    batch = Batch("events", [chunk, chunk])
    assert 1.8 * encoded < coders.registry.get_coder(Batch).get_impl().estimate_size(batch) < 2.2 * encoded
