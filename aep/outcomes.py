"""What to do with what came back from AEP: one pure function of (try, outcome, clock).

Adobe's documents: status codes in "Streaming Ingestion API" and "Stream multiple messages in a single HTTP request";
"Clients should retry at least 3 times using an exponential back-off strategy" (503, with ``Retry-After``).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from aep.errors import (
    AepError,
    AuthenticationError,
    ConfigurationError,
    NetworkError,
    ReplyError,
    RetryBudgetError,
    TokenError,
)
from aep.http import Reply
from aep.streaming import Element, error_message, read_multi_status, read_xaction_id

TRANSIENT_STATUSES = frozenset({408, 429, 500, 502, 503, 504})

# After one of these AEP may have received what it was sent.
_MAY_HAVE_ARRIVED = frozenset({500, 502, 504})

# A 500 may be AEP's trouble ("Try the request again in a few minutes") or a message it chokes on ("Message payload
# schema not specified, or did not match"). If others pass, a batch is halved after so many tries to find the message,
# and the message given up after so many, which takes 5 minutes on average.
_HALVE_TRIES = 4
_GIVE_UP_TRIES = 16
# So many single messages refused before any was ever accepted: not the messages but the set-up is wrong.
_REFUSED_AT_START = 20


@dataclass(frozen=True)
class RetryPolicy:
    """How long to wait and which statuses are worth another try.

    Attributes:
      transient_statuses: HTTP statuses that are tried again, for a request and for an element of a 207 (where any
        other status of 500 or more is too).
      base_seconds, max_seconds: bounds of the exponential back-off; the wait is drawn evenly below the bound.
      max_retry_after_seconds: the longest ``Retry-After`` that is obeyed.
      budget_seconds: transient failures for longer than this end the bundle; None waits without limit.
    """

    transient_statuses: frozenset[int] = TRANSIENT_STATUSES
    base_seconds: float = 0.5
    max_seconds: float = 60.0
    max_retry_after_seconds: float = 300.0
    budget_seconds: float | None = None


@dataclass(frozen=True)
class Try:
    """One sending of some messages of a batch, and what went before.

    Attributes:
      messages: how many messages the request holds.
      since: clock reading of the first sending of these messages, in whatever request.
      number: 1 for the first sending of this request.
      before: sendings of these messages in larger requests.
      failures: how many times in a row AEP has answered 500 to them.
      refreshed: the token was renewed for them already.
      mismatches: 207 replies to them that did not fit.
      single: sent to the single-message endpoint.
    """

    messages: int
    since: float
    number: int = 1
    before: int = 0
    failures: int = 0
    refreshed: bool = False
    mismatches: int = 0
    single: bool = False


class InletRecord(NamedTuple):
    """What this process has seen of an inlet: messages accepted, single messages refused, clock of the last success."""

    accepted: int = 0
    singles_refused: int = 0
    last_success: float = float("-inf")


@dataclass(frozen=True)
class Settle:
    """Each message has its own answer, but those at the positions ``again`` go again after so many seconds.

    ``failed``: AEP has answered 500 to some of those.
    """

    elements: list[Element]
    again: list[int] = field(default_factory=list)
    after: float = 0.0
    duplicates_possible: int = 0
    failed: bool = False


@dataclass(frozen=True)
class Retry:
    """Send the same again after so many seconds. ``arrived``: it may have been received the first time."""

    after: float
    cause: str
    arrived: bool = False
    mismatch: bool = False


@dataclass(frozen=True)
class Halve:
    """Send the two halves separately; a single message goes to the single-message endpoint.

    ``arrived``: the messages may have been received the first time.
    """

    cause: str
    arrived: bool = False


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
    """Fail the bundle."""

    error: AepError


Decision = Settle | Retry | Halve | RefreshToken | Reject | Stop


def decide(
    sent: Try,
    outcome: Reply | NetworkError,
    now: float,
    inlet: InletRecord,
    policy: RetryPolicy,
    random_unit: Callable[[], float] = random.random,
    wall_clock: Callable[[], float] = time.time,
) -> Decision:
    """What to do after a request.

    Args:
      sent: the request.
      outcome: its reply, or why there is none.
      now: the clock that ``sent.since`` was read from, in seconds.
      inlet: what is known of the inlet.
      policy: delays and statuses.
      random_unit: source of jitter, in [0, 1).
      wall_clock: seconds since the epoch, for a ``Retry-After`` that is a date.
    """
    asked = retry_after(outcome.headers.get("retry-after"), policy, wall_clock) if isinstance(outcome, Reply) else 0.0
    after = asked + full_jitter(sent.number, policy.base_seconds, policy.max_seconds, random_unit)
    over_budget = policy.budget_seconds is not None and now + after - sent.since > policy.budget_seconds

    def retry(cause: str, *, arrived: bool = False, mismatch: bool = False) -> Decision:
        return _out_of_budget(outcome, policy) if over_budget else Retry(after, cause, arrived, mismatch)

    if isinstance(outcome, NetworkError):
        return retry(outcome.cause, arrived=isinstance(outcome, ReplyError))

    status = outcome.status
    if sent.single and 200 <= status < 300:
        return Settle([Element(200, "", read_xaction_id(outcome.body))])
    if 200 <= status < 300:
        elements = read_multi_status(outcome.body, sent.messages) if status == 207 else None
        if elements is not None:
            again = [
                index
                for index, element in enumerate(elements)
                if element.status >= 400 and _goes_again(element, sent, inlet, policy)
            ]
            if again and over_budget:
                return _out_of_budget(outcome, policy)
            statuses = [elements[index].status for index in again]
            arrived = sum(status in _MAY_HAVE_ARRIVED for status in statuses)
            return Settle(elements, again, after, arrived, failed=500 in statuses)
        if sent.mismatches == 0:
            return retry("mismatch", arrived=True, mismatch=True)
        return Halve("mismatch", arrived=True)
    if status in (401, 403):
        if not sent.refreshed:
            return RefreshToken()
        return Stop(
            AuthenticationError(
                f"the inlet refuses the credential: {describe(outcome)}; check that aep_auth fits the connection and "
                "that the credential belongs to its organisation"
            )
        )
    if status == 413:
        if sent.messages > 1:
            return Halve("413")
        return Reject("too_large", f"{describe(outcome)} to this message alone")
    if status == 500 and sent.messages > 1 and sent.failures + 1 >= _HALVE_TRIES and inlet.last_success > sent.since:
        return Halve("500", arrived=True)
    if status == 500 and sent.messages == 1 and _is_poison(sent, inlet):
        return Reject("rejected", f"{describe(outcome)} to this message while others pass")
    if status in policy.transient_statuses:
        return retry(str(status), arrived=status in _MAY_HAVE_ARRIVED)
    if status in (400, 422):
        if sent.messages > 1:
            return Halve(str(status))
        if inlet.accepted == 0 and inlet.singles_refused + 1 >= _REFUSED_AT_START:
            return Stop(
                ConfigurationError(
                    f"the first {_REFUSED_AT_START} messages were all refused, the last with: {describe(outcome)}; "
                    "check xdm_schema_file or xdm_schema_id, aep_dataset_id and aep_org_id against the connection"
                )
            )
        return Reject("rejected", error_message(outcome.body) or describe(outcome))
    return Stop(ConfigurationError(f"{describe(outcome)}; {_ADVICE.get(status, _ADVICE_OTHER)}"))


_ADVICE = {
    404: "no such inlet: check aep_inlet_url",
    415: "the endpoint does not take JSON: check aep_inlet_url and aep_headers",
    501: "the endpoint does not support this: check aep_inlet_url",
}
_ADVICE_OTHER = "this will not change by trying again: check aep_inlet_url (redirects are not followed)"


def _goes_again(element: Element, sent: Try, inlet: InletRecord, policy: RetryPolicy) -> bool:
    """Whether this message of a 207 is worth sending again by itself."""
    if element.status == 500:
        return not _is_poison(sent, inlet)
    return element.status in policy.transient_statuses or element.status >= 500


def _is_poison(sent: Try, inlet: InletRecord) -> bool:
    """Whether to give up what AEP fails on with 500."""
    return sent.failures + 1 >= _GIVE_UP_TRIES and inlet.last_success > sent.since


def _out_of_budget(outcome: Reply | NetworkError, policy: RetryPolicy) -> Stop:
    return Stop(
        RetryBudgetError(
            f"AEP could not take all messages for {policy.budget_seconds:g} s (aep_retry_budget_seconds), "
            f"last: {describe(outcome)}"
        )
    )


def is_overload(outcome: Reply | NetworkError) -> bool:
    """Whether AEP could not keep up, so that fewer requests should be under way."""
    if isinstance(outcome, NetworkError):
        return not isinstance(outcome, TokenError)
    return outcome.status in (408, 429, 502, 503, 504)


def describe(outcome: Reply | NetworkError) -> str:
    """The outcome in words fit for a log or an error."""
    if isinstance(outcome, NetworkError):
        return str(outcome)
    if 200 <= outcome.status < 300:
        return f"AEP answers {outcome.status} with a body that does not fit the request"
    words = error_message(outcome.body)
    return f"AEP answers {outcome.status}{f' ({words})' if words else ''}"


def retry_after(header: str | None, policy: RetryPolicy, wall_clock: Callable[[], float] = time.time) -> float:
    """Seconds that a ``Retry-After`` header asks for, 0 when it is absent or makes no sense, capped by the policy.

    It holds seconds or a date (HTTP Semantics, RFC 9110, 10.2.3).
    """
    if header is None:
        return 0.0
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), policy.max_retry_after_seconds)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return 0.0
    if date.tzinfo is None:
        date = date.replace(tzinfo=timezone.utc)
    return min(max(date.timestamp() - wall_clock(), 0.0), policy.max_retry_after_seconds)


def full_jitter(number: int, base: float, ceiling: float, random_unit: Callable[[], float]) -> float:
    """Seconds to wait after try ``number``: evenly drawn below an exponentially growing bound.

    It spreads the tries of many workers, where a fixed back-off would bring them back together.
    """
    return random_unit() * min(ceiling, base * 2 ** min(number - 1, 30))
