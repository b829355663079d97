"""How to react to what AEP answers: a table of rules, in which the first that applies decides.

docs/outcomes.md is generated from it (`make docs`). A rule that Adobe does not document, or leaves to the client, says
so.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from aep.errors import NetworkError
from aep.http.backoff import full_jitter, retry_after
from aep.http.transport import Reply
from aep.ingestion.actions import settle, stop, stop_budget, stop_credential, stop_setup
from aep.ingestion.decision import (
    GIVE_UP_TRIES,
    PROBE_TRIES,
    SPLIT_TRIES,
    Attempt,
    Context,
    Decision,
    InletStats,
    PerMessage,
    RefreshToken,
    Reject,
    RetryPolicy,
    Split,
    describe,
)
from aep.ingestion.envelope import MessageResult, error_message, is_object, read_xaction_id
from aep.ingestion.message_rules import API, CONNECTOR, MULTIPLE, OUR_CHOICE, VALIDATION, refused_by_reply
from aep.ingestion.retry_rules import RETRY_RULES, Rule, does_not_fit


def decide(
    sent: Attempt,
    outcome: Reply | NetworkError,
    now: float,
    inlet: InletStats,
    policy: RetryPolicy,
    random_unit: Callable[[], float] = random.random,
    wall_clock: Callable[[], float] = time.time,
) -> Decision:
    """Return what to do after a request.

    Args:
        sent, outcome, now, inlet, policy: See `Context`.
        random_unit: Source of jitter, in [0, 1).
        wall_clock: Seconds since the epoch, for a `Retry-After` that is a date.
    """
    header = outcome.headers.get("retry-after") if isinstance(outcome, Reply) else None
    asked = retry_after(header, policy.max_retry_after_seconds, wall_clock)
    after = asked + full_jitter(sent.number, policy.base_seconds, policy.max_seconds, random_unit)
    context = Context(sent, outcome, now, inlet, policy, after)
    return deciding_rule(context).decide(context)


def deciding_rule(context: Context) -> Rule:
    """Return the first rule that applies; the last one always does."""
    return next(rule for rule in RULES if rule.applies(context))


def _is(*statuses: int) -> Callable[[Context], bool]:
    return lambda context: context.status in statuses


def _nothing_is_ever_accepted(context: Context) -> bool:
    limit, refused = context.policy.max_first_refusals, refused_by_reply(context)
    if limit is None or not refused or context.inlet.accepted:
        return False
    return context.inlet.refused + refused >= limit


def _is_not_aeps(context: Context) -> bool:
    if context.sent.single:
        return context.success
    page = context.success and context.status != 207 and context.body and not is_object(context.body)
    return bool(page) and context.sent.mismatches > 0


RULES: tuple[Rule, ...] = (
    Rule(
        "received",
        "2xx with an `xactionId` for a single message, sent alone after malformed batch replies",
        "accepted",
        f"{VALIDATION}, 200: the message was received; any 2xx: {CONNECTOR}",
        lambda context: context.sent.single and context.success and bool(read_xaction_id(context.body)),
        lambda context: PerMessage([MessageResult(200, "", read_xaction_id(context.body))]),
    ),
    Rule(
        "not_aep",
        "any other 2xx to such a message; for a batch, the second 2xx other than 207 with a body that is not a JSON "
        "object, such as the page of a proxy or of another host",
        "stop: nothing says that AEP has received anything",
        f"{VALIDATION}, 200: each reply has an `xactionId`; {MULTIPLE}: a batch is answered with 207. To stop is our "
        "choice",
        _is_not_aeps,
        stop("nothing says that AEP received it: check aep_inlet_url, and whether a proxy answers in AEP's place"),
    ),
    Rule(
        "credential",
        "401, 403",
        "again at once with a new token, one for all threads; if there is no token (`aep_auth=none`), the next row "
        "applies",
        f"{MULTIPLE}, 401 and 403: the token is missing, invalid or expired. The new token is our choice",
        lambda context: context.status in (401, 403) and not context.sent.refreshed,
        lambda context: RefreshToken(),
    ),
    Rule(
        "credential_refused",
        "401, 403 to the new token",
        "stop; nothing is ever dead-lettered for a credential",
        f"{CONNECTOR} stops too (its developer guide)",
        _is(401, 403),
        stop_credential,
    ),
    Rule(
        "batch_too_large",
        "413 to a batch",
        "halved until it passes",
        f'{MULTIPLE}, 413: "thrown when the total payload request is greater than 1MB". Halving is our choice',
        lambda context: context.status == 413 and context.sent.messages > 1,
        lambda context: Split("413"),
    ),
    Rule(
        "message_too_large",
        "413 to one message",
        "dead-lettered, `too_large`",
        f"{MULTIPLE}, 413",
        _is(413),
        lambda context: Reject("too_large", f"{describe(context.outcome)} to this message alone"),
    ),
    Rule(
        "failing_batch",
        f"500 to a batch, {SPLIT_TRIES} times in a row, while others are accepted; after that, the first 500 to a part "
        "of it, if others sent later are accepted",
        "halved at once to find the message that AEP fails on; duplicates are possible",
        f'{MULTIPLE}, 500: "Error in processing payload", so it may be a message. Halving is our choice',
        lambda context: context.status == 500 and context.sent.messages > 1 and context.fails_on_batch(),
        lambda context: Split("500", arrived=True),
    ),
    Rule(
        "failing_message",
        f"500 to one message, {GIVE_UP_TRIES} times in a row, while others sent later are accepted",
        "dead-lettered, `rejected`",
        OUR_CHOICE,
        lambda context: context.status == 500 and context.sent.messages == 1 and context.fails_on_message(),
        lambda context: Reject("rejected", f"{describe(context.outcome)} to this message while others pass"),
    ),
    Rule(
        "out_of_budget",
        f"a retry by one of the next {len(RETRY_RULES)} rows would start later than `aep_retry_budget_seconds` after "
        "the first try",
        "stop",
        OUR_CHOICE,
        lambda context: context.over_budget and any(rule.applies(context) for rule in RETRY_RULES),
        stop_budget,
    ),
    Rule(
        "probed_batch",
        f"500 to a batch, {PROBE_TRIES} times in a row, while nothing is accepted",
        "halved to see whether any part of it is accepted; the first half is halved again at once, down to one "
        "message, which is not dead-lettered for this; duplicates are possible",
        OUR_CHOICE,
        lambda context: context.status == 500 and context.sent.messages > 1 and context.may_be_poisoned(),
        lambda context: Split("500", arrived=True, probing=True),
    ),
    *RETRY_RULES,
    Rule(
        "misfit_again",
        "the same a second time",
        "halved, down to the single-message endpoint, whose reply is about that message alone; duplicates are possible",
        OUR_CHOICE,
        does_not_fit,
        lambda context: Split("mismatch", arrived=True),
    ),
    Rule(
        "nothing_is_ever_accepted",
        "a reply that rejects all its messages for good (207, or 400 or 422 to one message), when this process has "
        "never seen the inlet accept a message and `aep_max_first_refusals` have been rejected",
        "stop: the schema, the dataset or the organisation is wrong, not the messages",
        f"{MULTIPLE}, Identify failed messages: AEP refuses a wrong organisation or schema message by message. To stop "
        "is our choice",
        _nothing_is_ever_accepted,
        stop_setup,
    ),
    Rule(
        "answered",
        "207 that accepts or rejects each message",
        "each message has its result, see [the messages of a 207](#the-messages-of-a-207)",
        f"{MULTIPLE}, Response; {API}, 207",
        lambda context: context.results is not None,
        settle,
    ),
    Rule(
        "batch_refused",
        "400, 422 to a batch",
        "halved to find the rejected messages",
        f'{MULTIPLE}, 400: "problem with the request. See the response body"; 422 is not documented. Halving is our '
        "choice",
        lambda context: context.status in (400, 422) and context.sent.messages > 1,
        lambda context: Split(str(context.status)),
    ),
    Rule(
        "message_refused",
        "400, 422 to one message",
        "dead-lettered, `rejected`, with AEP's words",
        f"{VALIDATION}, 400; 422 is not documented",
        _is(400, 422),
        lambda context: Reject("rejected", error_message(context.body) or describe(context.outcome)),
    ),
    Rule(
        "no_inlet",
        "404",
        "stop: `aep_inlet_url` is wrong",
        OUR_CHOICE,
        _is(404),
        stop("no such inlet: check aep_inlet_url"),
    ),
    Rule(
        "not_json",
        "415",
        "stop: `aep_inlet_url`, `aep_headers` or `aep_gzip` is wrong",
        OUR_CHOICE,
        _is(415),
        stop("the endpoint does not accept the requests as JSON: check aep_inlet_url, aep_headers and aep_gzip"),
    ),
    Rule(
        "not_supported",
        "501",
        "stop: `aep_inlet_url` asks for something this location lacks, such as synchronous validation",
        f"{VALIDATION}, 501",
        _is(501),
        stop("the endpoint does not support this: check aep_inlet_url"),
    ),
    Rule(
        "redirect",
        "a redirect, 3xx",
        "stop; it is not followed, since the token would go with it",
        f"{CONNECTOR} follows none either",
        lambda context: 300 <= context.status < 400,
        stop("redirects are not followed: check aep_inlet_url"),
    ),
    Rule(
        "anything_else",
        "any other status",
        "stop",
        OUR_CHOICE,
        lambda context: True,
        stop("a retry would not change this: check aep_inlet_url"),
    ),
)
