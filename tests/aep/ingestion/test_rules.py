"""The table of rules as a whole: no rule is dead, and every reply has one decision, which keeps the promise."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from aep.errors import AuthenticationError, ConfigurationError, ConnectError, NetworkError, ReplyError, RetryBudgetError
from aep.http.transport import Reply
from aep.ingestion.decision import (
    Attempt,
    Context,
    InletStats,
    PerMessage,
    RefreshToken,
    Reject,
    Retry,
    RetryPolicy,
    Split,
    Stop,
)
from aep.ingestion.envelope import MessageResult
from aep.ingestion.message_rules import MESSAGE_RULES, message_rule
from aep.ingestion.rules import RULES, decide, deciding_rule
from testing.defaults import by_default
from tests.aep.replies import BATCH, BUDGET, HEALTHY, NEVER, NOW, ONE, POLICY, SINGLE, multi, problem, reply, sent

LATE = sent(since=NOW - 1_000)
LAST = POLICY.max_first_refusals or 0
# Others pass, and many were refused: that is the messages' fault.
WELL = HEALTHY._replace(refused=LAST)


def case(
    outcome: Reply | NetworkError, what: Attempt = BATCH, inlet: InletStats = HEALTHY, policy: RetryPolicy = POLICY
) -> Context:
    return Context(what, outcome, NOW, inlet, policy, after=1.0)


# The rule that must decide each.
EXAMPLES: list[tuple[str, Context]] = [
    ("received", case(reply(200, {"xactionId": "1:2:3"}), SINGLE)),
    ("not_aep", case(reply(200, b"<html>"), SINGLE)),
    ("not_aep", case(reply(200, b"<html>"), sent(mismatches=1))),
    ("credential", case(problem(401))),
    ("credential", case(problem(403), SINGLE)),
    ("credential_refused", case(problem(403), sent(refreshed=True))),
    ("batch_too_large", case(problem(413))),
    ("message_too_large", case(problem(413), ONE)),
    ("failing_batch", case(problem(500), sent(failures=3))),
    ("probed_batch", case(problem(500), sent(failures=7), NEVER)),
    ("probed_batch", case(problem(500), sent(probing=True), NEVER)),
    ("failing_message", case(problem(500), sent(ONE, failures=15))),
    ("out_of_budget", case(problem(503), LATE, policy=BUDGET)),
    ("out_of_budget", case(multi(200, 429, 400), LATE, policy=BUDGET)),
    ("out_of_budget", case(ConnectError("refused"), LATE, policy=BUDGET)),
    ("out_of_budget", case(reply(207), LATE, policy=BUDGET)),
    ("not_sent", case(ConnectError("refused"))),
    ("no_reply", case(ReplyError("reset"))),
    ("throttled", case(problem(429))),
    ("unavailable", case(problem(503))),
    ("failed", case(problem(500))),
    ("gateway", case(problem(502))),
    ("gateway", case(problem(504))),
    ("transient", case(problem(408))),
    ("transient", case(problem(404), policy=by_default(RetryPolicy, transient_statuses=frozenset({404})))),
    ("partly_again", case(multi(200, 503, 400))),
    ("misfit", case(reply(207))),
    ("misfit", case(reply(200))),
    ("misfit_again", case(reply(207), sent(mismatches=1))),
    ("nothing_is_ever_accepted", case(multi(400, 400, 400), inlet=InletStats(0, LAST - 3))),
    ("nothing_is_ever_accepted", case(problem(400), ONE, InletStats(0, LAST - 1))),
    ("answered", case(multi(200, 200, 400))),
    ("answered", case(multi(400, 400, 400), inlet=InletStats(0, LAST - 4))),
    ("answered", case(multi(200, 400, 400), LATE, policy=BUDGET)),
    ("batch_refused", case(problem(422), inlet=InletStats(0, LAST))),
    ("message_refused", case(problem(400), ONE)),
    ("no_inlet", case(problem(404))),
    ("not_json", case(problem(415))),
    ("not_supported", case(problem(501))),
    ("redirect", case(reply(308))),
    ("anything_else", case(problem(409))),
    ("anything_else", case(problem(503), policy=by_default(RetryPolicy, transient_statuses=frozenset()))),
]

MESSAGE_EXAMPLES: list[tuple[str, MessageResult, Context]] = [
    ("accepted", MessageResult(200), case(multi(200, 500, 500))),
    ("failing", MessageResult(500), case(multi(200, 500, 500), sent(failures=15))),
    ("transient", MessageResult(500), case(multi(200, 500, 500))),
    ("transient", MessageResult(429), case(multi(200, 429, 429))),
    (
        "transient",
        MessageResult(505),
        case(multi(200, 505, 505), policy=by_default(RetryPolicy, transient_statuses=frozenset())),
    ),
    ("refused", MessageResult(400), case(multi(200, 400, 400))),
]


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_the_rule_that_decides(name: str, example: Context) -> None:
    assert deciding_rule(example).name == name


@pytest.mark.parametrize(("name", "result", "example"), MESSAGE_EXAMPLES)
def test_the_rule_that_decides_on_a_message_of_a_207(name: str, result: MessageResult, example: Context) -> None:
    assert message_rule(result, example).name == name


def test_no_rule_is_dead() -> None:
    assert [rule.name for rule in RULES] == sorted({name for name, _ in EXAMPLES}, key=_order)
    assert [rule.name for rule in MESSAGE_RULES] == list(dict.fromkeys(name for name, *_ in MESSAGE_EXAMPLES))


def _order(name: str) -> int:
    return [rule.name for rule in RULES].index(name)


def test_names_are_unique() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)


def every_request() -> Iterator[tuple[Attempt, InletStats, RetryPolicy]]:
    """Yield each kind of request, with and without a new token, failures, misfits and time left, and each kind of
    inlet.
    """
    for base, refreshed, failures, mismatches, since, inlet, policy in itertools.product(
        (BATCH, ONE, SINGLE),
        (False, True),
        (0, 3, 15),
        (0, 1),
        (NOW - 10, LATE.since),
        (WELL, NEVER, InletStats(0, LAST)),
        (POLICY, BUDGET),
    ):
        yield sent(base, refreshed=refreshed, failures=failures, mismatches=mismatches, since=since), inlet, policy


def out_of_time(what: Attempt, policy: RetryPolicy) -> bool:
    return policy is BUDGET and what.since == LATE.since


@pytest.mark.parametrize("status", range(100, 600))
def test_every_status(status: int) -> None:
    """What the promise asks of each decision, whatever went before."""
    for what, inlet, policy in every_request():
        done = decide(what, problem(status), NOW, inlet, policy)
        many, late = what.messages > 1, out_of_time(what, policy)
        assert not (isinstance(done, Reject) and many)
        assert not (isinstance(done, Split) and what.single)
        assert not (late and isinstance(done, Retry))
        if status in (401, 403):
            assert isinstance(done, Stop if what.refreshed else RefreshToken)
        else:
            assert not isinstance(done, RefreshToken)
        if isinstance(done, Stop) and status in (401, 403):
            assert type(done.error) is AuthenticationError
        elif status in POLICY.transient_statuses:
            # Given up for the budget alone; 500 is a message's fault only while others are accepted.
            assert isinstance(done, Retry | Split | Reject) or late
            assert not isinstance(done, Split) or (status == 500 and what.failures)
            assert not isinstance(done, Reject) or (status == 500 and inlet is WELL and what.failures)
            assert not isinstance(done, Stop) or type(done.error) is RetryBudgetError
        elif 200 <= status < 300:
            assert isinstance(done, Stop if what.single else Retry | Split) or late
        elif status in (400, 413, 422):
            assert not isinstance(done, Retry | PerMessage)
            assert isinstance(done, Split) is many
            if isinstance(done, Stop):
                assert status != 413
                assert not inlet.accepted
        elif status not in (401, 403):
            assert isinstance(done, Stop)
            assert type(done.error) is ConfigurationError


@pytest.mark.parametrize("status", [200, *range(400, 600)])
def test_every_status_of_a_message_in_a_207(status: int) -> None:
    """A message accepted or refused is never sent again, and one that AEP could not take always is."""
    for beside, (what, inlet, policy) in itertools.product((200, 400, 429, 500), every_request()):
        if what.messages == 1:
            continue
        statuses = [status, beside, beside]
        done = decide(what, multi(*statuses), NOW, inlet, policy)
        again = [at for at, one in enumerate(statuses) if one in POLICY.transient_statuses or one >= 500]
        if what.failures == 15 and inlet is WELL:
            again = [at for at in again if statuses[at] != 500]
        if again and out_of_time(what, policy):
            assert isinstance(done, Stop)
            assert type(done.error) is RetryBudgetError
        elif not again and 200 not in statuses and inlet == InletStats(0, LAST):
            assert isinstance(done, Stop)
            assert type(done.error) is ConfigurationError
        else:
            assert isinstance(done, PerMessage)
            assert done.again == again
            assert [result.status for result in done.results] == statuses
