"""Credentials of an assumed role: asked for with the external id, used, and renewed before they expire."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs

import pytest

from aep.errors import UserError
from kinesis.discovery import begin
from kinesis.errors import UnreachableError
from kinesis.keys import PartitionKeys
from testing.defaults import by_default
from testing.fakes.http_server import Exchange, HttpServer
from testing.services.kinesis import REGION, Kinesis
from tests.transforms.kinesis.test_put import batch, profile
from transforms.kinesis.access import KinesisAccess
from transforms.kinesis.connection import KinesisConnection
from transforms.kinesis.destination import KinesisStream

ROLE = "arn:aws:iam::123456789012:role/writer"
ASSUMED = """\
<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
<Expiration>{expiration}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""
DENIED = """\
<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>AccessDenied</Code>
<Message>not authorized to perform sts:AssumeRole</Message></Error></ErrorResponse>"""


class Sts:
    """Gives each call a key of its own, which is to be renewed at once (botocore: with less than ten minutes left)."""

    def __init__(self) -> None:
        self.calls: list[dict[str, list[str]]] = []
        self.denies = False
        self.busy: list[tuple[int, str]] = []  # statuses and codes of the next answers
        self.minutes = 5

    def __call__(self, exchange: Exchange) -> None:
        self.calls.append(parse_qs(exchange.request.body.decode()))
        if self.denies:
            exchange.reply(403, DENIED.encode())
            return
        if self.busy:
            status, code = self.busy.pop()
            exchange.reply(status, DENIED.replace("AccessDenied", code).encode())
            return
        expiration = (datetime.now(timezone.utc) + timedelta(minutes=self.minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
        exchange.reply(200, ASSUMED.format(key=f"ROLE{len(self.calls)}", expiration=expiration).encode())


@pytest.fixture
def sts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sts]:
    answers = Sts()
    with HttpServer(answers) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        yield answers


@pytest.fixture
def connection(kinesis: Kinesis, monkeypatch: pytest.MonkeyPatch) -> KinesisConnection:
    monkeypatch.setenv("KINESIS_KEY", "AKIDEXAMPLE")
    access = by_default(
        KinesisAccess,
        region=REGION,
        endpoint=kinesis.endpoint,
        access_key_id="env:KINESIS_KEY",
        secret_access_key="env:KINESIS_KEY",
        role_arn=ROLE,
        external_id="beam-aep",
    )
    access.forget_client()  # of another test, with credentials of its own
    return KinesisConnection(access, max_in_flight=1, order="none", max_waiting_bytes=10**8, budget_seconds=None)


def test_the_credentials_of_a_role_are_used_and_renewed(
    kinesis: Kinesis, sts: Sts, connection: KinesisConnection
) -> None:
    stream = kinesis.create_stream(1)
    kinesis.switch(expired_keys=["AKIDEXAMPLE"])
    client = connection.client(KinesisStream(stream, PartitionKeys("identity", (), hashed=False), None))
    for number in range(3):
        kinesis.switch(expired_keys=["AKIDEXAMPLE", *(f"ROLE{n}" for n in range(len(sts.calls) + 1))])
        delivery = client.deliver(batch(profile(f"p{number}")), lambda _: None, lambda: None)
        assert delivery.answers[0].accepted
    assert len(sts.calls) >= 3
    assert all(call["RoleArn"] == [ROLE] and call["ExternalId"] == ["beam-aep"] for call in sts.calls)


def test_a_role_that_may_not_be_assumed_is_named(kinesis: Kinesis, sts: Sts, connection: KinesisConnection) -> None:
    sts.denies = True
    with pytest.raises(UserError, match=r"the role \(kinesis_role_arn\) cannot be assumed"):
        connection.check([KinesisStream("s", PartitionKeys("identity", (), hashed=False), None)], local=True)


def test_a_check_says_why_there_is_no_role(sts: Sts, connection: KinesisConnection) -> None:
    sts.denies = True
    with pytest.raises(UserError, match=r"the role \(kinesis_role_arn\) cannot be assumed: AccessDenied"):
        connection.access.identity()
    sts.denies, sts.busy = False, 2 * [(400, "Throttling")]
    with pytest.raises(UserError, match=r"^STS assumes no role now \(Throttling\)$"):
        connection.access.identity()


def test_a_password_in_the_address_of_sts_is_refused_and_not_shown(
    connection: KinesisConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://user:hunter2@127.0.0.1:9")
    with pytest.raises(UserError, match="the address of sts must not contain a user name or password") as raised:
        connection.check([KinesisStream("s", PartitionKeys("identity", (), hashed=False), None)], local=True)
    assert "hunter2" not in str(raised.value)


def test_an_sts_that_is_busy_or_fails_is_waited_for(kinesis: Kinesis, sts: Sts, connection: KinesisConnection) -> None:
    stream = kinesis.create_stream(1)
    client = connection.client(KinesisStream(stream, PartitionKeys("identity", (), hashed=False), None))
    for _ in range(2):  # for the first batch the stream is looked at besides
        sts.busy = 2 * [(400, "Throttling"), (503, "ServiceUnavailable"), (500, "InternalFailure")]
        delivery = client.deliver(batch(profile("p")), lambda _: None, lambda: None)
        assert delivery.answers[0].accepted
        assert not delivery.duplicates_possible
        assert not sts.busy


def test_an_sts_that_fails_is_named_before_reading(
    sts: Sts, connection: KinesisConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kinesis.read_errors.START_SECONDS", 0.1)
    sts.busy = 20 * [(503, "ServiceUnavailable")]
    with pytest.raises(UnreachableError, match=r"stream s: STS assumes no role now \(ServiceUnavailable\)$"):
        begin(connection.access.client(), "s", "earliest")


@pytest.fixture
def no_sts(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("kinesis.read_errors.START_SECONDS", 0.1)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
    return f"STS at http://127.0.0.1:9 cannot be reached to assume {ROLE}; check the network, kinesis_proxy"


def test_an_sts_that_cannot_be_reached_is_named_before_writing(
    connection: KinesisConnection, no_sts: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(UserError, match=f"tried for 0.1 s: stream s: {no_sts}"):
        connection.check([KinesisStream("s", PartitionKeys("identity", (), hashed=False), None)], local=True)
    assert [record.getMessage().count(no_sts) for record in caplog.records] == [1]  # while it tries
    assert not any(record.exc_info for record in caplog.records)


def test_an_sts_that_cannot_be_reached_is_named_before_reading(
    connection: KinesisConnection, no_sts: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(UnreachableError, match=f"tried for 0.1 s: stream s: {no_sts}"):
        begin(connection.access.client(), "s", "earliest")
    assert [record.getMessage().count(no_sts) for record in caplog.records] == [1]
    assert not any(record.exc_info for record in caplog.records)


def test_an_sts_whose_reply_drips_is_given_up(connection: KinesisConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    def drip(exchange: Exchange) -> None:
        exchange.head(200, 100_000)
        while exchange.pause(0.02):  # each byte comes well within the limit
            exchange.send(b"x")

    with HttpServer(drip) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        access = replace(connection.access, timeout_seconds=0.3)
        with pytest.raises(UnreachableError, match=f"STS at {server.url} cannot be reached to assume {ROLE}"):
            begin(access.client(), "s", "earliest", lambda _: True)


def test_credentials_that_cannot_be_renewed_are_used_while_they_last(
    kinesis: Kinesis,
    sts: Sts,
    connection: KinesisConnection,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sts.minutes = 12  # botocore renews those with less than fifteen left, and can do without down to ten
    stream = kinesis.create_stream(1)
    client = connection.client(KinesisStream(stream, PartitionKeys("identity", (), hashed=False), None))
    for _ in range(3):
        delivery = client.deliver(batch(profile("p")), lambda _: None, lambda: None)
        assert delivery.answers[0].accepted
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
    (said,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "the credentials of the role cannot be renewed: STS at http://127.0.0.1:9" in said.getMessage()
    assert not said.exc_info
