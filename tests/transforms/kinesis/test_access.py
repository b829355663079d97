"""How a pipeline gets to Kinesis: secrets by reference, one client a process, nothing secret in what travels."""

from __future__ import annotations

import logging
import pickle
import time
from pathlib import Path

import pytest
from botocore.exceptions import ReadTimeoutError

from aep.errors import ConfigurationError, SecretError, UserError
from kinesis.session import endpoint_origin, make_client
from testing.defaults import by_default
from testing.fakes.http_server import Exchange, HttpServer
from testing.services.process import BUSY_SECONDS, PATIENCE_SECONDS
from transforms.kinesis.access import KinesisAccess
from transforms.worker import process

AWS_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL")


@pytest.fixture(autouse=True)
def no_aws_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*AWS_VARIABLES, "AWS_ENDPOINT_URL_KINESIS", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_secrets_are_resolved_where_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "AKIA1")
    monkeypatch.setenv("SECRET", "hunter2")
    access = by_default(KinesisAccess, region="eu-west-1", access_key_id="env:KEY", secret_access_key="env:SECRET")
    assert pickle.loads(pickle.dumps(access)) == access
    resolved = access.resolve()
    assert (resolved.access_key_id, resolved.secret_access_key) == ("AKIA1", "hunter2")
    assert "hunter2" not in repr(access) + repr(resolved)
    with pytest.raises(TypeError):
        pickle.dumps(resolved)


def test_a_secret_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    access = by_default(
        KinesisAccess, region="eu-west-1", access_key_id="env:KEY_NOT_SET", secret_access_key="env:KEY_NOT_SET"
    )
    with pytest.raises(SecretError, match="KEY_NOT_SET"):
        access.client()


def test_half_a_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="go together"):
        by_default(KinesisAccess, access_key_id="env:HOME").resolve()


def test_a_process_has_one_client_until_it_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "AKIA1")
    access = by_default(KinesisAccess, region="eu-west-1", access_key_id="env:KEY", secret_access_key="env:KEY")
    first = access.client()
    assert access.client() is first
    access.forget_client()
    monkeypatch.setenv("KEY", "AKIA2")
    second = access.client()
    assert second._request_signer._credentials.access_key == "AKIA2"
    access.forget_client()


def test_no_region_is_said() -> None:
    with pytest.raises(UserError, match="set kinesis_region or AWS_DEFAULT_REGION"):
        by_default(KinesisAccess).client()


def test_a_client_tries_once_and_takes_no_proxy_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    client = make_client(by_default(KinesisAccess, region="eu-west-1", connections=17).resolve())
    assert client.meta.config.retries["total_max_attempts"] == 1
    assert client.meta.config.proxies == {}
    assert client.meta.config.max_pool_connections == 17
    proxied = make_client(by_default(KinesisAccess, region="eu-west-1", proxy="http://p:1").resolve())
    assert proxied.meta.config.proxies["https"] == "http://p:1"


def test_a_process_that_is_to_end_waits_for_no_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(exchange: Exchange) -> None:
        process.request_stop(grace_seconds=0)
        exchange.ended.wait(PATIENCE_SECONDS)

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    process.start_run()
    with HttpServer(silent) as server:
        access = by_default(KinesisAccess, region="eu-west-1", endpoint=server.url, timeout_seconds=PATIENCE_SECONDS)
        started = time.monotonic()
        with pytest.raises(ReadTimeoutError):
            access.client().list_shards(StreamName="s")
        assert time.monotonic() - started < BUSY_SECONDS
    access.forget_client()
    process.start_run()


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
def test_botocore_says_nothing_below_warning(
    level: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    with caplog.at_level(logging.NOTSET, "botocore"), caplog.at_level(level):
        make_client(by_default(KinesisAccess, region="eu-west-1").resolve())
        assert not logging.getLogger("botocore.auth").isEnabledFor(logging.INFO)
    assert not caplog.records  # no "Found credentials in environment variables."


@pytest.mark.parametrize(
    ("endpoint", "environment", "address", "origin"),
    [
        (None, {}, "https://kinesis.eu-west-1.amazonaws.com", "AWS, for the region eu-west-1"),
        ("http://127.0.0.1:1", {}, "http://127.0.0.1:1", "kinesis_endpoint"),
        (None, {"AWS_ENDPOINT_URL_KINESIS": "http://a:1"}, "http://a:1", "AWS_ENDPOINT_URL_KINESIS in the environment"),
        (None, {"AWS_ENDPOINT_URL": "http://b:1"}, "http://b:1", "AWS_ENDPOINT_URL in the environment"),
        ("http://c:1", {"AWS_ENDPOINT_URL": "http://b:1"}, "http://c:1", "kinesis_endpoint"),
    ],
)
def test_the_endpoint_and_where_it_comes_from(
    endpoint: str | None, environment: dict[str, str], address: str, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    access = by_default(KinesisAccess, region="eu-west-1", endpoint=endpoint).resolve()
    client = make_client(access)
    assert client.meta.endpoint_url == address
    assert endpoint_origin(access, client) == origin


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_KINESIS", "AWS_ENDPOINT_URL"])
def test_a_password_in_an_address_from_outside_is_refused_and_not_shown(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "http://user:hunter2@127.0.0.1:9")
    access = by_default(KinesisAccess, region="eu-west-1")
    for ask in (access.client, access.endpoint_in_words):
        with pytest.raises(UserError, match="must not contain a user name or password: see AWS_ENDPOINT_URL") as raised:
            ask()
        assert "hunter2" not in str(raised.value)


def test_a_role_needs_credentials_to_be_assumed_with() -> None:
    access = by_default(KinesisAccess, region="eu-west-1", role_arn="arn:aws:iam::123456789012:role/writer")
    with pytest.raises(UserError, match="no credentials found to assume arn:aws:iam::123456789012:role/writer with"):
        access.client()
