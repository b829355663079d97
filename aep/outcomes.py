"""What to do with what came back from AEP: one pure function of (try, outcome, clock).

Adobe's documents: status codes in "Streaming Ingestion API" and "Stream multiple messages in a single HTTP request";
"Clients should retry at least 3 times using an exponential back-off strategy" (503, with ``Retry-After``).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
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
)
from aep.http import Reply
from aep.streaming import Element, error_message, read_multi_status, read_xaction_id

TRANSIENT_STATUSES = frozenset({408, 429, 500, 502, 503, 504})

# A 500 may be AEP's trouble or a message it chokes on ("Message payload schema not specified, or did not match").
# After so many tries, while other batches pass, it is taken for the latter.
_POISON_TRIES = 4
# So many single messages refused before any was ever accepted: not the messages but the set-up is wrong.
_REFUSED_AT_START = 20


@dataclass(frozen=True)
class RetryPolicy:
    """How long to wait and which statuses are worth another try.

    Attributes:
      transient_statuses: HTTP statuses that are tried again, for a request and for an element of a 207.
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
      number: 1 for the first sending of these messages.
      since: clock reading of their first sending.
      refreshed: the token was renewed for them already.
      mismatches: 207 replies to them that did not fit.
      single: sent to the single-message endpoint.
    """

    messages: int
    since: float
    number: int = 1
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
    """Each message has its own answer; those with a transient status go again after ``retry_after`` seconds."""

    elements: list[Element]
    retry_after: float


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
) -> Decision:
    """What to do after a request.

    Args:
      sent: the request.
      outcome: its reply, or why there is none.
      now: the clock that ``sent.since`` was read from, in seconds.
      inlet: what is known of the inlet.
      policy: delays and statuses.
      random_unit: source of jitter, in [0, 1).
    """

    def retry(cause: str, *, arrived: bool = False, mismatch: bool = False) -> Decision:
        asked = retry_after(outcome.headers.get("retry-after"), policy) if isinstance(outcome, Reply) else 0.0
        after = asked + full_jitter(sent.number, policy.base_seconds, policy.max_seconds, random_unit)
        if policy.budget_seconds is not None and now + after - sent.since > policy.budget_seconds:
            return Stop(
                RetryBudgetError(
                    f"AEP could not be reached for {policy.budget_seconds:g} s (aep_retry_budget_seconds), "
                    f"last: {describe(outcome)}"
                )
            )
        return Retry(after, cause, arrived, mismatch)

    if isinstance(outcome, NetworkError):
        return retry(outcome.cause, arrived=isinstance(outcome, ReplyError))

    status = outcome.status
    if sent.single and 200 <= status < 300:
        return Settle([Element(200, "", read_xaction_id(outcome.body))], 0.0)
    if 200 <= status < 300:
        elements = read_multi_status(outcome.body, sent.messages) if status == 207 else None
        if elements is not None:
            return Settle(elements, full_jitter(sent.number, policy.base_seconds, policy.max_seconds, random_unit))
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
        return Reject("too_large", f"AEP answers 413 to this message alone: {error_message(outcome.body)}")
    if status == 500 and sent.number >= _POISON_TRIES and inlet.last_success > sent.since:
        if sent.messages > 1:
            return Halve("500", arrived=True)
        return Reject("rejected", f"AEP answers 500 to this message while others pass: {error_message(outcome.body)}")
    if status in policy.transient_statuses:
        return retry(str(status), arrived=status in (500, 502, 504))
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
        return Reject("rejected", error_message(outcome.body))
    return Stop(ConfigurationError(f"{describe(outcome)}; {_ADVICE.get(status, _ADVICE_OTHER)}"))


_ADVICE = {
    404: "no such inlet: check aep_inlet_url",
    415: "the endpoint does not take JSON: check aep_inlet_url and aep_headers",
    501: "the endpoint does not support this: check aep_inlet_url",
}
_ADVICE_OTHER = "this will not change by trying again: check aep_inlet_url (redirects are not followed)"


def is_transient(element: Element, policy: RetryPolicy) -> bool:
    """Whether this message of a 207 is worth sending again by itself."""
    return element.status in policy.transient_statuses or element.status >= 500


def describe(outcome: Reply | NetworkError) -> str:
    """The outcome in words fit for a log or an error."""
    if isinstance(outcome, NetworkError):
        return str(outcome)
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
        return min(float(text[:12]), policy.max_retry_after_seconds)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if date.tzinfo is None:
        date = date.replace(tzinfo=timezone.utc)
    return min(max(date.timestamp() - wall_clock(), 0.0), policy.max_retry_after_seconds)


def full_jitter(number: int, base: float, ceiling: float, random_unit: Callable[[], float]) -> float:
    """Seconds to wait after try ``number``: evenly drawn below an exponentially growing bound.

    It spreads the tries of many workers, where a fixed back-off would bring them back together.
    """
    return random_unit() * min(ceiling, base * 2 ** min(number - 1, 30))
