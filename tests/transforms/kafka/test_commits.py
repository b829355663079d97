from __future__ import annotations

from confluent_kafka import Consumer, TopicPartition

from transforms.kafka.commits import Commits
from transforms.kafka.offsets import Committed

A, B = ("events", 0), ("events", 1)


class Group(Consumer):
    """A consumer that keeps what it was asked to commit; it has no broker."""

    def __init__(self) -> None:
        super().__init__({"group.id": "g"})
        self.asked: dict[tuple[str, int], int] = {}

    def commit(self, *, offsets: list[TopicPartition]) -> None:
        self.asked |= {(one.topic, one.partition): one.offset for one in offsets}


def test_bundles_that_are_finalised_in_another_order_leave_the_offsets_of_the_last_one() -> None:
    group = Group()
    commits = Commits(group, "group g", lambda *_: True)
    bundles = [commits.commit_later({A: Committed(at)}) for at in (10, 20, 30)]
    bundles.append(commits.commit_later({B: Committed(5)}))
    for number in (2, 3, 0, 1):
        bundles[number]()
    assert group.asked == {A: 30, B: 5}
    assert not commits.awaited()


def test_a_later_bundle_whose_offsets_are_lower_is_committed() -> None:
    group = Group()
    commits = Commits(group, "group g", lambda *_: True)
    for at in (30, 10):
        commits.commit_later({A: Committed(at)})()
    assert group.asked == {A: 10}
