"""PostToAep: batches to AEP's streaming ingestion, several requests in flight while the bundle goes on."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import DoOutputsTuple, TaggedOutput
from apache_beam.transforms.window import GlobalWindows

from aep.auth import OAuthClient, OAuthTokens, StaticToken, TokenSource
from aep.delivery import Delivery, InletClient
from aep.errors import ConfigurationError
from aep.http import RequestsTransport, Timeouts
from aep.limits import RequestLimit
from aep.outcomes import RetryPolicy
from transforms import account, process
from transforms.chunks import Batch
from transforms.dead_letters import dead_letter
from transforms.outputs import refused, with_dead_letters
from transforms.routes import Route, Routes


@dataclass(frozen=True)
class AepConnection:
    """How this pipeline talks to AEP; the same for all its routes.

    Attributes:
      oauth: the OAuth client of routes with ``auth="oauth"``.
      token: secret reference of the bearer token of routes with ``auth="token"``.
      timeouts: of each request.
      policy: what is tried again, and when.
      max_in_flight: requests under way at a time at most, for each inlet and worker process; fewer while AEP is slow.
      max_messages_per_second: messages sent at most, for each inlet and worker process; None for no such limit.
    """

    oauth: OAuthClient | None = None
    token: str | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    max_in_flight: int = 8
    max_messages_per_second: float | None = None


class PostToAep(beam.PTransform):
    """Posts each batch; the bundle ends when all its records have their answer.

    ``main`` is empty. ``dead_letters``: the records that AEP refused, stage ``post``. An error that a person has to
    mend fails the bundle.
    """

    def __init__(self, routes: Routes, connection: AepConnection | None = None):
        super().__init__()
        self._routes = routes
        self._connection = connection or AepConnection()

    def expand(self, batches: beam.PCollection[Batch]) -> DoOutputsTuple:
        """Adds the step."""
        return with_dead_letters(beam.ParDo(_PostToAep(self._routes, self._connection)), batches, Batch)


class _PostToAep(beam.DoFn):
    def __init__(self, routes: Routes, connection: AepConnection):
        self._routes = routes
        self._connection = connection
        self._request_bytes = Metrics.distribution(account.NAMESPACE, "batch_bytes")
        self._latency = Metrics.distribution(account.NAMESPACE, "batch_milliseconds")

    def start_bundle(self) -> None:
        self._under_way: deque[tuple[Batch, Future[Delivery]]] = deque()

    def process(self, element: Batch) -> Iterator[TaggedOutput]:
        poster = _poster(self._routes[element.route], self._connection)
        self._under_way.append((element, poster.post(element.bodies)))
        # Answers are taken in order: the batch is let go of, and an error ends the bundle early.
        while self._under_way and self._under_way[0][1].done():
            yield from self._settle(*self._under_way.popleft())

    def finish_bundle(self) -> Iterator[TaggedOutput]:
        while self._under_way:
            for output in self._settle(*self._under_way.popleft()):
                yield TaggedOutput(output.tag, GlobalWindows.windowed_value(output.value))

    def _settle(self, batch: Batch, future: Future[Delivery]) -> Iterator[TaggedOutput]:
        with process.remember_failure():
            delivery = future.result()
        account.count(account.ACCEPTED, sum(answer.accepted for answer in delivery.answers))
        account.count(account.REQUESTS, delivery.requests)
        account.count(account.REQUEST_BYTES, delivery.sent_bytes)
        account.count(account.DUPLICATES_POSSIBLE, delivery.duplicates_possible)
        for cause, times in delivery.retries.items():
            account.count(account.RETRIES + cause, times)
        self._request_bytes.update(delivery.sent_bytes)
        self._latency.update(int(delivery.seconds * 1000))
        for (chunk, record), answer in zip(batch.origins(), delivery.answers, strict=True):
            if not answer.accepted:
                reason = dead_letter("post", answer.code, answer.message, chunk, record, attempts=answer.attempts)
                yield refused(reason)


class _Poster:
    """An inlet's client with its threads; one for each inlet and process."""

    def __init__(self, client: InletClient, max_in_flight: int):
        self._client = client
        self._pool = ThreadPoolExecutor(max_in_flight, "post-to-aep")
        # One batch more than there are threads may wait, so that a thread never idles while the next is made.
        self._slots = threading.BoundedSemaphore(max_in_flight + 1)

    def post(self, bodies: list[bytes]) -> Future[Delivery]:
        """Starts a delivery; blocks while too many are under way, which is how a slow AEP slows the read."""
        self._slots.acquire()
        future = self._pool.submit(self._client.deliver, bodies)
        future.add_done_callback(lambda _: self._slots.release())
        return future


def _poster(route: Route, connection: AepConnection) -> _Poster:
    key = ("poster", repr((route.destination, route.auth, connection)))
    return process.shared(key, lambda: _Poster(inlet_client(route, connection), connection.max_in_flight))


def inlet_client(route: Route, connection: AepConnection) -> InletClient:
    """A client for the route's inlet, which shares the process's tokens."""
    return InletClient(
        route.destination,
        RequestsTransport(connection.timeouts),
        token_source(route, connection),
        connection.policy,
        wait=process.pause,
        limit=request_limit(route, connection),
    )


def request_limit(route: Route, connection: AepConnection) -> RequestLimit:
    """The process's limit on requests under way to the route's inlet, whichever routes lead there."""
    ceiling, rate = connection.max_in_flight, connection.max_messages_per_second
    key = ("request limit", route.destination.inlet_url, ceiling, rate)
    return process.shared(key, lambda: RequestLimit(ceiling, rate, wait=process.pause))


def token_source(route: Route, connection: AepConnection) -> TokenSource | None:
    """The process's tokens for the route, None where its inlet takes requests without authentication.

    Raises:
      ConfigurationError: the route asks for a credential that is not given.
    """
    if route.auth == "oauth":
        oauth = connection.oauth
        if oauth is None:
            raise ConfigurationError("aep_auth=oauth needs aep_client_id and aep_client_secret")
        return process.shared(oauth, lambda: OAuthTokens(oauth, RequestsTransport(connection.timeouts)))
    if route.auth == "token":
        token = connection.token
        if token is None:
            raise ConfigurationError("aep_auth=token needs aep_token")
        return process.shared(("token", token), lambda: StaticToken(token))
    return None
