"""The writer against the local Kinesis and its faults, with an oracle by numbers.

Each record holds a number. Of each run holds: every number is in the stream, or its answer says why not; what is there
twice is counted as possibly so; and each answer's sequence number is one that the stream keeps for that record.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from kinesis.delivery import Counts, Delivery
from kinesis.errors import AccessError, KinesisError, StoppedError, StreamError, UnreachableError
from kinesis.limits import PutRecord
from kinesis.policy import WritePolicy
from kinesis.session import Access, make_client
from kinesis.stream import Stream
from kinesis.writer import StreamWriter
from testing.services.kinesis import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, Kinesis
from testing.services.process import PATIENCE_SECONDS, wait_for

SLOW = "ProvisionedThroughputExceededException"


def access(kinesis: Kinesis, **changes: Any) -> Access:
    values: dict[str, Any] = {
        "region": REGION,
        "endpoint": kinesis.endpoint,
        "access_key_id": ACCESS_KEY_ID,
        "secret_access_key": SECRET_ACCESS_KEY,
        "role_arn": None,
        "external_id": None,
        "proxy": None,
        "connect_timeout": PATIENCE_SECONDS,
        "read_timeout": PATIENCE_SECONDS,
        "connections": 10,
        "time_left": lambda: float("inf"),
    }
    return Access(**{**values, **changes})


def policy_of(**changes: Any) -> WritePolicy:
    values = {
        "ordered": False,
        "max_in_flight": 8,
        "max_record_bytes": 2**20,
        "budget_seconds": None,
        "max_waiting_bytes": 10**8,
    }
    return WritePolicy(**{**values, **changes})


@contextmanager
def writing(
    kinesis: Kinesis, stream: str, clock: Callable[[], float] = time.monotonic, **policy: Any
) -> Iterator[StreamWriter]:
    client = make_client(access(kinesis))
    writer = StreamWriter(Stream(stream, lambda: client), policy_of(**policy), clock=clock)
    try:
        yield writer
    finally:
        writer.close()


def numbered(start: int, stop: int, keys: int = 1_000, size: int = 100) -> list[PutRecord]:
    return [PutRecord(f"{number:06}".encode().ljust(size, b"."), f"k{number % keys}") for number in range(start, stop)]


def put_in_turn(writer: StreamWriter, records: Sequence[PutRecord]) -> list[Delivery]:
    """Put batches one after another, so that there are as many requests at least."""
    return [put(writer, records[at : at + 100])[0] for at in range(0, len(records), 100)]


def put(writer: StreamWriter, records: Sequence[PutRecord], batch: int = 200) -> list[Delivery]:
    under_way = [writer.start(records[at : at + batch]) for at in range(0, len(records), batch)]
    return [future.result(PATIENCE_SECONDS) for future in under_way]


def check(
    kinesis: Kinesis, stream: str, records: Sequence[PutRecord], deliveries: Sequence[Delivery]
) -> Counter[bytes]:
    """Hold the oracle; return how often each record is in the stream."""
    kept = kinesis.records(stream)
    there = Counter(each.data for each in kept)
    places = {(each.shard_id, each.sequence_number): (each.data, each.partition_key) for each in kept}
    answers = [answer for delivery in deliveries for answer in delivery.answers]
    assert len(answers) == len(records)
    for record, answer in zip(records, answers, strict=True):
        if answer.accepted:
            assert places[answer.shard, answer.sequence_number] == (record.data, record.key)
        else:
            assert answer.message
            assert record.data not in there
    assert there.keys() <= {record.data for record in records}
    twice = sum(times - 1 for times in there.values())
    assert twice <= sum(delivery.duplicates_possible for delivery in deliveries)
    assert sum(delivery.accepted for delivery in deliveries) == sum(answer.accepted for answer in answers)
    return there


def test_records_are_put_in_full_requests(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(4)
    seen: list[Counts] = []
    records = numbered(0, 2_000)
    with writing(kinesis, stream, max_in_flight=1) as writer:
        under_way = [writer.start(records[at : at + 100], seen.append) for at in range(0, 2_000, 100)]
        deliveries = [future.result(PATIENCE_SECONDS) for future in under_way]
    assert set(check(kinesis, stream, records, deliveries).values()) == {1}
    assert sum(one.requests for one in deliveries) < 20  # of several deliveries each
    assert sum(counts.accepted for counts in seen) == 2_000
    assert sum(counts.sent_bytes for counts in seen) == sum(one.sent_bytes for one in deliveries)
    assert {answer.attempts for one in deliveries for answer in one.answers} == {1}


@pytest.mark.parametrize(
    ("code", "share"),
    [(SLOW, 0.01), (SLOW, 0.1), ("InternalFailure", 0.01), ("InternalFailure", 0.1), ("KMSThrottlingException", 0.1)],
)
def test_records_refused_one_by_one(kinesis: Kinesis, code: str, share: float) -> None:
    stream = kinesis.create_stream(4)
    kinesis.switch(record_rate={code: share}, limits=False, seed=7)
    records = numbered(0, 2_000)
    with writing(kinesis, stream) as writer:
        deliveries = put(writer, records)
    assert set(check(kinesis, stream, records, deliveries).values()) == {1}
    retries = sum((one.retries for one in deliveries), Counter[str]())
    assert retries.total() > 0
    assert sum(one.duplicates_possible for one in deliveries) == 0


@pytest.mark.parametrize("code", [SLOW, "InternalFailure"])
def test_all_records_refused_for_a_while(kinesis: Kinesis, code: str) -> None:
    stream = kinesis.create_stream(2)
    kinesis.switch(record_rate={code: 1.0}, limits=False)
    records = numbered(0, 300)
    with writing(kinesis, stream) as writer:
        future = writer.start(records)
        wait_for(lambda: bool(writer.waiting), PATIENCE_SECONDS, "records to be refused")
        assert not future.done()
        kinesis.clear_switches()
        deliveries = [future.result(PATIENCE_SECONDS)]
    assert set(check(kinesis, stream, records, deliveries).values()) == {1}


@pytest.mark.parametrize("status", ["400", "500", "503"])
def test_requests_refused_as_a_whole(kinesis: Kinesis, status: str) -> None:
    stream = kinesis.create_stream(4)
    kinesis.switch(request_rate={status: 0.4}, operations=["PutRecords"], seed=3)
    records = numbered(0, 2_000)
    with writing(kinesis, stream) as writer:
        deliveries = put_in_turn(writer, records)
    check(kinesis, stream, records, deliveries)
    assert sum(one.duplicates_possible for one in deliveries) > 0


def test_lost_replies_and_resets_are_counted_as_possible_duplicates(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(4)
    kinesis.switch(lost_reply_rate=0.5, reset_rate=0.1, operations=["PutRecords"], seed=5)
    records = numbered(0, 2_000)
    with writing(kinesis, stream) as writer:
        deliveries = put_in_turn(writer, records)
    there = check(kinesis, stream, records, deliveries)
    assert max(there.values()) > 1


@pytest.mark.parametrize("misfit", ["short", "long", "count"])
def test_answers_that_do_not_fit(kinesis: Kinesis, misfit: str) -> None:
    stream = kinesis.create_stream(4)
    kinesis.switch(responses=misfit, responses_rate=0.5, record_rate={"InternalFailure": 0.05}, seed=5)
    records = numbered(0, 800)
    with writing(kinesis, stream) as writer:
        deliveries = put_in_turn(writer, records)
    there = check(kinesis, stream, records, deliveries)
    assert (max(there.values()) == 1) is (misfit == "count")


def test_without_kinesis_for_a_while(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(2)
    with writing(kinesis, stream) as writer:
        put(writer, numbered(0, 100))
        kinesis.switch(outage_s=3_600, outage_mode="reset")
        records = numbered(0, 1_000)
        under_way = [writer.start(records[at : at + 100]) for at in range(100, 1_000, 100)]
        wait_for(lambda: bool(writer.waiting), PATIENCE_SECONDS, "records to be sent again")
        kinesis.clear_switches()
        deliveries = [future.result(PATIENCE_SECONDS) for future in under_way]
    kept = {each.data for each in kinesis.records(stream)}
    assert kept == {record.data for record in records}
    assert sum((one.retries for one in deliveries), Counter[str]()).total() > 0


def test_a_run_that_stands_still_says_so_once_a_minute(kinesis: Kinesis, caplog: pytest.LogCaptureFixture) -> None:
    stream = kinesis.create_stream(2)
    kinesis.switch(throttle={"*": 0.0})
    records = numbered(0, 300)
    began = time.monotonic()

    def fast() -> float:
        return (time.monotonic() - began) * 40

    def said() -> list[str]:
        return [record.getMessage() for record in caplog.records if "has taken no record" in record.getMessage()]

    with writing(kinesis, stream, clock=fast) as writer:
        future = writer.start(records)
        wait_for(lambda: len(said()) >= 2, PATIENCE_SECONDS, "the second warning")
        kinesis.clear_switches()
        future.result(PATIENCE_SECONDS)
        minutes = fast() / 60
    assert 2 <= len(said()) <= minutes + 1
    waiting = f"records that wait: 300, {300 * 100 + sum(len(record.key) for record in records):,} bytes in all"
    for words in said():
        assert words.startswith(f"{stream}: Kinesis has taken no record for ")
        assert f"({SLOW}); {waiting}; trying again" in words


def test_a_throttled_shard_holds_up_its_own_records_only(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(4)
    shards = [shard["ShardId"] for shard in kinesis.client().list_shards(StreamName=stream)["Shards"]]
    kinesis.switch(throttle={shards[0]: 0.0})
    records = numbered(0, 1_200)
    with writing(kinesis, stream) as writer:
        one = writer.start(records)
        others = [record.data for record in records]

        def rest() -> bool:
            return len(kinesis.records(stream)) >= 0.7 * len(others)

        wait_for(rest, PATIENCE_SECONDS, "the records of the other shards")
        assert not one.done()
        assert {each.shard_id for each in kinesis.records(stream)} == set(shards[1:])
        wait_for(lambda: writer.paces[shards[0]] < 0.5, PATIENCE_SECONDS, "the shard to be paced")
        kinesis.clear_switches()
        deliveries = [one.result(PATIENCE_SECONDS)]
    assert set(check(kinesis, stream, records, deliveries).values()) == {1}


def test_more_than_a_shard_takes_is_paced_and_hardly_refused(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1)
    records = numbered(0, 4_000)
    started = time.monotonic()
    with writing(kinesis, stream) as writer:
        deliveries = put(writer, records)
    seconds = time.monotonic() - started
    assert set(check(kinesis, stream, records, deliveries).values()) == {1}
    assert seconds > 2.5  # a second's worth at once, then 1,000 a second
    refused = sum((one.retries for one in deliveries), Counter[str]()).total()
    assert refused <= 0.05 * len(records)


@pytest.mark.parametrize("keys", [1, 7, 300])
def test_keys_are_kept_in_order(kinesis: Kinesis, keys: int) -> None:
    stream = kinesis.create_stream(3)
    kinesis.switch(
        record_rate={SLOW: 0.05, "InternalFailure": 0.1},
        request_rate={"500": 0.05},
        operations=["PutRecords"],
        limits=False,
        seed=11,
    )
    records = numbered(0, 60 if keys == 1 else 500, keys)
    with writing(kinesis, stream, ordered=True) as writer:
        deliveries = put(writer, records)
    there = check(kinesis, stream, records, deliveries)
    assert set(there.values()) == {1}  # a request that is refused with 500 stores nothing here
    by_key = defaultdict(list)
    for each in kinesis.records(stream):
        by_key[each.partition_key].append(each.data)
    assert all(numbers == sorted(numbers) for numbers in by_key.values())


def test_a_reshard_while_writing(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(2)
    client = kinesis.client()
    records = numbered(0, 6_000)
    with writing(kinesis, stream) as writer:
        deliveries = put(writer, records[:2_000])
        for shards in (4, 2):
            client.update_shard_count(StreamName=stream, TargetShardCount=shards, ScalingType="UNIFORM_SCALING")
            at = 2_000 if shards == 4 else 4_000
            deliveries += put(writer, records[at : at + 2_000])
            kinesis.wait_until_active(stream)
    assert set(check(kinesis, stream, records, deliveries).values()) == {1}


def test_shards_are_learned_without_the_right_to_list_them(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(4)
    kinesis.switch(denied_actions=["kinesis:ListShards"])
    records = numbered(0, 3_000)
    with writing(kinesis, stream) as writer:
        deliveries = put(writer, records[:500]) + put(writer, records[500:])
        assert len(writer.paces) == 4
    assert set(check(kinesis, stream, records, deliveries).values()) == {1}


@pytest.mark.parametrize("character", ["k", "é", "語", "🙂"])
def test_records_at_the_limit(kinesis: Kinesis, character: str) -> None:
    stream = kinesis.create_stream(1)
    room = 2**20 - len(character.encode())
    records = [PutRecord(bytes(room + more), character) for more in (-1, 0, 1)]
    with writing(kinesis, stream) as writer:
        deliveries = put(writer, records)
    check(kinesis, stream, records, deliveries)
    assert [answer.code for answer in deliveries[0].answers] == ["", "", "too_large"]


@pytest.mark.slow
def test_a_request_of_ten_megabytes(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1, MaxRecordSizeInKiB=10_240)
    kinesis.switch(limits=False)
    with writing(kinesis, stream, max_record_bytes=10 * 2**20) as writer:
        (delivery,) = put(writer, [PutRecord(bytes(10 * 2**20 - 1), "k"), *numbered(0, 2)])
    assert [answer.code for answer in delivery.answers] == ["", "", ""]


def test_keys_that_would_have_the_request_refused(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1)
    keys = ["", "a", "k" * 256, "k" * 257, "\ud83d", "\0", "🙂" * 256]
    records = [PutRecord(f"{number}".encode(), key) for number, key in enumerate(keys)]
    with writing(kinesis, stream) as writer:
        deliveries = put(writer, records)
    check(kinesis, stream, records, deliveries)
    assert [answer.code for answer in deliveries[0].answers] == ["bad_key", "", "", "bad_key", "bad_key", "", ""]


def test_a_record_limit_lowered_meanwhile_is_found_by_halving(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(2)
    records = numbered(0, 100)
    records[37] = PutRecord(b"37".ljust(1_500_000, b"."), "k")
    with writing(kinesis, stream, max_record_bytes=2 * 2**20) as writer:
        deliveries = put(writer, records)
    check(kinesis, stream, records, deliveries)
    codes = [answer.code for answer in deliveries[0].answers]
    assert codes.count("rejected") == 1
    assert codes[37] == "rejected"


@pytest.mark.parametrize(
    ("switch", "kind", "words"),
    [
        ({"expired_keys": ["*"]}, AccessError, "renew them"),
        ({"denied_actions": ["kinesis:PutRecords"]}, AccessError, "kinesis:PutRecords"),
    ],
)
def test_credentials_that_end_stop_all(
    kinesis: Kinesis, switch: dict[str, Any], kind: type[KinesisError], words: str
) -> None:
    stream = kinesis.create_stream(1)
    with writing(kinesis, stream) as writer:
        put(writer, numbered(0, 100))
        kinesis.switch(**switch)
        under_way = [writer.start(numbered(at, at + 100)) for at in (100, 200)]
        for future in under_way:
            with pytest.raises(kind, match=words):
                future.result(PATIENCE_SECONDS)
        kinesis.clear_switches()
        put(writer, numbered(100, 300))  # the writer is fit for the next try
    assert len(kinesis.records(stream)) == 300


def test_a_stream_that_is_missing_or_deleted_stops(kinesis: Kinesis) -> None:
    with writing(kinesis, "no-such-stream") as writer, pytest.raises(StreamError, match="no such stream no-such"):
        put(writer, numbered(0, 10))
    stream = kinesis.create_stream(1)
    with writing(kinesis, stream) as writer:
        put(writer, numbered(0, 10))
        kinesis.client().delete_stream(StreamName=stream)

        def stopped() -> bool:
            try:
                put(writer, numbered(10, 20))
            except StreamError:
                return True
            return False

        wait_for(stopped, PATIENCE_SECONDS, "the stream to be gone")


def test_a_stream_made_anew_under_its_name_is_written_to(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(2)
    client = kinesis.client()
    with writing(kinesis, stream) as writer:
        put(writer, numbered(0, 100))
        client.delete_stream(StreamName=stream)

        def created() -> bool:
            try:
                client.create_stream(StreamName=stream, ShardCount=3)
            except client.exceptions.ResourceInUseException:
                return False
            return True

        wait_for(created, PATIENCE_SECONDS, "the stream to be made anew")
        kinesis.wait_until_active(stream)
        records = numbered(100, 300)
        deliveries = put(writer, records)
    assert set(check(kinesis, stream, records, deliveries).values()) == {1}


def test_trying_ends_with_its_budget(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1)
    kinesis.switch(request_rate={"500": 1.0}, operations=["PutRecords"])
    words = "kinesis_retry_budget_seconds"
    with writing(kinesis, stream, budget_seconds=0.5) as writer, pytest.raises(UnreachableError, match=words):
        put(writer, numbered(0, 10))


@pytest.mark.parametrize("code", ["InternalFailure", SLOW])
def test_a_record_that_is_always_refused_ends_it_with_its_code_once_its_budget_is_spent(
    kinesis: Kinesis, code: str
) -> None:
    stream = kinesis.create_stream(1)
    kinesis.switch(record_rate={code: 1.0}, limits=False)
    words = rf"Kinesis refuses records \({code}\), for longer than kinesis_retry_budget_seconds \(0.5\)"
    with writing(kinesis, stream, budget_seconds=0.5) as writer, pytest.raises(UnreachableError, match=words):
        put(writer, numbered(0, 1))
    assert kinesis.records(stream) == []


def test_a_record_that_is_refused_for_long_is_mentioned_while_others_are_taken(
    kinesis: Kinesis, caplog: pytest.LogCaptureFixture
) -> None:
    stream = kinesis.create_stream(4)
    kinesis.switch(throttle={"shardId-000000000000": 0.0})
    now = [0.0]
    with writing(kinesis, stream, clock=lambda: now[0] + time.monotonic()) as writer:
        first = writer.start(numbered(0, 100))
        wait_for(lambda: bool(writer.waiting), PATIENCE_SECONDS, "records to be refused")
        now[0] = 90.0

        def mentioned() -> bool:
            writer.start(numbered(0, 100))
            return "Kinesis refuses records (ProvisionedThroughputExceededException): " in caplog.text

        wait_for(mentioned, PATIENCE_SECONDS, "the warning")
        kinesis.clear_switches()
        first.result(PATIENCE_SECONDS)


class Held(Stream):
    """A stream whose first answer is held back until it is let go."""

    def __init__(self, name: str, client: Callable[[], Any]):
        super().__init__(name, client)
        self.stored, self.let_go = threading.Event(), threading.Event()

    def put(self, records: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        reply = super().put(records)
        if not self.stored.is_set():
            self.stored.set()
            self.let_go.wait(PATIENCE_SECONDS)
        return reply


def test_what_kinesis_took_is_counted_though_its_answer_came_after_the_end(kinesis: Kinesis) -> None:
    name = kinesis.create_stream(1)
    client = make_client(access(kinesis))
    stream = Held(name, lambda: client)
    writer = StreamWriter(stream, policy_of())
    seen: list[Counts] = []
    first = writer.start(numbered(0, 10), seen.append)
    stream.stored.wait(PATIENCE_SECONDS)
    kinesis.switch(denied_actions=["kinesis:PutRecords"])
    for failing in (writer.start(numbered(10, 20)), first):
        with pytest.raises(AccessError):
            failing.result(PATIENCE_SECONDS)
    assert not seen
    stream.let_go.set()
    wait_for(lambda: bool(seen), PATIENCE_SECONDS, "the late answer to be counted")
    assert (seen[0].requests, seen[0].accepted) == (1, len(kinesis.records(name)))
    kinesis.clear_switches()
    writer.close()


def test_a_process_that_is_to_end_gives_up(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1)
    kinesis.switch(request_rate={"500": 1.0}, operations=["PutRecords"])
    client = make_client(access(kinesis))
    ending = threading.Event()
    writer = StreamWriter(Stream(stream, lambda: client), policy_of(), ending=ending.is_set)
    future = writer.start(numbered(0, 10))
    wait_for(lambda: bool(writer.waiting), PATIENCE_SECONDS, "the records to be refused")
    ending.set()
    with pytest.raises(StoppedError):
        future.result(PATIENCE_SECONDS)
    writer.close()


@pytest.mark.parametrize(("number", "kept_bytes"), [(50, 0), (20, 30_000)])
def test_what_waits_is_bounded(kinesis: Kinesis, number: int, kept_bytes: int) -> None:
    stream = kinesis.create_stream(1)
    kinesis.switch(throttle={"*": 0.0})
    with writing(kinesis, stream, max_waiting_bytes=50 * 700) as writer:
        under_way = [writer.start(numbered(0, 10)), writer.start(numbered(10, number), kept_bytes=kept_bytes)]
        blocked = threading.Thread(target=lambda: under_way.append(writer.start(numbered(50, 60))))
        blocked.start()
        wait_for(lambda: bool(writer.waiting), PATIENCE_SECONDS, "the records to be refused")
        assert len(under_way) == 2
        kinesis.clear_switches()
        blocked.join(PATIENCE_SECONDS)
        assert [len(future.result(PATIENCE_SECONDS).answers) for future in under_way] == [10, number - 10, 10]


def test_no_partition_key_and_no_secret_in_the_log(kinesis: Kinesis, caplog: pytest.LogCaptureFixture) -> None:
    stream = kinesis.create_stream(1)
    kinesis.switch(request_rate={"500": 1.0}, operations=["PutRecords"])
    with caplog.at_level(logging.DEBUG), writing(kinesis, stream) as writer:
        future = writer.start([PutRecord(b"{}", f"person{number}@example.com") for number in range(200)])
        wait_for(lambda: bool(writer.waiting), PATIENCE_SECONDS, "the request to be refused")
        kinesis.clear_switches()
        future.result(PATIENCE_SECONDS)
    assert "example.com" not in caplog.text
    assert ACCESS_KEY_ID not in caplog.text
    assert "sent again" in caplog.text
