"""Puts records on a stream: requests, retries, halving and pacing, until each record has its answer.

`kinesis.schedule` says what is sent next and `kinesis.answers` what an answer means; this module does it, with a few
threads that share one client. One writer serves a stream in a process: requests carry records of all deliveries that
are open, so that a shard that has had enough holds up its own records and nobody else's.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

from kinesis.answers import THROTTLED, Again, Decision, Halve, Refused, Results, Stop, Stored, read_error, read_reply
from kinesis.delivery import Answer, Counts, Delivery
from kinesis.errors import StoppedError, UnreachableError
from kinesis.limits import Fault, PutRecord, measure
from kinesis.read_errors import boto_errors
from kinesis.schedule import Entry, Schedule
from kinesis.shard_map import ListedShards

_LOG = logging.getLogger(__name__)

_LOG_EVERY_SECONDS = 60.0
_LOOK_SECONDS = 0.5
"""How often a thread that waits looks whether the process is to end."""

_SILENT_SECONDS = 5.0
"""Only refusals for so long are worth a warning; shorter ones are the daily business of a shard at its limit."""

_LIST_EVERY_SECONDS = 1.0
"""Shards are listed no more often than this."""

Observer = Callable[[Counts], None]


class StreamCalls(Protocol):
    """What a writer asks of a stream; `kinesis.stream.Stream` has it."""

    @property
    def name(self) -> str:
        """For messages."""

    def put(self, records: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Call PutRecords; raises what boto3 raises."""

    def list_shards(self) -> ListedShards | None:
        """Return the open shards; None where the right to list them is missing."""


@dataclass(frozen=True)
class WritePolicy:
    """How a writer goes about it.

    Attributes:
        ordered: Whether of each partition key one record is under way at a time, in the order in which they came.
        max_in_flight: Requests under way at a time.
        max_record_bytes: Of data and partition key, as the stream has it.
        budget_seconds: Trying one record for longer than this ends everything; None tries for ever.
        max_waiting_bytes: Of records without an answer; then no more are taken in.
        base_seconds, max_seconds: Bounds of the exponential back-off of requests, drawn evenly below the bound.
        max_record_seconds: The same bound for records that Kinesis refuses out of a request that it takes.
    """

    ordered: bool
    max_in_flight: int
    max_record_bytes: int
    budget_seconds: float | None
    max_waiting_bytes: int = 16 * 2**20
    base_seconds: float = 0.1
    max_seconds: float = 10.0
    max_record_seconds: float = 1.0


class _Open:
    """A delivery that is not over."""

    def __init__(self, records: int, observer: Observer, now: float):
        self.future: Future[Delivery] = Future()
        self.answers: list[Answer | None] = [None] * records
        self.left = records
        self.bytes = 0
        self.observer = observer
        self.since = now
        self.total = Delivery()
        self.why = ""


class StreamWriter:
    """Puts records on one stream; any number of threads may use it.

    Args:
        stream: Its calls.
        policy: How to go about it.
        clock: Monotonic seconds.
        random_unit: Draws evenly between 0 and 1.
        ending: Whether the process is to end now, so that nothing is tried any more.
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
        self._random = random_unit
        self._ending = ending
        self._schedule = Schedule(ordered=policy.ordered, now=clock())
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        self._room = threading.Condition(lock)
        self._open: dict[_Open, None] = {}
        self._waiting_bytes = 0
        self._refused_since: float | None = None  # when records began to be refused without one that was taken
        self._under_way = 0
        self._threads: list[threading.Thread] = []
        self._watched_until = float("inf")  # when the first of the waiting threads looks again
        self._list_at: float | None = clock()  # when the shards may be listed; None while that is not wanted
        self._first_list = True
        self._logged: dict[str, float] = {}  # by kind of message
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

    def start(self, records: Sequence[PutRecord | Fault], observer: Observer = lambda _: None) -> Future[Delivery]:
        """Take in records, in their order; block while too much waits, which is how a slow stream slows the read.

        Args:
            records: A `Fault` stands for a record that cannot be put on the stream, and becomes its answer.
            observer: Is given the numbers of each step as it is taken, also of a delivery that ends in an error.

        Returns:
            What became of them. It fails with a `KinesisError` when a user has to deal with something, or the process
            is to end.
        """
        one = _Open(len(records), observer, self._clock())
        entries = []
        for index, record in enumerate(records):
            measured = record if isinstance(record, Fault) else measure(record, self._policy.max_record_bytes)
            if isinstance(measured, Fault):
                one.answers[index] = Answer(*measured, attempts=0)
                one.left -= 1
            elif isinstance(record, PutRecord):
                entries.append(Entry(record.data, record.key, measured.size, measured.hash_key, one, index))
                one.bytes += measured.size
        if not entries:
            self._end(one)
            return one.future
        with self._changed:
            self._room.wait_for(self._has_room)
            self._start_threads()
            if not self._open:
                self._refused_since = None
            self._open[one] = None
            self._waiting_bytes += one.bytes
            self._schedule.add(entries)
            self._changed.notify()
        return one.future

    def close(self) -> None:
        """End the threads; what is not answered by then fails."""
        with self._changed:
            self._closed = True
            self._fail(StoppedError("the writer was closed while records waited to be sent"))
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _has_room(self) -> bool:
        return self._waiting_bytes < self._policy.max_waiting_bytes

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
            except BaseException as error:  # noqa: BLE001 (deliveries that nobody ends would be waited for for ever)
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
            self._say("list", f"the shards cannot be listed, they are learned from replies: {error}")
            with self._changed:
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
            if all(entry.owner in self._open for entry in request):
                self._settle(request, decision, sent_at, in_flight)
            else:
                _count_late(request, decision, in_flight)

    def _call(self, request: list[Entry]) -> Decision:
        name = self._stream.name
        try:
            reply = self._stream.put([{"Data": entry.data, "PartitionKey": entry.key} for entry in request])
        except boto_errors() as error:
            return read_error(error, name)
        return read_reply(reply, len(request), name)

    def _settle(self, request: list[Entry], decision: Decision, sent_at: float, in_flight: int) -> None:
        """Do what an answer asks for. The lock is held."""
        step = _Step(request, in_flight)
        match decision:
            case Results(results):
                self._settle_each(request, results, sent_at, step)
            case Again(cause, why, arrived):
                step.request_again(request, cause, arrived=arrived)
                self._say("again", f"{why}; sent again: {len(request)} records")
                for entry in request:
                    entry.failures += 1
                self._again(request, why, min(entry.failures for entry in request), self._policy.max_seconds)
            case Halve(why):
                self._halve(request, why, step)
        step.report()
        self._end_answered(step.owners)
        if isinstance(decision, Stop):
            self._fail(decision.error)

    def _settle_each(
        self, request: list[Entry], results: Sequence[Stored | Refused], sent_at: float, step: _Step
    ) -> None:
        done: list[Entry] = []
        again: list[Entry] = []
        stored: Counter[str] = Counter()
        refused: Counter[str] = Counter()
        refusals: Counter[str] = Counter()
        unknown = set()
        for entry, result in zip(request, results, strict=True):
            if isinstance(result, Stored):
                done.append(entry)
                shard, sequence_number = result
                stored[shard] += 1
                if shard != entry.lane and self._schedule.observe(entry, shard):
                    self._list_at = self._list_at or self._clock() + _LIST_EVERY_SECONDS
                entry.owner.answers[entry.index] = Answer("", "", entry.attempts, shard, sequence_number)
                continue
            again.append(entry)
            entry.failures = 0
            entry.refusals += 1
            refusals[result.code] += 1
            step.record_again(entry, result.cause)
            if result.cause == THROTTLED:
                refused[result.shard or entry.lane] += 1
            elif result.cause == "unknown":
                unknown.add(result.code)
        step.accepted(done)
        now = self._clock()
        self._note_refusals(bool(done), refusals, now)
        for shard in stored.keys() | refused.keys():
            self._schedule.note(shard, stored[shard], refused[shard], sent_at, now)
        self._schedule.done(done)
        if again:
            number = min(entry.refusals for entry in again)
            why = f"Kinesis refuses records ({', '.join(sorted(refusals))})"
            self._note_age(again, why, now)
            self._again(again, why, number, self._policy.max_record_seconds)
        if unknown:
            codes = ", ".join(sorted(unknown))
            self._say("unknown", f"Kinesis refuses records with {codes}, an unknown code; sent again")

    def _note_refusals(self, taken: bool, refusals: Counter[str], now: float) -> None:
        """Warn where Kinesis has refused every record for some time: the run stands still."""
        if taken:
            self._refused_since = None
            return
        if self._refused_since is None:
            self._refused_since = now
        seconds = now - self._refused_since
        if seconds >= _SILENT_SECONDS:
            code = refusals.most_common(1)[0][0]
            waiting = sum(one.left for one in self._open)
            self._say(
                "refused",
                f"Kinesis has taken no record for {seconds:.0f} s ({code}); "
                f"{waiting:,} records with {self._waiting_bytes:,} bytes wait; trying again",
            )

    def _note_age(self, again: Sequence[Entry], why: str, now: float) -> None:
        """Warn where records are refused for long, also while others are taken: their bundle waits for them."""
        seconds = now - min(entry.first_sent or now for entry in again)
        if seconds >= _LOG_EVERY_SECONDS:
            self._say("age", f"{why}: {len(again):,} of them, for {seconds:.0f} s; trying again")

    def _again(self, entries: list[Entry], why: str, number: int, longest: float) -> None:
        """Put records back, together, after try `number`: full jitter, so that writers do not come back at once."""
        due = self._clock() + self._random() * min(longest, self._policy.base_seconds * 2 ** min(number - 1, 30))
        budget = self._policy.budget_seconds
        oldest = min(entry.first_sent or due for entry in entries)
        if budget is not None and due - oldest > budget:
            self._fail(UnreachableError(f"{why}, for longer than kinesis_retry_budget_seconds ({budget:g})"))
            return
        for entry in entries:
            entry.owner.why = why
        self._schedule.put_back(entries, due)

    def _halve(self, request: list[Entry], why: str, step: _Step) -> None:
        if len(request) == 1:
            (entry,) = request
            entry.owner.answers[entry.index] = Answer("rejected", why, entry.attempts)
            entry.owner.left -= 1
            self._schedule.done(request)
            return
        step.request_again(request, "halved", arrived=False)
        middle = len(request) // 2
        self._schedule.add_piece(request[:middle])
        self._schedule.add_piece(request[middle:])

    def _end_answered(self, owners: Sequence[_Open]) -> None:
        for one in owners:
            if one in self._open and not one.left:
                del self._open[one]
                self._waiting_bytes -= one.bytes
                self._room.notify_all()
                self._end(one)

    def _end(self, one: _Open) -> None:
        one.total.answers = [answer for answer in one.answers if answer is not None]
        one.total.seconds = self._clock() - one.since
        one.future.set_result(one.total)

    def _fail(self, error: BaseException) -> None:
        """End all open deliveries with an error. The lock is held."""
        failed = list(self._open)
        self._open.clear()
        self._waiting_bytes = 0
        self._refused_since = None
        self._schedule.clear()
        self._list_at = self._clock()  # what was wrong may have been the stream
        self._first_list = True
        for one in failed:
            one.future.set_exception(error)
        self._room.notify_all()

    def _say(self, kind: str, words: str) -> None:
        """Log a warning, of each kind once a minute at most."""
        now = self._clock()
        if now - self._logged.get(kind, float("-inf")) >= _LOG_EVERY_SECONDS:
            self._logged[kind] = now
            _LOG.warning("%s: %s", self._stream.name, words)


def _count_late(request: list[Entry], decision: Decision, in_flight: int) -> None:
    """Count the answer to records whose deliveries have failed meanwhile, with all others. The lock is held."""
    step = _Step(request, in_flight)
    if isinstance(decision, Results):
        pairs = zip(request, decision.records, strict=True)
        step.accepted([entry for entry, result in pairs if isinstance(result, Stored)])
    step.report()


class _Step:
    """What one request brought to the deliveries whose records it carried."""

    def __init__(self, request: list[Entry], in_flight: int):
        self._counts: dict[_Open, Counts] = {}
        self._in_flight = in_flight
        for owner, entries in groupby(request, _owner):
            self._of(owner).sent_bytes += sum([entry.size for entry in entries])
        self._of(request[0].owner).requests += 1

    @property
    def owners(self) -> Sequence[_Open]:
        """Return the deliveries."""
        return list(self._counts)

    def accepted(self, entries: Sequence[Entry]) -> None:
        """Count records that Kinesis has."""
        for owner, some in groupby(entries, _owner):
            number = sum(1 for _ in some)
            owner.left -= number
            self._of(owner).accepted += number

    def record_again(self, entry: Entry, cause: str) -> None:
        """Count a record that is sent again by itself."""
        self._of(entry.owner).retries[cause] += 1

    def request_again(self, request: Sequence[Entry], cause: str, *, arrived: bool) -> None:
        """Count a request whose records are sent again, once, and each record that may be in the stream already."""
        self._of(request[0].owner).retries[cause] += 1
        if arrived:
            for entry in request:
                self._of(entry.owner).duplicates_possible += 1

    def report(self) -> None:
        """Add the numbers up, and tell the observers."""
        for one, counts in self._counts.items():
            one.total.add(counts)
            one.total.in_flight = max(one.total.in_flight, self._in_flight)
            one.observer(counts)

    def _of(self, owner: _Open) -> Counts:
        counts = self._counts.get(owner)
        if counts is None:
            counts = self._counts[owner] = Counts()
        return counts


def _owner(entry: Entry) -> _Open:
    owner: _Open = entry.owner
    return owner
