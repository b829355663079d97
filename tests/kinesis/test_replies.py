"""Replies that drip, are cut off, or have no body, over HTTP, TLS and a tunnel through a proxy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from kinesis.answers import Again, read_error
from kinesis.read_errors import boto_errors
from kinesis.session import Access, make_client
from testing.fakes.http_server import Exchange, HttpServer
from testing.fakes.proxy_server import ProxyServer
from testing.services.certificates import Authority
from testing.services.process import BUSY_SECONDS, PATIENCE_SECONDS

WAYS = ["http", "tls", "tunnel"]
REPLY = b'{"FailedRecordCount":0,"Records":[{"SequenceNumber":"1","ShardId":"shardId-000000000000"}]}'


@contextmanager
def client_of(
    answer: Callable[[Exchange], None],
    timeout: float,
    way: str,
    folder: Path,
    time_left: Callable[[], float] = lambda: float("inf"),
) -> Iterator[Any]:
    """Return a client for a server with such answers."""
    with ExitStack() as stack:
        authority = None if way == "http" else Authority(folder)
        server = stack.enter_context(HttpServer(answer, authority.context() if authority else None))
        proxy = stack.enter_context(ProxyServer()).url if way == "tunnel" else None
        if authority is not None:
            stack.enter_context(pytest.MonkeyPatch.context()).setenv("AWS_CA_BUNDLE", str(authority.certificate))
        access = Access(
            region="us-east-1",
            endpoint=server.url,
            access_key_id="AKIDEXAMPLE",
            secret_access_key="secret",
            role_arn=None,
            external_id=None,
            proxy=proxy,
            connect_timeout=PATIENCE_SECONDS,
            read_timeout=timeout,
            connections=1,
            time_left=time_left,
        )
        yield make_client(access)


def put(client: Any) -> Any:
    return client.put_records(StreamName="s", Records=[{"Data": b"x", "PartitionKey": "k"}])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("where", ["headers", "body"])
def test_a_reply_that_drips_ends_at_the_deadline(where: str, way: str, tmp_path: Path) -> None:
    def drip(exchange: Exchange) -> None:
        if where == "headers":
            exchange.send(b"HTTP/1.1 200 OK\r\nX-Filler: ")
        else:
            exchange.head(200, 100_000)
        while exchange.pause(0.02):  # each byte comes well within the limit
            exchange.send(b"x")

    with client_of(drip, 0.5, way, tmp_path) as client:
        started = time.monotonic()
        with pytest.raises(ReadTimeoutError) as raised:
            put(client)
        assert 0.5 <= time.monotonic() - started < 0.5 + BUSY_SECONDS
    decision = read_error(raised.value, "s")
    assert decision == Again("reply", "no complete reply from Kinesis within kinesis_timeout_seconds")
    assert decision.arrived


@pytest.mark.parametrize("way", WAYS)
def test_a_process_that_is_to_end_waits_for_no_reply(way: str, tmp_path: Path) -> None:
    ending = threading.Event()

    def silent(exchange: Exchange) -> None:
        ending.set()
        exchange.ended.wait(PATIENCE_SECONDS)

    def time_left() -> float:
        return 0.0 if ending.is_set() else float("inf")

    with client_of(silent, PATIENCE_SECONDS, way, tmp_path, time_left) as client:
        started = time.monotonic()
        with pytest.raises(ReadTimeoutError):
            put(client)
        assert time.monotonic() - started < BUSY_SECONDS


@pytest.mark.parametrize("way", ["http", "tls"])
def test_a_connection_is_kept_and_has_the_whole_time_for_the_next_request(way: str, tmp_path: Path) -> None:
    connections = set()

    def slow(exchange: Exchange) -> None:
        connections.add(exchange.connection.getpeername())
        exchange.pause(0.1)
        exchange.reply(200, REPLY)

    with client_of(slow, BUSY_SECONDS, way, tmp_path) as client:
        for _ in range(2):
            assert put(client)["FailedRecordCount"] == 0
        pool = client._endpoint.http_session._manager.connection_from_url(client.meta.endpoint_url)
        assert pool.pool.queue[-1].sock.gettimeout() == BUSY_SECONDS
    assert len(connections) == 1


CALLS: list[Callable[[Any], Any]] = [
    put,
    lambda client: client.get_records(ShardIterator="i"),
    lambda client: client.get_shard_iterator(
        StreamName="s", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    ),
    lambda client: client.list_shards(StreamName="s"),
    lambda client: client.describe_stream_summary(StreamName="s"),
]


@pytest.mark.parametrize("sent", [b"", b"{", REPLY[:-1], b"<html>a page of a proxy</html>"])
def test_a_reply_that_is_cut_off_or_not_of_kinesis_is_an_error(sent: bytes, tmp_path: Path) -> None:
    def cut(exchange: Exchange) -> None:
        exchange.head(200, len(REPLY))
        exchange.send(sent)
        exchange.close()

    with client_of(cut, PATIENCE_SECONDS, "http", tmp_path) as client:
        for call in CALLS:
            with pytest.raises(boto_errors()) as raised:
                call(client)
            assert read_error(raised.value, "s") == Again("reply", "no complete reply from Kinesis")


def test_headers_that_are_cut_off_are_an_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def cut(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Le")
        exchange.close()

    with client_of(cut, PATIENCE_SECONDS, "http", tmp_path) as client, pytest.raises(boto_errors()) as raised:
        put(client)
    assert read_error(raised.value, "s") == Again("reply", "no complete reply from Kinesis")
    assert not caplog.records  # urllib3 would show a traceback


def test_an_error_without_a_body_keeps_its_status(tmp_path: Path) -> None:
    with (
        client_of(lambda exchange: exchange.reply(503), PATIENCE_SECONDS, "http", tmp_path) as client,
        pytest.raises(boto_errors()) as raised,
    ):
        put(client)
    assert read_error(raised.value, "s") == Again("unavailable", "Kinesis answers 503")
