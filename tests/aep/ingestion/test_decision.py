from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aep.errors import (
    AepError,
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    NetworkError,
    ReplyError,
    RetryBudgetError,
    TokenError,
)
from aep.http.transport import Reply
from aep.ingestion.decision import (
    Attempt,
    Decision,
    InletStats,
    PerMessage,
    RefreshToken,
    Reject,
    Retry,
    RetryPolicy,
    Split,
    Stop,
    describe,
)
from aep.ingestion.envelope import MessageResult
from aep.ingestion.rules import decide
from testing.defaults import by_default
from tests.aep.replies import (
    BATCH,
    BUDGET,
    HEALTHY,
    NEVER,
    NOW,
    ONE,
    POLICY,
    SINGLE,
    WALL,
    multi,
    problem,
    reply,
    sent,
)


def after(
    outcome: Reply | NetworkError,
    what: Attempt = BATCH,
    inlet: InletStats = HEALTHY,
    policy: RetryPolicy = POLICY,
    random: float = 0.5,
) -> Decision:
    return decide(what, outcome, NOW, inlet, policy, lambda: random, WALL.timestamp)


class TestReceived:
    def test_all_elements_received(self) -> None:
        decision = after(multi(200, 200, 200))
        assert isinstance(decision, PerMessage)
        assert decision.results == [
            MessageResult(200, "", "u-0"),
            MessageResult(200, "", "u-1"),
            MessageResult(200, "", "u-2"),
        ]
        assert (decision.again, decision.duplicates_possible, decision.failed) == ([], 0, False)

    @pytest.mark.parametrize("status", [200, 201, 202, 207])
    def test_a_single_message_has_its_transaction_id(self, status: int) -> None:
        assert after(reply(status, {"xactionId": "1:2:3"}), SINGLE) == PerMessage([MessageResult(200, "", "1:2:3")])

    @pytest.mark.parametrize("status", [200, 202, 204, 207])
    @pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"ok":true}', b'{"responses":[{"statusCode":400}]}'])
    def test_a_single_message_without_one_is_not_received(self, status: int, body: bytes) -> None:
        decision = after(reply(status, body), SINGLE)
        assert isinstance(decision, Stop)
        assert "check aep_inlet_url, and whether a proxy answers in AEP's place" in str(decision.error)


class TestElements:
    @pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 499])
    def test_one_of_the_400_class_is_answered_and_the_others_stand(self, status: int) -> None:
        decision = after(multi(200, status, 200))
        assert isinstance(decision, PerMessage)
        assert decision.results[1] == MessageResult(status, f"words of {status}", "u-1")
        assert decision.again == []

    @pytest.mark.parametrize("status", sorted(POLICY.transient_statuses | {501, 505, 599}))
    def test_a_transient_one_alone_goes_again(self, status: int) -> None:
        decision = after(multi(200, status, 400))
        assert isinstance(decision, PerMessage)
        assert decision.again == [1]
        assert decision.duplicates_possible == (status in (500, 502, 504))
        assert decision.failed is (status == 500)

    def test_which_statuses_are_transient_is_an_option(self) -> None:
        decision = after(
            multi(409, 429), sent(messages=2), policy=by_default(RetryPolicy, transient_statuses=frozenset({409}))
        )
        assert isinstance(decision, PerMessage)
        assert decision.again == [0]

    def test_the_pause_grows_with_the_tries_and_obeys_retry_after(self) -> None:
        first, third = after(multi(429, 200, 200)), after(multi(429, 200, 200), sent(number=3))
        asked = after(Reply(207, multi(429, 200, 200).body, {"retry-after": "20"}))
        assert isinstance(first, PerMessage)
        assert isinstance(third, PerMessage)
        assert isinstance(asked, PerMessage)
        assert (first.after, third.after, asked.after) == (0.25, 1.0, 20.25)

    @pytest.mark.parametrize(
        ("failures", "last_sent", "singled_out", "again"),
        [
            (0, NOW - 1, False, True),
            (14, NOW - 1, False, True),
            (15, NOW - 1, False, False),
            (15, NOW - 5, False, True),  # so AEP accepted what was sent before it was suspected, and may be down since
            (15, NOW - 5, True, False),  # but it has accepted others of the same request
            (15, NOW - 60, False, True),
            (500, float("-inf"), False, True),
        ],
    )
    def test_500_is_given_up_after_sixteen_in_a_row_while_others_pass(
        self, failures: int, last_sent: float, singled_out: bool, again: bool
    ) -> None:
        what = sent(messages=2, failures=failures, suspected_at=NOW - 5, singled_out=singled_out)
        decision = after(multi(500, 503), what, InletStats(9, 0, last_sent + 0.5, last_sent))
        assert isinstance(decision, PerMessage)
        assert decision.again == ([0, 1] if again else [1])

    def test_the_budget_holds_for_elements_too(self) -> None:
        late = sent(since=NOW - 99.9)
        stop = after(multi(200, 429, 200), late, policy=BUDGET)
        assert isinstance(stop, Stop)
        assert isinstance(stop.error, RetryBudgetError)
        assert "last: AEP answers 429 (words of 429)" in str(stop.error)
        assert isinstance(after(multi(200, 400, 200), late, policy=BUDGET), PerMessage)


class TestMismatch:
    MISFITS = (
        multi(200, 200),
        multi(200, 200, 200, 200),
        multi(302, 200, 200),
        reply(207),
        reply(207, b"<html>OK</html>"),
        reply(207, {"inletId": "1"}),
        reply(207, {"responses": [{"xactionId": "u-1"}, {"xactionId": "u-0"}, {"xactionId": "u-2"}]}),
        reply(200, multi(200, 200, 200).body),
        reply(202),
        reply(204),
    )

    @pytest.mark.parametrize("misfit", MISFITS)
    def test_sent_again_once_and_then_halved(self, misfit: Reply) -> None:
        assert after(misfit) == Retry(0.25, "mismatch", arrived=True, mismatch=True)
        assert after(misfit, sent(mismatches=1, number=2)) == Split("mismatch", arrived=True)

    def test_a_page_twice_is_not_of_aep(self) -> None:
        page = reply(200, b"<html>Log in</html>")
        assert after(page) == Retry(0.25, "mismatch", arrived=True, mismatch=True)
        decision = after(page, sent(mismatches=1, number=2))
        assert isinstance(decision, Stop)
        assert "nothing says that AEP received it: check aep_inlet_url" in str(decision.error)

    def test_down_to_the_single_message_endpoint(self) -> None:
        assert after(multi(200, 200), sent(ONE, mismatches=1)) == Split("mismatch", arrived=True)


class TestAgain:
    @pytest.mark.parametrize("what", [BATCH, ONE, SINGLE])
    @pytest.mark.parametrize(
        ("outcome", "cause", "arrived"),
        [
            (problem(408), "408", False),
            (problem(429), "429", False),
            (problem(500), "500", True),
            (problem(502), "502", True),
            (problem(503), "503", False),
            (problem(504), "504", True),
            (ConnectError("refused"), "connect", False),
            (ReplyError("reset"), "reply", True),
            (TokenError("IMS: refused"), "ims", False),
            (NetworkError("secret"), "network", False),
        ],
    )
    def test_transient(self, what: Attempt, outcome: Reply | NetworkError, cause: str, arrived: bool) -> None:
        assert after(outcome, what) == Retry(0.25, cause, arrived, failed=cause == "500")

    @pytest.mark.parametrize("outcome", [problem(429), problem(503), ReplyError("reset"), reply(207)])
    def test_without_limit_by_default(self, outcome: Reply | NetworkError) -> None:
        assert isinstance(after(outcome, sent(number=10_000, since=NOW - 1e6), NEVER), Retry)

    @pytest.mark.parametrize("outcome", [problem(503), ConnectError("connection refused"), reply(207), problem(500)])
    def test_the_budget_stops_it_when_the_next_try_would_be_too_late(self, outcome: Reply | NetworkError) -> None:
        assert isinstance(after(outcome, sent(since=NOW - 99.7), policy=BUDGET), Retry)
        stop = after(outcome, sent(since=NOW - 99.8), policy=BUDGET)
        assert isinstance(stop, Stop)
        assert isinstance(stop.error, RetryBudgetError)
        assert "100 s (aep_retry_budget_seconds)" in str(stop.error)
        assert describe(outcome) in str(stop.error)

    @pytest.mark.parametrize(
        ("asked", "expected"),
        [("7", 7.25), ("0", 0.25), ("9999", 300.25), ("-5", 0.25), ("soon", 0.25), ("", 0.25)],
    )
    def test_retry_after_is_obeyed_and_capped(self, asked: str, expected: float) -> None:
        assert after(reply(503, retry_after=asked)) == Retry(expected, "503")

    def test_retry_after_as_a_date(self) -> None:
        at = format_datetime(WALL + timedelta(seconds=30), usegmt=True)
        assert after(reply(429, retry_after=at)) == Retry(30.25, "429")

    def test_which_statuses_are_transient_is_an_option(self) -> None:
        policy = by_default(RetryPolicy, transient_statuses=frozenset({404}))
        assert after(problem(404), policy=policy) == Retry(0.25, "404")
        assert isinstance(after(problem(503), policy=policy), Stop)


class TestPoison:
    """A request that AEP answers with 500 again and again."""

    @pytest.mark.parametrize(
        ("failures", "last_success", "expected"),
        [
            (0, NOW - 1, Retry(0.25, "500", arrived=True, failed=True)),
            (2, NOW - 1, Retry(0.25, "500", arrived=True, failed=True)),
            (3, NOW - 1, Split("500", arrived=True)),
            (3, NOW - 10, Retry(0.25, "500", arrived=True, failed=True)),
            (6, float("-inf"), Retry(0.25, "500", arrived=True, failed=True)),
            (7, float("-inf"), Split("500", arrived=True, probing=True)),
        ],
    )
    def test_a_batch_is_halved_soon_while_others_pass_and_late_to_probe(
        self, failures: int, last_success: float, expected: Decision
    ) -> None:
        assert after(problem(500), sent(failures=failures), InletStats(9, 0, last_success)) == expected

    @pytest.mark.parametrize("what", [ONE, SINGLE])
    def test_a_message_is_given_up_after_sixteen_in_a_row(self, what: Attempt) -> None:
        assert isinstance(after(problem(500), sent(what, failures=14)), Retry)
        assert after(problem(500), sent(what, failures=15)) == Reject(
            "rejected", "AEP answers 500 (AEP's words) to this message while others pass"
        )

    @pytest.mark.parametrize("what", [ONE, SINGLE, sent(ONE, probing=True, suspected_at=NOW - 5)])
    def test_nothing_is_given_up_while_no_other_passes(self, what: Attempt) -> None:
        assert isinstance(after(problem(500), sent(what, failures=500), InletStats(9, 0, NOW - 10)), Retry)

    @pytest.mark.parametrize("outcome", [problem(500), multi(500)])
    @pytest.mark.parametrize(
        ("what", "last_sent", "counts", "aside"),
        [
            (ONE, NOW - 1, True, False),  # not yet suspected
            (sent(ONE, suspected_at=NOW - 5), NOW - 1, True, True),
            (sent(ONE, suspected_at=NOW - 5), NOW - 6, False, False),  # AEP may be down
            (sent(ONE, suspected_at=NOW - 5, singled_out=True), NOW - 6, True, False),
        ],
    )
    def test_tries_count_against_a_message_once_others_pass(
        self, outcome: Reply, what: Attempt, last_sent: float, counts: bool, aside: bool
    ) -> None:
        decision = after(outcome, what, InletStats(9, 0, NOW - 1, last_sent))
        assert isinstance(decision, (Retry, PerMessage))
        assert (decision.failed, decision.aside) == (counts, aside)

    @pytest.mark.parametrize("status", [429, 502, 503, 504])
    def test_only_500_makes_poison(self, status: int) -> None:
        assert isinstance(after(problem(status), sent(failures=500)), Retry)
        assert isinstance(after(problem(status), sent(ONE, failures=500)), Retry)

    def test_tries_that_ended_otherwise_do_not_count(self) -> None:
        assert isinstance(after(problem(500), sent(ONE, number=500)), Retry)


class TestCredential:
    @pytest.mark.parametrize("status", [401, 403])
    @pytest.mark.parametrize("what", [BATCH, ONE, SINGLE])
    def test_one_refresh_and_then_stop(self, status: int, what: Attempt) -> None:
        assert after(problem(status), what) == RefreshToken()
        stop = after(problem(status, "Ims service token is empty"), sent(what, refreshed=True))
        assert isinstance(stop, Stop)
        assert isinstance(stop.error, AuthenticationError)
        assert f"AEP answers {status} (Ims service token is empty)" in str(stop.error)
        assert "aep_auth" in str(stop.error)


class TestTooLarge:
    def test_halved_until_it_passes(self) -> None:
        assert after(problem(413)) == Split("413")

    @pytest.mark.parametrize("what", [ONE, SINGLE])
    def test_a_single_message(self, what: Attempt) -> None:
        decision = after(problem(413, "Payload too large"), what)
        assert decision == Reject("too_large", "AEP answers 413 (Payload too large) to this message alone")


class TestRefused:
    @pytest.mark.parametrize("status", [400, 422])
    def test_halved(self, status: int) -> None:
        assert after(problem(status)) == Split(str(status))

    @pytest.mark.parametrize("status", [400, 422])
    @pytest.mark.parametrize("what", [ONE, SINGLE])
    def test_a_single_message_is_rejected_in_aeps_words(self, status: int, what: Attempt) -> None:
        assert after(problem(status), what) == Reject("rejected", "AEP's words")
        assert after(reply(status), what) == Reject("rejected", f"AEP answers {status}")

    @pytest.mark.parametrize("refused", range(25))
    def test_twenty_at_the_start_mean_that_the_set_up_is_wrong(self, refused: int) -> None:
        decision = after(problem(400), ONE, InletStats(0, refused))
        if refused < 19:
            assert isinstance(decision, Reject)
        else:
            assert isinstance(decision, Stop)
            assert type(decision.error) is ConfigurationError
            assert f"the first {refused + 1} messages were all refused" in str(decision.error)
            for words in ("xdm_schema_id", "aep_dataset_id", "aep_org_id", "aep_max_first_refusals", "AEP's words"):
                assert words in str(decision.error)

    @pytest.mark.parametrize("refused", range(25))
    def test_the_messages_of_a_207_count_as_well(self, refused: int) -> None:
        decision = after(multi(400, 404, 422), BATCH, InletStats(0, refused))
        if refused < 17:
            assert isinstance(decision, PerMessage)
        else:
            assert isinstance(decision, Stop)
            assert type(decision.error) is ConfigurationError
            assert f"the first {refused + 3} messages were all refused" in str(decision.error)
            assert "the last with: AEP answers 422 (words of 422); check xdm_schema_file" in str(decision.error)

    @pytest.mark.parametrize("statuses", [(400, 200, 400), (400, 429, 400), (503, 400, 400), (500, 500, 400)])
    def test_a_207_that_does_not_refuse_all_is_not_the_set_up(self, statuses: tuple[int, ...]) -> None:
        assert isinstance(after(multi(*statuses), BATCH, InletStats(0, 500)), PerMessage)

    @pytest.mark.parametrize(("what", "outcome"), [(ONE, problem(400)), (BATCH, multi(400, 400, 400))])
    def test_after_one_was_accepted_it_is_the_message(self, what: Attempt, outcome: Reply) -> None:
        assert not isinstance(after(outcome, what, InletStats(1, 500)), Stop)

    @pytest.mark.parametrize(("what", "outcome"), [(ONE, problem(400)), (BATCH, multi(400, 400, 400))])
    def test_the_limit_is_an_option(self, what: Attempt, outcome: Reply) -> None:
        assert isinstance(after(outcome, what, NEVER, by_default(RetryPolicy, max_first_refusals=1)), Stop)
        unlimited = by_default(RetryPolicy, max_first_refusals=None)
        assert isinstance(after(outcome, what, InletStats(0, 10**6), unlimited), PerMessage | Reject)


class TestConfiguration:
    @pytest.mark.parametrize("what", [BATCH, ONE, SINGLE])
    @pytest.mark.parametrize(
        ("status", "advice"),
        [
            (404, "no such inlet: check aep_inlet_url"),
            (415, "aep_headers"),
            (501, "aep_inlet_url"),
            *(
                (status, "aep_inlet_url")
                for status in (101, 300, 301, 302, 307, 308, 402, 405, 406, 410, 418, 451, 505)
            ),
        ],
    )
    def test_is_a_stop_and_never_halved(self, what: Attempt, status: int, advice: str) -> None:
        stop = after(problem(status), what)
        assert isinstance(stop, Stop)
        assert type(stop.error) is ConfigurationError
        assert str(stop.error).startswith(f"AEP answers {status} (AEP's words); ")
        assert advice in str(stop.error)

    def test_a_redirect_says_that_it_is_not_followed(self) -> None:
        stop = after(reply(301))
        assert isinstance(stop, Stop)
        assert "redirects are not followed" in str(stop.error)


class TestRecord:
    """What an inlet's record keeps of a decision."""

    RECORD = InletStats(5, 7, NOW - 60)

    def test_each_message_of_a_207_counts_by_its_own_answer(self) -> None:
        decision = after(multi(200, 400, 429, 200, 404, 400), sent(messages=6))
        assert self.RECORD.noting(decision, NOW - 2, NOW) == InletStats(7, 10, NOW, NOW - 2)

    def test_without_a_message_accepted_the_last_success_stays(self) -> None:
        assert self.RECORD.noting(after(multi(400, 429, 429)), NOW, NOW) == InletStats(5, 8, NOW - 60)

    def test_a_message_refused_alone(self) -> None:
        assert self.RECORD.noting(Reject("rejected", "no"), NOW, NOW) == InletStats(5, 8, NOW - 60)

    @pytest.mark.parametrize(
        "decision",
        [Reject("too_large", "1 MB"), Retry(1, "503"), Split("400"), RefreshToken(), Stop(ConfigurationError("404"))],
    )
    def test_all_else_leaves_it(self, decision: Decision) -> None:
        assert self.RECORD.noting(decision, NOW, NOW) == self.RECORD


tries = st.builds(
    lambda messages, ago, **rest: Attempt(messages, NOW - ago, **rest),
    st.integers(1, 4),
    st.floats(0, 1e6),
    number=st.integers(1, 10**6),
    before=st.integers(0, 10),
    failures=st.integers(0, 20),
    refreshed=st.booleans(),
    mismatches=st.integers(0, 1),
)
tries |= tries.map(lambda what: sent(what, messages=1, single=True))
inlets = st.builds(
    InletStats, st.integers(0, 3), st.integers(0, 30), st.just(float("-inf")) | st.floats(NOW - 1e6, NOW)
)
bodies = st.one_of(
    st.binary(max_size=100),
    st.lists(st.integers(100, 699), max_size=5).map(lambda statuses: multi(*statuses).body),
)
replies = st.builds(
    Reply,
    st.integers(100, 999) | st.sampled_from([200, 207, 400, 401, 413, 429, 500, 503]),
    bodies,
    st.fixed_dictionaries({}, optional={"retry-after": st.text(max_size=40)}),
)
failures = st.sampled_from([ConnectError("c"), ReplyError("r"), TokenError("t"), NetworkError("n")])


@given(
    st.one_of(replies, failures),
    tries,
    inlets,
    st.sampled_from([POLICY, BUDGET, by_default(RetryPolicy, transient_statuses=frozenset())]),
    st.floats(0, 1, exclude_max=True),
)
def test_every_outcome_has_a_decision_that_can_be_carried_out(
    outcome: Reply | NetworkError, what: Attempt, inlet: InletStats, policy: RetryPolicy, random: float
) -> None:
    decision = after(outcome, what, inlet, policy, random)
    if isinstance(decision, PerMessage):
        assert len(decision.results) == what.messages
        assert decision.again == sorted(set(decision.again))
        assert not any(decision.results[position].accepted for position in decision.again)
        assert 0 <= decision.duplicates_possible <= len(decision.again)
    if isinstance(decision, Retry | PerMessage):
        assert 0 <= decision.after <= policy.max_retry_after_seconds + policy.max_seconds
    if isinstance(decision, Reject):
        assert what.messages == 1
        assert decision.code in ("rejected", "too_large")
    if isinstance(decision, Split):
        assert not what.single
    if isinstance(decision, RefreshToken):
        assert not what.refreshed
    if isinstance(decision, Stop):
        assert isinstance(decision.error, AepError)
        assert str(decision.error)
