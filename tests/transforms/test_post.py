from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import orjson
import pytest

from aep.errors import AuthenticationError, ConfigurationError, RetryBudgetError
from aep.http.auth import OAuthClient
from aep.ingestion.decision import RetryPolicy
from testing.defaults import by_default
from testing.fakes.fake_aep import multi_status
from testing.fakes.http_server import Exchange, HttpServer
from testing.services.emulator import CLIENT_ID, CLIENT_SECRET, Emulator
from tests.transforms.eager import apply_refusing
from tests.transforms.examples import packed, route, routes, small_schema
from transforms.aep.connection import AepConnection, token_source
from transforms.aep.inlet import AepInlet, Auth, as_inlet
from transforms.aep.post import PostToAep
from transforms.records.chunk import Batch
from transforms.records.route import Route
from transforms.worker import metrics, process
from transforms.worker.latency import latencies
from transforms.worker.under_way import REQUESTS

SCHEMA = small_schema(_id={"type": "string"}, n={"type": "integer"})
QUICK = by_default(RetryPolicy, base_seconds=0.01, max_seconds=0.05)


@pytest.fixture
def aep(emulator: Emulator) -> Iterator[Emulator]:
    """The session's emulator without faults and counts."""
    emulator.reset()
    yield emulator
    emulator.reset()


def create_inlet(aep: Emulator, **definition: Any) -> dict[str, Any]:
    """Return an inlet that checks at the door, so that it refuses elements of a batch."""
    return aep.create_inlet(schema=orjson.loads(SCHEMA.document), validation="door", **definition)


def to(inlet: dict[str, Any], **more: Any) -> Route:
    return route(inlet_url=inlet["inletUrl"], dataset_id=inlet["datasetId"], schema_id=SCHEMA.id, **more)


def to_any(auth: Auth, **more: Any) -> AepInlet:
    return as_inlet(route(auth=auth, **more).destination)


def batch(*ids: str, start: int = 0) -> Batch:
    """Return a request's worth of records; an id with a `!` breaks the schema."""
    bodies = [b'{"_id":"%s","n":%s}' % (one.encode(), b'"x"' if "!" in one else b"1") for one in ids]
    return Batch("events", [packed(*bodies, start=start)])


def test_accepted_records_are_counted_and_leave_nothing(aep: Emulator) -> None:
    inlet = create_inlet(aep)
    outputs = apply_refusing(PostToAep(routes(to(inlet)), by_default(AepConnection)), [batch("a", "b"), batch("c")])
    assert outputs == ([], [])
    assert aep.ids(inlet["inletId"]) == {"a": 1, "b": 1, "c": 1}
    counts = metrics.process_counts()
    assert (counts["accepted"], counts["requests"]) == (3, 2)
    assert latencies(counts) == {}
    assert counts["request_bytes"] == aep.inlet_stats(inlet["inletId"])["bytes"]


def test_latency_is_measured_of_accepted_records_from_their_timestamps(aep: Emulator) -> None:
    inlet = create_inlet(aep)
    aep.faults(latency_ms=200)
    sent = batch("a", "b!", "c", "d")
    now = int(time.time() * 1000)
    written = (now - 7_000, now - 90_000, now, 0)  # the last one has no timestamp
    chunk = sent.chunks[0]
    chunk.records = [one._replace(timestamp=at) for one, at in zip(chunk.records, written, strict=True)]
    with beam.Pipeline("FnApiRunner") as pipeline:
        post = PostToAep(routes(to(inlet)), by_default(AepConnection), latency=True)
        pipeline | beam.Create([sent], reshuffle=False) | post
    (measured,) = latencies(metrics.process_counts()).values()
    assert measured.records == 2
    assert 200 <= measured.quantile(0.5) < 7_200 <= measured.quantile(1) < 90_000
    assert latencies(metrics.beam_counts(pipeline.result.metrics())) == {"events": measured}


def test_refused_records_alone_are_dead_lettered_with_aeps_words(aep: Emulator) -> None:
    inlet = create_inlet(aep)
    sent = [batch("a", "b!", "c", start=10), batch("d!", start=20)]
    _, dead = apply_refusing(PostToAep(routes(to(inlet)), by_default(AepConnection)), sent)
    assert aep.ids(inlet["inletId"]) == {"a": 1, "c": 1}
    assert sorted(one.record.offset for one in dead) == [11, 20]
    for one in dead:
        assert (one.stage, one.code, one.route, one.attempts) == ("post", "rejected", "events", 1)
        assert one.message
        assert one.record.value in (sent[0].bodies[1], sent[1].bodies[0])
    assert metrics.process_counts()["accepted"] == 2


def test_a_refused_record_keeps_the_chunk_it_came_in(aep: Emulator) -> None:
    inlet = create_inlet(aep)
    bad = batch("x!").bodies[0]
    chunks = [packed(bad, topic="one", partition=1), packed(bad, topic="two", partition=2, start=5)]
    _, dead = apply_refusing(PostToAep(routes(to(inlet)), by_default(AepConnection)), [Batch("events", chunks)])
    assert sorted((one.topic, one.partition, one.record.offset) for one in dead) == [("one", 1, 0), ("two", 2, 5)]


def test_several_requests_are_under_way_at_once(aep: Emulator) -> None:
    inlet = create_inlet(aep)
    aep.faults(latency_ms=500)
    many = [batch(str(number), start=number) for number in range(10)]
    started = time.monotonic()
    REQUESTS.take()
    apply_refusing(PostToAep(routes(to(inlet)), by_default(AepConnection, max_in_flight=5)), many)
    elapsed = time.monotonic() - started
    load = REQUESTS.take()
    assert load.most == 5
    assert 10 * 0.5 <= load.seconds <= 5 * elapsed
    assert set(aep.ids(inlet["inletId"])) == {str(number) for number in range(10)}


def test_transient_answers_are_counted_by_cause_and_nothing_is_missing(aep: Emulator) -> None:
    inlet = create_inlet(aep)
    aep.faults(rate={"429": 0.4}, element_rate={"500": 0.2}, seed=7)
    many = [batch(*(f"{number}-{at}" for at in range(10)), start=number * 10) for number in range(20)]
    outputs = apply_refusing(PostToAep(routes(to(inlet)), by_default(AepConnection, policy=QUICK)), many)
    assert outputs == ([], [])
    assert set(aep.ids(inlet["inletId"])) == {f"{number}-{at}" for number in range(20) for at in range(10)}
    counts = metrics.process_counts()
    assert counts["accepted"] == 200
    assert counts["retries/429"] > 0
    assert counts["retries/element"] > 0
    assert counts["requests"] > 20


def test_an_error_for_people_fails_the_bundle_and_is_remembered_as_it_is(aep: Emulator) -> None:
    wrong = route(inlet_url=f"{aep.url}/collection/{'0' * 64}")
    with pytest.raises(Exception, match="aep_inlet_url"):
        apply_refusing(PostToAep(routes(wrong), by_default(AepConnection)), [batch("a")])
    assert type(process.failure) is ConfigurationError
    assert metrics.process_counts()["accepted"] == 0


def test_an_error_for_people_does_not_wait_for_what_is_tried_again(aep: Emulator) -> None:
    inlet = create_inlet(aep)
    aep.faults(inlet=inlet["inletId"], outage_s=600)
    down = to(inlet)
    wrong = route("wrong", inlet_url=f"{aep.url}/collection/{'0' * 64}")
    batches = [batch("a"), Batch("wrong", batch("b").chunks)]
    with pytest.raises(Exception, match="no such inlet: check aep_inlet_url"):
        apply_refusing(PostToAep(routes(down, wrong), by_default(AepConnection, policy=QUICK)), batches)
    assert metrics.process_counts()["accepted"] == 0


def test_the_retry_budget_ends_the_bundle(aep: Emulator) -> None:
    inlet = create_inlet(aep)
    aep.faults(outage_s=600)
    policy = by_default(RetryPolicy, base_seconds=0.01, max_seconds=0.05, budget_seconds=0.5)
    with pytest.raises(Exception, match="aep_retry_budget_seconds"):
        apply_refusing(PostToAep(routes(to(inlet)), by_default(AepConnection, policy=policy)), [batch("a"), batch("b")])
    assert type(process.failure) is RetryBudgetError


def test_batches_that_wait_for_poison_do_not_hold_up_the_others() -> None:
    def answer(exchange: Exchange) -> None:
        body = exchange.request.body
        if b"!" in body:
            exchange.reply(500)
        elif "/batch/" in exchange.request.line:
            exchange.reply(207, multi_status([200] * body.count(b'"_id"')))
        else:
            exchange.reply(200, b'{"xactionId":"1:2:3"}')

    # With one request at a time, each batch would wait for the poison of the one before.
    poisoned = [batch(f"{n}", f"{n}!", start=n * 2) for n in range(3)]
    good = [batch(f"good{n}", start=100 + n) for n in range(3)]
    policy = by_default(RetryPolicy, base_seconds=0.01, max_seconds=0.3)
    with HttpServer(answer) as server:
        post = PostToAep(
            routes(route(inlet_url=f"{server.url}/collection/{'0' * 64}")),
            by_default(AepConnection, policy=policy, max_in_flight=1),
        )
        batches = [poisoned[0], *good[:2], *poisoned[1:], good[2]]
        _, dead = apply_refusing(post, batches)
    assert sorted(one.record.offset for one in dead) == [1, 3, 5]
    sent = [request.body for request in server.requests]
    poison = [next(at for at, body in enumerate(reversed(sent)) if b'"%d!"' % n in body) for n in range(3)]
    last_good = next(at for at, body in enumerate(reversed(sent)) if b'"good2"' in body)
    assert all(last_good > at for at in poison)
    assert metrics.process_counts()["accepted"] == 6


def test_a_delivery_that_ends_in_an_error_is_counted_as_far_as_it_went(aep: Emulator) -> None:
    inlet = create_inlet(aep)
    aep.faults(reset_rate=1, reset_when="after")
    policy = by_default(RetryPolicy, base_seconds=0.01, max_seconds=0.02, budget_seconds=2)
    with pytest.raises(Exception, match="aep_retry_budget_seconds"):
        apply_refusing(PostToAep(routes(to(inlet)), by_default(AepConnection, policy=policy)), [batch("a", "b")])
    copies = aep.ids(inlet["inletId"])["a"]
    assert copies > 1
    counts = metrics.process_counts()
    assert counts["requests"] == copies
    assert counts["retries/reply"] == copies - 1
    assert counts["duplicates_possible"] == 2 * (copies - 1)
    assert counts["request_bytes"] == aep.inlet_stats(inlet["inletId"])["bytes"]


def test_what_aep_received_of_a_delivery_that_ends_in_an_error_counts_as_accepted(aep: Emulator) -> None:
    inlet = create_inlet(aep)
    aep.faults(element_rate={"500": 0.5}, seed=3)
    policy = by_default(RetryPolicy, base_seconds=0.01, max_seconds=0.02, budget_seconds=0)
    with pytest.raises(Exception, match="aep_retry_budget_seconds"):
        apply_refusing(
            PostToAep(routes(to(inlet)), by_default(AepConnection, policy=policy)),
            [batch(*(str(n) for n in range(40)))],
        )
    received = len(aep.ids(inlet["inletId"]))
    assert 0 < received < 40
    counts = metrics.process_counts()
    assert (counts["requests"], counts["accepted"], counts["route/events/accepted"]) == (1, received, received)


def test_the_token_of_a_delivery_that_ends_in_an_error_is_counted(
    aep: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_SECRET", CLIENT_SECRET)
    inlet = create_inlet(aep, authentication_required=True)
    aep.faults(rate={"403": 1})
    oauth = OAuthClient(aep.url, CLIENT_ID, "env:TEST_SECRET", scopes="openid")
    with_token = to(inlet, auth="oauth")
    with pytest.raises(Exception, match="refuses the credential"):
        apply_refusing(PostToAep(routes(with_token), by_default(AepConnection, oauth=oauth)), [batch("a")])
    counts = metrics.process_counts()
    assert (counts["token_renewals"], counts["requests"], counts["retries/token"]) == (2, 2, 1)


def test_requests_carry_a_token_where_the_route_says_so(aep: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_SECRET", CLIENT_SECRET)
    inlet = create_inlet(aep, authentication_required=True)
    oauth = OAuthClient(aep.url, CLIENT_ID, "env:TEST_SECRET", "openid")
    with_token = to(inlet, auth="oauth")
    assert apply_refusing(PostToAep(routes(with_token), by_default(AepConnection, oauth=oauth)), [batch("a")]) == (
        [],
        [],
    )
    assert aep.ids(inlet["inletId"]) == {"a": 1}
    with pytest.raises(Exception, match="refuses"):
        apply_refusing(PostToAep(routes(to(inlet)), by_default(AepConnection)), [batch("b")])
    assert type(process.failure) is AuthenticationError


def test_a_route_that_asks_for_a_credential_which_is_not_given_is_refused() -> None:
    without = by_default(AepConnection, oauth=None)
    with pytest.raises(ConfigurationError, match="aep_client_id"):
        token_source(to_any("oauth"), without)
    with pytest.raises(ConfigurationError, match="aep_token"):
        token_source(to_any("token"), without)
    assert token_source(to_any("none"), without) is None


def test_routes_share_the_tokens_of_a_credential() -> None:
    oauth = OAuthClient("https://ims.example", "id", "env:TEST_SECRET", "openid")
    first = token_source(to_any("oauth"), by_default(AepConnection, oauth=oauth))
    second = token_source(to_any("oauth", flow_id="other"), by_default(AepConnection, oauth=oauth))
    assert first is second is not None
