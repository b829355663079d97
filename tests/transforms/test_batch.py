from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise

import apache_beam as beam
import pytest
from apache_beam.testing import test_stream
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aep.ingestion.envelope import Envelope
from tests.transforms.eager import Collect, apply
from tests.transforms.examples import batch_limits, json_bodies, packed, route, routes
from transforms.aep.inlet import as_inlet
from transforms.batch import BatchLimits, BatchMode, GroupIntoBatches, Packer, _BatchInBundle
from transforms.records.chunk import Batch, Chunk
from transforms.records.route import Route

ENTITY = route("events", org_id="ACME@AdobeOrg", source_name="Läden")
RAW = route("events", payload="raw")
SIZES = RAW.destination.sizes()
SIZES_OF = {"events": SIZES, "profiles": SIZES}

runs_of_bodies = st.lists(st.lists(json_bodies, max_size=12), max_size=6)
limits = st.builds(batch_limits, max_messages=st.integers(1, 15), max_bytes=st.integers(100, 3000))


def as_chunks(runs: list[list[bytes]], name: str = "events", partition: int = 0) -> list[Chunk]:
    """Chunks whose offsets go on from one to the next."""
    chunks: list[Chunk] = []
    for run in runs:
        start = sum(len(chunk.records) for chunk in chunks)
        chunks.append(packed(*run, route=name, partition=partition, start=start))
    return chunks


def pack(chunks: list[Chunk], of: BatchLimits, to: Route) -> list[Batch]:
    packer = Packer("events", of, to.destination.sizes())
    return [batch for chunk in chunks for batch in packer.add(chunk)] + list(packer.flush())


def rows(batches: list[Batch]) -> list[tuple[int, int, bytes]]:
    """Partition, offset and body of each record, in the order of the batches."""
    return [
        (chunk.partition, record.offset, body)
        for batch in batches
        for (chunk, record), body in zip(batch.origins(), batch.bodies, strict=True)
    ]


def all_rows(chunks: list[Chunk]) -> list[tuple[int, int, bytes]]:
    return rows([Batch("", chunks)])


@given(runs_of_bodies, limits, st.sampled_from([ENTITY, RAW]))
def test_requests_keep_the_limits_and_each_record_is_in_one_batch_in_order(
    runs: list[list[bytes]], of: BatchLimits, to: object
) -> None:
    assert isinstance(to, type(ENTITY))
    envelope = Envelope(as_inlet(to.destination))
    chunks = as_chunks(runs)
    batches = pack(chunks, of, to)
    assert rows(batches) == all_rows(chunks)
    for batch in batches:
        assert 1 <= len(batch.bodies) <= of.max_messages
        assert len(batch.bodies) == 1 or len(envelope.batch(batch.bodies)) <= of.max_bytes
    for batch, following in pairwise(batches):
        # One record more would have been too many. The comma after the last one is counted and not sent.
        more = len(envelope.batch([*batch.bodies, following.bodies[0]]))
        assert len(batch.bodies) == of.max_messages or more >= of.max_bytes


def test_a_full_batch_does_not_wait_for_the_next_chunk() -> None:
    packer = Packer("events", batch_limits(max_messages=4), SIZES)
    assert list(packer.add(packed(b"1", b"2"))) == []
    (batch,) = packer.add(packed(b"3", b"4"))
    assert batch.bodies == [b"1", b"2", b"3", b"4"]
    assert packer.waiting == []
    assert list(packer.flush()) == []


def test_a_record_beyond_the_limit_is_a_batch_of_its_own() -> None:
    batches = pack(as_chunks([[b"1", b"x" * 500, b"2"]]), batch_limits(max_bytes=100), RAW)
    assert [batch.bodies for batch in batches] == [[b"1"], [b"x" * 500], [b"2"]]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def bundle(step: _BatchInBundle, clock: Clock, chunks: list[tuple[float, Chunk]]) -> Iterator[tuple[float, Batch]]:
    """Yield the batches of a bundle with the time when each came; the end of the bundle is at -1."""
    step.start_bundle()
    for at, chunk in chunks:
        clock.now = at
        for batch in step.process(chunk):
            yield at, batch
    for windowed in step.finish_bundle():
        yield -1, windowed.value


def test_routes_are_batched_apart_and_end_with_the_bundle() -> None:
    clock = Clock()
    step = _BatchInBundle(SIZES_OF, batch_limits(max_messages=3), clock=clock)
    mixed = [(0.0, packed(b"1", b"2")), (0.0, packed(b"a", route="profiles")), (0.1, packed(b"3", b"4"))]
    found = [(at, batch.route, batch.bodies) for at, batch in bundle(step, clock, mixed)]
    assert found == [(0.1, "events", [b"1", b"2", b"3"]), (-1, "events", [b"4"]), (-1, "profiles", [b"a"])]
    # Nothing is left for the next bundle.
    assert list(bundle(step, clock, [])) == []


def test_a_quiet_route_does_not_wait_for_a_busy_one() -> None:
    clock = Clock()
    step = _BatchInBundle(SIZES_OF, batch_limits(max_messages=2, max_seconds=1.0), clock=clock)
    quiet, busy = packed(b"q", route="profiles"), packed(b"1")
    came = [(0.0, quiet), *((at / 10, busy) for at in range(1, 20))]
    found = [(at, batch.bodies) for at, batch in bundle(step, clock, came) if batch.route == "profiles"]
    assert found == [(1.0, [b"q"])]


def test_the_age_counts_from_the_oldest_record_that_waits() -> None:
    clock = Clock()
    step = _BatchInBundle(SIZES_OF, batch_limits(max_messages=2, max_seconds=1.0), clock=clock)
    came = [(0.0, packed(b"1", b"2")), (0.9, packed(b"3")), (1.5, packed(b"a", route="profiles"))]
    assert [(at, batch.bodies) for at, batch in bundle(step, clock, came)] == [
        (0.0, [b"1", b"2"]),
        (-1, [b"3"]),
        (-1, [b"a"]),
    ]


@pytest.mark.parametrize("mode", ["bundle", "state"])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs_of_bodies, runs_of_bodies, limits)
def test_in_a_pipeline_nothing_is_lost_or_doubled_and_limits_hold(
    mode: BatchMode, first: list[list[bytes]], second: list[list[bytes]], of: BatchLimits
) -> None:
    chunks = as_chunks(first) + as_chunks(second, "profiles", partition=1)
    both = routes(ENTITY, route("profiles"))
    batches = apply(GroupIntoBatches(both, of, mode), chunks) if chunks else []
    for name, mine in (("events", as_chunks(first)), ("profiles", as_chunks(second, "profiles", 1))):
        of_route = [batch for batch in batches if batch.route == name]
        assert sorted(rows(of_route)) == sorted(all_rows(mine))
        envelope = Envelope(as_inlet(both[name].destination))
        for batch in of_route:
            assert 1 <= len(batch.bodies) <= of.max_messages
            assert len(batch.bodies) == 1 or len(envelope.batch(batch.bodies)) <= of.max_bytes


def batches_of_stream(stream: test_stream.TestStream, of: BatchLimits) -> list[list[bytes]]:
    """Run state mode where time is the stream's."""
    collect = Collect()
    options = beam.options.pipeline_options.PipelineOptions(["--streaming"])
    with beam.Pipeline("BundleBasedDirectRunner", options=options) as pipeline:
        pipeline | stream | GroupIntoBatches(routes(ENTITY), of, "state") | collect
    return [batch.bodies for batch in collect.taken()]


def test_in_state_a_batch_grows_over_bundles_until_it_is_full() -> None:
    stream = test_stream.TestStream(coder=beam.coders.registry.get_coder(Chunk))
    for at in range(5):
        stream.add_elements([packed(b"%d" % at, start=at)])
    stream.advance_watermark_to_infinity()
    assert batches_of_stream(stream, batch_limits(max_messages=2, max_seconds=1e6)) == [
        [b"0", b"1"],
        [b"2", b"3"],
        [b"4"],
    ]


def test_in_state_a_record_waits_no_longer_than_the_age() -> None:
    stream = test_stream.TestStream(coder=beam.coders.registry.get_coder(Chunk))
    stream.advance_processing_time(int(time.time()))
    stream.add_elements([packed(b"1")])
    stream.add_elements([packed(b"2", start=1)])
    stream.advance_processing_time(200)
    stream.add_elements([packed(b"3", start=2)])
    stream.advance_watermark_to_infinity()
    assert batches_of_stream(stream, batch_limits(max_seconds=100)) == [[b"1", b"2"], [b"3"]]


def test_in_state_partitions_do_not_share_a_batch() -> None:
    chunks = [packed(b"1", partition=0), packed(b"2", partition=1)]
    batches = apply(GroupIntoBatches(routes(ENTITY), batch_limits(), "state"), chunks)
    assert sorted(batch.bodies for batch in batches) == [[b"1"], [b"2"]]


@pytest.mark.parametrize("mode", ["bundle", "state"])
def test_batches_hold_one_shard_of_keys_each(mode: BatchMode) -> None:
    chunks = as_chunks([[b"%d" % number for number in range(at, at + 10)] for at in range(0, 60, 10)])
    for chunk in chunks:
        chunk.records = [one._replace(key=b"k%d" % (one.offset % 13)) for one in chunk.records]
    step = GroupIntoBatches(routes(ENTITY), batch_limits(max_messages=7), mode, shards=4)
    batches: list[Batch] = apply(step, chunks)
    keys: dict[int, set[bytes | None]] = {}
    for batch in batches:
        keys.setdefault(batch.shard, set()).update(batch.keys)
    assert sum(map(len, keys.values())) == len(set().union(*keys.values())) == 13
    for shard in keys:
        offsets = [record.offset for batch in batches if batch.shard == shard for _, record in batch.origins()]
        assert offsets == sorted(offsets)
    assert sum(len(batch.bodies) for batch in batches) == 60
