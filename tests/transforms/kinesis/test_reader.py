"""The reader against the local Kinesis, with real boto3: reshards, faults, positions."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace

import pytest

from kinesis.discovery import end_of
from kinesis.positions import END, after
from testing.services.kinesis import REGION, Kinesis
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.transforms.kinesis.drive import QUICK, Member, Writer, begin_at, let_time_pass, member, source_of
from transforms.kinesis.errors import KinesisSetupError
from transforms.kinesis.restriction import deal
from transforms.worker import process

pytestmark = pytest.mark.usefixtures("quick_kinesis")


def test_all_records_are_read_once_with_their_place(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(2)
    writer = Writer(kinesis, stream)
    writer.write(500)
    reading = member(source_of(kinesis, stream))
    reading.read_until(500)
    assert sorted(reading.numbers()) == list(range(500))
    reading.assert_in_order()
    kept = {(one.shard_id, one.sequence_number): one for one in kinesis.records(stream)}
    for record in reading.read:
        headers = {name: (value or b"").decode() for name, value in record.headers}
        stored = kept[headers["kinesis.shard"], headers["kinesis.sequence_number"]]
        assert (record.key or b"").decode() == stored.partition_key
        assert record.value == stored.data
        assert record.timestamp == stored.arrival_ms
        assert headers["kinesis.sequence_number"].endswith(str(record.offset))


def test_reshards_while_reading_keep_every_record_and_the_order_of_each_key(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1)
    writer = Writer(kinesis, stream)
    reading = member(source_of(kinesis, stream))
    for change in (writer.split, writer.split, writer.merge, writer.split, writer.merge):
        writer.write(120)
        reading.bundle(claims=1)
        change()
    writer.write(120)
    reading.read_until(720)
    assert sorted(reading.numbers()) == list(range(720))
    reading.assert_in_order()


def test_a_reader_that_was_down_over_two_generations_reads_them_all_in_order(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1)
    writer = Writer(kinesis, stream)
    writer.write(60)
    reading = member(source_of(kinesis, stream))
    reading.bundle(claims=1)
    for change in (writer.split, writer.split, writer.merge):
        change()
        writer.write(60)
    reading.restart()
    reading.read_until(240)
    assert sorted(reading.numbers()) == list(range(240))
    reading.assert_in_order()


def test_the_grandchildren_are_read_when_their_parents_have_expired_while_the_reader_was_down(
    kinesis: Kinesis, caplog: pytest.LogCaptureFixture
) -> None:
    stream = kinesis.create_stream(1)
    writer = Writer(kinesis, stream)
    writer.write(60)
    reading = member(source_of(kinesis, stream))
    reading.read_until(60)
    writer.split()
    writer.write(60)
    writer.split()
    writer.split()
    time.sleep(1.1)
    kinesis.switch(retention_seconds=1)
    shards = {shard["ShardId"] for shard in kinesis.client().list_shards(StreamName=stream)["Shards"]}
    assert "shardId-000000000000" not in shards
    kinesis.switch(retention_seconds=3600)
    writer.write(60)
    reading.restart()
    reading.read_until(120)
    assert reading.numbers()[60:] == sorted(reading.numbers()[60:]) or set(reading.numbers()[60:]) == set(
        range(120, 180)
    )
    assert "expired before they were read to their ends" in caplog.text
    assert "kinesis_reset=earliest" in caplog.text


def test_a_position_that_is_gone_stops_the_run_when_asked_to(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1)
    writer = Writer(kinesis, stream)
    writer.write(10)
    reading = member(source_of(kinesis, stream, reset="error"))
    reading.read_until(10)
    writer.split()
    writer.split()
    time.sleep(1.1)
    kinesis.switch(retention_seconds=1)
    reading.restart()
    with pytest.raises(KinesisSetupError, match="expired before they were read to their ends, and kinesis_reset=error"):
        reading.bundle()


@pytest.mark.parametrize("reset", ["earliest", "latest"])
def test_a_position_older_than_the_retention_is_mentioned_and_reading_goes_on(
    kinesis: Kinesis, caplog: pytest.LogCaptureFixture, reset: str
) -> None:
    stream = kinesis.create_stream(1)
    writer = Writer(kinesis, stream)
    writer.write(10)
    reading = member(source_of(kinesis, stream, reset=reset))
    reading.bundle(claims=2)
    _grow_old(reading)
    writer.write(10)
    let_time_pass(kinesis, stream)
    reading.restart()
    reading.bundle()
    writer.write(10)
    reading.read_until(30 if reset == "earliest" else 20)
    assert sorted(reading.numbers()) == [*range(10), *range(10 if reset == "earliest" else 20, 30)]
    assert "which is longer ago than the stream keeps records" in caplog.text


def _grow_old(reading: Member) -> None:
    """Let the positions of a reader be older than what the stream keeps."""
    checkpoint = reading.restriction.checkpoint
    old = {shard: state._replace(read_to=state.read_to - 25 * 3_600_000) for shard, state in checkpoint.shards.items()}
    reading.restriction = replace(reading.restriction, checkpoint=replace(checkpoint, shards=old))


@pytest.mark.parametrize("operation", ["ListShards", "DescribeStreamSummary"])
def test_nothing_is_read_before_the_positions_are_checked(kinesis: Kinesis, operation: str) -> None:
    stream = kinesis.create_stream(1)
    writer = Writer(kinesis, stream)
    writer.write(10)
    reading = member(source_of(kinesis, stream, reset="error"))
    reading.read_until(10)
    _grow_old(reading)
    writer.write(10)
    reading.restart()
    kinesis.switch(operations=[operation], request_rate={"400": 1})
    assert reading.bundle() == 0
    kinesis.switch(operations=[], request_rate={})
    for _ in range(2):  # a runner tries a bundle again that has failed
        with pytest.raises(KinesisSetupError, match="which is longer ago than the stream keeps records"):
            wait_for(reading.bundle, PATIENCE_SECONDS, "the check of the positions")


def test_a_shard_that_ends_without_naming_its_children_does_not_end_the_run(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1)
    writer = Writer(kinesis, stream)
    writer.write(10)
    source = source_of(kinesis, stream)
    end = end_of(source.access.client(), stream) + 3_600_000
    reading = member(source, end=end)
    source.access.client().meta.events.register(
        "after-call.kinesis.GetRecords", lambda parsed, **_: parsed.pop("ChildShards", None)
    )
    reading.bundle(claims=1)
    writer.split()
    writer.write(10)
    reading.read_until(20)
    assert sorted(reading.numbers()) == list(range(20))


def test_a_stream_that_was_deleted_and_created_again_is_read_from_its_beginning(
    kinesis: Kinesis, caplog: pytest.LogCaptureFixture
) -> None:
    stream = kinesis.create_stream(2)
    Writer(kinesis, stream).write(20)
    reading = member(source_of(kinesis, stream))
    reading.read_until(20)
    client = kinesis.client()
    client.delete_stream(StreamName=stream)
    wait_for(lambda: stream not in client.list_streams()["StreamNames"], PATIENCE_SECONDS, "the end of the stream")
    client.create_stream(StreamName=stream, ShardCount=1)
    kinesis.wait_until_active(stream)
    Writer(kinesis, stream).write(20)
    reading.read_until(40)  # the same process: Kinesis does not know its iterators any more
    assert sorted(reading.numbers()[20:]) == list(range(20))
    assert f"stream {stream} was deleted and created again" in caplog.text
    assert list(reading.restriction.checkpoint.shards) == ["shardId-000000000000"]


def test_a_stream_that_is_deleted_stops_the_run(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1)
    reading = member(source_of(kinesis, stream))
    reading.bundle()
    client = kinesis.client()
    client.delete_stream(StreamName=stream)
    wait_for(lambda: stream not in client.list_streams()["StreamNames"], PATIENCE_SECONDS, "the end of the stream")
    with pytest.raises(KinesisSetupError, match=f"no such stream {stream} in {REGION} "):
        reading.read_until(1)


def test_faults_of_reading_lose_repeat_and_reorder_nothing(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(2)
    writer = Writer(kinesis, stream)
    reading = member(source_of(kinesis, stream))
    kinesis.switch(
        expired_iterator_rate=0.1,
        request_rate={"400": 0.05, "500": 0.05, "503": 0.05},
        reset_rate=0.05,
        lost_reply_rate=0.05,
        empty_read_rate=0.1,
        operations=["GetRecords", "GetShardIterator", "ListShards"],
        seed=1,
    )
    for change in (writer.split, writer.merge):
        writer.write(100)
        reading.bundle(claims=2)
        reading.restart()
        change()
    writer.write(100)
    reading.read_until(300)
    assert sorted(reading.numbers()) == list(range(300))
    reading.assert_in_order()


def test_a_bundle_that_fails_is_read_again(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(2)
    Writer(kinesis, stream).write(400)
    reading = member(source_of(kinesis, stream))
    assert reading.bundle(fail=True) > 0
    reading.bundle(claims=2)
    reading.bundle(claims=1, fail=True)
    reading.read_until(400)
    assert sorted(reading.numbers()) == list(range(400))
    reading.assert_in_order()


def test_latest_is_the_time_of_the_look_up_however_late_reading_begins(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1)
    writer = Writer(kinesis, stream)
    writer.write(10)
    let_time_pass(kinesis, stream)
    source = source_of(kinesis, stream)
    share = deal(begin_at(source, "latest"), None, 1)[0]
    writer.write(10)
    writer.split()
    writer.write(10)
    reading = Member(source, share)
    reading.read_until(20)
    assert sorted(reading.numbers()) == list(range(10, 30))
    assert reading.bundle() == 0


def test_a_run_to_the_end_reads_what_is_there_and_ends(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(2)
    writer = Writer(kinesis, stream)
    writer.write(300)
    writer.split()
    writer.write(300)
    source = source_of(kinesis, stream)
    end = end_of(source.access.client(), stream)
    reading = member(source, end=end)
    reading.read_to_end()
    assert sorted(reading.numbers()) == list(range(600))


@pytest.mark.parametrize("readers", [2, 3])
def test_readers_of_one_stream_read_each_record_once_over_reshards(kinesis: Kinesis, readers: int) -> None:
    stream = kinesis.create_stream(4)
    writer = Writer(kinesis, stream)
    source = source_of(kinesis, stream)
    members = [Member(source, share) for share in deal(begin_at(source), None, readers)]
    for change in (writer.split, writer.merge, writer.merge):
        writer.write(100)
        for one in members:
            one.bundle(claims=1)
        change()
    writer.write(100)

    def numbers() -> list[int]:
        for one in members:
            one.bundle()
        return [number for one in members for number in one.numbers()]

    wait_for(lambda: len(numbers()) >= 400, PATIENCE_SECONDS, "all records")
    assert sorted(numbers()) == list(range(400))
    assert all(one.read for one in members)


def test_records_of_ten_mebibytes_pass(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1)
    client = kinesis.client()
    arn = client.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamARN"]
    client.update_max_record_size(StreamARN=arn, MaxRecordSizeInKiB=10_240)
    kinesis.wait_until_active(stream)
    large = 10 * 1024 * 1024 - 1
    for _ in range(3):
        client.put_record(StreamName=stream, Data=b"x" * large, PartitionKey="k")
    reading = member(source_of(kinesis, arn))
    reading.read_until(3)
    assert [len(record.value or b"") for record in reading.read] == [large] * 3


def test_records_without_a_partition_key_pass(kinesis: Kinesis) -> None:
    stream = f"auto-{uuid.uuid4().hex[:12]}"
    client = kinesis.client()
    mode = {"StreamMode": "ON_DEMAND"}
    client.create_stream(StreamName=stream, StreamModeDetails=mode, RecordDistributionStrategy="AUTO")
    kinesis.wait_until_active(stream)
    client.put_records(StreamName=stream, Records=[{"Data": b"%d" % number} for number in range(10)])
    reading = member(source_of(kinesis, stream))
    reading.read_until(10)
    assert sorted(reading.numbers()) == list(range(10))
    assert {record.key for record in reading.read} == {None}


def test_a_shard_that_cannot_be_read_holds_the_watermark_back_and_shows_as_lag(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1)
    Writer(kinesis, stream).write(10)
    reading = member(source_of(kinesis, stream))
    assert reading.reader.lag is None
    reading.read_until(10)

    def is_up_to_date() -> bool:
        return reading.bundle() == 0 and (reading.reader.measure_lag() or 0) < 2_000

    wait_for(is_up_to_date, PATIENCE_SECONDS, "no lag")
    known = reading.reader.read_to()
    kinesis.switch(request_rate={"400": 1}, operations=["GetRecords"])
    wait_for(
        lambda: reading.bundle() == 0 and (reading.reader.measure_lag() or 0) > 2_000,
        PATIENCE_SECONDS,
        "the lag to rise",
    )
    assert reading.reader.read_to() - known < 2_000
    kinesis.clear_switches()
    Writer(kinesis, stream).write(10)
    reading.read_until(20)
    wait_for(is_up_to_date, PATIENCE_SECONDS, "the lag to fall")
    assert reading.reader.read_to() > known


@pytest.mark.parametrize("action", ["kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"])
def test_a_right_that_is_missing_stops_the_run_and_is_named(kinesis: Kinesis, action: str) -> None:
    stream = kinesis.create_stream(1)
    reading = member(source_of(kinesis, stream))
    kinesis.switch(denied_actions=[action])
    with pytest.raises(KinesisSetupError, match=f"the credentials lack the right {action} on the stream"):
        reading.bundle()


def test_the_right_to_describe_the_stream_is_not_needed(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1)
    kinesis.switch(denied_actions=["kinesis:DescribeStreamSummary"])
    Writer(kinesis, stream).write(10)
    reading = member(source_of(kinesis, stream))
    reading.read_until(10)
    assert reading.restriction.checkpoint.created == 0


def test_credentials_that_expire_stop_the_run(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1)
    reading = member(source_of(kinesis, stream))
    reading.bundle()
    kinesis.switch(expired_keys=["*"])
    with pytest.raises(KinesisSetupError, match=r"AWS refuses the credentials \(ExpiredTokenException\)"):
        reading.read_until(1)
    kinesis.clear_switches()
    Writer(kinesis, stream).write(10)
    reading.read_until(10)  # tried again, as clusters do


def test_an_outage_is_waited_out(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1)
    writer = Writer(kinesis, stream)
    reading = member(source_of(kinesis, stream))
    for mode in ("503", "reset"):
        writer.write(10)
        kinesis.switch(outage_s=1.5, outage_mode=mode)
        reading.read_until(writer.written)
    assert reading.numbers() == list(range(20))


def test_a_bundle_ends_at_its_limits(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(2)
    Writer(kinesis, stream).write(600)
    by_records = member(source_of(kinesis, stream, limits=replace(QUICK, max_records=100)))
    assert by_records.bundle() == 100
    by_bytes = member(source_of(kinesis, stream, limits=replace(QUICK, max_bytes=1)))
    assert 0 < by_bytes.bundle() < 600


def test_nothing_is_read_after_the_deadline_or_a_request_to_stop(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1)
    Writer(kinesis, stream).write(10)
    assert member(source_of(kinesis, stream, deadline=time.time())).bundle() == 0
    reading = member(source_of(kinesis, stream))
    process.request_stop(0)
    assert reading.bundle() == 0


def test_positions_of_a_shard_that_ended_stay_until_it_expires(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1)
    writer = Writer(kinesis, stream)
    writer.write(10)
    reading = member(source_of(kinesis, stream))
    reading.read_until(10)
    writer.split()
    writer.write(10)
    reading.read_until(20)
    shards = reading.restriction.checkpoint.shards
    assert shards["shardId-000000000000"].position == END
    assert {shards[shard].parents for shard in list(shards)[1:]} == {("shardId-000000000000",)}
    last = {record.headers[0][1]: record.headers[1][1] for record in reading.read}
    for shard in list(shards)[1:]:
        assert shards[shard].position == after((last[shard.encode()] or b"").decode())
