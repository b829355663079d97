"""Post: batches to where their routes lead, several of them under way while the bundle goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import NamedTuple, Protocol

import apache_beam as beam
from apache_beam.pvalue import DoOutputsTuple, TaggedOutput
from apache_beam.transforms.window import GlobalWindows

from transforms.outputs import refused, with_dead_letters
from transforms.receipts import Receipts, receipts_of
from transforms.records.chunk import Batch
from transforms.records.delivery import Client, Connection, Counts, Delivery
from transforms.records.destination import Destination
from transforms.records.outcome import Refusal
from transforms.records.route import Routes
from transforms.worker import metrics, process
from transforms.worker.late_answers import LateAnswers, late_answers
from transforms.worker.latency import Accepted, count_latencies, measure
from transforms.worker.setup import PLAIN_WORKER, WorkerSetup

# For each batch that may be under way, so many may wait aside: for records that the destination fails on, which takes
# minutes, while it accepts others. Each is up to the size of a request.
_ASIDE = 3


class Post(beam.PTransform):
    """Posts each batch; the bundle ends when all its records have their answer.

    `main` is empty. `dead_letters`: the records that the destination refused, stage `post`. `receipts`: of the
    records that it has received, if they are asked for. An error that a person has to put right fails the bundle.

    Args:
        latency: Measure how long after their timestamps records are accepted; for records that come from Kafka now.
        worker: What the processes of workers are like.
        late_answers_of: The id of the source, if its bundles may end before their last answers, see
            `transforms.worker.late_answers`: the bundle that follows then has them. No other step may do so.
    """

    def __init__(
        self,
        routes: Routes,
        connection: Connection,
        receipts: bool = False,
        latency: bool = False,
        worker: WorkerSetup = PLAIN_WORKER,
        late_answers_of: str | None = None,
        poster: Callable[[Client, Connection], Poster] | None = None,
    ):
        super().__init__()
        self._fn = _Post(
            routes, connection, receipts, latency, worker, late_answers_of, ThreadedPoster if poster is None else poster
        )

    def expand(self, batches: beam.PCollection[Batch]) -> DoOutputsTuple:
        """Add the step."""
        return with_dead_letters(beam.ParDo(self._fn), batches, Batch, receipts=Receipts)


class _UnderWay(NamedTuple):
    batch: Batch
    poster: Poster
    steps: _Steps
    future: Future[Delivery]


class _Post(beam.DoFn):
    def __init__(
        self,
        routes: Routes,
        connection: Connection,
        receipts: bool,
        latency: bool,
        worker: WorkerSetup,
        late_answers_of: str | None,
        poster: Callable[[Client, Connection], Poster],
    ):
        self._routes = routes
        self._connection = connection
        self._receipts = receipts
        self._latency = latency
        self._worker = worker
        self._late_answers_of = late_answers_of
        self._poster = poster

    def setup(self) -> None:
        """Set up the worker's process, which may be another one than that of the steps before (`batch_mode=state`)."""
        self._worker.apply()

    def start_bundle(self) -> None:
        of = self._late_answers_of
        self._late: LateAnswers[_UnderWay] = LateAnswers() if of is None else late_answers(of)
        self._under_way = list(self._late.start_bundle())
        self._left = len(self._under_way)  # those that the bundle before has left come first

    def process(self, element: Batch) -> Iterator[TaggedOutput]:
        with process.remember_failure():
            poster = _poster(self._routes[element.route].destination, self._connection, self._poster)
        steps = _Steps(element.route)
        self._under_way.append(_UnderWay(element, poster, steps, poster.post(element, steps)))
        yield from self._settle_ended()

    def finish_bundle(self) -> Iterator[TaggedOutput]:
        while self._left if self._late.allowed else self._under_way:
            wait([one.future for one in self._under_way], return_when=FIRST_COMPLETED)
            for output in self._settle_ended():
                yield TaggedOutput(output.tag, GlobalWindows.windowed_value(output.value))
        self._late.finish_bundle(self._under_way)

    def _settle_ended(self) -> Iterator[TaggedOutput]:
        """Take answers as they come: their batches are let go of, and an error ends the bundle early, whatever else
        is being tried again meanwhile.
        """
        under_way, left = self._under_way, self._left
        self._under_way, self._left = [], 0
        for at, one in enumerate(under_way):
            if one.future.done():
                yield from self._settle(*one)
            else:
                self._under_way.append(one)
                self._left += at < left

    def _settle(self, batch: Batch, poster: Poster, steps: _Steps, future: Future[Delivery]) -> Iterator[TaggedOutput]:
        metrics.count(metrics.TOKEN_RENEWALS, poster.take_renewals())
        with process.remember_failure():
            delivery = future.result()
        for name, amount in _counters(batch.route, delivery):
            metrics.count_in_beam(name, amount)
        metrics.observe_of(batch.route, metrics.DELIVERY_MESSAGES, len(delivery.answers))
        metrics.observe_of(batch.route, metrics.DELIVERY_BYTES, delivery.sent_bytes)
        metrics.observe_of(batch.route, metrics.DELIVERY_MILLISECONDS, int(delivery.seconds * 1000))
        metrics.observe(metrics.IN_FLIGHT, delivery.in_flight)
        if self._latency:
            count_latencies(batch.route, measure(_timestamps(batch, delivery), steps.accepted))
        if self._receipts and delivery.accepted:
            yield TaggedOutput("receipts", receipts_of(batch, delivery.answers))
        if delivery.accepted == len(delivery.answers):
            return
        for (chunk, record), answer in zip(batch.origins(), delivery.answers, strict=True):
            if not answer.accepted:
                reason = Refusal("post", chunk.route, answer.code, answer.message)
                yield refused(reason, chunk, record, answer.attempts)


def _counters(route: str, counts: Counts) -> Iterator[tuple[str, int]]:
    yield metrics.REQUESTS, counts.requests
    yield metrics.REQUEST_BYTES, counts.sent_bytes
    # In this order: whoever looks in between must not find records that no route has.
    yield metrics.accepted_by(route), counts.accepted
    yield metrics.ACCEPTED, counts.accepted
    yield metrics.DUPLICATES_POSSIBLE, counts.duplicates_possible
    for cause, times in counts.retries.items():
        yield metrics.RETRIES + cause, times


def _timestamps(batch: Batch, delivery: Delivery) -> list[int]:
    """Return when the accepted records of a batch were written to Kafka."""
    if delivery.accepted == len(delivery.answers):
        return [record.timestamp for chunk in batch.chunks for record in chunk.records]
    records = (record for _, record in batch.origins())
    return [one.timestamp for one, answer in zip(records, delivery.answers, strict=True) if answer.accepted]


class _Steps:
    """Counts the steps of a delivery as they are taken, by the delivering threads: one that ends in an error, or not
    yet, has arrived too.

    Attributes:
        accepted: When records were accepted.
    """

    def __init__(self, route: str):
        self._route = route
        self.accepted: list[Accepted] = []

    def __call__(self, counts: Counts) -> None:
        for name, amount in _counters(self._route, counts):
            metrics.count_here(name, amount)
        if counts.accepted:
            self.accepted.append(Accepted(counts.accepted, int(time.time() * 1000)))


class _Slot:
    """The right of a batch to be under way, given up once: at its end, or when it waits aside. Taken when made."""

    def __init__(self, slots: threading.BoundedSemaphore):
        self._slots: threading.BoundedSemaphore | None = slots
        slots.acquire()

    def give_up(self) -> None:
        """Let another batch take its place; called by the delivering thread alone."""
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.release()


class Poster(Protocol):
    """Delivers batches by a client; one for each destination and process."""

    def post(self, batch: Batch, observer: Callable[[Counts], None]) -> Future[Delivery]:
        """Start a delivery; block while too many are under way, which is how a slow destination slows the read.

        Args:
            observer: As for `Client.deliver`.
        """

    def take_renewals(self) -> int:
        """Return how many credentials were fetched since this was last asked."""


class ThreadedPoster:
    """A client with its threads; one for each destination and process.

    Batches of one shard of keys take turns where their order matters: each shard has a thread of its own.
    """

    def __init__(self, client: Client, connection: Connection):
        self._client = client
        ordered = connection.order == "key"
        threads = 1 if ordered else connection.max_in_flight * (1 + _ASIDE)
        self._pools = [
            ThreadPoolExecutor(threads, f"post-to-{connection.name.lower()}") for _ in range(connection.shards)
        ]
        # A batch for each thread may wait beside those under way, so that none idles while the next is made.
        self._slots = threading.BoundedSemaphore(connection.max_in_flight + (connection.shards if ordered else 1))

    def post(self, batch: Batch, observer: Callable[[Counts], None]) -> Future[Delivery]:
        """Start a delivery; blocks while too many are under way, which is how a slow destination slows the read."""
        slot = _Slot(self._slots)
        future = self._pools[batch.shard].submit(self._client.deliver, batch, observer, slot.give_up)
        future.add_done_callback(lambda _: slot.give_up())
        return future

    def take_renewals(self) -> int:
        """Return credentials fetched since this was last asked."""
        return self._client.take_renewals()


def _poster(
    destination: Destination, connection: Connection, make_poster: Callable[[Client, Connection], Poster]
) -> Poster:
    key = ("poster", repr((destination, connection)))

    def make() -> Poster:
        client = connection.client(destination)
        process.watch_waiting(key, lambda: client.waiting)
        return make_poster(client, connection)

    return process.shared(key, make)
