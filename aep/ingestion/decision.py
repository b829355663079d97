"""The possible outcomes of a request to AEP, and the possible decisions about them.

Types only: `rules.decide` maps an outcome to a decision, `client` carries it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from aep.errors import AepError, NetworkError, TokenError
from aep.http.transport import Reply
from aep.ingestion.envelope import MessageResult, count_accepted, error_message, read_multi_status

# After one of these AEP may have received what it was sent.
MAY_HAVE_ARRIVED = frozenset({500, 502, 504})

# A 500 may be AEP's trouble ("Try the request again in a few minutes") or a message it chokes on ("Message payload
# schema not specified, or did not match"). After so many tries the messages are suspected. If others pass, a batch is
# halved to find the message, its halves at once, and the message given up after so many tries, which takes 5 minutes on
# average.
SPLIT_TRIES = 4
GIVE_UP_TRIES = 16

# If nothing passes, AEP is down, or each batch under way has such a message. After so many tries, half a minute on
# average, a batch is halved to probe: down to one message, so that something passes unless AEP is down. Tries of a
# message count against it only from then on.
PROBE_TRIES = 8


@dataclass(frozen=True)
class RetryPolicy:
    """How long to wait, which statuses to retry, and when to give up.

    Attributes:
        transient_statuses: HTTP statuses that are retried, for a request and for an element of a 207 (where any
            other status of 500 or more is too).
        max_seconds: The most that the bound of the exponential back-off grows to; the wait is drawn evenly below it.
        budget_seconds: Transient failures for longer than this end the bundle; None waits without limit.
        max_first_refusals: This many messages refused before any was accepted end the bundle: the set-up is wrong, not
            the messages. None: they are dead-lettered, however many.
        base_seconds: The bound of the first back-off; it doubles with each try.
        max_retry_after_seconds: The longest `Retry-After` that is obeyed.
    """

    transient_statuses: frozenset[int]
    max_seconds: float
    budget_seconds: float | None
    max_first_refusals: int | None
    base_seconds: float = 0.5
    max_retry_after_seconds: float = 300.0


@dataclass(frozen=True)
class Attempt:
    """One attempt to send some messages of a batch, and its history.

    Attributes:
        messages: How many messages the request holds.
        since: Clock reading of the first attempt to send these messages, in any request.
        number: 1 for the first attempt of this request.
        before: Earlier attempts with these messages in larger requests.
        failures: How many times in a row AEP has answered 500 to them.
        suspected_at: Clock reading of the first time that it was so often that they are suspected, alone or in a larger
            request; None before that. AEP is not down if it accepts what is sent later.
        singled_out: AEP has failed on them, and accepted others of the same request.
        probing: Sent to find out whether AEP accepts any part of the batch.
        refreshed: The messages were refused before, and the token was fetched after that.
        mismatches: 207 replies that did not match the messages.
        single: Sent to the single-message endpoint.
    """

    messages: int
    since: float
    number: int = 1
    before: int = 0
    failures: int = 0
    suspected_at: float | None = None
    singled_out: bool = False
    probing: bool = False
    refreshed: bool = False
    mismatches: int = 0
    single: bool = False

    def counting(self, failed: bool, now: float) -> Attempt:
        """Return this with one more failure in a row, or with none."""
        failures = self.failures + 1 if failed else 0
        if self.suspected_at is not None or failures < SPLIT_TRIES:
            return replace(self, failures=failures)
        return replace(self, failures=failures, suspected_at=now)


@dataclass(frozen=True)
class PerMessage:
    """Per-message results.

    Attributes:
        results: AEP's result for each message of the request, in order.
        again: Positions of the messages that are sent again.
        after: Seconds to wait before that.
        duplicates_possible: How many of them AEP may have received.
        failed: AEP answered 500 to each of them, and that says something about them.
        aside: The rest of the batch is sent meanwhile, because AEP fails on these messages only.
    """

    results: Sequence[MessageResult]
    again: list[int] = field(default_factory=list)
    after: float = 0.0
    duplicates_possible: int = 0
    failed: bool = False
    aside: bool = False


@dataclass(frozen=True)
class Retry:
    """Send the same messages again after a pause.

    Attributes:
        after: Seconds.
        cause: For counts.
        arrived: It may have been received the first time.
        mismatch: The reply did not match the messages.
        failed: AEP answered 500, and that says something about them.
        aside: The rest of the batch is sent meanwhile, because AEP fails on these messages only.
    """

    after: float
    cause: str
    arrived: bool = False
    mismatch: bool = False
    failed: bool = False
    aside: bool = False


@dataclass(frozen=True)
class Split:
    """Send the two halves separately; a single message goes to the single-message endpoint.

    Attributes:
        cause: For counts.
        arrived: The messages may have been received the first time.
        probing: The first half is halved again at once if AEP fails on it too.
    """

    cause: str
    arrived: bool = False
    probing: bool = False


@dataclass(frozen=True)
class RefreshToken:
    """Forget the token and send again with a new one."""


@dataclass(frozen=True)
class Reject:
    """Dead-letter the single message."""

    code: str
    message: str


@dataclass(frozen=True)
class Stop:
    """Fail the bundle. `results` are those of the reply, if it has one for each message; some may be accepted."""

    error: AepError
    results: Sequence[MessageResult] = ()


Decision = PerMessage | Retry | Split | RefreshToken | Reject | Stop


class InletStats(NamedTuple):
    """What this process has seen of an inlet.

    Attributes:
        accepted: Messages that AEP has received.
        refused: Messages that it has refused for good, alone or in a 207; not those that were too large.
        last_success: Clock reading of the last message accepted.
        last_sent: Clock reading at which the latest request with an accepted message was sent.
    """

    accepted: int = 0
    refused: int = 0
    last_success: float = float("-inf")
    last_sent: float = float("-inf")

    def noting(self, decision: Decision, sent_at: float, now: float) -> InletStats:
        """Return the statistics after one more decision, about a request that was sent at `sent_at`."""
        match decision:
            case PerMessage(results, again):
                accepted = count_accepted(results)
                refused = len(results) - accepted - len(again)
            case Reject(code="rejected"):
                accepted, refused = 0, 1
            case _:
                return self
        counts = self.accepted + accepted, self.refused + refused
        if not accepted:
            return InletStats(*counts, self.last_success, self.last_sent)
        return InletStats(*counts, now, max(sent_at, self.last_sent))


@dataclass(frozen=True)
class Context:
    """The input of a decision.

    Attributes:
        sent: The request.
        outcome: Its reply, or why there is none.
        now: The clock that `sent.since` was read from, in seconds.
        inlet: Statistics of the inlet.
        policy: Delays, statuses and limits.
        after: Seconds to wait if the messages are to be sent again.
    """

    sent: Attempt
    outcome: Reply | NetworkError
    now: float
    inlet: InletStats
    policy: RetryPolicy
    after: float

    @property
    def status(self) -> int:
        """Status of the reply, 0 when there is none."""
        return self.outcome.status if isinstance(self.outcome, Reply) else 0

    @property
    def body(self) -> bytes:
        """Body of the reply, empty when there is none."""
        return self.outcome.body if isinstance(self.outcome, Reply) else b""

    @property
    def success(self) -> bool:
        """Whether the reply is a 2xx."""
        return 200 <= self.status < 300

    @cached_property
    def results(self) -> Sequence[MessageResult] | None:
        """AEP's result for each message, in order, if the reply is a 207 that matches the batch one to one."""
        if self.sent.single or self.status != 207:
            return None
        return read_multi_status(self.body, self.sent.messages)

    @cached_property
    def accepted(self) -> int:
        """How many messages AEP has received, by these results."""
        return count_accepted(self.results or ())

    @property
    def over_budget(self) -> bool:
        """Whether the next try would come too late."""
        budget = self.policy.budget_seconds
        return budget is not None and self.now + self.after - self.sent.since > budget

    @property
    def others_pass(self) -> bool:
        """Whether AEP has accepted other messages since these were first sent.

        It may have failed ever since: an outage may begin between two concurrent requests.
        """
        return self.inlet.last_success > self.sent.since

    @property
    def others_still_pass(self) -> bool:
        """Whether AEP has accepted what was sent after these messages were suspected."""
        return self.sent.suspected_at is not None and self.inlet.last_sent > self.sent.suspected_at

    @property
    def is_about_messages(self) -> bool:
        """Whether a 500 counts against the messages. Otherwise AEP may be down, and it says nothing about them."""
        unsuspected = self.sent.suspected_at is None
        return unsuspected or self.sent.singled_out or self.others_still_pass or self.accepted > 0

    def fails_on_batch(self) -> bool:
        """Return whether a request that AEP answers 500 should be halved to find the message that it fails on."""
        return self.others_still_pass or (self.sent.failures + 1 >= SPLIT_TRIES and self.others_pass)

    def may_be_poisoned(self) -> bool:
        """Return whether a request that AEP answers 500 should be halved to see if any part of it passes."""
        return self.sent.probing or self.sent.failures + 1 >= PROBE_TRIES

    def fails_on_message(self) -> bool:
        """Return whether to give up on a message that AEP answers with 500."""
        others_pass = self.others_pass if self.sent.singled_out else self.others_still_pass
        return self.sent.failures + 1 >= GIVE_UP_TRIES and others_pass


def is_overload(outcome: Reply | NetworkError) -> bool:
    """Return whether AEP could not keep up, so that there should be fewer concurrent requests."""
    if isinstance(outcome, NetworkError):
        return not isinstance(outcome, TokenError)
    return outcome.status in (408, 429, 502, 503, 504)


def describe(outcome: Reply | NetworkError) -> str:
    """Return a description of the outcome for a log or an error."""
    if isinstance(outcome, NetworkError):
        return str(outcome)
    if 200 <= outcome.status < 300:
        return f"AEP answers {outcome.status} with a body that does not fit the request"
    return describe_status(outcome.status, error_message(outcome.body))


def describe_status(status: int, words: str) -> str:
    """Return a description of AEP's reply to a request, or to a message of a batch, with AEP's text if there is any."""
    return f"AEP answers {status}{f' ({words})' if words else ''}"
