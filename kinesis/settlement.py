"""Acts on Kinesis' answer to a request: notes results, plans retries, halves requests, and logs warnings.

`kinesis.answers` says what an answer means. Called by one thread at a time.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from kinesis.answers import THROTTLED, Again, Decision, Halve, Refused, Results, Stop, Stored
from kinesis.delivery import Answer
from kinesis.errors import KinesisError, UnreachableError
from kinesis.open_deliveries import OpenDeliveries, OpenDelivery, RequestCounts
from kinesis.policy import WritePolicy
from kinesis.schedule import Entry, Schedule

_LOG = logging.getLogger(__name__)

_LOG_EVERY_SECONDS = 60.0

_SILENT_SECONDS = 5.0
"""Only refusals for this long are worth a warning; shorter ones are normal for a shard at its limit."""


class Settled(NamedTuple):
    """What is to be done after an answer.

    Attributes:
        owners: The deliveries that it concerned; some may have all their answers now.
        is_map_outdated: Whether a record went to an unknown shard.
        error: Why all deliveries have to fail; None if they need not.
    """

    owners: Sequence[OpenDelivery]
    is_map_outdated: bool
    error: KinesisError | None


class Settlement:
    """Settles the answers of a stream.

    Args:
        stream: Its name, for messages.
        policy: For the back-off.
        schedule: Where they wait until then.
        deliveries: Those that are open, for messages.
        clock: Monotonic seconds.
        random_unit: Draws evenly between 0 and 1.
    """

    def __init__(
        self,
        stream: str,
        policy: WritePolicy,
        schedule: Schedule,
        deliveries: OpenDeliveries,
        clock: Callable[[], float],
        random_unit: Callable[[], float],
    ):
        self._stream = stream
        self._policy = policy
        self._schedule = schedule
        self._deliveries = deliveries
        self._clock = clock
        self._random = random_unit
        self._refused_since: float | None = None  # when records began to be refused without one that was taken
        self._logged: dict[str, float] = {}  # by kind of message

    def start_afresh(self) -> None:
        """Forget how long everything has been refused: nothing waited meanwhile."""
        self._refused_since = None

    def settle(self, request: list[Entry], decision: Decision, sent_at: float, in_flight: int) -> Settled:
        """Act on an answer.

        Args:
            request: The records, all of deliveries that are open.
            decision: What the answer means.
            sent_at: When the request was sent.
            in_flight: Concurrent requests at that time.
        """
        counts = RequestCounts(request, in_flight)
        is_map_outdated = False
        error: KinesisError | None = None
        match decision:
            case Results(results):
                is_map_outdated, again, codes = self._note(request, results, sent_at, counts)
                if again:
                    error = self._again(
                        again,
                        f"Kinesis refuses records ({', '.join(codes)})",
                        min(entry.refusals for entry in again),
                        self._policy.max_record_seconds,
                    )
            case Again(cause, why, arrived):
                counts.request_again(request, cause, arrived=arrived)
                self.warn("again", f"{why}; records sent again: {len(request):,}")
                for entry in request:
                    entry.failures += 1
                error = self._again(request, why, min(entry.failures for entry in request), self._policy.max_seconds)
            case Halve(why):
                self._halve(request, why, counts)
            case Stop(reason):
                error = reason
        counts.report()
        return Settled(counts.owners, is_map_outdated, error)

    def warn(self, kind: str, words: str) -> None:
        """Log a warning, of each kind once a minute at most."""
        now = self._clock()
        if now - self._logged.get(kind, float("-inf")) >= _LOG_EVERY_SECONDS:
            self._logged[kind] = now
            _LOG.warning("%s: %s", self._stream, words)

    def _note(
        self, request: list[Entry], results: Sequence[Stored | Refused], sent_at: float, counts: RequestCounts
    ) -> tuple[bool, list[Entry], list[str]]:
        """Take the results of all records.

        Returns:
            Whether the map of the shards is outdated, what is to be sent again, and the codes that it was refused with.
        """
        done: list[Entry] = []
        again: list[Entry] = []
        stored: Counter[str] = Counter()
        refused: Counter[str] = Counter()
        codes: Counter[str] = Counter()
        unknown = set()
        is_map_outdated = False
        for entry, result in zip(request, results, strict=True):
            if isinstance(result, Stored):
                done.append(entry)
                shard, sequence_number = result
                stored[shard] += 1
                if shard != entry.lane and self._schedule.observe(entry, shard):
                    is_map_outdated = True
                entry.owner.answer(entry.index, Answer("", "", entry.attempts, shard, sequence_number))
                continue
            again.append(entry)
            entry.failures = 0
            entry.refusals += 1
            codes[result.code] += 1
            counts.record_again(entry, result.cause)
            if result.cause == THROTTLED:
                refused[result.shard or entry.lane] += 1
            elif result.cause == "unknown":
                unknown.add(result.code)
        counts.accepted(done)
        now = self._clock()
        for shard in stored.keys() | refused.keys():
            self._schedule.note(shard, stored[shard], refused[shard], sent_at, now)
        self._schedule.done(done)
        self._warn_of_standstill(bool(done), codes, now)
        self._warn_of_age(again, codes, now)
        if unknown:
            listed = ", ".join(sorted(unknown))
            self.warn("unknown", f"Kinesis refuses records with {listed}, an unknown code; sent again")
        return is_map_outdated, again, sorted(codes)

    def _warn_of_standstill(self, taken: bool, codes: Counter[str], now: float) -> None:
        """Warn if Kinesis has refused every record for some time: the run makes no progress."""
        if taken:
            self._refused_since = None
            return
        if self._refused_since is None:
            self._refused_since = now
        seconds = now - self._refused_since
        if seconds >= _SILENT_SECONDS:
            code = codes.most_common(1)[0][0]
            records = sum(one.left for one in self._deliveries)
            size = sum(one.bytes for one in self._deliveries)
            self.warn(
                "refused",
                f"Kinesis has taken no record for {seconds:.0f} s ({code}); "
                f"records that wait: {records:,}, {size:,} bytes in all; trying again",
            )

    def _warn_of_age(self, again: Sequence[Entry], codes: Counter[str], now: float) -> None:
        """Warn if records are refused for long, also while others are stored: their bundle waits for them."""
        seconds = now - min((entry.first_sent or now for entry in again), default=now)
        if seconds >= _LOG_EVERY_SECONDS:
            self.warn(
                "age",
                f"Kinesis refuses records ({', '.join(sorted(codes))}): "
                f"{len(again):,} of them, for {seconds:.0f} s; trying again",
            )

    def _again(self, entries: list[Entry], why: str, number: int, longest: float) -> KinesisError | None:
        """Put records back, together, after try `number`, with full jitter.

        Returns:
            An error if that would be too late.
        """
        policy = self._policy
        due = self._clock() + self._random() * min(longest, policy.base_seconds * 2 ** min(number - 1, 30))
        oldest = min(entry.first_sent or due for entry in entries)
        if policy.budget_seconds is not None and due - oldest > policy.budget_seconds:
            return UnreachableError(f"{why}, for longer than kinesis_retry_budget_seconds ({policy.budget_seconds:g})")
        for entry in entries:
            entry.owner.why = why
        self._schedule.put_back(entries, due)
        return None

    def _halve(self, request: list[Entry], why: str, counts: RequestCounts) -> None:
        if len(request) == 1:
            (entry,) = request
            entry.owner.answer(entry.index, Answer("rejected", why, entry.attempts))
            self._schedule.done(request)
            return
        counts.request_again(request, "halved", arrived=False)
        middle = len(request) // 2
        self._schedule.add_piece(request[:middle])
        self._schedule.add_piece(request[middle:])


def count_late(request: Sequence[Entry], decision: Decision, in_flight: int) -> None:
    """Count the answer to records whose deliveries have failed meanwhile, with all others."""
    counts = RequestCounts(request, in_flight)
    if isinstance(decision, Results):
        pairs = zip(request, decision.records, strict=True)
        counts.accepted([entry for entry, result in pairs if isinstance(result, Stored)])
    counts.report()
