"""Requests of PutRecords hold what those of an unmodified client hold, and are signed as they are sent."""

from __future__ import annotations

import time
from typing import Any

import boto3
import orjson
from botocore.config import Config

from emulator.kinesis.signature import Caller, SignedRequest, authenticate
from kinesis.session import Access, make_client
from testing.fakes.http_server import Exchange, HttpServer
from testing.services.process import PATIENCE_SECONDS

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
