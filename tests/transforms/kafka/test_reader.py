"""The reader on a real broker: whatever cuts a bundle short, nothing is skipped."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import count, pairwise
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from testing.services.kafka import KafkaBroker
from testing.services.process import BUSY_SECONDS, PATIENCE_SECONDS, wait_for
from testing.services.pytest_support import require
from testing.services.sharing import SharedServices
from tests.transforms.conftest import NewTopic
from tests.transforms.kafka.conftest import Join
from tests.transforms.kafka.drive import (
    QUICK,
    Member,
    await_committed,
    commit,
    delete_before,
    held,
    hold_back,
    numbers,
    source,
    start_of,
    transaction,
)
from transforms.kafka import group_assignment
from transforms.kafka import offsets as kafka_offsets
from transforms.kafka import reader as kafka_reader
from transforms.kafka.client import KafkaCluster, KafkaReadError, KafkaSetupError, Partition, Reset
from transforms.kafka.offsets import Committed, group_offsets
from transforms.kafka.reader import Reader
from transforms.kafka.restriction import Shard, deal
from transforms.kafka.source import KafkaSource
from transforms.kafka.start import Start
from transforms.records.chunk import Record
from transforms.worker import process

pytestmark = pytest.mark.kafka

SECONDS = PATIENCE_SECONDS


def read_to_end(*members: Member) -> None:
    """Let members read in turn until all have read everything up to their ends."""

    def step() -> bool:
        for member in members:
            member.bundle()
        return all(member.done for member in members)

    wait_for(step, SECONDS, "the ends")


def assert_once(member: Member, values: set[bytes]) -> None:
    """Each value was read once, and each partition in the order of its offsets."""
    read = member.values()
    assert set(read) == values
    assert len(read) == len(values)
    for offsets in member.offsets().values():
        assert all(before < after for before, after in pairwise(offsets))


@pytest.fixture(params=["group", "shard"])
def of(request: pytest.FixtureRequest, cluster: KafkaCluster, new_topic: NewTopic) -> KafkaSource:
    """A source of one topic with three partitions, in both ways of sharing them."""
    return source(cluster, new_topic(3), share_group=request.param == "group")


def test_all_that_kafka_knows_of_a_record_is_kept(cluster: KafkaCluster, new_topic: NewTopic, join: Join) -> None:
    topic = new_topic()
    producer = Producer({"bootstrap.servers": cluster.bootstrap_servers})
    producer.produce(topic, b"v", b"k", headers=[("a", b"1"), ("a", None)], timestamp=1_700_000_000_123)
    producer.produce(topic, None, b"k", timestamp=1_700_000_000_124)
    producer.produce(topic, b"", None, timestamp=1_700_000_000_125)
    producer.flush()
    of = source(cluster, topic)
    member = join(of, start_of(of))
    read_to_end(member)
    assert member.read[topic, 0] == [
        Record(0, 1_700_000_000_123, b"k", (("a", b"1"), ("a", None)), b"v"),
        Record(1, 1_700_000_000_124, b"k", (), None),
        Record(2, 1_700_000_000_125, None, (), b""),
    ]


def test_each_record_is_read_once_and_everything_is_committed(broker: KafkaBroker, of: KafkaSource, join: Join) -> None:
    values = numbers(broker, of.topics[0], 3_000, 3)
    member = join(of, start_of(of))
    read_to_end(member)
    assert_once(member, values)
    await_committed(broker, of, {0: 1000, 1: 1000, 2: 1000})
    assert member.reader.log_end((of.topics[0], 0)) == 1000


def test_bundles_end_at_their_limits(broker: KafkaBroker, of: KafkaSource, join: Join) -> None:
    topic = of.topics[0]
    numbers(broker, topic, 6_000, 3)
    by_records = join(of, start_of(of, stop_at_end=False))
    wait_for(by_records.bundle, SECONDS, "records")
    assert len(by_records.values()) == QUICK.max_records
    by_bytes = replace(of, id="bytes", group_id=f"{of.group_id}-b", limits=replace(QUICK, max_bytes=1))
    member = join(by_bytes, start_of(by_bytes, stop_at_end=False))
    wait_for(member.bundle, SECONDS, "records")
    assert 1 <= len(member.values()) <= 500


def test_the_lag_is_told_while_a_bundle_waits_for_records(broker: KafkaBroker, of: KafkaSource, join: Join) -> None:
    numbers(broker, of.topics[0], 30, 3)
    patient = replace(of, limits=replace(QUICK, max_records=30, idle_seconds=SECONDS))
    member = join(patient, start_of(patient, stop_at_end=False))
    assert member.bundle() == 30
    waiting = threading.Thread(target=member.bundle)
    waiting.start()
    try:
        wait_for(member.reader._polls.locked, SECONDS, "a poll")
        assert member.reader.measure_lag() == 0
        assert member.reader._polls.locked()
    finally:
        numbers(broker, of.topics[0], 30, 3)
        waiting.join()


def test_nothing_comes_from_a_topic_that_is_read_to_its_end(broker: KafkaBroker, of: KafkaSource, join: Join) -> None:
    numbers(broker, of.topics[0], 30, 3)
    member = join(of, start_of(of, "latest", stop_at_end=False))
    assert [member.bundle() for _ in range(5)] == [0] * 5
    late = numbers(broker, of.topics[0], 30, 3, first=30)
    wait_for(lambda: member.bundle() < 0 or len(member.values()) == 30, SECONDS, "the late records")
    assert_once(member, late)


def test_what_comes_after_the_end_that_was_looked_up_is_left_to_the_next_run(
    broker: KafkaBroker, of: KafkaSource, join: Join
) -> None:
    topic = of.topics[0]
    before = numbers(broker, topic, 300, 3)
    member = join(of, start_of(of))
    after = numbers(broker, topic, 300, 3, first=300)
    read_to_end(member)
    assert_once(member, before)
    await_committed(broker, of, {0: 100, 1: 100, 2: 100})
    member.reader.close()
    again = replace(of, id="again")
    following = join(again, start_of(again, "committed"))
    read_to_end(following)
    assert_once(following, after)


def test_a_reader_knows_of_commits_that_are_still_to_come(broker: KafkaBroker, of: KafkaSource, join: Join) -> None:
    numbers(broker, of.topics[0], 30, 3)
    member = join(of, start_of(of))
    assert not member.reader.awaits_commit()
    wait_for(lambda: member.bundle(commit=False) < 0 or len(member.values()) == 30, SECONDS, "all records")
    finalise = member.reader.commit_later(member.restriction.to_commit(member.restriction.next))
    assert member.reader.awaits_commit()
    finalise()
    wait_for(lambda: not member.reader.awaits_commit(), SECONDS, "the commit to be made")
    await_committed(broker, of, {0: 10, 1: 10, 2: 10})


def test_where_a_start_at_the_end_is_committed_a_restart_misses_nothing(
    broker: KafkaBroker, of: KafkaSource, join: Join
) -> None:
    topic = of.topics[0]
    numbers(broker, topic, 30, 3)
    first = join(of, start_of(of, "latest", stop_at_end=False))
    wait_for(lambda: first.bundle() or broker.committed(of.group_id, topic), SECONDS, "a commit")
    first.reader.close()
    between = numbers(broker, topic, 30, 3, first=30)
    again = replace(of, id="again", reset="latest")
    second = join(again, start_of(again, "committed"))
    read_to_end(second)
    assert_once(second, between)


def test_a_restart_before_anything_is_delivered_misses_nothing(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    of = source(cluster, new_topic(2), share_group=True, reset="latest", starts_at_committed=True)
    topic = of.topics[0]
    numbers(broker, topic, 20, 2)
    with caplog.at_level(logging.INFO):
        first = join(of, start_of(of, "committed", stop_at_end=False))
    begins = f"group {of.group_id} has no committed offset of 2 partitions; reading begins as kafka_reset=latest says"
    assert f"{begins}: {topic} 0 at 10, 1 at 10" in caplog.text
    wait_for(lambda: first.bundle(commit=False) < 0 or len(held(first)) == 2, SECONDS, "the partitions")
    values = numbers(broker, topic, 20, 2, first=20)
    wait_for(lambda: first.bundle(commit=False) < 0 or len(first.values()) == 20, SECONDS, "the records")
    first.reader.close()
    second = join(replace(of, id="second"), start_of(of, "committed", stop_at_end=False))
    wait_for(lambda: second.bundle() < 0 or sum(second.restriction.next.values()) == 40, SECONDS, "the end")
    assert_once(second, values)


def test_where_a_group_begins_is_held_before_anything_is_delivered_and_only_if_nothing_is_committed(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic, join: Join
) -> None:
    of = source(cluster, new_topic(2), share_group=True)
    topic = of.topics[0]
    numbers(broker, topic, 20, 2)
    commit(of.cluster, of.group_id, {(topic, 1): 5})
    start = start_of(of, "latest", stop_at_end=False)
    member = join(of, start)
    wait_for(lambda: member.bundle(commit=False) < 0 or len(held(member)) == 2, SECONDS, "the partitions")
    await_committed(broker, of, {0: 10, 1: 5})
    member.reader.close()
    assert group_offsets(cluster, of.group_id, [(topic, 0)]) == {(topic, 0): Committed(10, start.ids[topic])}


def test_a_member_that_ends_makes_its_last_commit_again_until_it_is_taken(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = source(cluster, new_topic(2), share_group=True)
    numbers(broker, of.topics[0], 20, 2)
    member = join(of, start_of(of, stop_at_end=False))
    wait_for(lambda: member.bundle(commit=False) < 0 or len(member.values()) == 20, SECONDS, "the records")
    await_committed(broker, of, {0: 0, 1: 0})
    refusing = Refusing(member.reader._commits._consumer, times=2)
    monkeypatch.setattr(member.reader._commits, "_consumer", refusing)
    member.reader.commit(member.restriction.to_commit(member.restriction.next))
    member.reader.close()
    assert refusing.times == 0
    assert broker.committed(of.group_id, of.topics[0]) == {0: 10, 1: 10}


def test_a_member_whose_last_commit_is_never_taken_says_what_may_come_twice(
    broker: KafkaBroker,
    cluster: KafkaCluster,
    new_topic: NewTopic,
    join: Join,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of = source(cluster, new_topic(2), share_group=True, hand_over_seconds=0.1)
    topic = of.topics[0]
    numbers(broker, topic, 20, 2)
    member = join(of, start_of(of, stop_at_end=False))
    wait_for(lambda: member.bundle(commit=False) < 0 or len(member.values()) == 20, SECONDS, "the records")
    await_committed(broker, of, {0: 0, 1: 0})
    commits = member.reader._commits
    monkeypatch.setattr(commits, "_consumer", Refusing(commits._consumer, times=1_000))
    member.reader.commit(member.restriction.to_commit(member.restriction.next))
    member.reader.close()
    said = f"the last offsets of group {of.group_id} could not be committed within 0.1 s"
    assert f"{said}: up to 20 records may be delivered twice ({topic} 0, 1)" in caplog.text


class Refusing:
    """A consumer whose commits are refused for a while, as brokers do amid a rebalance."""

    def __init__(self, consumer: Consumer, times: int):
        self.times = times
        self._consumer = consumer

    def commit(self, **arguments: Any) -> Any:
        if self.times:
            self.times -= 1
            raise KafkaException(KafkaError(KafkaError.REBALANCE_IN_PROGRESS))
        return self._consumer.commit(**arguments)


@pytest.mark.parametrize("claims", [0, 1, 2, 5])
def test_a_checkpoint_in_the_middle_of_a_bundle_skips_nothing(
    broker: KafkaBroker, of: KafkaSource, join: Join, claims: int
) -> None:
    values = numbers(broker, of.topics[0], 3_000, 3)
    member = join(of, start_of(of))
    for _ in range(8):
        member.bundle(claims=claims)
    read_to_end(member)
    assert_once(member, values)


def test_a_bundle_that_failed_is_read_again_whole(broker: KafkaBroker, of: KafkaSource, join: Join) -> None:
    values = numbers(broker, of.topics[0], 3_000, 3)
    member = join(of, start_of(of))
    for claims in (None, 3, 1, None):
        member.bundle(fail=True, claims=claims)
        assert sum(broker.committed(of.group_id, of.topics[0]).values()) == 0
        member.bundle(commit=False)
    read_to_end(member)
    assert_once(member, values)


def test_a_bundle_whose_reading_raised_is_read_again_whole(broker: KafkaBroker, of: KafkaSource, join: Join) -> None:
    values = numbers(broker, of.topics[0], 3_000, 3)
    member = join(of, start_of(of))
    wait_for(lambda: member.bundle() and len(member.read) == 3, SECONDS, "all partitions")

    def raise_after(steps: int) -> None:
        member.reader.go_to(member.restriction)
        for at, _ in enumerate(member.reader.read_bundle()):
            if at == steps:
                break
        raise RuntimeError("downstream")

    for steps in range(4):
        with pytest.raises(RuntimeError, match="downstream"):
            raise_after(steps)
        member.bundle()
    read_to_end(member)
    assert_once(member, values)


def test_an_older_restriction_takes_the_reader_back(broker: KafkaBroker, of: KafkaSource, join: Join) -> None:
    values = numbers(broker, of.topics[0], 3_000, 3)
    member = join(of, start_of(of))
    wait_for(lambda: member.bundle() and len(member.read) == 3, SECONDS, "all partitions")
    older, read = member.restriction, {partition: list(records) for partition, records in member.read.items()}
    read_to_end(member)
    member.restriction, member.read = older, read
    read_to_end(member)
    assert_once(member, values)


def test_partitions_that_are_new_are_read_from_their_beginning(
    broker: KafkaBroker, of: KafkaSource, join: Join
) -> None:
    of = replace(of, cluster=replace(of.cluster, config={"topic.metadata.refresh.interval.ms": "200"}))
    topic = of.topics[0]
    values = numbers(broker, topic, 30, 3)
    member = join(of, start_of(of, stop_at_end=False))
    wait_for(lambda: member.bundle() and len(member.values()) == 30, SECONDS, "the first records")
    broker.add_partitions(topic, 5)
    values |= numbers(broker, topic, 100, 5, first=30)
    wait_for(lambda: member.bundle() < 0 or len(member.values()) >= 130, SECONDS, "the new partitions")
    assert_once(member, values)
    assert set(member.restriction.next) == {(topic, number) for number in range(5)}


@pytest.mark.parametrize("fail", [False, True])
def test_a_new_partition_that_was_not_claimed_is_not_forgotten(
    broker: KafkaBroker, of: KafkaSource, join: Join, fail: bool
) -> None:
    of = replace(of, cluster=replace(of.cluster, config={"topic.metadata.refresh.interval.ms": "200"}))
    topic = of.topics[0]
    member = join(of, start_of(of, stop_at_end=False))
    wait_for(lambda: member.bundle() or member.reader._assigned.positions, SECONDS, "an assignment")
    broker.add_partitions(topic, 6)
    values = numbers(broker, topic, 600, 6)
    for _ in range(20):
        member.bundle(fail=True) if fail else member.bundle(claims=0)
        if len(member.reader._assigned.positions) == 6:
            break
    wait_for(lambda: member.bundle() < 0 or len(member.values()) >= 600, SECONDS, "all records")
    assert_once(member, values)


def test_a_restriction_from_before_a_partition_was_found_reads_it_again(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic, join: Join
) -> None:
    of = source(cluster, new_topic(1))
    member = join(of, start_of(of, stop_at_end=False))
    older = member.restriction
    broker.add_partitions(of.topics[0], 2)
    values = numbers(broker, of.topics[0], 100, 2)
    wait_for(lambda: member.bundle() < 0 or len(member.values()) == 100, SECONDS, "all records")
    member.restriction, member.read = older, {}
    wait_for(lambda: member.bundle() < 0 or len(member.values()) == 100, SECONDS, "all records again")
    assert_once(member, values)


def test_shards_read_their_own_partitions_and_those_that_come_later(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic, join: Join
) -> None:
    of = source(cluster, new_topic(4))
    values = numbers(broker, of.topics[0], 400, 4)
    start = start_of(of, stop_at_end=False)
    shards = [join(of, start, number, 2) for number in (0, 1)]
    broker.add_partitions(of.topics[0], 7)
    values |= numbers(broker, of.topics[0], 700, 7, first=400)

    def all_read() -> list[bytes | None]:
        return [value for shard in shards if shard.bundle() >= 0 for value in shard.values()]

    wait_for(lambda: len(all_read()) >= len(values), SECONDS, "all records")
    read = [value for shard in shards for value in shard.values()]
    assert sorted(filter(None, read)) == sorted(values)
    assert shards[0].read.keys().isdisjoint(shards[1].read)


def test_topics_that_fit_an_expression_are_found_while_reading(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic, join: Join
) -> None:
    first = new_topic()
    # Python's way to write a digit, which librdkafka's expressions do not know.
    of = source(cluster, rf"^{first}(-\d)?$", share_group=True)
    values = numbers(broker, first, 50, 1)
    member = join(of, start_of(of, stop_at_end=False))
    wait_for(lambda: member.bundle() < 0 or len(member.values()) == 50, SECONDS, "the first topic")
    broker.create_topic(f"{first}-2")
    values |= numbers(broker, f"{first}-2", 50, 1, first=50)
    wait_for(lambda: member.bundle() < 0 or len(member.values()) == 100, SECONDS, "the new topic")
    assert_once(member, values)


@pytest.mark.parametrize("share_group", [True, False])
def test_of_topics_that_fit_an_expression_one_may_be_deleted(
    broker: KafkaBroker,
    cluster: KafkaCluster,
    new_topic: NewTopic,
    join: Join,
    caplog: pytest.LogCaptureFixture,
    share_group: bool,
) -> None:
    prefix = new_topic()
    stays, goes = f"{prefix}-stays", f"{prefix}-goes"
    for name in (stays, goes):
        broker.create_topic(name, 2)
    quick = {"topic.metadata.refresh.interval.ms": "200", "topic.metadata.propagation.max.ms": "500"}
    of = source(replace(cluster, config=quick), f"^{prefix}-.*", share_group=share_group, discovery_seconds=60.0)
    member = join(of, start_of(of, stop_at_end=False))
    values = numbers(broker, stays, 30, 2)
    wait_for(lambda: member.bundle() < 0 or len(member.values()) == 30, SECONDS, "the first records")
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.delete_topics([goes])[goes].result(PATIENCE_SECONDS)
    wait_for(lambda: member.bundle() < 0 or goes in caplog.text, SECONDS, "word of it")
    values |= numbers(broker, stays, 30, 2, first=30)
    wait_for(lambda: member.bundle() < 0 or len(member.values()) == 60, SECONDS, "the late records")
    assert_once(member, values)


def test_a_named_topic_that_is_deleted_ends_the_reading(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic, join: Join
) -> None:
    quick = replace(cluster, config={"topic.metadata.refresh.interval.ms": "200"})
    of = source(quick, new_topic(), share_group=True)
    member = join(of, start_of(of, stop_at_end=False))
    numbers(broker, of.topics[0], 30, 1)
    wait_for(lambda: member.bundle() < 0 or len(member.values()) == 30, SECONDS, "the first records")
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.delete_topics([of.topics[0]])[of.topics[0]].result(PATIENCE_SECONDS)
    with pytest.raises(KafkaReadError, match=f"topic {of.topics[0]} .*was it deleted?"):
        wait_for(lambda: member.bundle() < 0, SECONDS, "the error")


@pytest.mark.parametrize("end", ["commit", "abort"])
def test_transaction_markers_at_the_end_do_not_keep_it_from_ending(
    broker: KafkaBroker, of: KafkaSource, join: Join, end: str
) -> None:
    topic = of.topics[0]
    values = numbers(broker, topic, 30, 3)
    with transaction(broker, topic, [(0, b"t1"), (0, b"t2"), (1, b"t3")], "commit" if end == "commit" else "abort"):
        pass
    ends = {(topic, 0): 13, (topic, 1): 12, (topic, 2): 10}
    # The coordinator writes the markers a moment after the producer has its answer.
    wait_for(lambda: start_of(of).ends == ends, SECONDS, "the markers")
    member = join(of, start_of(of))
    read_to_end(member)
    assert_once(member, values | ({b"t1", b"t2", b"t3"} if end == "commit" else set()))
    await_committed(broker, of, {0: 13, 1: 12, 2: 10})
    # Nothing more to do for the next run, and for one that starts at the markers.
    again = replace(of, id="again")
    read_to_end(join(again, start_of(again, "committed")))


@pytest.mark.parametrize("claims", [0, 1, 2])
def test_the_end_is_seen_again_when_the_bundle_that_saw_it_was_cut_short(
    broker: KafkaBroker, of: KafkaSource, join: Join, claims: int
) -> None:
    with transaction(broker, of.topics[0], [(0, b"a"), (1, b"b"), (2, b"c")], "abort"):
        pass
    wait_for(lambda: 0 not in (start_of(of).ends or {}).values(), SECONDS, "the markers")
    member = join(of, start_of(of))
    for _ in range(6):
        member.bundle(claims=claims)
    read_to_end(member)
    assert member.values() == []


def test_gaps_of_a_compacted_topic_are_passed(
    broker: KafkaBroker, of: KafkaSource, new_topic: NewTopic, join: Join
) -> None:
    topic = new_topic(
        1, cleanup_policy="compact", segment_ms=1, min_cleanable_dirty_ratio=0.001, min_compaction_lag_ms=0
    )
    _clean_soon(broker)
    for run in range(5):
        broker.produce(topic, [(b"k%d" % (at % 10), b"%d" % at, None, 0) for at in range(run * 20, run * 20 + 20)])
    wait_for(lambda: len(broker.consume_all(topic)) < 60, SECONDS, "the compaction")
    of = replace(of, topics=(topic,))
    member = join(of, start_of(of))
    read_to_end(member)
    offsets = member.offsets()[topic, 0]
    assert len(offsets) < 60
    assert max(offsets) == 99
    assert all(before < after for before, after in pairwise(offsets))
    await_committed(broker, of, {0: 100})


def _clean_soon(broker: KafkaBroker) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    entry = ConfigEntry("log.cleaner.backoff.ms", "200", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.BROKER, "1", incremental_configs=[entry])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(PATIENCE_SECONDS)


@pytest.mark.parametrize(("reset", "expected"), [("earliest", set(range(60, 100))), ("latest", set())])
def test_records_that_were_deleted_meanwhile_are_passed_and_told(
    broker: KafkaBroker,
    of: KafkaSource,
    join: Join,
    caplog: pytest.LogCaptureFixture,
    reset: Reset,
    expected: set[int],
) -> None:
    of = replace(of, reset=reset)
    topic = of.topics[0]
    broker.produce(topic, [(None, b"%d" % at, None, 0) for at in range(100)])
    member = join(of, start_of(of, stop_at_end=False))
    delete_before(broker, {(topic, 0): 60})
    with caplog.at_level(logging.WARNING):
        wait_for(lambda: member.bundle() < 0 or member.restriction.next[topic, 0] == 100, SECONDS, "the end")
    assert {int(value or b"") for value in member.values()} == expected
    assert "offset 0 of group" in caplog.text
    assert "60 records deleted" in caplog.text
    late = numbers(broker, topic, 30, 3, first=100)
    wait_for(lambda: member.bundle() < 0 or late <= set(member.values()), SECONDS, "the late records")
    wait_for(lambda: broker.committed(of.group_id, topic)[0] == 110, SECONDS, "the commit")


def test_while_no_leader_tells_what_is_left_after_a_deletion_the_partition_waits(
    broker: KafkaBroker, of: KafkaSource, join: Join, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    topic = of.topics[0]
    values = numbers(broker, topic, 300, 3)
    member = join(of, start_of(of))
    delete_before(broker, {(topic, 0): 60, (topic, 1): 60, (topic, 2): 60})
    right, failures = kafka_offsets.log_range, 2

    def fails(consumer: Consumer, partition: Partition, seconds: float) -> tuple[int, int]:
        nonlocal failures
        if failures:
            failures -= 1
            name, number = partition
            raise KafkaReadError(f"the offsets of topic {name} partition {number} cannot be read: timed out")
        return right(consumer, partition, seconds)

    monkeypatch.setattr(kafka_reader, "log_range", fails)
    with caplog.at_level(logging.WARNING):
        wait_for(lambda: member.bundle(fail=True) < 0 or failures == 1, SECONDS, "the first failure")
        read_to_end(member)
    assert failures == 0
    assert_once(member, values - {b"%d" % number for number in range(180)})
    assert f"the offsets of topic {topic}" in caplog.text
    assert caplog.text.count("60 records deleted") == 3


def test_records_that_were_deleted_can_be_an_error_which_is_the_same_each_time(
    broker: KafkaBroker, of: KafkaSource, join: Join
) -> None:
    of = replace(of, reset="error")
    broker.produce(of.topics[0], [(None, b"x", None, 0) for _ in range(100)])
    member = join(of, start_of(of))
    delete_before(broker, {(of.topics[0], 0): 60})
    for _ in range(2):
        with pytest.raises(KafkaReadError, match=f"topic {of.topics[0]} partition 0: offset 0 .*kafka_reset=error"):
            wait_for(lambda: member.bundle() < 0, SECONDS, "the error")


def test_a_commit_is_never_ahead_of_what_was_handed_out(broker: KafkaBroker, of: KafkaSource, join: Join) -> None:
    topic = of.topics[0]
    numbers(broker, topic, 3_000, 3)
    member = join(of, start_of(of))
    bundles = 0
    while not member.done:
        member.bundle(claims=next(_CLAIMS))
        bundles += 1
        for number, committed in broker.committed(of.group_id, topic).items():
            handed_out = member.offsets().get((topic, number), [-1])
            assert committed <= handed_out[-1] + 1
        assert bundles < 500
    assert len(member.values()) == 3_000


_CLAIMS = (claims % 9 for claims in count(1))


def test_a_broker_that_is_silent_for_a_while_ends_nothing(own_broker: KafkaBroker, join: Join) -> None:
    own_broker.create_topic("t", 3)
    values = numbers(own_broker, "t", 900, 3)
    cluster = KafkaCluster(own_broker.bootstrap_servers, {})
    members = [join(of, start_of(of)) for of in (source(cluster, "t", share_group=shared) for shared in (True, False))]
    for member in members:
        wait_for(member.bundle, SECONDS, "the first records")
    own_broker.pause()
    try:
        for member in members:
            # Looking for new partitions is in vain now, and so may be a commit.
            member.bundle()
    finally:
        own_broker.resume()
    read_to_end(*members)
    for member in members:
        assert_once(member, values)


def test_partitions_dealt_while_the_offsets_cannot_be_read_wait_and_are_read(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = source(cluster, new_topic(3), share_group=True)
    values = numbers(broker, of.topics[0], 900, 3)
    start = start_of(of)
    right, failures = kafka_offsets.committed_offsets, 3

    def fails(consumer: Consumer, partitions: Sequence[Partition]) -> dict[Partition, Committed]:
        nonlocal failures
        if failures:
            failures -= 1
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return right(consumer, partitions)

    monkeypatch.setattr(group_assignment, "committed_offsets", fails)
    member = join(of, start)
    read_to_end(member)
    assert failures == 0
    assert_once(member, values)


def test_a_request_to_stop_ends_the_bundle(broker: KafkaBroker, of: KafkaSource, join: Join) -> None:
    numbers(broker, of.topics[0], 30, 3)
    member = join(of, start_of(of))
    process.request_stop(0)
    assert member.reader.must_stop()
    assert member.bundle() == 0
    process.start_run()
    late = join(replace(of, id="late", deadline=1.0), start_of(of))
    assert late.reader.must_stop()


def test_a_property_that_librdkafka_does_not_know_is_named(of: KafkaSource) -> None:
    wrong = replace(of, cluster=replace(of.cluster, config={"fetch.min.bites": "1"}))
    with pytest.raises(KafkaSetupError, match=r"kafka_config is not accepted .*fetch\.min\.bites"):
        Reader(wrong, Shard(*deal(Start({}, None), 1)[0]))


class Together:
    """Members of one group that read at the same time, each in a thread, as processes do."""

    def __init__(self, *members: Member):
        self.members = members
        self._stop = {id(member): threading.Event() for member in members}
        self._threads = {id(member): threading.Thread(target=self._run, args=(member,)) for member in members}
        self.errors: list[Exception] = []

    def _run(self, member: Member) -> None:
        try:
            while not self._stop[id(member)].is_set():
                member.bundle()
        except Exception as error:  # noqa: BLE001 (shown by the test)
            self.errors.append(error)

    def start(self, member: Member) -> None:
        self._threads[id(member)].start()

    def stop(self, member: Member) -> None:
        self._stop[id(member)].set()
        if self._threads[id(member)].is_alive():
            self._threads[id(member)].join(SECONDS)

    def __enter__(self) -> Together:
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            self.stop(member)
        assert self.errors == []

    def read(self) -> set[bytes | None]:
        return {value for member in self.members for value in list(member.values())}


def test_members_of_a_group_share_the_partitions_and_hand_over_without_a_gap(
    broker: KafkaBroker, members: KafkaCluster, new_topic: NewTopic, join: Join
) -> None:
    of = source(members, new_topic(4), share_group=True)
    topic = of.topics[0]
    values = numbers(broker, topic, 4_000, 4)
    first = join(of, start_of(of, stop_at_end=False))
    second = join(replace(of, id="second"), start_of(of, stop_at_end=False))
    with Together(first, second) as together:
        together.start(first)
        wait_for(lambda: len(first.values()) > 500, SECONDS, "the first to read")
        together.start(second)
        wait_for(lambda: len(held(first)) == len(held(second)) == 2, SECONDS, "the partitions to be shared")
        values |= numbers(broker, topic, 4_000, 4, first=4_000)
        wait_for(lambda: values <= together.read(), SECONDS, "all records")
        wait_for(lambda: second.values(), SECONDS, "the second to read")
        wait_for(lambda: sum(broker.committed(of.group_id, topic).values()) == 8_000, SECONDS, "all commits")
        # The first leaves in good order: nothing of what it has committed is read again.
        together.stop(first)
        before = len(second.values())
        first.reader.close()
        values |= numbers(broker, topic, 400, 4, first=8_000)
        wait_for(lambda: values <= together.read(), SECONDS, "the records after it left")
        assert len(second.values()) == before + 400
        assert len(held(second)) == 4


def test_brokers_without_the_new_protocol_for_groups_are_told(shared_services: SharedServices, join: Join) -> None:
    class OlderBroker(KafkaBroker):
        _more_properties = "group.coordinator.rebalance.protocols=classic"

    with shared_services.one_at_a_time("own_broker"), require(OlderBroker()) as broker:
        broker.create_topic("t")
        of = source(KafkaCluster(broker.bootstrap_servers, {"group.protocol": "consumer"}), "t", share_group=True)
        member = join(of, start_of(of))
        with pytest.raises(KafkaReadError, match=f"group {of.group_id}: .*Kafka 4.0 has it: take it out of kafka_conf"):
            wait_for(member.bundle, SECONDS, "a bundle")


def test_processes_that_take_each_others_place_in_the_group_are_told_why(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic, join: Join
) -> None:
    topic = new_topic(2)
    numbers(broker, topic, 100, 2)
    of = source(replace(cluster, config={"group.instance.id": "one"}), topic, share_group=True)
    first, second = (join(one, start_of(one, stop_at_end=False)) for one in (of, replace(of, id="second")))
    with pytest.raises(KafkaReadError, match=r"group\.instance\.id.*each process needs its own"):
        wait_for(lambda: (first.bundle(), second.bundle()) == (-1, -1), SECONDS, "the first to lose its place")


def test_a_partition_that_is_handed_over_is_read_from_the_committed_offset_on(
    broker: KafkaBroker, members: KafkaCluster, new_topic: NewTopic, join: Join
) -> None:
    of = source(members, new_topic(2), share_group=True)
    topic = of.topics[0]
    numbers(broker, topic, 2_000, 2)
    first = join(of, start_of(of, stop_at_end=False))
    wait_for(lambda: first.bundle() < 0 or len(first.values()) == 2_000, SECONDS, "all records")
    # The second was started with the same options, so its own start lies before what the group has done.
    second = join(replace(of, id="second"), start_of(of, "earliest", stop_at_end=False))

    def shared() -> bool:
        first.bundle()
        second.bundle()
        return len(held(second)) == 1

    wait_for(shared, SECONDS, "a partition to be handed over")
    for _ in range(3):
        second.bundle()
    assert second.values() == []


def test_a_member_that_was_taken_for_dead_loses_its_partitions_and_commits_nothing_more(
    broker: KafkaBroker, members: KafkaCluster, new_topic: NewTopic, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    # It leaves when it has not polled for so long, as a process does that is frozen.
    config = {"max.poll.interval.ms": "3000"}
    if members.config["group.protocol"] == "classic":
        config |= {"session.timeout.ms": "3000", "heartbeat.interval.ms": "300"}
    of = source(replace(members, config={**members.config, **config}), new_topic(2), share_group=True)
    topic = of.topics[0]
    values = numbers(broker, topic, 2_000, 2)
    start = start_of(of, stop_at_end=False)
    first = join(of, start)
    wait_for(first.bundle, SECONDS, "a bundle")
    wait_for(lambda: sum(broker.committed(of.group_id, topic).values()), SECONDS, "its commit")
    committed = broker.committed(of.group_id, topic)
    wait_for(lambda: first.bundle(commit=False), SECONDS, "a bundle that is not committed")
    late = dict(first.advanced)
    awake = threading.Event()
    hold_back(first, awake)
    second = join(replace(of, id="second"), start)
    wait_for(
        lambda: second.bundle() < 0 or len(second.values()) >= 2_000 - sum(committed.values()), SECONDS, "the rest"
    )
    assert values == {*first.values(), *second.values()}
    await_committed(broker, of, {0: 1_000, 1: 1_000})
    # The first wakes up: it takes note of its loss, and its late commit does not undo the second's.
    first.reader.commit(late)
    awake.set()

    def again() -> bool:
        first.bundle()
        second.bundle()
        return len(held(first)) == len(held(second)) == 1

    # It joins again, and takes its share from where the second stands. What is read while partitions change hands may
    # be read twice, so the records come after that.
    wait_for(again, SECONDS, "the partitions to be shared again")
    more = numbers(broker, topic, 200, 2, first=2_000)
    wait_for(lambda: again() and more <= {*first.values(), *second.values()}, SECONDS, "the records after that")
    # A commit that is refused while partitions change hands is made again by a later bundle.
    wait_for(
        lambda: again() and broker.committed(of.group_id, topic) == {0: 1_100, 1: 1_100}, SECONDS, "the last commits"
    )
    # On a busy machine either may be taken for dead once more: each time the log says how much may be repeated.
    told = sum(int(one.replace(",", "")) for one in re.findall(r"up to ([\d,]+) records", caplog.text))
    assert len(first.values()) + len(second.values()) <= 2_200 + told


def test_each_member_ends_when_all_have_committed_everything(
    broker: KafkaBroker, members: KafkaCluster, new_topic: NewTopic, join: Join
) -> None:
    of = source(members, new_topic(2), share_group=True)
    values = numbers(broker, of.topics[0], 1_000, 2)
    start = start_of(of)
    first, second = join(of, start), join(replace(of, id="second"), start)

    def shared() -> bool:
        # Nothing is claimed before both have a part.
        first.bundle(fail=True)
        second.bundle(fail=True)
        return len(held(first)) == len(held(second)) == 1

    wait_for(shared, SECONDS, "the partitions to be shared")
    wait_for(lambda: first.bundle() < 0 or len(first.values()) == 500, SECONDS, "the first's part")
    assert not first.done
    read_to_end(first, second)
    assert sorted(filter(None, first.values() + second.values())) == sorted(values)


def test_a_member_that_gets_no_partition_ends_with_the_others(
    broker: KafkaBroker, members: KafkaCluster, new_topic: NewTopic, join: Join
) -> None:
    of = source(members, new_topic(1), share_group=True)
    values = numbers(broker, of.topics[0], 100, 1)
    start = start_of(of)
    both = join(of, start), join(replace(of, id="second"), start)

    def joined() -> bool:
        for member in both:
            member.bundle(fail=True)  # nothing is claimed before both have joined
        return all(member.reader._assigned.known for member in both)

    wait_for(joined, SECONDS, "both to join")
    read_to_end(*both)
    assert {*both[0].values(), *both[1].values()} == values


def test_a_commit_while_no_broker_answers_is_not_waited_for_and_made_up_for(
    own_broker: KafkaBroker, join: Join
) -> None:
    # By default a client waits up to 15 s before it connects again, longer than a look-up waits for it: members that
    # look in turn would need minutes until both have done so.
    cluster = KafkaCluster(own_broker.bootstrap_servers, config={"reconnect.backoff.max.ms": "500"})
    broker, topic = own_broker, "t"
    broker.create_topic(topic, 3)
    numbers(broker, topic, 30, 3)
    sources = [source(cluster, topic, share_group=shared) for shared in (True, False)]
    members = [join(of, start_of(of, stop_at_end=False)) for of in sources]

    def all_read() -> bool:
        for member in members:
            member.bundle(commit=False)
        return all(len(member.values()) == 30 for member in members)

    wait_for(all_read, SECONDS, "all records")
    broker.stop()
    try:
        started = time.monotonic()
        for member in members:
            member.reader.commit({(topic, number): Committed(10) for number in range(3)})
        assert time.monotonic() - started < BUSY_SECONDS  # it would be waited for until the broker is back
    finally:
        broker.start()

    def committed() -> bool:
        for member in members:
            member.bundle()
            member.reader.commit({})
        return all(broker.committed(of.group_id, topic) == {0: 10, 1: 10, 2: 10} for of in sources)

    wait_for(committed, SECONDS, "the commits")


def test_a_bundle_with_nothing_to_read_ends_as_soon_as_it_may(of: KafkaSource, join: Join) -> None:
    patient = replace(of, limits=replace(of.limits, idle_seconds=PATIENCE_SECONDS))
    member = join(patient, start_of(of, stop_at_end=False))
    asked: list[bool] = []

    def may_end() -> bool:
        asked.append(len(asked) == 3)
        return asked[-1]

    assert [step.chunk for step in member.reader.read_bundle(may_end) if step.chunk is not None] == []
    assert asked == [False, False, False, True]


@pytest.mark.parametrize("owed", [False, True])
def test_a_bundle_with_nothing_to_read_lasts_while_nothing_waits_for_its_end(
    of: KafkaSource, join: Join, monkeypatch: pytest.MonkeyPatch, owed: bool
) -> None:
    """Each end costs the runner time; but a commit that has failed is made again at one."""
    clock = 0.0

    def now() -> float:
        nonlocal clock
        clock += 0.01
        return clock

    patient = replace(of, limits=replace(of.limits, idle_seconds=0.05, quiet_seconds=1.0))
    member = join(patient, start_of(of, stop_at_end=False))
    wait_for(lambda: member.bundle() == 0 and member.reader._assigned.known, SECONDS, "the partitions")
    monkeypatch.setattr(member.reader, "_clock", now)
    monkeypatch.setattr(member.reader._commits, "owed", lambda: owed)
    begun = clock
    assert list(member.reader.read_bundle()) == []
    assert (clock - begun > 0.5) is not owed
