"""Deliver batches to an inlet: send, decide, wait, halve, until each message has its result.

`aep.ingestion.rules.decide` says what to do; this module does it. One `InletClient` serves a whole
process: its threads share the connections, the token, and the limit on requests in flight.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from aep.counted import counted
from aep.errors import NetworkError, StoppedError
from aep.http.auth import TokenSource
from aep.http.backoff import sleep
from aep.http.transport import Reply, Request, Transport
from aep.ingestion import decision as decisions
from aep.ingestion.decision import Attempt, InletStats, RetryPolicy
from aep.ingestion.delivery import Answer, Counts, Delivery, Observer
from aep.ingestion.envelope import Destination, Envelope, batch_url, count_accepted, single_url
from aep.ingestion.limits import RequestLimit
from aep.ingestion.pieces import Piece, UnsentBatch, overtaken
from aep.ingestion.rules import decide

_LOG = logging.getLogger(__name__)
_LOG_EVERY_SECONDS = 60.0


class InletClient:
    """Delivers to one inlet. Thread safe.

    Args:
        destination: The inlet and the envelope.
        transport: Sends requests.
        tokens: Bearer tokens, None for an inlet without authentication.
        policy: Delays and statuses.
        limit: Limit on concurrent requests.
        clock: Monotonic seconds.
        wait: Sleeps the given seconds; returns True if the process is asked to end meanwhile.
    """

    def __init__(
        self,
        destination: Destination,
        transport: Transport,
        tokens: TokenSource | None,
        policy: RetryPolicy,
        limit: RequestLimit,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ):
        self._limit = limit
        self._envelope = Envelope(destination)
        self._batch_url = batch_url(destination.inlet_url)
        self._single_url = single_url(destination.inlet_url)
        self._headers = {"Content-Type": "application/json", **destination.headers}
        if destination.flow_id:
            self._headers["x-adobe-flow-id"] = destination.flow_id
        self._transport = transport
        self._tokens = tokens
        self._policy = policy
        self._clock = clock
        self._sleep = wait or sleep
        self._lock = threading.Lock()
        self._stats = InletStats()
        self._next_log = float("-inf")
        self._waiting: dict[int, str] = {}

    @property
    def waiting(self) -> list[str]:
        """The reasons why batches wait for a retry, one for each batch."""
        return list(self._waiting.values())

    def deliver(
        self,
        records: Sequence[bytes],
        keys: Sequence[bytes | None] | None = None,
        observer: Observer | None = None,
        aside: Callable[[], None] = lambda: None,
    ) -> Delivery:
        """Send the records of a batch and return when each has its result, which may take as long as AEP is down.

        Args:
            records: The bytes to post of each.
            keys: The key of each, where records of one key must arrive in their order: what is to be sent again is then
                sent before anything else, and takes the later records of its key along. None where order does not
                matter.
            observer: Gets the numbers of each step as it is taken, also in a delivery that ends in an error.
            aside: Called each time when all that is left are messages that AEP fails on while it accepts others:
                another batch may be delivered meanwhile. Never called where order matters.

        Raises:
            AepError: The bundle must fail, see `aep.ingestion.decision.Stop`.
        """
        started = self._clock()
        delivery = Delivery(answers=[Answer("unsent", "", 0)] * len(records), observer=observer)
        first = Attempt(len(records), started, refreshed=self._tokens is None)
        batch = UnsentBatch(records, keys, deque([Piece(range(len(records)), first)] if records else []), aside)
        while batch.pieces:
            self._send(batch, delivery)
        delivery.seconds = self._clock() - started
        return delivery

    def _send(self, batch: UnsentBatch, delivery: Delivery) -> None:
        """Send a piece once, when it is due, and carry out the decision."""
        pieces = batch.pieces
        now = self._clock()
        piece = batch.take(now)
        if piece.due > now:
            if batch.keys is None:
                batch.aside()
            self._pause(piece.due - now, piece.why)
        first = delivery.requests == 0
        try:
            outcome, token, sent_at = self._request(piece, batch.records, delivery)
        except StoppedError:
            if piece.why:
                raise _stopped(piece.why) from None
            raise
        sent = replace(piece.sent, since=sent_at) if first else piece.sent
        piece = replace(piece, sent=sent)
        match self._decide(sent, outcome, sent_at):
            case decisions.PerMessage() as settled:
                indices = self._settle(piece, settled, batch.keys, delivery)
                if indices:
                    singled_out = sent.singled_out or (settled.failed and count_accepted(settled.results) > 0)
                    more = {"messages": len(indices), "mismatches": 0, "singled_out": singled_out}
                    again = self._next(sent, failed=settled.failed, **more)
                    why = f"AEP could not take {counted(len(indices), 'message')} of a batch"
                    self._wait(batch, Piece(indices, again, why=why, retries={"element": len(settled.again)}), settled)
            case decisions.Retry() as retry:
                delivery.count(_received_perhaps(sent, retry.arrived))
                again = self._next(sent, failed=retry.failed, mismatches=sent.mismatches + retry.mismatch)
                why = decisions.describe(outcome)
                self._wait(batch, Piece(piece.indices, again, why=why, retries={retry.cause: 1}), retry)
            case decisions.Split(cause, arrived, probing):
                delivery.count(_received_perhaps(sent, arrived))
                pieces.extendleft(reversed(self._halves(piece, cause, probing)))
            case decisions.RefreshToken():
                # A token fetched before the refusal may have been revoked with the refused one.
                refreshed = self._tokens is None or self._tokens.reject(token)
                pieces.appendleft(Piece(piece.indices, self._next(sent, refreshed=refreshed), retries={"token": 1}))
            case decisions.Reject(code, message):
                delivery.answer(piece.indices[0], Answer(code, message, sent.before + sent.number))
            case decisions.Stop(error, results):
                if results:
                    self._settle(piece, decisions.PerMessage(results), None, delivery)
                raise error

    def _wait(self, batch: UnsentBatch, piece: Piece, decision: decisions.PerMessage | decisions.Retry) -> None:
        """Wait to send a piece again, or have others go meanwhile."""
        if decision.aside:
            piece = replace(piece, due=self._clock() + decision.after)
        else:
            self._pause(decision.after, piece.why)
        batch.put_back(piece)

    def _next(self, sent: Attempt, *, failed: bool = False, **changes: Any) -> Attempt:
        """Return the next attempt for the same messages, or some of them; its token may be renewed once again."""
        # Without authentication there is no token to renew after a 401.
        anew = {"number": sent.number + 1, "refreshed": self._tokens is None, "probing": False}
        return replace(sent.counting(failed, self._clock()), **{**anew, **changes})

    def _halves(self, piece: Piece, cause: str, probing: bool) -> list[Piece]:
        """Return two pieces of half the messages, which count as one retry; one message goes to the single-message
        endpoint.
        """
        sent = piece.sent
        suspected_at = sent.counting(cause == "500", self._clock()).suspected_at
        half = self._next(sent, mismatches=0, suspected_at=suspected_at)
        if not probing:  # AEP may be down then: the pauses stay as long as they were
            half = replace(half, number=1, before=sent.before + sent.number)
        if len(piece.indices) == 1:
            return [Piece(piece.indices, replace(half, single=True), retries={cause: 1})]
        middle = len(piece.indices) // 2
        first, second = piece.indices[:middle], piece.indices[middle:]
        return [
            Piece(first, replace(half, messages=len(first), probing=probing), retries={cause: 1}),
            Piece(second, replace(half, messages=len(second))),
        ]

    def _request(
        self, piece: Piece, records: Sequence[bytes], delivery: Delivery
    ) -> tuple[Reply | NetworkError, str, float]:
        """Send a piece once. Returns the outcome, the token, and when it was sent."""
        token = ""
        headers = self._headers
        if self._tokens is not None:
            try:
                token = self._tokens.token()
            except NetworkError as error:
                delivery.count(Counts(retries=Counter(piece.retries)))
                return error, token, piece.sent.since
            headers = {**headers, "Authorization": f"Bearer {token}"}
        if piece.sent.single:
            url, body = self._single_url, self._envelope.message(records[piece.indices[0]])
        else:
            url, body = self._batch_url, self._envelope.batch([records[index] for index in piece.indices])
        outcome: Reply | NetworkError
        with self._limit.slot(piece.sent.messages) as under_way:
            delivery.in_flight = max(delivery.in_flight, under_way)
            sent_at = self._clock()  # the wait for its turn is not AEP's doing
            delivery.count(Counts(requests=1, sent_bytes=len(body), retries=Counter(piece.retries)))
            try:
                outcome = self._transport.send(Request(url, body, headers))
            except NetworkError as error:
                # Without its traceback, which would hold the body until the garbage collector happens to run.
                outcome = error.with_traceback(None)
        self._limit.note(decisions.is_overload(outcome))
        if isinstance(outcome, Reply) and not 200 <= outcome.status < 300:
            outcome = outcome.without(token)
        return outcome, token, sent_at

    def _settle(
        self, piece: Piece, settled: decisions.PerMessage, keys: Sequence[bytes | None] | None, delivery: Delivery
    ) -> list[int]:
        """Note the results and return the indices of the messages to send again."""
        attempts = piece.sent.before + piece.sent.number
        if count_accepted(settled.results) == len(settled.results):
            delivery.count(Counts(accepted=delivery.receive(piece.indices, settled.results, attempts)))
            return []
        again = set(settled.again)
        counts = Counts()
        for position, (index, result) in enumerate(zip(piece.indices, settled.results, strict=True)):
            if result.accepted:
                counts.accepted += delivery.answer(index, Answer("", "", attempts, result.xaction_id))
            elif position not in again:
                words = result.message or f"AEP answers {result.status}"
                delivery.answer(index, Answer("rejected", words, attempts, result.xaction_id))
        if again:
            counts.duplicates_possible = settled.duplicates_possible
        followers: Sequence[int] = ()
        if keys is not None and again:
            followers = overtaken(settled, [keys[index] for index in piece.indices])
            counts.duplicates_possible += len(followers)
        delivery.count(counts)
        return [piece.indices[position] for position in sorted(again.union(followers))]

    def _decide(self, sent: Attempt, outcome: Reply | NetworkError, sent_at: float) -> decisions.Decision:
        """Decide and note it under the lock, so that concurrent replies take account of each other."""
        with self._lock:
            now = self._clock()
            decision = decide(sent, outcome, now, self._stats, self._policy)
            self._stats = self._stats.noting(decision, sent_at, now)
        return decision

    def _pause(self, seconds: float, why: str) -> None:
        now = self._clock()
        with self._lock:
            due = now >= self._next_log
            if due:
                self._next_log = now + _LOG_EVERY_SECONDS
        if due:
            _LOG.warning("%s: %s; reading waits, trying again in %.1f s", self._batch_url, why, seconds)
        thread = threading.get_ident()
        self._waiting[thread] = why
        try:
            ended = self._sleep(seconds)
        finally:
            del self._waiting[thread]
        if ended:
            raise _stopped(why)


def _stopped(why: str) -> StoppedError:
    return StoppedError(f"stopped while AEP could not be reached (last: {why}); the records will be read again")


def _received_perhaps(sent: Attempt, arrived: bool) -> Counts:
    """Return the messages that AEP may have though they are to be sent again, by this run or by the next."""
    return Counts(duplicates_possible=sent.messages if arrived else 0)
