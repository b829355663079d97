"""The rules that send the same messages again after a pause, and what a rule is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aep.errors import ReplyError
from aep.ingestion.actions import retry, retry_without_reply, settle
from aep.ingestion.decision import Context, Decision, Retry
from aep.ingestion.message_rules import API, CONNECTOR, MULTIPLE, OUR_CHOICE, sent_again


@dataclass(frozen=True)
class Rule:
    """What to do with one kind of outcome.

    Attributes:
        name: Name of the rule.
        what_comes_back: The outcome in words; it excludes those of earlier rules.
        what_happens: The reaction in words.
        source: Where Adobe says so.
        applies: Whether the rule covers this outcome, provided that no earlier one does.
        decide: Makes the decision.
    """

    name: str
    what_comes_back: str
    what_happens: str
    source: str
    applies: Callable[[Context], bool]
    decide: Callable[[Context], Decision]


def _is_transient(*statuses: int) -> Callable[[Context], bool]:
    return lambda context: context.status in statuses and context.status in context.policy.transient_statuses


def does_not_fit(context: Context) -> bool:
    """Return whether a batch was received according to its status, but without a usable result for each message."""
    return context.success and context.results is None


# The rules that send the same messages again after a pause; the retry budget limits them all.
RETRY_RULES: tuple[Rule, ...] = (
    Rule(
        "not_sent",
        "no connection, or no token from IMS",
        "again",
        OUR_CHOICE,
        lambda context: context.status == 0 and not isinstance(context.outcome, ReplyError),
        retry_without_reply,
    ),
    Rule(
        "no_reply",
        "the connection breaks, or no whole reply comes in time (`aep_timeout_seconds`)",
        "again; duplicates are possible",
        f"{CONNECTOR} tries again too",
        lambda context: isinstance(context.outcome, ReplyError),
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
        "408, and any other status in `aep_retry_statuses`",
        "again",
        OUR_CHOICE,
        lambda context: not context.success and context.status in context.policy.transient_statuses,
        retry,
    ),
    Rule(
        "partly_again",
        "207 in which AEP could not take some messages now",
        "only those are sent again; each other has its result, see [the messages of a 207](#the-messages-of-a-207)",
        f"{MULTIPLE}, Identify failed messages: what was accepted need not be sent again",
        lambda context: bool(sent_again(context)),
        settle,
    ),
    Rule(
        "misfit",
        "207 whose `responses` do not match the messages one to one, or another 2xx to a batch",
        "no guessing: all are sent again, once; duplicates are possible",
        f'{MULTIPLE}, Response: "A response is returned for each element of the request messages array". What to do '
        "if it is not so is our choice",
        lambda context: does_not_fit(context) and context.sent.mismatches == 0,
        lambda context: Retry(context.after, "mismatch", arrived=True, mismatch=True),
    ),
)
