from __future__ import annotations

import gc
import logging
import threading
import weakref
from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aep.errors import (
    AepError,
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    NetworkError,
    ReplyError,
    RetryBudgetError,
    StoppedError,
    TokenError,
)
from aep.http.auth import OAuthClient, OAuthTokens, StaticToken, TokenSource
from aep.http.transport import Reply, Request
from aep.ingestion.client import InletClient
from aep.ingestion.decision import RetryPolicy
from aep.ingestion.delivery import Answer, Counts, Delivery
from aep.ingestion.envelope import Destination
from aep.ingestion.limits import RequestLimit
from testing.defaults import by_default
from testing.fakes.fake_aep import BATCH_URL, INLET, Clock, FakeAep, Step, multi_status, record
from testing.services.process import PATIENCE_SECONDS

RAW = Destination(INLET, "raw", flow_id="flow-1", headers={"x-sandbox-name": "dev"})
ONE_SECOND = by_default(RetryPolicy, max_seconds=1)
OTHER = [5_000]  # the numbers of another batch
MISFIT = Step(body=b"<html>OK</html>")


POLICY = by_default(RetryPolicy)
WIDE = RequestLimit(64, None)  # never the one that is waited for


class Bench:
    """A client, the inlet it talks to, and its clock."""

    def __init__(
        self,
        aep: FakeAep,
        policy: RetryPolicy = POLICY,
        tokens: TokenSource | None = None,
        destination: Destination = RAW,
    ) -> None:
        self.aep = aep
        self.clock = Clock()
        self.client = InletClient(destination, aep, tokens, policy, WIDE, self.clock, self.clock.wait)

    def deliver(self, count: int, keys: Sequence[bytes | None] | None = None) -> Delivery:
        return self.client.deliver([record(number) for number in range(count)], keys)


class Tokens:
    """Tokens t1, t2, ...: a new one after each that was refused."""

    def __init__(self, failures: int = 0) -> None:
        self.number = 1
        self.failures = failures

    def token(self) -> str:
        if self.failures:
            self.failures -= 1
            raise TokenError("IMS: connection to ims:443: Connection refused")
        return f"t{self.number}"

    def reject(self, token: str) -> bool:
        newest = token == self.token()
        self.number += newest
        return newest

    def take_renewals(self) -> int:
        return 0


def codes(delivery: Delivery) -> list[str]:
    return [answer.code for answer in delivery.answers]


class TestRequest:
    def test_a_batch_is_one_request(self) -> None:
        bench = Bench(FakeAep())
        delivery = bench.deliver(3)
        (request,) = bench.aep.requests
        assert request.url == BATCH_URL
        assert request.body == b'{"messages":[{"n":0},{"n":1},{"n":2}]}'
        assert request.headers == {
            "Content-Type": "application/json",
            "x-adobe-flow-id": "flow-1",
            "x-sandbox-name": "dev",
        }
        assert delivery.answers == [Answer("", "", 1, f"u-{place}") for place in range(3)]
        assert all(answer.accepted for answer in delivery.answers)
        assert (delivery.requests, delivery.sent_bytes) == (1, len(request.body))
        assert (delivery.retries, delivery.duplicates_possible) == ({}, 0)
        assert 0 < delivery.seconds < 1

    def test_nothing_to_deliver_sends_nothing(self) -> None:
        bench = Bench(FakeAep())
        assert bench.deliver(0).answers == []
        assert bench.aep.requests == []

    def test_an_entity_gets_its_envelope_on_both_endpoints(self) -> None:
        bodies = []

        class Misfit:
            def send(self, request: Request) -> Reply:
                bodies.append((request.url, orjson.loads(request.body)))
                return Reply(200, b'{"xactionId":"1:2:3"}')

        clock = Clock()
        destination = Destination(INLET, "entity", "schema")
        InletClient(destination, Misfit(), None, POLICY, WIDE, clock, clock.wait).deliver([b'{"a":1}'])
        (batch_url, batch), _, (single_url, single) = bodies
        assert (batch_url, single_url) == (BATCH_URL, INLET)
        assert batch == {"messages": [single]}
        assert single["body"]["xdmEntity"] == {"a": 1}

    def test_a_url_that_is_no_inlet_is_refused_at_once(self) -> None:
        with pytest.raises(ConfigurationError, match="aep_inlet_url"):
            InletClient(Destination("https://dcs.adobedc.net/", "raw"), FakeAep(), None, POLICY, WIDE)


class TestCounts:
    def test_each_step_is_told_as_it_is_taken(self) -> None:
        told: list[Counts] = []
        known: list[int] = []

        def answer(numbers: list[int], request: Request) -> Step | None:
            known.append(sum(one.requests for one in told))  # also while the request is under way
            return [Step(504), Step(statuses={1: 503}), Step(404)][len(known) - 1]

        bench = Bench(FakeAep(rule=answer))
        with pytest.raises(ConfigurationError, match="no such inlet"):
            bench.client.deliver([record(number) for number in range(3)], observer=told.append)
        assert known == [1, 2, 3]
        total = Counts()
        for one in told:
            total.add(one)
        size = sum(len(request.body) for request in bench.aep.requests)
        assert total == Counts(3, size, 2, Counter({"504": 1, "element": 1}), duplicates_possible=3)

    def test_a_message_received_twice_is_accepted_once(self) -> None:
        bench = Bench(FakeAep([Step(statuses={0: 429})]))
        assert bench.deliver(2, [b"a", b"a"]).accepted == 2


class TestElements:
    def test_one_that_is_refused_is_answered_in_aeps_words(self) -> None:
        delivery = Bench(FakeAep([Step(statuses={1: 400})])).deliver(3)
        assert codes(delivery) == ["", "rejected", ""]
        assert delivery.answers[1] == Answer("rejected", "no", 1, "u-1")
        assert (delivery.requests, delivery.duplicates_possible) == (1, 0)

    def test_one_without_words_says_its_status(self) -> None:
        body = orjson.dumps({"responses": [{"statusCode": 409}]})
        assert Bench(FakeAep([Step(body=body)])).deliver(1).answers[0].message == "AEP answers 409"

    def test_the_transient_ones_alone_are_sent_again(self) -> None:
        bench = Bench(FakeAep([Step(statuses={1: 429, 2: 400, 4: 503}), Step(statuses={4: 500})]))
        delivery = bench.deliver(5)
        assert bench.aep.sent == [[0, 1, 2, 3, 4], [1, 4], [4]]
        assert codes(delivery) == ["", "", "rejected", "", ""]
        assert [answer.attempts for answer in delivery.answers] == [1, 2, 1, 1, 3]
        assert delivery.retries == {"element": 3}
        assert delivery.duplicates_possible == 1  # after the 500
        assert len(bench.clock.waits) == 2

    def test_the_credential_may_be_refused_again_after_elements_were_sent_again(self) -> None:
        script = [Step(401), Step(statuses={0: 429}), Step(401)]
        bench = Bench(FakeAep(script), tokens=Tokens())
        assert codes(bench.deliver(2)) == ["", ""]

    def test_one_that_aep_always_fails_on_is_given_up_while_others_pass(self) -> None:
        bench = Bench(FakeAep(rule=lambda numbers, request: Step(statuses={1: 500})))
        delivery = bench.deliver(3)
        assert codes(delivery) == ["", "rejected", ""]
        assert bench.aep.sent == [[0, 1, 2]] + [[1]] * 15
        assert delivery.answers[1].attempts == 16

    def test_none_is_given_up_for_the_failures_of_another(self) -> None:
        requests = iter(range(1, 100))

        def rule(numbers: list[int], _: Request) -> Step:
            other = 503 if (request := next(requests)) < 16 else 500
            return Step(statuses={1: 500, **({2: other} if request <= 16 else {})})

        delivery = Bench(FakeAep(rule=rule)).deliver(4)
        assert codes(delivery) == ["", "rejected", "", ""]
        assert delivery.answers[2].attempts == 17


class TestOrder:
    def test_what_overtook_a_message_of_its_key_follows_it_again(self) -> None:
        bench = Bench(FakeAep([Step(statuses={1: 429, 4: 400}), Step(statuses={3: 503})]))
        delivery = bench.deliver(6, [b"a", b"b", b"a", b"b", b"b", None])
        # 4 was refused, so it has overtaken nothing.
        assert bench.aep.sent == [[0, 1, 2, 3, 4, 5], [1, 3], [3]]
        assert codes(delivery) == ["", "", "", "", "rejected", ""]
        assert delivery.duplicates_possible == 1

    def test_what_overtook_and_is_refused_the_second_time_was_received_all_the_same(self) -> None:
        bench = Bench(FakeAep([Step(statuses={0: 429}), Step(statuses={1: 400})]))
        delivery = bench.deliver(2, [b"a", b"a"])
        assert codes(delivery) == ["", ""]
        assert delivery.answers[1].attempts == 1

    def test_messages_without_a_key_have_no_order(self) -> None:
        bench = Bench(FakeAep([Step(statuses={0: 429})]))
        bench.deliver(2, [None, None])
        assert bench.aep.sent == [[0, 1], [0]]

    def test_one_half_is_done_with_before_the_other_is_sent(self) -> None:
        bench = Bench(FakeAep([Step(413), Step(503), Step(statuses={1: 429})]))
        bench.deliver(4, [b"a"] * 4)
        assert bench.aep.sent == [[0, 1, 2, 3], [0, 1], [0, 1], [1], [2, 3]]


class TestHalving:
    @pytest.mark.parametrize("poison", range(7))
    def test_finds_the_message_that_spoils_a_request(self, poison: int) -> None:
        bench = Bench(FakeAep(rule=lambda numbers, request: Step(400, body=b"bad") if poison in numbers else None))
        delivery = bench.deliver(7)
        assert codes(delivery) == ["rejected" if number == poison else "" for number in range(7)]
        assert delivery.answers[poison].message == "bad"
        assert delivery.answers[poison].attempts == sum(poison in numbers for numbers in bench.aep.sent)
        assert delivery.requests <= 7
        assert delivery.duplicates_possible == 0
        assert bench.clock.waits == []
        assert bench.aep.stored == Counter(number for number in range(7) if number != poison)

    def test_413_until_it_passes(self) -> None:
        def too_many(numbers: list[int], request: Request) -> Step | None:
            return Step(413) if len(numbers) > 2 else None

        bench = Bench(FakeAep(rule=too_many))
        delivery = bench.deliver(8)
        assert bench.aep.sent == [[*range(8)], [0, 1, 2, 3], [0, 1], [2, 3], [4, 5, 6, 7], [4, 5], [6, 7]]
        assert codes(delivery) == [""] * 8
        assert delivery.retries == {"413": 3}

    def test_413_to_a_message_alone(self) -> None:
        bench = Bench(FakeAep(rule=lambda numbers, request: Step(413) if 1 in numbers else None))
        assert codes(bench.deliver(3)) == ["", "too_large", ""]

    def test_replies_that_do_not_fit_lead_to_the_single_message_endpoint(self) -> None:
        def misfit(numbers: list[int], request: Request) -> Step | None:
            return MISFIT if request.url == BATCH_URL else Step(200, body=b'{"xactionId":"1:2:3"}')

        bench = Bench(FakeAep(rule=misfit))
        delivery = bench.deliver(2)
        assert bench.aep.sent == [[0, 1], [0, 1], [0], [1], [0], [0], [1], [1]]
        assert [request.url for request in bench.aep.requests].count(INLET) == 2
        assert delivery.answers == [Answer("", "", 5, "1:2:3")] * 2
        assert delivery.retries == {"mismatch": 6}
        # [0, 1] twice, and each alone twice, may have been received before the last sending.
        assert delivery.duplicates_possible == 8

    def test_pages_in_aeps_place_are_no_receipts(self) -> None:
        bench = Bench(FakeAep(rule=lambda numbers, request: MISFIT))
        with pytest.raises(ConfigurationError, match="nothing says that AEP received it: check aep_inlet_url"):
            bench.deliver(2)
        assert [request.url for request in bench.aep.requests] == [BATCH_URL] * 5 + [INLET]

    def test_one_reply_that_does_not_fit_costs_one_request(self) -> None:
        bench = Bench(FakeAep([MISFIT]))
        delivery = bench.deliver(4)
        assert bench.aep.sent == [[0, 1, 2, 3]] * 2
        assert (delivery.retries, delivery.duplicates_possible) == ({"mismatch": 1}, 4)

    @pytest.mark.parametrize("poisons", [{3}, {0}, {7}, {0, 7}, {2, 3}, {0, 1, 2, 4, 5, 6, 7}])
    def test_500_for_some_messages_is_found_while_others_pass(self, poisons: set[int]) -> None:
        def fails(numbers: list[int], request: Request) -> Step | None:
            if len(bench.aep.sent) == 1:
                bench.client.deliver([record(100)])  # another batch passes while AEP fails on this one
            return Step(500, body=b"boom") if poisons & set(numbers) else None

        bench = Bench(FakeAep(rule=fails))
        delivery = bench.deliver(8)
        assert codes(delivery) == ["rejected" if number in poisons else "" for number in range(8)]
        assert all("AEP answers 500 (boom) to this message" in delivery.answers[one].message for one in poisons)
        assert all(delivery.answers[one].attempts >= 16 for one in poisons)

    def test_once_others_pass_poison_is_found_without_a_pause_and_in_few_requests(self) -> None:
        poisons = {17, 400, 401, 999}
        bench = Bench(FakeAep(rule=lambda numbers, request: self._fails(bench, poisons, numbers)))
        halving = 3  # pauses until the batch is halved

        def wait(seconds: float) -> bool:
            if len(bench.clock.waits) == halving:
                # All but the poison has its answer by now, and each poison was tried alone.
                assert bench.aep.told_accepted >= set(range(1_000)) - poisons
                assert all([one] in bench.aep.sent for one in poisons)
                assert len([numbers for numbers in bench.aep.sent if numbers != OTHER]) <= 4 + len(poisons) * 2 * 10
            return bench.clock.wait(seconds)

        bench.client._sleep = wait
        delivery = bench.deliver(1_000)
        assert codes(delivery) == ["rejected" if number in poisons else "" for number in range(1_000)]
        assert all(bench.aep.sent.count([one]) == 16 for one in poisons)

    def test_messages_that_aep_fails_on_wait_together(self) -> None:
        poisons = set(range(0, 64, 2))
        bench = Bench(FakeAep(rule=lambda numbers, request: self._fails(bench, poisons, numbers)), ONE_SECOND)
        delivery = bench.deliver(64)
        assert sum(code == "rejected" for code in codes(delivery)) == 32
        assert delivery.seconds < 2 * 16  # and not 32 times as long

    @pytest.mark.parametrize("failing", [Step(500), Step(statuses={3: 500})])
    def test_it_steps_aside_while_all_that_is_left_is_poison(self, failing: Step) -> None:
        aside: list[list[list[int]]] = []
        bench = Bench(FakeAep(rule=lambda numbers, request: self._fails(bench, {3}, numbers, failing)))
        records = [record(number) for number in range(8)]
        delivery = bench.client.deliver(records, aside=lambda: aside.append(list(bench.aep.sent)))
        assert delivery.accepted == 7
        assert {number for numbers in aside[0] for number in numbers} == {*range(8), *OTHER}
        assert 9 <= len(aside) <= 15  # a pause may be drawn so short that it is over when it is looked at

    def test_it_does_not_step_aside_where_order_matters_or_nothing_passes(self) -> None:
        asked: list[int] = []
        bench = Bench(FakeAep(rule=lambda numbers, request: self._fails(bench, {3}, numbers)))
        records = [record(number) for number in range(8)]
        assert bench.client.deliver(records, [b"a"] * 8, aside=lambda: asked.append(1)).accepted == 7
        Bench(FakeAep([Step(500)] * 100)).client.deliver(records, aside=lambda: asked.append(1))
        assert asked == []

    @staticmethod
    def _fails(bench: Bench, poisons: set[int], numbers: list[int], failing: Step = Step(500)) -> Step | None:  # noqa: B008
        """500 for a request with poison, while other batches pass."""
        if numbers == OTHER:
            return None
        bench.client.deliver([record(number) for number in OTHER])
        return failing if poisons & set(numbers) else None

    @pytest.mark.parametrize("failing", [Step(500), Step(statuses={0: 500})])
    def test_a_batch_of_one_message_is_given_up_while_others_pass(self, failing: Step) -> None:
        bench = Bench(FakeAep(rule=lambda numbers, request: self._fails(bench, {0}, numbers, failing)))
        delivery = bench.deliver(1)
        assert codes(delivery) == ["rejected"]
        assert delivery.answers[0].attempts == 16

    @pytest.mark.parametrize("failing", [Step(500), Step(statuses=dict.fromkeys(range(8), 500))])
    @pytest.mark.parametrize("count", [1, 8])
    @pytest.mark.parametrize("length", [3, 30, 100, 1000])
    def test_an_outage_of_500s_rejects_nothing(self, length: int, count: int, failing: Step) -> None:
        def outage(numbers: list[int], request: Request) -> Step | None:
            if len(bench.aep.sent) == 1:
                bench.client.deliver([record(100)])  # the last that passes
            return failing if numbers != [100] and len(bench.aep.sent) < length else None

        bench = Bench(FakeAep(rule=outage))
        delivery = bench.deliver(count)
        assert codes(delivery) == [""] * count
        assert set(delivery.retries) <= {"500", "element"}
        assert delivery.duplicates_possible == sum(map(len, bench.aep.sent)) - 1 - count

    def test_a_long_outage_of_500s_with_nothing_passing_rejects_nothing(self) -> None:
        bench = Bench(FakeAep([Step(500)] * 500))
        assert codes(bench.deliver(8)) == [""] * 8
        assert 501 <= len(bench.aep.sent) <= 508  # probed meanwhile, the batch may be in up to eight parts

    @pytest.mark.parametrize("poisons", [{0}, {1, 500, 999}, set(range(0, 1_000, 20)), {0, 1}])
    def test_poison_is_found_though_nothing_has_ever_passed(self, poisons: set[int]) -> None:
        bench = Bench(FakeAep(rule=lambda numbers, request: Step(500) if poisons & set(numbers) else None))
        delivery = bench.deliver(1_000)
        assert codes(delivery) == ["rejected" if number in poisons else "" for number in range(1_000)]
        assert all(bench.aep.sent.count([one]) >= 16 for one in poisons)

    @pytest.mark.parametrize("keys", [None, [b"a"] * 1_000])
    def test_an_outage_is_probed_with_few_more_requests_and_ends_without_a_dead_letter(
        self, keys: Sequence[bytes | None] | None
    ) -> None:
        def outage(numbers: list[int], request: Request) -> Step | None:
            if numbers == OTHER:
                return None
            if bench.clock() < 4 * 3_600:
                return Step(500)
            bench.client.deliver([record(number) for number in OTHER])  # others pass again
            recovering[tuple(numbers)] += 1
            return Step(500) if recovering[tuple(numbers)] <= 3 and numbers[0] < 2 else None

        recovering: Counter[tuple[int, ...]] = Counter()
        bench = Bench(FakeAep(rule=outage))
        delivery = bench.deliver(1_000, keys)
        assert codes(delivery) == [""] * 1_000
        assert (
            len(bench.aep.sent) - 2 * recovering.total() < 4 * 3_600 / 20
        )  # one every 30 s on average, and the probes

    def test_a_lone_message_that_fails_waits_for_others_to_pass(self) -> None:
        bench = Bench(FakeAep(rule=lambda numbers, request: Step(500)), by_default(RetryPolicy, budget_seconds=36_000))
        with pytest.raises(RetryBudgetError):
            bench.deliver(1)
        assert len(bench.aep.sent) > 500


class TestPauses:
    def test_transient_failures_are_waited_out(self) -> None:
        script = [Step(429), Step(503), Step(error=ConnectError("c")), Step(error=ReplyError("r")), Step(504)]
        bench = Bench(FakeAep(script))
        delivery = bench.deliver(2)
        assert codes(delivery) == ["", ""]
        assert delivery.retries == {"429": 1, "503": 1, "connect": 1, "reply": 1, "504": 1}
        assert delivery.duplicates_possible == 4  # the broken reply and the 504, two messages each
        assert delivery.requests == 6
        assert [answer.attempts for answer in delivery.answers] == [6, 6]
        for number, wait in enumerate(bench.clock.waits):
            assert 0 <= wait <= 0.5 * 2**number
        assert delivery.seconds >= sum(bench.clock.waits)

    @pytest.mark.parametrize(
        ("step", "cause"),
        [(Step(error=ConnectError("c")), "connect"), (Step(503), "503"), (Step(statuses={0: 500}), "element")],
    )
    def test_a_retry_counts_once_it_is_sent(self, step: Step, cause: str) -> None:
        total = Counts()
        seen = []

        def wait(_: float) -> bool:
            seen.append((total.requests, dict(total.retries)))
            return len(seen) == 3

        client = InletClient(RAW, FakeAep(rule=lambda numbers, request: step), None, POLICY, WIDE, wait=wait)
        with pytest.raises(StoppedError):
            client.deliver([record(0)], observer=total.add)
        assert seen == [(1, {}), (2, {cause: 1}), (3, {cause: 2})]
        assert total.retries == {cause: 2}

    def test_a_failed_request_is_let_go_of_before_the_pause(self) -> None:
        requests: list[weakref.ref[Request]] = []

        class Unreachable:
            def send(self, request: Request) -> Reply:
                requests.append(weakref.ref(request))
                raise ConnectError("Connection refused")

        def wait(_: float) -> bool:
            assert requests[-1]() is None
            return len(requests) == 3

        gc.disable()
        try:
            with pytest.raises(StoppedError):
                InletClient(RAW, Unreachable(), None, POLICY, WIDE, wait=wait).deliver([record(0)])
        finally:
            gc.enable()

    def test_ended_before_the_next_try_it_says_why_the_last_one_failed(self) -> None:
        sent = 0

        class Ending:
            def send(self, request: Request) -> Reply:
                nonlocal sent
                sent += 1
                raise StoppedError("no time left") if sent > 1 else ConnectError("Connection refused")

        with pytest.raises(StoppedError, match=r"stopped while AEP could not be reached \(last: Connection refused\)"):
            InletClient(RAW, Ending(), None, POLICY, WIDE, wait=lambda _: False).deliver([record(0)])

    def test_why_batches_wait_is_known_while_they_do(self) -> None:
        waiting: list[list[str]] = []

        def wait(_: float) -> bool:
            waiting.append(client.waiting)
            return False

        client = InletClient(RAW, FakeAep([Step(503)]), None, POLICY, WIDE, wait=wait)
        client.deliver([record(0)])
        assert (waiting, client.waiting) == ([["AEP answers 503"]], [])

    def test_retry_after_is_waited(self) -> None:
        bench = Bench(FakeAep([Step(429, headers={"retry-after": "42"}), Step(503, headers={"retry-after": "9999"})]))
        bench.deliver(1)
        first, second = bench.clock.waits
        assert 42 <= first <= 42.5
        assert 300 <= second <= 301

    def test_the_budget_ends_it(self) -> None:
        bench = Bench(FakeAep(rule=lambda numbers, request: Step(503)), by_default(RetryPolicy, budget_seconds=60))
        with pytest.raises(RetryBudgetError, match=r"60 s \(aep_retry_budget_seconds\), last: AEP answers 503"):
            bench.deliver(1)
        assert sum(bench.clock.waits) <= 60

    def test_the_budget_counts_from_the_first_sending(self) -> None:
        clock, aep = Clock(), FakeAep([Step(503)])
        limit = RequestLimit(8, messages_per_second=1, clock=clock, wait=clock.wait)
        client = InletClient(RAW, aep, None, by_default(RetryPolicy, budget_seconds=60), limit, clock, clock.wait)
        with limit.slot(200):
            pass  # takes all turns of the next 200 seconds
        assert codes(client.deliver([record(0)])) == [""]
        assert clock.waits[0] > 190

    def test_the_budget_counts_for_elements_too(self) -> None:
        bench = Bench(
            FakeAep(rule=lambda numbers, request: Step(statuses={1: 429})), by_default(RetryPolicy, budget_seconds=60)
        )
        with pytest.raises(RetryBudgetError):
            bench.deliver(2)
        assert sum(bench.clock.waits) <= 60

    @pytest.mark.parametrize("step", [Step(503), Step(error=ConnectError("c")), Step(statuses={0: 429}), MISFIT])
    def test_a_process_that_is_to_end_gives_up_in_the_pause(self, step: Step) -> None:
        bench = Bench(FakeAep(rule=lambda numbers, request: step))
        bench.clock.stop_after = 0
        with pytest.raises(StoppedError, match="the records will be read again"):
            bench.deliver(1)
        assert len(bench.aep.requests) == 1

    def test_it_is_not_given_up_without_a_pause(self) -> None:
        bench = Bench(FakeAep([Step(413)]))
        bench.clock.stop_after = 0
        assert codes(bench.deliver(2)) == ["", ""]

    def test_a_warning_a_minute(self, caplog: pytest.LogCaptureFixture) -> None:
        bench = Bench(FakeAep([Step(503)] * 40))
        with caplog.at_level(logging.WARNING):
            bench.deliver(1)
        warnings = [one.getMessage() for one in caplog.records if one.name == "aep.ingestion.client"]
        assert "AEP answers 503; reading waits, trying again in" in warnings[0]
        assert BATCH_URL in warnings[0]
        assert 1 < len(warnings) <= sum(bench.clock.waits) / 60 + 1


class TestCredential:
    def test_the_token_goes_with_each_request(self) -> None:
        bench = Bench(FakeAep([Step(503)]), tokens=Tokens())
        bench.deliver(1)
        assert [request.headers["Authorization"] for request in bench.aep.requests] == ["Bearer t1"] * 2

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_refused_token_is_renewed_once_without_a_pause(self, status: int) -> None:
        bench = Bench(FakeAep([Step(status)]), tokens=Tokens())
        delivery = bench.deliver(2)
        assert [request.headers["Authorization"] for request in bench.aep.requests] == ["Bearer t1", "Bearer t2"]
        assert codes(delivery) == ["", ""]
        assert (delivery.retries, delivery.duplicates_possible, bench.clock.waits) == ({"token": 1}, 0, [])

    @pytest.mark.parametrize("status", [400, 403, 404, 503])
    def test_a_reply_that_echoes_it_is_not_repeated(self, status: int, caplog: pytest.LogCaptureFixture) -> None:
        token = "sesame-open-0451"

        class Sesame(Tokens):
            def token(self) -> str:
                return token

        echo = Step(status, body=b'{"report":{"message":"Bearer %s is no good"}}' % token.encode())
        bench = Bench(FakeAep([echo] * 2), by_default(RetryPolicy, max_first_refusals=None), Sesame())
        try:
            told = repr(bench.deliver(1))
        except ConfigurationError as error:
            told = repr(error)
        assert token not in told + caplog.text
        assert "Bearer *** is no good" in told + caplog.text

    def test_a_fresh_token_that_is_refused_stops(self) -> None:
        bench = Bench(FakeAep(rule=lambda numbers, request: Step(401)), tokens=Tokens())
        with pytest.raises(AuthenticationError, match="AEP answers 401") as caught:
            bench.deliver(3)
        assert len(bench.aep.requests) == 2
        assert "t2" not in str(caught.value)

    def test_a_token_that_was_renewed_before_it_was_revoked_with_the_others_is_renewed_again(self) -> None:
        tokens = Tokens()

        def revoked(numbers: list[int], request: Request) -> Step | None:
            if request.headers["Authorization"] == "Bearer t1":
                tokens.number = 2  # another thread has renewed it meanwhile
            return None if request.headers["Authorization"] == "Bearer t3" else Step(401)

        bench = Bench(FakeAep(rule=revoked), tokens=tokens)
        delivery = bench.deliver(3)
        assert codes(delivery) == ["", "", ""]
        assert delivery.retries == {"token": 2}

    def test_without_authentication_401_stops_at_once(self) -> None:
        bench = Bench(FakeAep(rule=lambda numbers, request: Step(401)))
        with pytest.raises(AuthenticationError, match="aep_auth"):
            bench.deliver(1)
        assert len(bench.aep.requests) == 1

    def test_another_failure_in_between_allows_another_renewal(self) -> None:
        bench = Bench(FakeAep([Step(401), Step(503), Step(401), Step(413), Step(401)]), tokens=Tokens())
        delivery = bench.deliver(2)
        assert codes(delivery) == ["", ""]
        assert delivery.retries == {"token": 3, "503": 1, "413": 1}

    def test_ims_being_down_is_waited_out_and_sends_nothing(self) -> None:
        bench = Bench(FakeAep(), tokens=Tokens(failures=3))
        delivery = bench.deliver(2)
        assert codes(delivery) == ["", ""]
        assert (delivery.requests, delivery.retries, delivery.duplicates_possible) == (1, {"ims": 3}, 0)
        assert len(bench.clock.waits) == 3

    def test_a_client_that_ims_refuses_stops(self) -> None:
        class Ims:
            def send(self, request: Request) -> Reply:
                return Reply(401, b'{"error":"invalid_client"}')

        tokens = OAuthTokens(OAuthClient("http://ims.test", "client", "env:PATH", "openid"), Ims())
        with pytest.raises(AuthenticationError, match="invalid_client"):
            Bench(FakeAep(), tokens=tokens).deliver(1)

    def test_a_static_token_is_read_again(self, tmp_path: Any) -> None:
        def rotated(numbers: list[int], request: Request) -> Step | None:
            if request.headers["Authorization"] == "Bearer old":
                file.write_text("new\n")
                return Step(403)
            return None

        file = tmp_path / "token"
        file.write_text("old\n")
        bench = Bench(FakeAep(rule=rotated), tokens=StaticToken(f"file:{file}"))
        assert codes(bench.deliver(1)) == [""]
        assert bench.aep.requests[-1].headers["Authorization"] == "Bearer new"

    def test_one_renewal_for_many_threads(self) -> None:
        threads = 8
        all_refused = threading.Barrier(threads)
        fetches = []

        class Ims:
            def send(self, request: Request) -> Reply:
                fetches.append(request.url)
                return Reply(200, b'{"access_token":"t%d","expires_in":86399}' % len(fetches))

        class Aep:
            def send(self, request: Request) -> Reply:
                if request.headers["Authorization"] == "Bearer t1":
                    all_refused.wait(timeout=PATIENCE_SECONDS)
                    return Reply(401)
                return Reply(207, multi_status([200]))

        tokens = OAuthTokens(OAuthClient("http://ims.test", "client", "env:PATH", "openid"), Ims())
        client = InletClient(RAW, Aep(), tokens, POLICY, WIDE)
        deliveries: list[Delivery] = []
        workers = [
            threading.Thread(target=lambda: deliveries.append(client.deliver([b"{}"])), daemon=True)
            for _ in range(threads)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(timeout=PATIENCE_SECONDS)
        assert [codes(delivery) for delivery in deliveries] == [[""]] * threads
        assert len(fetches) == 2


class TestStop:
    @pytest.mark.parametrize("status", [404, 415, 301, 308, 410, 501])
    def test_a_configuration_error_is_never_halved(self, status: int) -> None:
        bench = Bench(FakeAep(rule=lambda numbers, request: Step(status)))
        with pytest.raises(ConfigurationError, match=f"AEP answers {status}"):
            bench.deliver(8)
        assert len(bench.aep.requests) == 1

    def test_an_error_of_the_transport_that_a_person_must_mend_goes_up(self) -> None:
        class BadTls:
            def send(self, request: Request) -> Reply:
                raise ConfigurationError("TLS to aep.test failed: self-signed certificate")

        with pytest.raises(ConfigurationError, match="self-signed"):
            InletClient(RAW, BadTls(), None, POLICY, WIDE).deliver([b"{}"])

    def test_twenty_single_messages_refused_at_the_start(self) -> None:
        bench = Bench(FakeAep(rule=lambda numbers, request: Step(400, body=b"unknown xdm format")))
        with pytest.raises(ConfigurationError, match=r"first 20 .*unknown xdm format.*aep_dataset_id"):
            bench.deliver(100)
        assert len([numbers for numbers in bench.aep.sent if len(numbers) == 1]) == 20
        assert bench.aep.sent[-1] == [19]

    def test_207s_that_refuse_all_at_the_start(self) -> None:
        bench = Bench(FakeAep(rule=lambda numbers, request: Step(statuses=dict.fromkeys(numbers, 400))))
        assert codes(bench.deliver(12)) == ["rejected"] * 12
        with pytest.raises(ConfigurationError, match=r"first 24 .*AEP answers 400 \(no\).*aep_dataset_id"):
            bench.deliver(12)

    def test_207s_that_refuse_all_after_one_that_did_not(self) -> None:
        bad = range(1, 100)
        bench = Bench(FakeAep(rule=lambda numbers, request: Step(statuses=dict.fromkeys(bad, 400))))
        assert codes(bench.deliver(100)) == [""] + ["rejected"] * 99
        assert codes(bench.client.deliver([record(number) for number in bad])) == ["rejected"] * 99

    def test_without_a_limit_all_are_refused(self) -> None:
        aep = FakeAep(rule=lambda numbers, request: Step(statuses=dict.fromkeys(numbers, 400)))
        assert codes(Bench(aep, by_default(RetryPolicy, max_first_refusals=None)).deliver(100)) == ["rejected"] * 100

    def test_replies_that_come_together_know_of_each_other(self) -> None:
        threads = 8
        all_sent = threading.Barrier(threads)

        class Aep:
            def send(self, request: Request) -> Reply:
                all_sent.wait(timeout=PATIENCE_SECONDS)
                return Reply(207, multi_status([400] * 5))

        client = InletClient(RAW, Aep(), None, POLICY, WIDE)
        ends: list[str] = []

        def work() -> None:
            try:
                ends.extend(codes(client.deliver([b"{}"] * 5)))
            except ConfigurationError:
                ends.append("stopped")

        workers = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(timeout=PATIENCE_SECONDS)
        # Three are below the limit of 20, the fourth and all after it are not.
        assert Counter(ends) == {"rejected": 15, "stopped": 5}

    def test_refusals_after_the_first_success_are_the_messages(self) -> None:
        bench = Bench(FakeAep(rule=lambda numbers, request: Step(400) if numbers != [0] else None))
        assert codes(bench.deliver(60)) == [""] + ["rejected"] * 59

    def test_messages_too_large_do_not_count_as_refused(self) -> None:
        script = [Step(413)] * 30
        bench = Bench(FakeAep(script, rule=lambda numbers, request: Step(400)))
        for _ in range(30):
            assert codes(bench.deliver(1)) == ["too_large"]
        assert codes(bench.deliver(1)) == ["rejected"]


def test_many_threads_share_a_client() -> None:
    aep = FakeAep(rule=lambda numbers, request: Step(statuses={n: 400 for n in numbers if n % 7 == 0}))
    client = InletClient(RAW, aep, None, POLICY, WIDE)
    deliveries: dict[int, Delivery] = {}

    def work(worker: int) -> None:
        for batch in range(worker, 80, 8):
            deliveries[batch] = client.deliver([record(batch * 10 + place) for place in range(10)])

    workers = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(8)]
    for one in workers:
        one.start()
    for one in workers:
        one.join(timeout=PATIENCE_SECONDS)
    answers = [answer for batch in sorted(deliveries) for answer in deliveries[batch].answers]
    assert [answer.code for answer in answers] == ["rejected" if number % 7 == 0 else "" for number in range(800)]
    assert client._stats.accepted == sum(answer.accepted for answer in answers)


statuses = st.sampled_from([200, 200, 200, 400, 401, 404, 408, 413, 422, 429, 500, 502, 503, 504, 505])
steps = st.one_of(
    st.builds(Step, statuses=st.dictionaries(st.integers(0, 6), statuses)),
    st.builds(
        Step,
        status=st.sampled_from([200, 202, 400, 401, 403, 404, 408, 413, 422, 429, 501, 503]),
        headers=st.fixed_dictionaries({}, optional={"retry-after": st.sampled_from(["1", "900", "-3", "later"])}),
    ),
    st.builds(Step, status=st.sampled_from([500, 502, 504]), stored=st.booleans()),
    st.builds(Step, error=st.just(ConnectError("refused")) | st.just(TokenError("down"))),
    st.builds(Step, error=st.just(ReplyError("reset")), stored=st.booleans()),
    st.builds(
        Step,
        body=st.sampled_from([b"", b"<html>", b'{"responses":[]}', multi_status([200] * 9)]),
        stored=st.just(True),
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([None, b"a", b"b", b"c"]), min_size=1, max_size=7), st.lists(steps, max_size=40))
def test_of_each_key_the_last_arrivals_are_in_order(keys: list[bytes | None], script: list[Step]) -> None:
    aep = FakeAep(script)
    try:
        delivery = Bench(aep).deliver(len(keys), keys)
    except AepError:
        return
    last = {number: place for place, number in enumerate(aep.arrivals)}
    # One that is refused when it is sent once more for its place among others cannot be brought there.
    last_sent = {number: request for request, numbers in enumerate(aep.sent, 1) for number in numbers}
    placed = {number for number, request in aep.stored_by.items() if request == last_sent[number]}
    for key in {key for key in keys if key is not None}:
        arrived = [n for n, of in enumerate(keys) if of == key and delivery.answers[n].accepted and n in placed]
        assert sorted(arrived, key=last.__getitem__) == arrived
    assert all(answer.accepted is (n in aep.told_accepted) for n, answer in enumerate(delivery.answers))
    assert sum(times - 1 for times in aep.stored.values()) <= delivery.duplicates_possible


@settings(max_examples=400, deadline=None)
@given(
    st.integers(1, 7),
    st.lists(steps, max_size=40),
    st.sampled_from([None, 20.0]),
    st.none() | st.integers(0, 10),
    st.booleans(),
)
def test_every_message_ends_in_one_answer_or_an_error_is_raised(
    count: int, script: list[Step], budget: float | None, stop_after: int | None, authenticated: bool
) -> None:
    aep = FakeAep(script)
    bench = Bench(aep, by_default(RetryPolicy, budget_seconds=budget), Tokens() if authenticated else None)
    bench.clock.stop_after = stop_after
    try:
        delivery = bench.deliver(count)
    except NetworkError:
        pytest.fail("a passing failure must be waited out")
    except AepError:
        pass
    else:
        assert len(delivery.answers) == count
        assert {answer.code for answer in delivery.answers} <= {"", "rejected", "too_large"}
        for number, answer in enumerate(delivery.answers):
            assert answer.accepted is (number in aep.told_accepted)
            assert answer.attempts == sum(number in numbers for numbers in aep.sent)
            assert answer.accepted or answer.message
        # An element that was refused is never sent again, so it is rejected.
        assert all(delivery.answers[number].code == "rejected" for number in aep.told_rejected)
        assert delivery.requests == len(aep.requests)
        assert delivery.sent_bytes == sum(len(request.body) for request in aep.requests)
        assert sum(times - 1 for times in aep.stored.values()) <= delivery.duplicates_possible
        assert all(0 <= wait <= 360 for wait in bench.clock.waits)
    assert not aep.sent_after_accepted
    if budget is not None:
        assert sum(bench.clock.waits) <= budget
