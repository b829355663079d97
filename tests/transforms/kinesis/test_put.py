"""PutToKinesis in a pipeline, against the local Kinesis: answers, dead letters, receipts, counts, preflight."""

from __future__ import annotations

import logging
import pickle
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import orjson
import pytest

from aep.errors import StoppedError, UserError
from aep.formats.json import ParseFailure
from aep.xdm.rules import XdmRules
from kinesis.discovery import Discovery, begin
from kinesis.errors import UnreachableError
from kinesis.keys import PartitionKeys
from testing.defaults import by_default
from testing.services.kinesis import REGION, Kinesis
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.transforms.eager import apply_refusing
from tests.transforms.examples import chunk, packed
from transforms.aep.connection import as_aep
from transforms.kinesis.access import KinesisAccess
from transforms.kinesis.connection import KinesisConnection, as_kinesis, kept_bytes
from transforms.kinesis.destination import KinesisStream, as_stream
from transforms.kinesis.errors import KinesisSetupError
from transforms.kinesis.put import PutToKinesis
from transforms.records.chunk import Batch, BatchCoder, Chunk
from transforms.records.route import Route, Routes, parse_json
from transforms.validate import ValidateXdmFn
from transforms.worker import metrics, process
from transforms.worker.latency import latencies
from transforms.worker.under_way import REQUESTS

BY_ECID = PartitionKeys("identity", ("ECID",), hashed=False)
AT_RANDOM = PartitionKeys("random", (), hashed=False)


@pytest.fixture
def connection(kinesis: Kinesis, monkeypatch: pytest.MonkeyPatch) -> KinesisConnection:
    monkeypatch.setenv("KINESIS_KEY", "AKIDEXAMPLE")
    monkeypatch.setenv("KINESIS_SECRET", "hunter2")
    access = by_default(
        KinesisAccess,
        region=REGION,
        endpoint=kinesis.endpoint,
        access_key_id="env:KINESIS_KEY",
        secret_access_key="env:KINESIS_SECRET",
        timeout_seconds=PATIENCE_SECONDS,
        connections=4,
    )
    return KinesisConnection(access, max_in_flight=4, order="none", max_waiting_bytes=10**8, budget_seconds=None)


@pytest.fixture
def stream(kinesis: Kinesis) -> str:
    return kinesis.create_stream(2)


def routes(stream: str, keys: PartitionKeys = BY_ECID) -> Routes:
    return Routes([Route("profiles", ("profiles",), KinesisStream(stream, keys, None), parse_json)])


def profile(ecid: str | None, **more: Any) -> bytes:
    return orjson.dumps({"identityMap": {"ecid": [{"id": ecid}]} if ecid else {}, **more})


def batch(*bodies: bytes, start: int = 0) -> Batch:
    return Batch("profiles", [packed(*bodies, route="profiles", topic="profiles", start=start)])


def test_profiles_are_put_as_they_are_under_their_identity(
    kinesis: Kinesis, connection: KinesisConnection, stream: str
) -> None:
    sent = [profile(f"ecid-{number}") for number in range(700)]
    put = PutToKinesis(routes(stream), connection, latency=True)
    REQUESTS.take()
    outputs = apply_refusing(put, [batch(*sent[:500]), batch(*sent[500:])])
    load = REQUESTS.take()
    assert 1 <= load.most <= 4
    assert load.seconds > 0
    assert outputs == ([], [])
    kept = {each.data: each.partition_key for each in kinesis.records(stream)}
    assert kept == {body: f"ecid-{number}" for number, body in enumerate(sent)}
    counts = metrics.process_counts()
    assert counts["accepted"] == 700
    assert counts["route/profiles/accepted"] == 700
    assert latencies(counts)["profiles"].records == 700
    assert counts["requests"] >= 2
    assert counts["request_bytes"] == sum(len(body) + len(key or "") for body, key in kept.items())


@pytest.mark.parametrize("encoded", [False, True])
def test_keys_are_made_while_records_are_parsed_and_again_of_what_was_encoded(
    kinesis: Kinesis, connection: KinesisConnection, stream: str, encoded: bool
) -> None:
    by_pointer = routes(stream, PartitionKeys("/id", (), hashed=False))
    read: list[dict[str, Any]] = [{"id": "a"}, {"id": None}, {"n": 1}, {"id": 7, "gone": None}]
    parsed = packed(*map(orjson.dumps, read), route="profiles", topic="profiles")
    parsed.entities = read
    (valid,) = ValidateXdmFn(by_pointer, by_default(XdmRules, nulls="prune")).process(parsed)
    assert isinstance(valid, Chunk)
    assert len(valid.partition_keys) == 4
    one = Batch("profiles", [valid])
    client = connection.client(by_pointer["profiles"].destination)
    delivery = client.start(BatchCoder().decode(BatchCoder().encode(one)) if encoded else one, lambda _: None).result(
        PATIENCE_SECONDS
    )
    assert [(answer.code, answer.message) for answer in delivery.answers] == [
        ("", ""),
        ("bad_key", "the record has no field /id to make a partition key from"),
        ("bad_key", "the record has no field /id to make a partition key from"),
        ("", ""),
    ]
    kept = {(each.partition_key, each.data) for each in kinesis.records(stream)}
    assert kept == {("a", b'{"id":"a"}'), ("7", b'{"id":7}')}


def test_what_was_read_counts_for_the_memory_of_a_batch_where_it_is_not_what_is_put() -> None:
    read = chunk(b'{"a": 1}', b'{"b":2}')
    as_read = [record.value or b"" for record in read.records]
    assert kept_bytes(Batch("profiles", [replace(read, bodies=as_read)])) == 0
    assert kept_bytes(Batch("profiles", [replace(read, bodies=[b'{"a":1}', as_read[1]])])) == len(b'{"a": 1}')


def test_records_that_no_stream_takes_become_dead_letters(
    kinesis: Kinesis, connection: KinesisConnection, stream: str
) -> None:
    sent = [profile("a"), profile(None), profile("b", text="x" * 2**20), profile("c")]
    _, dead = apply_refusing(PutToKinesis(routes(stream), connection), [batch(*sent, start=10)])
    assert sorted((one.stage, one.code, one.record.offset, one.attempts) for one in dead) == [
        ("post", "bad_key", 11, 0),
        ("post", "too_large", 12, 0),
    ]
    assert {each.partition_key for each in kinesis.records(stream)} == {"a", "c"}


def test_two_routes_to_one_stream_share_its_writer(
    kinesis: Kinesis, connection: KinesisConnection, stream: str
) -> None:
    both = Routes(
        [
            Route("profiles", ("profiles",), KinesisStream(stream, BY_ECID, None), parse_json),
            Route(
                "others",
                ("others",),
                KinesisStream(stream, PartitionKeys("random", (), hashed=False), None),
                parse_json,
            ),
        ]
    )
    others = Batch("others", [packed(b"{}", b"{}", route="others", topic="others")])
    assert apply_refusing(PutToKinesis(both, connection), [batch(profile("a")), others]) == ([], [])
    assert len(kinesis.records(stream)) == 3


def test_each_accepted_record_has_a_receipt_that_says_where_it_is(
    kinesis: Kinesis, connection: KinesisConnection, stream: str
) -> None:
    client = connection.client(routes(stream)["profiles"].destination)
    delivery = client.deliver(batch(profile("a"), profile(None)), lambda _: None, lambda: None)
    (kept,) = kinesis.records(stream)
    assert delivery.answers[0].receipt == {"shard": kept.shard_id, "sequence_number": kept.sequence_number}
    assert not delivery.answers[1].accepted


def test_credentials_that_expired_end_the_bundle_and_are_read_anew(
    kinesis: Kinesis, connection: KinesisConnection, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinesis.switch(expired_keys=["AKIDEXAMPLE"])
    with pytest.raises(Exception, match="ExpiredTokenException"):
        apply_refusing(PutToKinesis(routes(stream), connection), [batch(profile("a"))])
    assert isinstance(process.failure, KinesisSetupError)
    assert "renew them" in str(process.failure)
    assert "hunter2" not in str(process.failure)
    monkeypatch.setenv("KINESIS_KEY", "AKIDRENEWED")
    process.start_run()
    assert apply_refusing(PutToKinesis(routes(stream), connection), [batch(profile("a"))]) == ([], [])
    assert len(kinesis.records(stream)) == 1


def test_a_run_that_is_to_end_does_not_wait_for_kinesis(
    kinesis: Kinesis, connection: KinesisConnection, stream: str
) -> None:
    kinesis.switch(throttle={"*": 0.0})
    client = connection.client(routes(stream)["profiles"].destination)
    future = client.start(batch(profile("a")), lambda _: None)
    wait_for(lambda: bool(client.waiting), PATIENCE_SECONDS, "the record to be refused")
    process.request_stop(0)
    with pytest.raises(StoppedError):
        future.result(PATIENCE_SECONDS)


def test_an_outage_when_the_first_batch_comes_is_waited_out(
    kinesis: Kinesis, connection: KinesisConnection, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    kinesis.switch(request_rate={"503": 1})
    client = connection.client(routes(stream)["profiles"].destination)
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(client.start, batch(profile("a")), lambda _: None)
        wait_for(lambda: "trying again" in caplog.text, PATIENCE_SECONDS, "the first call to fail")
        kinesis.switch(request_rate={})
        assert started.result(PATIENCE_SECONDS).result(PATIENCE_SECONDS).accepted == 1
    assert caplog.text.count("ServiceUnavailable") == 1


def test_a_run_that_is_to_end_does_not_wait_for_the_end_of_an_outage(
    kinesis: Kinesis, connection: KinesisConnection, stream: str
) -> None:
    kinesis.switch(outage_s=3_600)
    process.request_stop(0)
    client = connection.client(routes(stream)["profiles"].destination)
    with pytest.raises(StoppedError, match="they will be read again"):
        client.start(batch(profile("a")), lambda _: None).result(PATIENCE_SECONDS)


def test_an_outage_when_the_first_batch_comes_is_waited_out_within_the_budget(
    kinesis: Kinesis, connection: KinesisConnection, stream: str
) -> None:
    kinesis.switch(outage_s=3_600)
    client = replace(connection, budget_seconds=0.1).client(routes(stream)["profiles"].destination)
    with pytest.raises(KinesisSetupError, match=r"tried for 0\.1 s"):
        client.start(batch(profile("a")), lambda _: None).result(PATIENCE_SECONDS)


def test_what_travels_holds_no_secret(connection: KinesisConnection, stream: str) -> None:
    pickled = pickle.dumps(PutToKinesis(routes(stream), connection))
    assert b"hunter2" not in pickled
    assert b"AKIDEXAMPLE" not in pickled


def test_preflight_names_a_stream_that_is_not_there(connection: KinesisConnection) -> None:
    with pytest.raises(UserError, match="no such stream no-such"):
        connection.check([KinesisStream("no-such", BY_ECID, None)], local=True)


def test_preflight_on_a_cluster_only_warns(connection: KinesisConnection, caplog: pytest.LogCaptureFixture) -> None:
    connection.check([KinesisStream("no-such", BY_ECID, None)], local=False)
    assert "on this machine: no such stream no-such" in caplog.text


def test_preflight_names_credentials_that_are_refused(
    kinesis: Kinesis, connection: KinesisConnection, stream: str
) -> None:
    kinesis.switch(expired_keys=["*"])
    with pytest.raises(UserError, match="AWS refuses the credentials"):
        connection.check([KinesisStream(stream, BY_ECID, None)], local=True)


def test_preflight_tries_for_a_while_where_nobody_answers_and_names_the_endpoint(
    connection: KinesisConnection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("kinesis.read_errors.START_SECONDS", 0.1)
    access = replace(connection.access, endpoint="http://127.0.0.1:9")
    words = (
        "stream s: no connection to http://127.0.0.1:9/; check the network, kinesis_endpoint, kinesis_region and "
        "kinesis_proxy"
    )
    with pytest.raises(UserError) as raised:
        replace(connection, access=access).check([KinesisStream("s", BY_ECID, None)], local=True)
    assert str(raised.value) == f"tried for 0.1 s: {words}"
    assert [record.getMessage() for record in caplog.records] == [f"{words}; trying for 0.1 s"]
    with pytest.raises(UnreachableError) as once_more:
        begin(access.client(), "s", "earliest")
    assert str(once_more.value) == str(raised.value)
    assert len(caplog.records) == 2


def test_a_start_waits_for_an_endpoint_that_comes_back(
    kinesis: Kinesis, connection: KinesisConnection, stream: str
) -> None:
    kinesis.switch(outage_s=1, outage_mode="reset")
    connection.check([KinesisStream(stream, BY_ECID, None)], local=True)


def test_preflight_names_the_rights_that_are_missing(
    kinesis: Kinesis, connection: KinesisConnection, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    kinesis.switch(denied_actions=["kinesis:ListShards", "kinesis:DescribeStreamSummary"])
    with caplog.at_level(logging.INFO):
        connection.check([KinesisStream(stream, BY_ECID, None)], local=False)
        assert "on this machine: stream " in caplog.text
        caplog.clear()
        connection.check([KinesisStream(stream, BY_ECID, None)], local=True)
        assert apply_refusing(PutToKinesis(routes(stream), connection), [batch(profile("a"))]) == ([], [])
    for right in ("kinesis:ListShards", "kinesis:DescribeStreamSummary"):
        assert caplog.text.count(f"no right to {right}") == 1
    assert caplog.text.count("its records may have 1048576 bytes") == 1


def test_order_by_key_is_refused_on_a_stream_that_does_not_keep_it(
    kinesis: Kinesis, connection: KinesisConnection
) -> None:
    name = f"auto-{uuid.uuid4().hex}"
    modes = {"StreamModeDetails": {"StreamMode": "ON_DEMAND"}, "RecordDistributionStrategy": "AUTO"}
    kinesis.client().create_stream(StreamName=name, **modes)
    kinesis.wait_until_active(name)
    connection.check([KinesisStream(name, BY_ECID, None)], local=True)
    with pytest.raises(UserError, match="RecordDistributionStrategy AUTO"):
        replace(connection, order="key").check([KinesisStream(name, BY_ECID, None)], local=True)


def test_keys_keep_their_order_over_batches(kinesis: Kinesis, connection: KinesisConnection, stream: str) -> None:
    kinesis.switch(record_rate={"InternalFailure": 0.2}, seed=3)
    batches = [batch(*(profile("same", n=at + n) for n in range(10))) for at in range(0, 50, 10)]
    ordered = replace(connection, order="key")
    assert apply_refusing(PutToKinesis(routes(stream), ordered), batches) == ([], [])
    assert [orjson.loads(each.data)["n"] for each in kinesis.records(stream)] == list(range(50))


def test_a_stream_deletes_nothing_and_other_destinations_are_refused(connection: KinesisConnection) -> None:
    to = KinesisStream("s", BY_ECID, None)
    assert isinstance(to.deletion(b"key"), ParseFailure)
    assert to.id_sample(None) is None
    assert as_stream(to) is to
    assert as_kinesis(connection) is connection
    with pytest.raises(TypeError, match="expected a connection to AEP"):
        as_aep(connection)


def test_a_reader_names_the_right_that_is_missing_once(
    kinesis: Kinesis, connection: KinesisConnection, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    kinesis.switch(denied_actions=["kinesis:DescribeStreamSummary"])
    client = connection.access.client()
    with caplog.at_level(logging.INFO):
        checkpoint = begin(client, stream, "earliest")
        Discovery(client, stream, lambda _: True, "earliest").look(checkpoint)
    assert len([one for one in caplog.records if "kinesis:DescribeStreamSummary" in one.getMessage()]) == 1
