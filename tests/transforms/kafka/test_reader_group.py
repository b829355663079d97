"""Readers of one group share the partitions."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException

from testing.services.kafka import KafkaBroker
from testing.services.process import PATIENCE_SECONDS, wait_for
from testing.services.pytest_support import require
from testing.services.sharing import SharedServices
from tests.transforms.conftest import NewTopic
from tests.transforms.kafka.conftest import Join
from tests.transforms.kafka.drive import (
    Member,
    assert_once,
    await_committed,
    held,
    hold_back,
    numbers,
    read_to_end,
    source,
    start_of,
)
from transforms.kafka import group_assignment
from transforms.kafka import offsets as kafka_offsets
from transforms.kafka.client import KafkaCluster, KafkaReadError, Partition
from transforms.kafka.offsets import Committed

pytestmark = pytest.mark.kafka

SECONDS = PATIENCE_SECONDS


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
