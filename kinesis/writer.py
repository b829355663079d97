"""Puts records on a stream: requests, retries, halving and pacing, until each record has its answer.

`kinesis.schedule` says what is sent next, `kinesis.answers` what an answer means, and `kinesis.settlement` does what it
asks for; this module has the threads, which share one client. One writer serves a stream in a process: requests carry
records of all deliveries that are open, so that a throttled shard delays only its own records.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from kinesis.answers import Decision, read_error, read_reply
from kinesis.delivery import Answer, Delivery
from kinesis.errors import StoppedError, UnreachableError
from kinesis.limits import Fault, PutRecord, measure
from kinesis.open_deliveries import Observer, OpenDeliveries, OpenDelivery
from kinesis.policy import WritePolicy
from kinesis.read_errors import boto_errors
from kinesis.schedule import Entry, Schedule
from kinesis.settlement import Settlement, count_late
from kinesis.shard_map import ListedShards

_LOG = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
"""How often a waiting thread checks whether the process has to end."""

_LIST_EVERY_SECONDS = 1.0
"""Shards are listed no more often than this."""


class StreamCalls(Protocol):
    """The calls that a writer makes; `kinesis.stream.Stream` has them."""

    @property
    def name(self) -> str:
        """For messages."""

    def put(self, records: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Call PutRecords; raises what boto3 raises."""

    def list_shards(self) -> ListedShards | None:
        """Return the open shards; None where the right to list them is missing."""


class StreamWriter:
    """Puts records on one stream; any number of threads may use it.

    Args:
        stream: Its calls.
        policy: Its settings.
        clock: Monotonic seconds.
        random_unit: Draws evenly between 0 and 1.
        ending: Whether the process has to end now; then nothing is tried any more.
    """

    def __init__(
        self,
        stream: StreamCalls,
        policy: WritePolicy,
        *,
        clock: Callable[[], float] = time.monotonic,
        random_unit: Callable[[], float] = random.random,
        ending: Callable[[], bool] = lambda: False,
    ):
        self._stream = stream
        self._policy = policy
        self._clock = clock
        self._ending = ending
        lock = threading.RLock()  # for all that follows
        self._changed = threading.Condition(lock)
        self._room = threading.Condition(lock)
        self._schedule = Schedule(ordered=policy.ordered, now=clock())
        self._open = OpenDeliveries()
        self._settlement = Settlement(stream.name, policy, self._schedule, self._open, clock, random_unit)
        self._under_way = 0
        self._threads: list[threading.Thread] = []
        self._watched_until = float("inf")  # when the first of the waiting threads looks again
        self._list_at: float | None = clock()  # when the shards may be listed; None while that is not wanted
        self._first_list = True
        self._closed = False

    @property
    def waiting(self) -> list[str]:
        """Return why deliveries wait to be sent again, one reason for each of them."""
        with self._changed:
            return [one.why for one in self._open if one.why]

    @property
    def under_way(self) -> int:
        """Return how many requests are under way now."""
        return self._under_way

    @property
    def paces(self) -> dict[str, float]:
        """Return the share of AWS's limits that each shard is given now, by its id."""
        with self._changed:
            return self._schedule.paces

    def start(
        self,
        records: Sequence[PutRecord | Fault],
        observer: Observer = lambda _: None,
        *,
        kept_bytes: int = 0,
        max_record_bytes: int | None = None,
    ) -> Future[Delivery]:
        """Take records, in order; block while too much waits, which is how a slow stream slows the read.

        Args:
            records: A `Fault` stands for a record that cannot be put on the stream, and becomes its answer.
            observer: Called with the counts of each request once it is answered, also if the delivery fails later.
            kept_bytes: Memory that the caller keeps until the delivery is over, besides the records; it counts towards
                the bound.
            max_record_bytes: Of data and partition key; None for those of the policy.

        Returns:
            The results. It fails with a `KinesisError` if the user has to fix something or the process has to end.
        """
        one = OpenDelivery(len(records), kept_bytes, observer, self._clock())
        limit = self._policy.max_record_bytes if max_record_bytes is None else max_record_bytes
        entries = []
        for index, record in enumerate(records):
            measured = record if isinstance(record, Fault) else measure(record, limit)
            if isinstance(measured, Fault):
                one.answer(index, Answer(*measured, attempts=0))
            elif isinstance(record, PutRecord):
                entries.append(Entry(record.data, record.key, measured.size, measured.hash_key, one, index))
        if not entries:
            one.end(self._clock())
            return one.future
        one.count_bytes(sum(entry.size for entry in entries))
        with self._changed:
            self._room.wait_for(self._has_room)
            self._start_threads()
            if not self._open:
                self._settlement.start_afresh()
            self._open.add(one)
            self._schedule.add(entries)
            self._changed.notify()
        return one.future

    def close(self) -> None:
        """End the threads; deliveries that are still open fail."""
        with self._changed:
            self._closed = True
            self._fail(StoppedError("the writer was closed while records waited to be sent"))
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _has_room(self) -> bool:
        return self._open.memory < self._policy.max_waiting_bytes

    def _start_threads(self) -> None:
        while len(self._threads) < self._policy.max_in_flight and not self._closed:
            thread = threading.Thread(target=self._run, name=f"put-to-{self._stream.name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                step = self._next_step()
            if step is None:
                return
            try:
                step()
            except BaseException as error:  # noqa: BLE001 (a delivery that is never ended would block its bundle for ever)
                with self._changed:
                    self._fail(error)

    def _next_step(self) -> Callable[[], None] | None:
        """Wait for something to do, and return it; None when the writer is closed. The lock is held."""
        while not self._closed:
            now = self._clock()
            if self._open and self._ending():
                self._fail(
                    StoppedError("stopped while records were waiting to be put on the stream; they will be read again")
                )
            if self._open and self._list_at is not None and now >= self._list_at:
                self._list_at = None
                return self._list_shards
            pause = float("inf")
            if not self._first_list:
                taken = self._schedule.take(now)
                if isinstance(taken, list):
                    self._under_way += 1
                    self._changed.notify()  # there may be more to send
                    return lambda: self._send(taken)
                pause = taken
            self._wait(pause)
        return None

    def _wait(self, pause: float) -> None:
        """Wait for a change; a thread looks at the clock only if no other will do so before it."""
        until = self._clock() + min(pause, _LOOK_SECONDS)
        if not self._open or self._watched_until <= until:
            self._changed.wait()
            return
        self._watched_until = until
        self._changed.wait(until - self._clock())
        if self._watched_until == until:
            self._watched_until = float("inf")

    def _list_shards(self) -> None:
        try:
            shards = self._stream.list_shards()
        except UnreachableError as error:
            with self._changed:
                self._settlement.warn("list", f"the shards cannot be listed, they are learned from replies: {error}")
                self._list_at = self._clock() + 10 * _LIST_EVERY_SECONDS
                self._listed()
            return
        with self._changed:
            if shards is not None:
                self._schedule.use(shards)
            elif self._first_list:
                _LOG.info("no right to kinesis:ListShards on %s: shards are learned from replies", self._stream.name)
            self._listed()

    def _listed(self) -> None:
        self._first_list = False
        self._changed.notify_all()

    def _send(self, request: list[Entry]) -> None:
        sent_at = self._clock()
        for entry in request:
            entry.attempts += 1
            if entry.first_sent is None:
                entry.first_sent = sent_at
        try:
            decision = self._call(request)
        finally:
            with self._changed:
                in_flight = self._under_way
                self._under_way -= 1
        with self._changed:
            if all(owner in self._open for owner in {entry.owner for entry in request}):
                self._settle(request, decision, sent_at, in_flight)
            else:
                count_late(request, decision, in_flight)

    def _call(self, request: list[Entry]) -> Decision:
        name = self._stream.name
        try:
            reply = self._stream.put([{"Data": entry.data, "PartitionKey": entry.key} for entry in request])
        except boto_errors() as error:
            return read_error(error, name)
        return read_reply(reply, len(request), name)

    def _settle(self, request: list[Entry], decision: Decision, sent_at: float, in_flight: int) -> None:
        """Act on an answer. The lock is held."""
        settled = self._settlement.settle(request, decision, sent_at, in_flight)
        if settled.is_map_outdated and self._list_at is None:
            self._list_at = self._clock() + _LIST_EVERY_SECONDS
        if self._open.end_answered(settled.owners, self._clock()):
            self._room.notify_all()
        if settled.error is not None:
            self._fail(settled.error)

    def _fail(self, error: BaseException) -> None:
        """End all open deliveries with an error. The lock is held."""
        self._schedule.clear()
        self._list_at = self._clock()  # what was wrong may have been the stream
        self._first_list = True
        self._open.fail(error)
        self._room.notify_all()
