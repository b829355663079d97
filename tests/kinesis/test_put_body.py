"""Requests of PutRecords hold what those of an unmodified client hold, and are signed as they are sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import boto3
import orjson
from botocore.config import Config
from botocore.parsers import create_parser
from botocore.session import Session
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emulator.kinesis.signature import Caller, SignedRequest, authenticate
from kinesis.answers import Decision, read_reply
from kinesis.put_body import _read_records
from kinesis.session import Access, make_client
from testing.fakes.http_server import Exchange, HttpServer
from testing.services.process import PATIENCE_SECONDS

SHAPE = Session().get_service_model("kinesis").operation_model("PutRecords").output_shape
PARSER = create_parser("json")
REGION, KEY, SECRET = "eu-west-1", "AKIDEXAMPLE", "secret"
RECORDS: list[dict[str, Any]] = [
    {"Data": b'{"a":1}', "PartitionKey": "key"},
    {"Data": b"", "PartitionKey": 'quoted "\\\n\0 語🙂'},
    {"Data": bytes(range(256)), "PartitionKey": "é" * 256},
]


def answer(exchange: Exchange) -> None:
    results = [{"SequenceNumber": "1", "ShardId": "shardId-000000000000"}] * len(RECORDS)
    exchange.reply(body=orjson.dumps({"FailedRecordCount": 0, "Records": results}))


def test_the_body_is_that_of_an_unmodified_client_and_signed() -> None:
    with HttpServer(answer) as server:
        access = Access(
            region=REGION,
            endpoint=server.url,
            access_key_id=KEY,
            secret_access_key=SECRET,
            role_arn=None,
            external_id=None,
            proxy=None,
            connect_timeout=PATIENCE_SECONDS,
            read_timeout=PATIENCE_SECONDS,
            connections=1,
            time_left=lambda: float("inf"),
        )
        plain = boto3.client(
            "kinesis",
            region_name=REGION,
            endpoint_url=server.url,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            config=Config(proxies={}),
        )
        for client in (make_client(access), plain):
            for names in ({"StreamName": "profiles"}, {"StreamARN": "arn:aws:kinesis:eu-west-1:1:stream/profiles"}):
                reply = client.put_records(Records=RECORDS, **names)
                assert len(reply["Records"]) == len(RECORDS)
        ours, theirs = server.requests[:2], server.requests[2:]
    for mine, other in zip(ours, theirs, strict=True):
        assert orjson.loads(mine.body) == orjson.loads(other.body)
        assert mine.headers["x-amz-target"] == other.headers["x-amz-target"]
        signed = SignedRequest("POST", mine.path, "", mine.headers, mine.body)
        assert authenticate(signed, {KEY: SECRET}, time.time()) == Caller(KEY, REGION)


MEMBERS: st.SearchStrategy[Any] = st.dictionaries(
    st.sampled_from(["SequenceNumber", "ShardId", "ErrorCode", "ErrorMessage", "Other"]),
    st.sampled_from([None, "", "1", "shardId-000000000000", "InternalFailure", "AccessDeniedException"]),
    max_size=4,
)
STORED: st.SearchStrategy[Any] = st.just({"SequenceNumber": "1", "ShardId": "shardId-000000000000"})
RESULTS: st.SearchStrategy[Any] = st.one_of(STORED, STORED, MEMBERS, st.sampled_from([None, "text", []]))
REPLIES: st.SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries(
        {"Records": st.one_of(st.lists(RESULTS, max_size=4), st.sampled_from([None, {}, "text", 1]))},
        optional={"FailedRecordCount": st.sampled_from([0, 3, None]), "EncryptionType": st.just("NONE")},
    ),
    st.sampled_from([{}, [], None, "text", {"FailedRecordCount": 0}]),
)


@settings(deadline=None)
@given(st.one_of(REPLIES.map(orjson.dumps), st.sampled_from([b"", b"{", b"<html>", b'{"Records":[NaN]}', b"\xff"])))
@example(orjson.dumps({"Records": [{"SequenceNumber": "1", "ShardId": "s", "ErrorCode": None}] * 2}))
def test_a_reply_means_what_it_means_to_an_unmodified_client(body: bytes) -> None:
    def meaning(response: dict[str, Any], read: Callable[..., None]) -> Decision | type[Exception]:
        customized: dict[str, Any] = {}
        try:
            read(response_dict=response, customized_response_dict=customized)
            parsed = PARSER.parse(response, SHAPE) | customized
            return read_reply(parsed, 2, "profiles")
        except Exception as error:  # noqa: BLE001 (whatever botocore raises)
            return type(error)

    ours, theirs = ({"status_code": 200, "headers": {}, "body": body} for _ in range(2))
    assert repr(meaning(ours, _read_records)) == repr(meaning(theirs, lambda **_: None))
