"""What to do with what came back from AEP: a table of rules, of which the first that applies decides.

docs/outcomes.md is made from it (``make docs``). What Adobe does not document, or leaves to the client, says so.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from aep.errors import NetworkError
from aep.http.backoff import full_jitter, retry_after
from aep.http.transport import Reply
from aep.ingestion.adobe_documents import API, CONNECTOR, MULTIPLE, OUR_CHOICE, VALIDATION
from aep.ingestion.element_rules import refused_by_reply
from aep.ingestion.envelope import Element, error_message, is_object, read_xaction_id
from aep.ingestion.outcome_actions import settle, stop, stop_budget, stop_credential, stop_setup
from aep.ingestion.outcomes import (
    GIVE_UP_TRIES,
    HALVE_TRIES,
    PROBE_TRIES,
    Case,
    Decision,
    Halve,
    InletRecord,
    RefreshToken,
    Reject,
    RetryPolicy,
    Rule,
    Settle,
    Try,
    describe,
)
from aep.ingestion.retry_rules import SENT_AGAIN, does_not_fit


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
      sent, outcome, now, inlet, policy: see ``Case``.
      random_unit: source of jitter, in [0, 1).
      wall_clock: seconds since the epoch, for a ``Retry-After`` that is a date.
    """
    header = outcome.headers.get("retry-after") if isinstance(outcome, Reply) else None
    asked = retry_after(header, policy.max_retry_after_seconds, wall_clock)
    after = asked + full_jitter(sent.number, policy.base_seconds, policy.max_seconds, random_unit)
    case = Case(sent, outcome, now, inlet, policy, after)
    return deciding_rule(case).decide(case)


def deciding_rule(case: Case) -> Rule:
    """The first rule that applies; the last one always does."""
    return next(rule for rule in RULES if rule.applies(case))


def _is(*statuses: int) -> Callable[[Case], bool]:
    return lambda case: case.status in statuses


def _nothing_is_ever_accepted(case: Case) -> bool:
    limit, refused = case.policy.max_first_refusals, refused_by_reply(case)
    return limit is not None and refused > 0 and case.inlet.accepted == 0 and case.inlet.refused + refused >= limit


def _is_not_aeps(case: Case) -> bool:
    if case.sent.single:
        return case.success
    page = case.success and case.status != 207 and case.body and not is_object(case.body)
    return bool(page) and case.sent.mismatches > 0


RULES: tuple[Rule, ...] = (
    Rule(
        "received",
        "2xx with an `xactionId` to a message that was sent alone, after replies to its batch that did not fit",
        "accepted",
        f"{VALIDATION}, 200: the message was received; any 2xx: {CONNECTOR}",
        lambda case: case.sent.single and case.success and bool(read_xaction_id(case.body)),
        lambda case: Settle([Element(200, "", read_xaction_id(case.body))]),
    ),
    Rule(
        "not_aep",
        "any other 2xx to such a message; twice a 2xx other than 207 to a batch, with a body that is no JSON object: a "
        "page of a proxy or of another host",
        "stop: nothing says that AEP has received anything",
        f"{VALIDATION}, 200: each reply has an `xactionId`; {MULTIPLE}: a batch is answered with 207. To stop is our "
        "choice",
        _is_not_aeps,
        stop("nothing says that AEP received it: check aep_inlet_url, and whether a proxy answers in AEP's place"),
    ),
    Rule(
        "credential",
        "401, 403",
        "again at once with a new token, one for all threads; where there is no token (`aep_auth=none`), the next row "
        "applies",
        f"{MULTIPLE}, 401 and 403: the token is missing, invalid or expired. The new token is our choice",
        lambda case: case.status in (401, 403) and not case.sent.refreshed,
        lambda case: RefreshToken(),
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
        lambda case: case.status == 413 and case.sent.messages > 1,
        lambda case: Halve("413"),
    ),
    Rule(
        "message_too_large",
        "413 to one message",
        "dead-lettered, `too_large`",
        f"{MULTIPLE}, 413",
        _is(413),
        lambda case: Reject("too_large", f"{describe(case.outcome)} to this message alone"),
    ),
    Rule(
        "failing_batch",
        f"500 to a batch, {HALVE_TRIES} times in a row, while others are accepted; to a half of it the first time, if "
        "others sent after the halving are accepted",
        "halved at once to find the message that AEP fails on; duplicates are possible",
        f'{MULTIPLE}, 500: "Error in processing payload", so it may be a message. Halving is our choice',
        lambda case: case.status == 500 and case.sent.messages > 1 and case.fails_on_batch(),
        lambda case: Halve("500", arrived=True),
    ),
    Rule(
        "failing_message",
        f"500 to one message, {GIVE_UP_TRIES} times in a row, while others are accepted",
        "dead-lettered, `rejected`",
        OUR_CHOICE,
        lambda case: case.status == 500 and case.sent.messages == 1 and case.fails_on_message(),
        lambda case: Reject("rejected", f"{describe(case.outcome)} to this message while others pass"),
    ),
    Rule(
        "out_of_budget",
        f"what one of the next {len(SENT_AGAIN)} rows would send again later than `aep_retry_budget_seconds` after it "
        "was first sent",
        "stop",
        OUR_CHOICE,
        lambda case: case.over_budget and any(rule.applies(case) for rule in SENT_AGAIN),
        stop_budget,
    ),
    Rule(
        "probed_batch",
        f"500 to a batch, {PROBE_TRIES} times in a row, while nothing is accepted",
        "halved to see whether anything of it is accepted, its first half at once again, down to one message, which is "
        "not given up for it; duplicates are possible",
        OUR_CHOICE,
        lambda case: case.status == 500 and case.sent.messages > 1 and case.may_be_poisoned(),
        lambda case: Halve("500", arrived=True, probing=True),
    ),
    *SENT_AGAIN,
    Rule(
        "misfit_again",
        "the same a second time",
        "halved, down to the single-message endpoint, whose reply is about that message alone; duplicates are possible",
        OUR_CHOICE,
        does_not_fit,
        lambda case: Halve("mismatch", arrived=True),
    ),
    Rule(
        "nothing_is_ever_accepted",
        "a reply that refuses all its messages for good, a 207 or 400, 422 to one message, when this process has never "
        "seen the inlet accept one and `aep_max_first_refusals` are refused",
        "stop: not the messages but the schema, the dataset or the organisation is wrong",
        f"{MULTIPLE}, Identify failed messages: AEP refuses a wrong organisation or schema message by message. To stop "
        "is our choice",
        _nothing_is_ever_accepted,
        stop_setup,
    ),
    Rule(
        "answered",
        "207 that accepts or refuses each message",
        "each message has its answer, see [the messages of a 207](#the-messages-of-a-207)",
        f"{MULTIPLE}, Response; {API}, 207",
        lambda case: case.elements is not None,
        settle,
    ),
    Rule(
        "batch_refused",
        "400, 422 to a batch",
        "halved to find the messages that are meant",
        f'{MULTIPLE}, 400: "problem with the request. See the response body"; 422 is not documented. Halving is our '
        "choice",
        lambda case: case.status in (400, 422) and case.sent.messages > 1,
        lambda case: Halve(str(case.status)),
    ),
    Rule(
        "message_refused",
        "400, 422 to one message",
        "dead-lettered, `rejected`, with AEP's words",
        f"{VALIDATION}, 400; 422 is not documented",
        _is(400, 422),
        lambda case: Reject("rejected", error_message(case.body) or describe(case.outcome)),
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
        stop("the endpoint does not take JSON as it is sent: check aep_inlet_url, aep_headers and aep_gzip"),
    ),
    Rule(
        "not_supported",
        "501",
        "stop: `aep_inlet_url` asks for what the location does not have, as synchronous validation",
        f"{VALIDATION}, 501",
        _is(501),
        stop("the endpoint does not support this: check aep_inlet_url"),
    ),
    Rule(
        "redirect",
        "a redirect, 3xx",
        "stop; it is not followed, since the token would go with it",
        f"{CONNECTOR} follows none either",
        lambda case: 300 <= case.status < 400,
        stop("redirects are not followed: check aep_inlet_url"),
    ),
    Rule(
        "anything_else",
        "any other status",
        "stop",
        OUR_CHOICE,
        lambda case: True,
        stop("this will not change by trying again: check aep_inlet_url"),
    ),
)
