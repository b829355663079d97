from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aep.errors import AepError, NetworkError, SecretError
from aep.http import secrets
from testing.fakes.http_server import Exchange, HttpServer
from testing.fakes.proxy_server import ProxyServer
from testing.services.process import free_port

SECRET = "sesame-open-0451"
NAME = "projects/p/secrets/s/versions/latest"
REGIONAL_NAME = "projects/p/locations/europe-west3/secrets/s/versions/7"


@pytest.mark.parametrize("value", ["env:A", "file:/a", "gcp-secret:a", "env:"])
def test_is_a_reference(value: str) -> None:
    assert secrets.is_reference(value)


@pytest.mark.parametrize("value", ["", SECRET, "ENV:A", "envA", "vault:a", " env:A"])
def test_is_no_reference(value: str) -> None:
    assert not secrets.is_reference(value)


@pytest.mark.parametrize("value", ["", SECRET, f"vault:{SECRET}", "env:", "file:", "gcp-secret:", f":{SECRET}"])
def test_what_is_no_reference_is_refused_and_not_repeated(value: str) -> None:
    with pytest.raises(SecretError, match=r"env:NAME, file:PATH or gcp-secret:projects/P/secrets/S") as caught:
        secrets.resolve(value)
    assert SECRET not in str(caught.value)


@given(st.text().filter(lambda text: not text.startswith(secrets.SCHEMES)))
def test_any_text_that_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(SecretError):
        secrets.resolve(text)


class TestEnvironment:
    @pytest.mark.parametrize("value", [SECRET, f"{SECRET}\n", f"{SECRET}\r\n"])
    def test_the_variable_without_its_end_of_line(self, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AEP_TEST", value)
        assert secrets.resolve("env:AEP_TEST") == SECRET

    def test_a_byte_order_mark_is_not_part_of_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AEP_TEST", f"\ufeff{SECRET}\r\n")
        assert secrets.resolve("env:AEP_TEST") == SECRET

    def test_blanks_belong_to_the_secret(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AEP_TEST", " a b ")
        assert secrets.resolve("env:AEP_TEST") == " a b "

    def test_a_missing_variable_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AEP_TEST", raising=False)
        with pytest.raises(SecretError, match="environment variable AEP_TEST is not set"):
            secrets.resolve("env:AEP_TEST")

    @pytest.mark.parametrize("value", ["", "\n"])
    def test_an_empty_variable(self, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AEP_TEST", value)
        with pytest.raises(SecretError, match="env:AEP_TEST is empty"):
            secrets.resolve("env:AEP_TEST")


class TestFile:
    @pytest.mark.parametrize("content", [SECRET, f"{SECRET}\n", f"{SECRET}\r\n", f"{SECRET}\n\n"])
    def test_the_content_without_its_end_of_line(self, content: str, tmp_path: Path) -> None:
        (tmp_path / "secret").write_bytes(content.encode())
        assert secrets.resolve(f"file:{tmp_path}/secret") == SECRET

    def test_a_byte_order_mark_is_not_part_of_it(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_bytes(b"\xef\xbb\xbf" + SECRET.encode() + b"\r\n")
        assert secrets.resolve(f"file:{tmp_path}/secret") == SECRET
        (tmp_path / "secret").write_bytes(b"\xef\xbb\xbf\r\n")
        with pytest.raises(SecretError, match="is empty"):
            secrets.resolve(f"file:{tmp_path}/secret")

    def test_a_path_may_hold_a_colon(self, tmp_path: Path) -> None:
        (tmp_path / "a:b").write_text(SECRET)
        assert secrets.resolve(f"file:{tmp_path}/a:b") == SECRET

    def test_it_is_read_each_time(self, tmp_path: Path) -> None:
        file = tmp_path / "secret"
        file.write_text("one")
        assert secrets.resolve(f"file:{file}") == "one"
        file.write_text("two")
        assert secrets.resolve(f"file:{file}") == "two"

    def test_what_cannot_be_read_says_why(self, tmp_path: Path) -> None:
        (tmp_path / "binary").write_bytes(b"\xff" + SECRET.encode())
        for path, reason in (
            (tmp_path / "none", "No such file or directory"),
            (tmp_path, "Is a directory"),
            (tmp_path / "binary", "not UTF-8 text"),
            ("a\0b", "not a valid path"),
        ):
            with pytest.raises(SecretError, match=reason) as caught:
                secrets.resolve(f"file:{path}")
            assert str(path) in str(caught.value)
            assert SECRET not in str(caught.value)

    def test_an_empty_file(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("\n")
        with pytest.raises(SecretError, match="is empty"):
            secrets.resolve(f"file:{tmp_path}/secret")


@pytest.mark.parametrize("secret", ["wJalrXUtnFEMI/K7MDENG+bPxRfi", 'a"b\\c', "pässwörd", "/"])
@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("slash", ["/", "\\/"])
def test_a_reply_that_repeats_a_secret_as_json_writes_it_tells_nothing(
    secret: str, ascii_only: bool, slash: str
) -> None:
    written = json.dumps({"message": f"bad key <{secret}>"}, ensure_ascii=ascii_only).replace("/", slash)
    assert json.loads(secrets.hide(written.encode(), secret))["message"] == "bad key <***>"


def test_the_address_of_a_secret() -> None:
    google = "https://secretmanager.googleapis.com/v1"
    assert secrets.secret_manager_url(NAME) == f"{google}/{NAME}:access"
    regional = "https://secretmanager.europe-west3.rep.googleapis.com/v1"
    assert secrets.secret_manager_url(REGIONAL_NAME) == f"{regional}/{REGIONAL_NAME}:access"


@pytest.mark.parametrize(
    "name",
    [
        "s",
        "projects/p/secrets/s",
        "projects/p/secrets/s/versions/1/x",
        "projects/p/locations/evil.test#/secrets/s/versions/1",  # the token would go there
        "projects/p/locations/evil.test/secrets/s/versions/1",
        "projects/p/locations//secrets/s/versions/1",
        "projects/p/locations/EU/secrets/s/versions/1",
        "projects/p/secrets/s/versions/1\n",
        "projects/p/secrets/s?a=/versions/1",
    ],
)
def test_what_is_not_a_secret_of_secret_manager(name: str) -> None:
    with pytest.raises(SecretError, match="is not a secret of Secret Manager: give projects/P/secrets/S"):
        secrets.resolve(f"gcp-secret:{name}")


def payload(secret: bytes) -> bytes:
    return json.dumps({"name": NAME, "payload": {"data": base64.b64encode(secret).decode()}}).encode()


class SecretManager:
    """Google's token service and Secret Manager; `answer` is what the latter says."""

    def __init__(self) -> None:
        self.answer: Callable[[Exchange], None] = lambda exchange: exchange.reply(200, payload(SECRET.encode()))
        self.token_status = 200

    def __call__(self, exchange: Exchange) -> None:
        if exchange.request.path != "/token":
            self.answer(exchange)
        elif self.token_status == 200:
            exchange.reply(200, b'{"access_token":"google-token","expires_in":3600}', Content_Type="application/json")
        else:
            exchange.reply(
                self.token_status,
                b'{"error":"invalid_grant","error_description":"Invalid JWT Signature."}',
                Content_Type="application/json",
            )


class TestSecretManager:
    @pytest.fixture
    def manager(self) -> SecretManager:
        return SecretManager()

    @pytest.fixture
    def server(
        self, manager: SecretManager, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[HttpServer]:
        """A service account whose token service and Secret Manager are ours."""
        with HttpServer(manager) as server:
            account = {
                "type": "service_account",
                "project_id": "p",
                "private_key": (certificate / "key").read_text(),
                "client_email": "reader@p.test",
                "token_uri": f"{server.url}/token",
            }
            (tmp_path / "account.json").write_text(json.dumps(account))
            monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
                monkeypatch.delenv(name, raising=False)
            # Google's library asks a host of Google's in a thread of its own, which warns long after the test.
            refresh = "google.auth._regional_access_boundary_utils._RegionalAccessBoundaryRefreshManager.start_refresh"
            monkeypatch.setattr(refresh, lambda *_: None)
            monkeypatch.setattr(secrets, "SECRET_MANAGER", f"{server.url}/v1/")
            monkeypatch.setattr(secrets, "REGIONAL_SECRET_MANAGER", f"{server.url}/{{location}}/v1/")
            yield server

    @pytest.mark.parametrize("stored", [SECRET.encode(), f"{SECRET}\n".encode()])
    def test_the_secret(self, server: HttpServer, manager: SecretManager, stored: bytes) -> None:
        manager.answer = lambda exchange: exchange.reply(200, payload(stored))
        assert secrets.resolve(f"gcp-secret:{NAME}") == SECRET
        token_request, request = server.requests
        assert token_request.path == "/token"
        assert request.line == f"GET /v1/{NAME}:access HTTP/1.1"
        assert request.headers["authorization"] == "Bearer google-token"

    def test_a_regional_secret_is_asked_for_in_its_region(self, server: HttpServer, manager: SecretManager) -> None:
        assert secrets.resolve(f"gcp-secret:{REGIONAL_NAME}") == SECRET
        assert server.requests[-1].line == f"GET /europe-west3/v1/{REGIONAL_NAME}:access HTTP/1.1"

    def test_googles_own_reason_is_shown_without_a_secret(self, server: HttpServer, manager: SecretManager) -> None:
        reason = "Permission 'secretmanager.versions.access' denied for resource\n (or it may not exist). google-token"
        status = {"error": {"code": 403, "message": reason, "status": "PERMISSION_DENIED"}, "payload": SECRET}
        manager.answer = lambda exchange: exchange.reply(403, json.dumps(status).encode())
        with pytest.raises(SecretError) as caught:
            secrets.resolve(f"gcp-secret:{NAME}")
        assert str(caught.value) == (
            f"the secret gcp-secret:{NAME} cannot be read: Secret Manager answers 403: Permission "
            "'secretmanager.versions.access' denied for resource (or it may not exist). ***"
        )

    @pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":"x"}', b'{"error":{"message":7}}', b"\xff"])
    def test_a_refusal_without_words(self, server: HttpServer, manager: SecretManager, body: bytes) -> None:
        manager.answer = lambda exchange: exchange.reply(404, body)
        with pytest.raises(SecretError, match=r"Secret Manager answers 404$"):
            secrets.resolve(f"gcp-secret:{NAME}")

    @pytest.mark.parametrize(
        ("status", "error"),
        [(400, SecretError), (403, SecretError), (404, SecretError), (429, NetworkError), (503, NetworkError)],
    )
    def test_a_refusal_is_final_and_a_failure_is_not(
        self, server: HttpServer, manager: SecretManager, status: int, error: type[AepError]
    ) -> None:
        manager.answer = lambda exchange: exchange.reply(status, payload(SECRET.encode()))
        with pytest.raises(
            error, match=rf"gcp-secret:{NAME} cannot be read: Secret Manager answers {status}"
        ) as caught:
            secrets.resolve(f"gcp-secret:{NAME}")
        assert SECRET not in str(caught.value)

    @pytest.mark.parametrize(
        "body",
        [b"", b"<html>", b"[]", b"{}", b'{"payload":null}', b'{"payload":{"data":7}}', b'{"payload":{"data":"a"}}',
         payload(b"\xff" + SECRET.encode())],
    )  # fmt: skip
    def test_an_unexpected_reply(self, server: HttpServer, manager: SecretManager, body: bytes) -> None:
        manager.answer = lambda exchange: exchange.reply(200, body)
        with pytest.raises(SecretError, match="unexpected reply") as caught:
            secrets.resolve(f"gcp-secret:{NAME}")
        assert SECRET not in str(caught.value)

    def test_an_empty_secret(self, server: HttpServer, manager: SecretManager) -> None:
        manager.answer = lambda exchange: exchange.reply(200, payload(b""))
        with pytest.raises(SecretError, match="is empty"):
            secrets.resolve(f"gcp-secret:{NAME}")

    def test_a_broken_connection_is_worth_another_try(self, server: HttpServer, manager: SecretManager) -> None:
        manager.answer = lambda exchange: exchange.reset()
        with pytest.raises(NetworkError, match=f"gcp-secret:{NAME} cannot be read: ConnectionError"):
            secrets.resolve(f"gcp-secret:{NAME}")

    def test_an_account_that_google_refuses(self, server: HttpServer, manager: SecretManager) -> None:
        manager.token_status = 400
        with pytest.raises(
            SecretError, match=f"{NAME} cannot be read: RefreshError: invalid_grant: Invalid JWT Signature."
        ):
            secrets.resolve(f"gcp-secret:{NAME}")

    def test_credentials_that_are_not_there(
        self, server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
        with pytest.raises(
            SecretError, match=f"gcp-secret:{NAME} cannot be read: DefaultCredentialsError: File .*none.json was not"
        ):
            secrets.resolve(f"gcp-secret:{NAME}")

    def test_credentials_that_cannot_be_read(
        self, server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path))
        with pytest.raises(SecretError, match=f"{NAME} cannot be read: the credentials {tmp_path}: Is a dir"):
            secrets.resolve(f"gcp-secret:{NAME}")

    def test_a_proxy_of_the_environment(self, server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        with ProxyServer() as proxy:
            monkeypatch.setenv("HTTP_PROXY", proxy.url)
            assert secrets.resolve(f"gcp-secret:{NAME}") == SECRET
        assert proxy.asked == [f"POST {server.url}/token", f"GET {server.url}/v1/{NAME}:access"]

    def test_nobody_listens(self, server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(secrets, "SECRET_MANAGER", f"http://127.0.0.1:{free_port()}/v1/")
        with pytest.raises(NetworkError, match="ConnectionError"):
            secrets.resolve(f"gcp-secret:{NAME}")
