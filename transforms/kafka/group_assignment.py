"""The partitions that the coordinator of a consumer group assigns to a reader."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from functools import partial

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from aep.counted import counted
from transforms.kafka.assignment import LOOK_AGAIN_SECONDS, Assignment
from transforms.kafka.client import KafkaReadError, Partition, deals_by_brokers, max_poll_seconds
from transforms.kafka.commits import Commits
from transforms.kafka.left_off import LeftOff
from transforms.kafka.member import Member
from transforms.kafka.newcomer import Newcomer
from transforms.kafka.offsets import Committed, committed_offsets, log_range, named, named_offsets
from transforms.kafka.restriction import Positions, Shard
from transforms.kafka.source import KafkaSource
from transforms.kafka.start import goes_on, is_another
from transforms.worker import metrics

_LOG = logging.getLogger(__name__)


# While partitions are handed over, which is seldom and short.
_LOOK_SECONDS = 0.02

# Beyond session.timeout.ms (10 s): until then a member that was killed may keep a rebalance open, in which brokers take
# no commit. Kubernetes kills 15 s after shutdown_seconds, as the manifests have it.
_LAST_COMMITS_SECONDS = 12.0


class GroupAssignment(Assignment):
    """The partitions that the group's coordinator assigns to this member, cooperatively: a rebalance takes or adds some
    and leaves the others alone.

    The callbacks of a rebalance run in the thread of `Member`, as commits do. They note what has changed, and the
    thread of the bundles takes it in, see `follow`. A partition is handed over in good order: nothing more is read of
    it, the bundle ends, its answers are awaited and its offsets committed; only then the coordinator may give it to
    another member.
    """

    _ask_others_at = float("-inf")
    _others_were_at: dict[Partition, int] | None = None
    _subscribed: tuple[str, ...] = ()

    def __init__(
        self,
        consumer: Consumer,
        source: KafkaSource,
        shard: Shard,
        clock: Callable[[], float],
        member: Member,
        commits: Commits,
    ):
        super().__init__(consumer, source, shard, clock)
        self._member = member
        self._commits = commits
        self._newcomer: Newcomer | None = None
        self._left_off = LeftOff()
        self._closing = False
        # Of the fields below, which two threads change, and of positions that are read further.
        self._lock = threading.Lock()
        self._deals = 0
        self._dealt: dict[Partition, int] = {}  # and not taken in yet: by which deal of the coordinator
        self._mine: set[Partition] = set()  # taken in, and not handed over since
        self._leaving: frozenset[Partition] = frozenset()
        # The brokers give up on a member that takes longer than max.poll.interval.ms to let partitions go.
        self._hand_over_seconds, self._hand_over_limit = min(
            (source.hand_over_seconds, "shutdown_seconds"),
            (max_poll_seconds(source.cluster) / 2, "half of max.poll.interval.ms"),
        )

    def go_to(self, restriction: Positions, certain: bool) -> None:
        """Continue reading at the offsets of a restriction, also in partitions that come back."""
        self._left_off.go_back(restriction.next)
        super().go_to(restriction, certain)

    def follow(self) -> None:
        """Stop reading partitions that were handed over, and take in those that were dealt."""
        with self._lock:
            gone = self.positions.keys() - self._mine
            for one in gone:
                self._left_off.note(one, self._began[one], Committed(self.positions[one], self._ids[one]))
            self._drop(sorted(gone))
        if self._dealt or (self._deals and not self.known):
            self._take_dealt()

    def advance(self, partition: Partition, offset: int) -> bool:
        """Note that the partition is read up to the offset; False if nothing more may be read of it."""
        with self._lock:
            if partition not in self._mine or partition in self._leaving:
                return False
            return super().advance(partition, offset)

    def has_read(self, partition: Partition, read: Committed) -> bool:
        """Return whether this member has the partition, and has reached the offset since it was assigned it."""
        return partition in self._mine and super().has_read(partition, read)

    def hands_over(self) -> bool:
        """Return whether the group waits for what was read of partitions to be delivered."""
        return bool(self._leaving) and self._is_open(self._leaving)

    def when_delivered(self, commit: Callable[[], None]) -> Callable[[], None]:
        """Return the function that has a commit made by the member."""
        return partial(self._member.ask, commit)

    def messages(self) -> list[Message]:
        """Return errors that the group had since this was last asked."""
        return self._member.messages()

    def errors(self) -> list[KafkaError]:
        """Return the other errors of this member since this was last asked."""
        return self._member.errors()

    def close(self) -> None:
        """Have commits made until none is left, leave the group and close the consumers."""
        self._closing = True
        seconds = min(self._hand_over_seconds, _LAST_COMMITS_SECONDS)
        if not self._member.stop(seconds) and (late := self._delivered_uncommitted()):
            _LOG.warning(
                "the last offsets of group %s could not be committed within %g s: up to %s may be delivered twice (%s)",
                *(self._source.group_id, seconds, _counted_twice(sum(late.values())), named(late)),
            )
        self._member.close()
        super().close()

    def others_are_at(self, left: dict[Partition, int]) -> bool:
        """Return whether the other members have committed up to these offsets; asked once a second.

        That they have stays so: a bundle that ends for it is asked again at once, why.
        """
        if not left or left == self._others_were_at:
            return True
        if self._clock() < self._ask_others_at:
            return False
        self._ask_others_at = self._clock() + 1.0
        try:
            committed = committed_offsets(self._consumer, list(left))
        except KafkaException as error:
            _LOG.warning("the group's committed offsets cannot be read now: %s", error.args[0].str())
            return False
        ids = self.restriction.ids
        are_there = all(
            one in committed
            and committed[one].offset >= end
            and not is_another(committed[one].topic_id, ids.get(one[0]))
            for one, end in left.items()
        )
        self._others_were_at = left if are_there else None
        return are_there

    def _reads(self, partition: Partition) -> bool:
        return True  # or another member of the group does

    def _refresh(self) -> None:
        self.follow()
        # Names, never regular expressions: librdkafka's are of another kind than those that routes are chosen by.
        partitions = self._look()
        found = tuple(partitions)
        if found and found != self._subscribed and self._may_join(partitions):
            self._subscribed = found
            self._member.subscribe(found, self._on_assign, self._on_revoke, self._on_lost)
        if not self.known and self._newcomer is not None and self._newcomer.is_spare():
            self.known = True

    def _may_join(self, found: dict[str, list[int]]) -> bool:
        """Look at the group before joining it."""
        if self._newcomer is not None:
            return True
        partitions = [(topic, number) for topic, numbers in found.items() for number in numbers]
        is_told = not deals_by_brokers(self._source.cluster)
        of = self._admin, self._source.group_id, partitions, is_told, self._clock
        try:
            self._newcomer = Newcomer(self._consumer, *of)
        except KafkaException as error:
            _LOG.warning("group %s cannot be joined yet: %s", self._source.group_id, error.args[0].str())
            self._look_at = self._clock() + LOOK_AGAIN_SECONDS
            return False
        return True

    def _take_dealt(self) -> None:
        """Take in newly assigned partitions, once the brokers say where to continue."""
        dealt = dict(self._dealt)
        partitions = sorted(dealt)
        try:
            committed = committed_offsets(self._consumer, partitions) if dealt else {}
            offsets = {one: self._place(one, dealt[one], committed.get(one)) for one in partitions}
        except KafkaException as error:
            reason = error.args[0].str()
        except KafkaReadError as error:
            reason = str(error)
        else:
            with self._lock:
                # Others were revoked meanwhile.
                taken = {one: at for one, at in offsets.items() if self._dealt.get(one) == dealt[one]}
                for one in taken:
                    del self._dealt[one]
                self._mine |= taken.keys()
                self._take(taken)
                self._began |= {one: self._left_off.take(one, at, committed.get(one)) for one, at in taken.items()}
            self._hold({one: self._began[one] for one in taken if one not in committed})
            self.known = True
            self.ask_ids()
            _LOG.info("this process now reads %s", counted(len(self.positions), "partition"))
            return
        _LOG.warning(
            "reading %s waits until the offsets of group %s can be read: %s",
            *(counted(len(dealt), "partition"), self._source.group_id, reason),
        )

    def _hold(self, places: dict[Partition, Committed]) -> None:
        """Have the group hold the places where it begins.

        Until a first bundle is delivered nothing else does: whoever reads the partitions next, as another process or
        after a restart, would begin where they end by then, if it is to begin at the latest offsets.
        """
        if places and self._source.commits:
            begin = named_offsets({one: at.offset for one, at in places.items()})
            _LOG.info("committing where group %s begins: %s", self._source.group_id, begin)
            self._member.ask(partial(self._commits.hold, places))

    def _place(self, partition: Partition, deal: int, committed: Committed | None) -> Committed:
        was_committed = self._commits.committed(partition) >= 0
        if (end := self._left_off.resume(partition, committed, was_committed)) is not None:
            return end
        # What comes after the first assignment comes from another member, or is new.
        handed_over = (
            self.known or deal > 1 or (self._newcomer is not None and self._newcomer.takes_over(partition, committed))
        )
        start = self._in_restriction(partition)
        if self._source.starts_at_committed and start is not None and self._has_gone_on(partition, start, committed):
            handed_over = True
        for known in (committed, start) if handed_over else (start, committed):
            if known is not None:
                return known
        return Committed(log_range(self._consumer, partition)[0])

    def _has_gone_on(self, partition: Partition, start: Committed, committed: Committed | None) -> bool:
        """Return whether the group has committed more since the start was looked up, as a process does that ends
        while this one begins.
        """
        if committed is None or committed.offset <= start.offset:
            return False
        return goes_on(committed, start.topic_id, *log_range(self._consumer, partition))

    def _on_assign(self, consumer: Consumer, dealt: list[TopicPartition]) -> None:
        with self._lock:
            self._deals += 1
            self._dealt |= {(one.topic, one.partition): self._deals for one in dealt}
        consumer.incremental_assign([])  # or librdkafka would read them with this consumer

    def _on_revoke(self, consumer: Consumer, taken: list[TopicPartition]) -> None:
        leaving = self._stop_reading(taken)
        if leaving and self._member.is_polling():  # at its close, all is done that could be
            self._hand_over(leaving)
        self._let_go(consumer, leaving)

    def _on_lost(self, consumer: Consumer, taken: list[TopicPartition]) -> None:
        leaving = self._stop_reading(taken)
        again = self._uncommitted(leaving)
        _LOG.warning(
            "lost %s: the brokers considered this process dead, or did not answer it, or a topic was deleted; %s (%s)",
            counted(len(taken), "partition"),
            f"up to {_counted_twice(again)} may be delivered twice" if again else "all that was read is committed",
            named((one.topic, one.partition) for one in taken),
        )
        self._let_go(consumer, leaving)

    def _stop_reading(self, taken: list[TopicPartition]) -> frozenset[Partition]:
        """Read no further in these partitions; return those that were read."""
        gone = {(one.topic, one.partition) for one in taken}
        with self._lock:
            for one in gone:
                self._dealt.pop(one, None)
            self._leaving = frozenset(gone & self._mine)
        return self._leaving

    def _let_go(self, consumer: Consumer, leaving: frozenset[Partition]) -> None:
        with self._lock:
            self._mine -= leaving
            self._leaving = frozenset()
        consumer.incremental_unassign([])

    def _hand_over(self, leaving: frozenset[Partition]) -> None:
        """Wait until all that was read of the partitions is delivered, and commit it; but not for ever."""
        deadline = self._clock() + self._hand_over_seconds
        began = {one: at for one in leaving if (at := self._began.get(one)) is not None}
        places = began if self._source.commits else {}
        hand_over = uuid.uuid4().hex[:8]
        while True:
            closing = self._closing
            self._member.make_commits()
            delivered = not self._is_open(leaving)
            # Also what is delivered so far, or where reading has begun.
            if self._commits.commit_now(places, hand_over) and delivered:
                return
            # As this process ends, nothing more will be delivered.
            ends = closing and not delivered
            if ends or self._clock() >= deadline:
                break
            time.sleep(_LOOK_SECONDS)
        late = "as this process ends" if ends else f"after {self._hand_over_seconds:g} s ({self._hand_over_limit})"
        _LOG.warning(
            "handing %s to another process, although not all that was read is delivered and committed %s: "
            "up to %s may be delivered twice (%s)",
            *(counted(len(leaving), "partition"), late, _counted_twice(self._uncommitted(leaving)), named(leaving)),
        )

    def uncommitted(self) -> int:
        """Return how many records were read and not committed: if this process were killed now, they would be read
        again. Any thread may ask.
        """
        return self._uncommitted(frozenset(self._mine))

    def _is_open(self, partitions: Iterable[Partition]) -> bool:
        """Return whether records of these partitions were read and are not delivered yet."""
        return any(self._ahead(one, self._commits.delivered(one)) for one in partitions)

    def _uncommitted(self, partitions: Iterable[Partition]) -> int:
        return sum(self._ahead(one, self._commits.committed(one)) for one in partitions)

    def _delivered_uncommitted(self) -> dict[Partition, int]:
        delivered = {one: (self._commits.delivered(one), self._began.get(one, Committed(0))) for one in self._mine}
        ahead = {one: to - max(self._commits.committed(one), at.offset) for one, (to, at) in delivered.items()}
        return {one: records for one, records in ahead.items() if records > 0}

    def _ahead(self, partition: Partition, of: int) -> int:
        """Return how many offsets the partition was read beyond this one, since it was taken in."""
        began = self._began.get(partition)
        return 0 if began is None else max(0, self.positions.get(partition, 0) - max(of, began.offset))


def _counted_twice(records: int) -> str:
    """Count records as possible duplicates, as this thread may, which has no bundle; return how many, for people."""
    metrics.count_here(metrics.DUPLICATES_POSSIBLE, records)
    return counted(records, "record")
