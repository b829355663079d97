"""PostToAep: batches to AEP's streaming ingestion, several requests in flight while the bundle goes on."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import apache_beam as beam
from apache_beam.pvalue import DoOutputsTuple, TaggedOutput
from apache_beam.transforms.window import GlobalWindows

from aep.errors import ConfigurationError
from aep.http.auth import OAuthClient, OAuthTokens, StaticToken, TokenSource
from aep.http.network import Network
from aep.http.transport import RequestsTransport, Timeouts
from aep.ingestion.client import InletClient
from aep.ingestion.decision import RetryPolicy
from aep.ingestion.delivery import Counts, Delivery
from aep.ingestion.limits import RequestLimit
from transforms.outputs import refused, with_dead_letters
from transforms.receipts import Receipts, receipts_of
from transforms.records.chunk import Batch
from transforms.records.prepare import Refusal
from transforms.records.route import Route, Routes
from transforms.worker import metrics, process

Order = Literal["none", "key"]

# For each request that may be under way, so many batches may wait aside: for messages that AEP fails on, which takes
# minutes, while it accepts others. Each is up to 1 MB.
_ASIDE = 3


@dataclass(frozen=True)
class AepConnection:
    """How this pipeline talks to AEP; the same for all its routes.

    Attributes:
      oauth: the OAuth client of routes with ``auth="oauth"``.
      token: secret reference of the bearer token of routes with ``auth="token"``.
      timeouts: of each request.
      network: the way to the inlets and to IMS; only what goes to inlets is compressed.
      policy: what is tried again, and when.
      max_in_flight: requests under way at a time at most, for each inlet and worker process; fewer while AEP is slow.
      max_messages_per_second: messages sent at most, for each inlet and worker process; None for no such limit.
      order: ``key`` sends the records of a key in their order: batches must be of one shard of keys out of
        ``max_in_flight``, and of each shard one request is under way at a time.
    """

    oauth: OAuthClient | None = None
    token: str | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    network: Network = field(default_factory=Network)
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    max_in_flight: int = 8
    max_messages_per_second: float | None = None
    order: Order = "none"

    @property
    def shards(self) -> int:
        """How many shards of keys the batches must be made of."""
        return self.max_in_flight if self.order == "key" else 1


class PostToAep(beam.PTransform):
    """Posts each batch; the bundle ends when all its records have their answer.

    ``main`` is empty. ``dead_letters``: the records that AEP refused, stage ``post``. ``receipts``: of the records that
    AEP has received, if they are asked for. An error that a person has to mend fails the bundle.
    """

    def __init__(self, routes: Routes, connection: AepConnection | None = None, receipts: bool = False):
        super().__init__()
        self._routes = routes
        self._connection = connection or AepConnection()
        self._receipts = receipts

    def expand(self, batches: beam.PCollection[Batch]) -> DoOutputsTuple:
        """Adds the step."""
        step = beam.ParDo(_PostToAep(self._routes, self._connection, self._receipts))
        return with_dead_letters(step, batches, Batch, receipts=Receipts)


class _PostToAep(beam.DoFn):
    def __init__(self, routes: Routes, connection: AepConnection, receipts: bool):
        self._routes = routes
        self._connection = connection
        self._receipts = receipts

    def start_bundle(self) -> None:
        self._under_way: deque[tuple[Batch, _Poster, Future[Delivery]]] = deque()

    def process(self, element: Batch) -> Iterator[TaggedOutput]:
        poster = _poster(self._routes[element.route], self._connection)
        self._under_way.append((element, poster, poster.post(element)))
        yield from self._settle_ended()

    def finish_bundle(self) -> Iterator[TaggedOutput]:
        while self._under_way:
            wait([future for _, _, future in self._under_way], return_when=FIRST_COMPLETED)
            for output in self._settle_ended():
                yield TaggedOutput(output.tag, GlobalWindows.windowed_value(output.value))

    def _settle_ended(self) -> Iterator[TaggedOutput]:
        """Takes answers as they come: their batches are let go of, and an error ends the bundle early, whatever else
        is being tried again meanwhile.
        """
        for _ in range(len(self._under_way)):
            one = self._under_way.popleft()
            if one[2].done():
                yield from self._settle(*one)
            else:
                self._under_way.append(one)

    def _settle(self, batch: Batch, poster: _Poster, future: Future[Delivery]) -> Iterator[TaggedOutput]:
        metrics.count(metrics.TOKEN_RENEWALS, poster.take_token_renewals())
        with process.remember_failure():
            delivery = future.result()
        for name, amount in _counters(batch.route, delivery):
            metrics.count_in_beam(name, amount)
        metrics.observe("delivery_messages", len(delivery.answers))
        metrics.observe("delivery_bytes", delivery.sent_bytes)
        metrics.observe("delivery_milliseconds", int(delivery.seconds * 1000))
        metrics.observe(metrics.IN_FLIGHT, delivery.in_flight)
        if self._receipts and delivery.accepted:
            yield TaggedOutput("receipts", receipts_of(batch, delivery.answers))
        for (chunk, record), answer in zip(batch.origins(), delivery.answers, strict=True):
            if not answer.accepted:
                reason = Refusal("post", chunk.route, answer.code, answer.message)
                yield refused(reason, chunk, record, answer.attempts)


def _counters(route: str, counts: Counts) -> Iterator[tuple[str, int]]:
    yield metrics.REQUESTS, counts.requests
    yield metrics.REQUEST_BYTES, counts.sent_bytes
    yield metrics.ACCEPTED, counts.accepted
    yield metrics.accepted_by(route), counts.accepted
    yield metrics.DUPLICATES_POSSIBLE, counts.duplicates_possible
    for cause, times in counts.retries.items():
        yield metrics.RETRIES + cause, times


def _count_here(route: str, counts: Counts) -> None:
    """Counts a step of a delivery as it is taken: one that ends in an error, or not yet, has reached AEP too."""
    for name, amount in _counters(route, counts):
        metrics.count_here(name, amount)


class _Slot:
    """The right of a batch to be under way, given up once: at its end, or when it waits aside. Taken when made."""

    def __init__(self, slots: threading.BoundedSemaphore):
        self._slots: threading.BoundedSemaphore | None = slots
        slots.acquire()

    def give_up(self) -> None:
        """Lets another batch take its place; called by the delivering thread alone."""
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.release()


class _Poster:
    """An inlet's client with its threads; one for each inlet and process.

    Batches of one shard of keys take turns where their order matters: each shard has a thread of its own.
    """

    def __init__(self, client: InletClient, tokens: TokenSource | None, connection: AepConnection):
        self._client = client
        self._tokens = tokens
        self._ordered = connection.order == "key"
        threads = 1 if self._ordered else connection.max_in_flight * (1 + _ASIDE)
        self._pools = [ThreadPoolExecutor(threads, "post-to-aep") for _ in range(connection.shards)]
        # A batch for each thread may wait beside those under way, so that none idles while the next is made.
        self._slots = threading.BoundedSemaphore(connection.max_in_flight + (connection.shards if self._ordered else 1))

    def post(self, batch: Batch) -> Future[Delivery]:
        """Starts a delivery; blocks while too many are under way, which is how a slow AEP slows the read."""
        slot = _Slot(self._slots)
        pool = self._pools[batch.shard]
        keys = batch.keys if self._ordered else None
        observer = partial(_count_here, batch.route)
        future = pool.submit(self._client.deliver, batch.bodies, keys, observer, slot.give_up)
        future.add_done_callback(lambda _: slot.give_up())
        return future

    def take_token_renewals(self) -> int:
        """Tokens fetched since this was last asked."""
        return self._tokens.take_renewals() if self._tokens else 0


def _poster(route: Route, connection: AepConnection) -> _Poster:
    key = ("poster", repr((route.destination, route.auth, connection)))

    def make() -> _Poster:
        client = inlet_client(route, connection)
        process.watch_waiting(key, lambda: client.waiting)
        return _Poster(client, token_source(route, connection), connection)

    return process.shared(key, make)


def inlet_client(route: Route, connection: AepConnection) -> InletClient:
    """A client for the route's inlet, which shares the process's tokens."""
    return InletClient(
        route.destination,
        RequestsTransport(connection.timeouts, connection.network, time_left=process.time_left),
        token_source(route, connection),
        connection.policy,
        wait=process.pause,
        limit=request_limit(route, connection),
    )


def request_limit(route: Route, connection: AepConnection) -> RequestLimit:
    """The process's limit on requests under way to the route's inlet, whichever routes lead there."""
    ceiling, rate = connection.max_in_flight, connection.max_messages_per_second
    key = ("request limit", route.destination.inlet_url, ceiling, rate)

    def make() -> RequestLimit:
        limit = RequestLimit(ceiling, rate, wait=process.wait_for_turn)
        metrics.watch(metrics.IN_FLIGHT, key, lambda: limit.under_way)
        return limit

    return process.shared(key, make)


def token_source(route: Route, connection: AepConnection) -> TokenSource | None:
    """The process's tokens for the route, None where its inlet takes requests without authentication.

    Raises:
      ConfigurationError: the route asks for a credential that is not given.
    """
    if route.auth == "oauth":
        oauth = connection.oauth
        if oauth is None:
            raise ConfigurationError("aep_auth=oauth needs aep_client_id and aep_client_secret")
        network = replace(connection.network, gzip=False)
        transport = RequestsTransport(connection.timeouts, network, time_left=process.time_left)
        return process.shared((oauth, connection.timeouts, network), lambda: OAuthTokens(oauth, transport))
    if route.auth == "token":
        token = connection.token
        if token is None:
            raise ConfigurationError("aep_auth=token needs aep_token")
        return process.shared(("token", token), lambda: StaticToken(token))
    return None
