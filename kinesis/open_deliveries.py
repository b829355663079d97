"""Deliveries that are not over: their answers so far, the counts of each request, and the memory they take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from itertools import groupby

from kinesis.delivery import Answer, Counts, Delivery
from kinesis.schedule import Entry

Observer = Callable[[Counts], None]

ENTRY_MEMORY = 600
"""Bytes that a record takes while it waits, besides its data: what Python needs for its key, its entry here, and the
objects that the pipeline keeps of it. Measured with records of 1 kB."""


class OpenDelivery:
    """Some records that were taken in together.

    Attributes:
        future: Their result.
        answers: One for each record, in order; None where there is none yet.
        left: Records without an answer.
        bytes: Data and partition keys of the records that are, or were, to be sent.
        memory: Bytes of memory that they take until the delivery is over.
        why: Why records of it wait to be sent again; "" while none did.
    """

    def __init__(self, records: int, kept_bytes: int, observer: Observer, now: float):
        self.future: Future[Delivery] = Future()
        self.answers: list[Answer | None] = [None] * records
        self.left = records
        self.bytes = 0
        self.memory = kept_bytes + ENTRY_MEMORY * records
        self.why = ""
        self.total = Delivery()
        self._observer = observer
        self._since = now

    def count_bytes(self, number: int) -> None:
        """Add the bytes of data and partition keys to be sent."""
        self.bytes += number
        self.memory += number

    def answer(self, index: int, answer: Answer) -> None:
        """Note the answer to one record."""
        self.answers[index] = answer
        self.left -= 1

    def report(self, counts: Counts, in_flight: int) -> None:
        """Add the counts of a request, and pass them on."""
        self.total.add(counts)
        self.total.in_flight = max(self.total.in_flight, in_flight)
        self._observer(counts)

    def end(self, now: float) -> None:
        """Set the result: every record has its answer."""
        self.total.answers = [answer for answer in self.answers if answer is not None]
        self.total.seconds = now - self._since
        self.future.set_result(self.total)


class OpenDeliveries:
    """All deliveries that are not over.

    Attributes:
        memory: Bytes of memory that they take.
    """

    def __init__(self) -> None:
        self.memory = 0
        self._all: dict[OpenDelivery, None] = {}

    def __iter__(self) -> Iterator[OpenDelivery]:
        return iter(self._all)

    def __contains__(self, one: OpenDelivery) -> bool:
        return one in self._all

    def __len__(self) -> int:
        return len(self._all)

    def add(self, one: OpenDelivery) -> None:
        """Add a delivery."""
        self._all[one] = None
        self.memory += one.memory

    def end_answered(self, some: Sequence[OpenDelivery], now: float) -> bool:
        """End the given deliveries that have all their answers; return whether any has."""
        ended = [one for one in some if one in self._all and not one.left]
        for one in ended:
            del self._all[one]
            self.memory -= one.memory
            one.end(now)
        return bool(ended)

    def fail(self, error: BaseException) -> None:
        """End all with an error."""
        failed = list(self._all)
        self._all.clear()
        self.memory = 0
        for one in failed:
            one.future.set_exception(error)


class RequestCounts:
    """Counts of one request, for each delivery whose records it carries."""

    def __init__(self, request: Sequence[Entry], in_flight: int):
        self._counts: dict[OpenDelivery, Counts] = {}
        self._in_flight = in_flight
        for owner, entries in groupby(request, _owner):
            self._of(owner).sent_bytes += sum([entry.size for entry in entries])
        self._of(request[0].owner).requests += 1

    @property
    def owners(self) -> Sequence[OpenDelivery]:
        """Return the deliveries."""
        return list(self._counts)

    def accepted(self, entries: Sequence[Entry]) -> None:
        """Count records that Kinesis has stored."""
        for owner, some in groupby(entries, _owner):
            self._of(owner).accepted += sum(1 for _ in some)

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
        """Pass the counts on to the deliveries."""
        for one, counts in self._counts.items():
            one.report(counts, self._in_flight)

    def _of(self, owner: OpenDelivery) -> Counts:
        counts = self._counts.get(owner)
        if counts is None:
            counts = self._counts[owner] = Counts()
        return counts


def _owner(entry: Entry) -> OpenDelivery:
    owner: OpenDelivery = entry.owner
    return owner
