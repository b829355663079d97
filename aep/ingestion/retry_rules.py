"""The rules that send the same messages again after a pause; the budget of retries limits them all."""

from __future__ import annotations

from collections.abc import Callable

from aep.errors import ReplyError
from aep.ingestion.adobe_documents import API, CONNECTOR, MULTIPLE, OUR_CHOICE
from aep.ingestion.element_rules import sent_again
from aep.ingestion.outcome_actions import retry, retry_without_reply, settle
from aep.ingestion.outcomes import Case, Retry, Rule


def _is_transient(*statuses: int) -> Callable[[Case], bool]:
    return lambda case: case.status in statuses and case.status in case.policy.transient_statuses


def does_not_fit(case: Case) -> bool:
    """Whether a batch was received, by its status, but not by a word for each message."""
    return case.success and case.elements is None


SENT_AGAIN: tuple[Rule, ...] = (
    Rule(
        "not_sent",
        "no connection, or no token from IMS",
        "again",
        OUR_CHOICE,
        lambda case: case.status == 0 and not isinstance(case.outcome, ReplyError),
        retry_without_reply,
    ),
    Rule(
        "no_reply",
        "the connection breaks, or no whole reply comes in time (`aep_timeout_seconds`)",
        "again; duplicates are possible",
        f"{CONNECTOR} tries again too",
        lambda case: isinstance(case.outcome, ReplyError),
        retry_without_reply,
    ),
    Rule(
        "throttled",
        "429",
        "again",
        f'{MULTIPLE}, 429: "Too many requests within specified time duration". What to do is not documented; our '
        "choice",
        _is_transient(429),
        retry,
    ),
    Rule(
        "unavailable",
        "503",
        "again",
        f'{API}, 503: "Clients should retry at least 3 times using an exponential back-off strategy", `Retry-After`',
        _is_transient(503),
        retry,
    ),
    Rule(
        "failed",
        "500",
        "again; duplicates are possible",
        f'{API}, 500: "Try the request again in a few minutes"',
        _is_transient(500),
        retry,
    ),
    Rule(
        "gateway",
        "502, 504",
        "again; duplicates are possible",
        f"Not documented; {CONNECTOR} tries any 5xx again",
        _is_transient(502, 504),
        retry,
    ),
    Rule(
        "transient",
        "408, and what else `aep_retry_statuses` has",
        "again",
        OUR_CHOICE,
        lambda case: not case.success and case.status in case.policy.transient_statuses,
        retry,
    ),
    Rule(
        "partly_again",
        "207 in which AEP could not take some messages now",
        "those alone again; each of the others has its answer, see [the messages of a 207](#the-messages-of-a-207)",
        f"{MULTIPLE}, Identify failed messages: what was accepted need not be sent again",
        lambda case: bool(sent_again(case)),
        settle,
    ),
    Rule(
        "misfit",
        "207 whose `responses` do not fit the messages one to one, or another 2xx to a batch",
        "never guessed at: all again, once; duplicates are possible",
        f'{MULTIPLE}, Response: "A response is returned for each element of the request messages array". What to do '
        "when it is not so is our choice",
        lambda case: does_not_fit(case) and case.sent.mismatches == 0,
        lambda case: Retry(case.after, "mismatch", arrived=True, mismatch=True),
    ),
)
