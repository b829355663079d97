from __future__ import annotations

import importlib.util
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from pathlib import Path
from typing import cast
from urllib.parse import parse_qs, urlsplit

import pytest

from transforms.kafka.auth import KafkaLoginError, msk_region, with_login
from transforms.kafka.client import KafkaCluster, KafkaSetupError, admin_client

BROKERS = "b-1.events.abc123.c2.kafka.eu-west-1.amazonaws.com:9098,b-2.events.abc123.c2.kafka.eu-west-1.amazonaws.com"
PROPERTIES = {"bootstrap.servers": BROKERS, "sasl.mechanism": "AWS_MSK_IAM"}


@pytest.fixture
def no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials and no region anywhere; no machine that could have a role is asked for one."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def keys(no_aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session")


@pytest.mark.usefixtures("keys")
def test_a_token_for_msk_is_a_signed_request_to_connect() -> None:
    properties = with_login(PROPERTIES)
    assert (properties["security.protocol"], properties["sasl.mechanism"]) == ("SASL_SSL", "OAUTHBEARER")
    token, expires = cast("Callable[[str], tuple[str, float]]", properties["oauth_cb"])("")
    assert 800 < expires - time.time() <= 900
    url = urlsplit(urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode())
    query = {name: value for name, (value,) in parse_qs(url.query).items()}
    assert (url.scheme, url.netloc) == ("https", "kafka.eu-west-1.amazonaws.com")
    assert query["Action"] == "kafka-cluster:Connect"
    assert query["X-Amz-Credential"].startswith("AKIDEXAMPLE/")
    assert query["X-Amz-Credential"].endswith("/eu-west-1/kafka-cluster/aws4_request")
    assert (query["X-Amz-Expires"], query["X-Amz-SignedHeaders"]) == ("900", "host")
    assert query["X-Amz-Security-Token"] == "session"
    assert len(query["X-Amz-Signature"]) == 64


@pytest.mark.parametrize(
    ("servers", "region"),
    [
        (BROKERS, "eu-west-1"),
        ("boot-abc.c1.kafka-serverless.us-east-2.amazonaws.com:9098", "us-east-2"),
        ("b-1.x.y.c3.kafka.cn-north-1.amazonaws.com.cn:9098", "cn-north-1"),
        ("kafka.internal:9098", None),
    ],
)
def test_the_region_is_that_of_the_brokers_names(servers: str, region: str | None) -> None:
    assert msk_region(servers) == region


@pytest.mark.usefixtures("keys")
def test_brokers_of_other_names_are_in_the_region_of_the_aws_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    properties = {**PROPERTIES, "bootstrap.servers": "kafka.internal:9098"}
    with pytest.raises(KafkaLoginError, match="set AWS_REGION"):
        with_login(properties)
    monkeypatch.setenv("AWS_REGION", "ap-south-1")
    assert with_login(properties)["sasl.mechanism"] == "OAUTHBEARER"


@pytest.mark.usefixtures("no_aws")
def test_missing_credentials_are_one_message_before_anything_is_connected_to() -> None:
    with pytest.raises(KafkaSetupError, match=r"AWS_MSK_IAM: no token can be signed: no AWS credentials .*AWS_PROFILE"):
        admin_client(KafkaCluster(BROKERS, {"sasl.mechanism": "AWS_MSK_IAM"}))


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(KafkaSetupError, match=r"install beam-aep\[msk\], here and on the workers"):
        admin_client(KafkaCluster(BROKERS, {"sasl.mechanism": "AWS_MSK_IAM"}))


@pytest.mark.usefixtures("keys")
def test_no_key_shows_in_what_is_printed_or_pickled_of_a_cluster() -> None:
    cluster = KafkaCluster(BROKERS, {"sasl.mechanism": "AWS_MSK_IAM"})
    assert "wJalr" not in repr(cluster)
    assert "wJalr" not in repr(cluster.properties())


@pytest.mark.parametrize(
    "more",
    [
        {"sasl.oauthbearer.method": "oidc"},
        {"enable.sasl.oauthbearer.unsecure.jwt": "true"},
    ],
)
def test_ways_of_librdkafkas_own_to_get_tokens_are_left_alone(more: dict[str, str]) -> None:
    properties = {"security.protocol": "sasl_ssl", "sasl.mechanism": "OAUTHBEARER", **more}
    assert with_login(properties) == properties


def test_tokens_that_nobody_would_get_are_refused() -> None:
    with pytest.raises(KafkaLoginError, match="no way to get tokens"):
        with_login({"security.protocol": "sasl_ssl", "sasl.mechanisms": "oauthbearer"})
