"""Connect a pipeline to AEP: tokens, the limit on requests, the clients of its inlets."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from aep.errors import ConfigurationError, NetworkError, RetryBudgetError, StoppedError
from aep.http.auth import OAuthClient, OAuthTokens, StaticToken, TokenSource
from aep.http.backoff import full_jitter
from aep.http.network import Network
from aep.http.transport import Reply, Request, RequestsTransport, Timeouts
from aep.ingestion.client import InletClient
from aep.ingestion.decision import RetryPolicy
from aep.ingestion.delivery import Delivery
from aep.ingestion.limits import RequestLimit
from transforms.aep.inlet import AepInlet, as_inlet
from transforms.records.chunk import Batch
from transforms.records.delivery import Connection, Counts, Order
from transforms.records.destination import Destination
from transforms.worker import metrics, process
from transforms.worker.under_way import REQUESTS

_LOG = logging.getLogger(__name__)
_LOG_EVERY_SECONDS = 60.0


@dataclass(frozen=True)
class AepConnection:
    """How this pipeline connects to AEP; the same for all its routes.

    Attributes:
        oauth: The OAuth client of inlets with `auth="oauth"`.
        token: Secret reference of the bearer token of inlets with `auth="token"`.
        timeouts: Timeouts of each request.
        network: The connection to the inlets and to IMS; only requests to inlets are compressed.
        policy: What is retried, and when.
        max_in_flight: Most concurrent requests, for each inlet and worker process; fewer while AEP is slow.
        max_messages_per_second: Messages sent at most, for each inlet and worker process; None for no such limit.
        order: `key` sends the records of a key in their order: batches must be of one shard of keys out of
            `max_in_flight`, and of each shard one request is under way at a time.
    """

    oauth: OAuthClient | None
    token: str | None
    timeouts: Timeouts
    network: Network
    policy: RetryPolicy
    max_in_flight: int
    max_messages_per_second: float | None
    order: Order

    @property
    def name(self) -> str:
        """What tables and messages call it."""
        return "AEP"

    @property
    def shards(self) -> int:
        """How many shards of keys the batches must be made of."""
        return self.max_in_flight if self.order == "key" else 1

    def client(self, destination: Destination) -> AepClient:
        """Return a client for an inlet, which shares the process's tokens and its limit on requests.

        Raises:
            ConfigurationError: The inlet needs a credential that is not given.
        """
        to = as_inlet(destination)
        tokens = token_source(to, self)
        client = InletClient(
            to,
            _CountingTransport(self.timeouts, self.network, time_left=process.time_left),
            tokens,
            self.policy,
            _request_limit(to, self),
            wait=process.pause,
        )
        return AepClient(client, tokens, ordered=self.order == "key")

    def check(self, destinations: Iterable[Destination], *, local: bool) -> None:
        """Check what TLS and proxies need, and ask for a token if an inlet needs one.

        A local run waits while IMS is away, as it does for AEP: a service that is started meanwhile needs nobody to
        start it again.

        Raises:
            AepError: What is missing, where, and what to do.
        """
        if local:
            self.network.check()
        elif self.network.has_files:
            return  # They are the workers', who alone can ask for a token with them.
        for destination in destinations:
            tokens = token_source(as_inlet(destination), self)
            if tokens is None:
                continue
            try:
                tokens.token() if not local else await_token(tokens, self.policy)
            except NetworkError as error:
                raise ConfigurationError(f"no token: {error}; check aep_ims_url and the network") from None


def await_token(
    tokens: TokenSource,
    policy: RetryPolicy,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], bool] = process.pause,
) -> None:
    """Return once there is a token, which takes as long as IMS is away; the log and `/ready` say so meanwhile.

    Raises:
        ConfigurationError: IMS refuses the client, or there is no secret.
        RetryBudgetError: It took too long.
        StoppedError: The process is to end.
    """
    began, number, log_at = clock(), 1, float("-inf")
    with process.holding_up("waiting for an access token") as say:
        while True:
            try:
                tokens.token()
            except NetworkError as error:
                why = f"no token: {error}"
            else:
                break
            say(why)
            after = full_jitter(number, policy.base_seconds, policy.max_seconds, random.random)
            number += 1
            budget = policy.budget_seconds
            if budget is not None and clock() + after - began > budget:
                raise RetryBudgetError(
                    f"{why}; after {budget:g} s (aep_retry_budget_seconds) it is not waited for any longer: check "
                    "aep_ims_url and the network"
                )
            if clock() >= log_at:
                log_at = clock() + _LOG_EVERY_SECONDS
                _LOG.warning("%s; waiting until there is one. If this goes on, check aep_ims_url and the network", why)
            if wait(after):
                raise StoppedError(f"{why}; stopped before there was one")
    if number > 1:
        _LOG.info("there is a token again, after %.0f s", clock() - began)


def as_aep(connection: Connection) -> AepConnection:
    """Return the connection of a pipeline to AEP, for what asks AEP alone.

    Raises:
        TypeError: It is another pipeline's.
    """
    if not isinstance(connection, AepConnection):
        raise TypeError(f"expected a connection to AEP, not {type(connection).__name__}")
    return connection


class _CountingTransport(RequestsTransport):
    def send(self, request: Request) -> Reply:
        with REQUESTS:
            return super().send(request)


class AepClient:
    """The client of an inlet in this process."""

    def __init__(self, client: InletClient, tokens: TokenSource | None, *, ordered: bool):
        self._client = client
        self._tokens = tokens
        self._ordered = ordered

    @property
    def waiting(self) -> Sequence[str]:
        """Why batches wait to be sent again."""
        return self._client.waiting

    def deliver(self, batch: Batch, observer: Callable[[Counts], None], aside: Callable[[], None]) -> Delivery:
        """Send a batch; see `InletClient.deliver`."""
        return self._client.deliver(batch.bodies, batch.keys if self._ordered else None, observer, aside)

    def take_renewals(self) -> int:
        """Return the tokens fetched since the last call."""
        return self._tokens.take_renewals() if self._tokens else 0


def _request_limit(to: AepInlet, connection: AepConnection) -> RequestLimit:
    """Return the process's limit on concurrent requests to an inlet, shared by all routes to it."""
    ceiling, rate = connection.max_in_flight, connection.max_messages_per_second
    key = ("request limit", to.inlet_url, ceiling, rate)

    def make() -> RequestLimit:
        limit = RequestLimit(ceiling, rate, wait=process.wait_for_turn)
        metrics.watch(metrics.IN_FLIGHT, key, lambda: limit.under_way)
        return limit

    return process.shared(key, make)


def token_source(to: AepInlet, connection: AepConnection) -> TokenSource | None:
    """Return the process's tokens for an inlet, None where it takes requests without authentication.

    Raises:
        ConfigurationError: The inlet needs a credential that is not given.
    """
    if to.auth == "oauth":
        oauth = connection.oauth
        if oauth is None:
            raise ConfigurationError("aep_auth=oauth needs aep_client_id and aep_client_secret")
        network = replace(connection.network, gzip=False)
        transport = RequestsTransport(connection.timeouts, network, time_left=process.time_left)
        return process.shared((oauth, connection.timeouts, network), lambda: OAuthTokens(oauth, transport))
    if to.auth == "token":
        token = connection.token
        if token is None:
            raise ConfigurationError("aep_auth=token needs aep_token")
        return process.shared(("token", token), lambda: StaticToken(token))
    return None
