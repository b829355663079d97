"""From options to the network, and what preflight looks at of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from aep.errors import ConfigurationError
from aep.http.network import Network
from aep.http.transport import Timeouts
from pipelines.runtime.plan import Plan
from pipelines.runtime.preflight import preflight
from testing.defaults import by_default
from testing.fakes.http_server import Exchange, HttpServer
from tests.pipelines.to_aep import make_plan, parse
from tests.transforms.examples import packed
from transforms.aep.connection import as_aep
from transforms.records.chunk import Batch


def plan_of(folder: Path, *arguments: str, inlet_url: str = "https://aep.test/collection/i") -> Plan:
    return make_plan(
        parse(
            [
                "--kafka_source=file",
                "--kafka_file_pattern=*.json",
                "--xdm_payload=raw",
                f"--aep_inlet_url={inlet_url}",
                f"--dead_letter_path={folder}",
                *arguments,
            ]
        )
    )


def test_the_options_become_the_network(tmp_path: Path) -> None:
    options = {
        "proxy": "http://p:1",
        "proxy_user": "me",
        "proxy_password": "env:P",
        "ca_file": "ca.pem",
        "client_certificate": "c.pem",
        "client_key": "k.pem",
        "client_key_password": "env:K",
    }
    arguments = [f"--aep_{name}={value}" for name, value in options.items()]
    connection = as_aep(plan_of(tmp_path, "--aep_gzip", "--aep_read_timeout_seconds=7", *arguments).connection)
    assert connection.network == Network(**options, gzip=True)
    assert connection.timeouts == by_default(Timeouts, connect=10, total=60, read=7)


def test_without_options_nothing_is_out_of_the_ordinary(tmp_path: Path) -> None:
    connection = as_aep(plan_of(tmp_path).connection)
    assert (connection.network, connection.timeouts) == (by_default(Network), by_default(Timeouts))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--aep_ca_file=/none.pem"], "aep_ca_file: /none.pem cannot be read"),
        (["--aep_client_certificate=/none.pem"], "aep_client_certificate: /none.pem cannot be read"),
        (
            ["--aep_proxy=http://p:1", "--aep_proxy_user=me", "--aep_proxy_password=file:/none"],
            "the secret file /none cannot be read",
        ),
    ],
)
def test_preflight_reads_what_the_network_takes(tmp_path: Path, arguments: list[str], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        preflight(plan_of(tmp_path, *arguments))


def test_on_a_cluster_the_files_are_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So this machine cannot ask for a token either."""
    monkeypatch.setenv("SECRET", "s")
    with HttpServer(lambda exchange: exchange.reply(500)) as ims:
        oauth = [f"--aep_ims_url={ims.url}", "--aep_auth=oauth", "--aep_client_id=c", "--aep_client_secret=env:SECRET"]
        preflight(plan_of(tmp_path, "--runner=FlinkRunner", "--aep_ca_file=/none.pem", *oauth))
    assert ims.requests == []


def test_data_is_compressed_and_the_request_for_a_token_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(exchange: Exchange) -> None:
        if exchange.request.path.startswith("/ims"):
            exchange.reply(200, b'{"access_token":"t","expires_in":86400}')
        else:
            exchange.reply(207, b'{"responses":[{"xactionId":"x"}]}')

    monkeypatch.setenv("SECRET", "s")
    with HttpServer(answer) as server:
        oauth = ["--aep_auth=oauth", "--aep_client_id=c", "--aep_client_secret=env:SECRET"]
        url = f"{server.url}/collection/i"
        plan = plan_of(tmp_path, f"--aep_ims_url={server.url}", *oauth, "--aep_gzip", inlet_url=url)
        (route,) = plan.routes
        client = plan.connection.client(route.destination)
        client.deliver(Batch(route.name, [packed(b"{}")]), lambda _: None, lambda: None)
    token, data = server.requests
    assert "content-encoding" not in token.headers
    assert token.body.startswith(b"grant_type=client_credentials")
    assert data.headers["content-encoding"] == "gzip"
