"""The way to AEP: proxies, TLS with files of one's own, compression, and the limit on silence. Against real servers."""

from __future__ import annotations

import gc
import gzip
import pickle
import re
import socket
import ssl
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from urllib3.util.ssl_ import create_urllib3_context

from aep.errors import AepError, ConfigurationError, ConnectError, ReplyError, SecretError
from aep.http.auth import OAuthClient, OAuthTokens
from aep.http.network import Network, proxy_refusal
from aep.http.transport import Reply, Request, RequestsTransport, Timeouts
from testing.defaults import by_default
from testing.fakes.http_server import Exchange, HttpServer
from testing.fakes.proxy_server import ProxyServer
from testing.services.certificates import Authority
from testing.services.process import BUSY_SECONDS, PATIENCE_SECONDS, free_port

PASSWORD = "sesame-öpen-0451"
BODY = b'{"messages":[]}' * 100
USUAL = by_default(Timeouts)
QUICK = by_default(Timeouts, connect=0.5, total=0.5)
SLACK = BUSY_SECONDS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def tls(authority: Authority) -> ssl.SSLContext:
    return authority.context()


@pytest.fixture(scope="module")
def client_certificate(authority: Authority) -> tuple[str, str]:
    certificate, key = authority.issue("client")
    return str(certificate), str(key)


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> str:
    """A reference to the password."""
    monkeypatch.setenv("SOME_PASSWORD", PASSWORD)
    return "env:SOME_PASSWORD"


@pytest.fixture
def trusting(authority: Authority) -> Network:
    return by_default(Network, ca_file=str(authority.certificate))


def send(url: str, network: Network, timeouts: Timeouts = USUAL) -> Reply:
    headers = {"Content-Type": "application/json", "Authorization": "Bearer t"}
    return RequestsTransport(timeouts, network).send(Request(url, BODY, headers))


def refusal(url: str, network: Network, timeouts: Timeouts = USUAL) -> AepError:
    with pytest.raises(AepError) as caught:
        send(url, network, timeouts)
    assert PASSWORD not in repr(caught.value)
    assert caught.value.__context__ is None
    return caught.value


def ok(exchange: Exchange) -> None:
    exchange.reply(207, b"done")


class TestProxy:
    def test_http_is_forwarded(self, password: str) -> None:
        with HttpServer(ok) as server, ProxyServer(f"me:{PASSWORD}") as proxy:
            reply = send(
                f"{server.url}/collection/1",
                by_default(Network, proxy=proxy.url, proxy_user="me", proxy_password=password),
            )
        assert (reply.status, reply.body) == (207, b"done")
        assert proxy.asked == [f"POST {server.url}/collection/1"]
        assert [request.body for request in server.requests] == [BODY]

    def test_https_goes_through_a_tunnel(self, tls: ssl.SSLContext, trusting: Network, password: str) -> None:
        with HttpServer(ok, tls) as server, ProxyServer(f"me:{PASSWORD}") as proxy:
            network = replace(trusting, proxy=proxy.url, proxy_user="me", proxy_password=password)
            assert send(f"{server.url}/collection/1", network).body == b"done"
        assert proxy.asked == [f"CONNECT 127.0.0.1:{server.port}"]
        (told,), (received,) = proxy.requests, server.requests
        assert (received.body, received.headers["authorization"]) == (BODY, "Bearer t")
        # Neither is told the other's secret.
        assert "proxy-authorization" not in received.headers
        assert "authorization" not in told.headers

    @pytest.mark.parametrize("server_tls", [False, True])
    def test_a_proxy_that_is_reached_by_tls(
        self, tls: ssl.SSLContext, trusting: Network, password: str, server_tls: bool
    ) -> None:
        with HttpServer(ok, tls if server_tls else None) as server, ProxyServer(f"me:{PASSWORD}", tls=tls) as proxy:
            network = replace(trusting, proxy=proxy.url, proxy_user="me", proxy_password=password)
            assert send(f"{server.url}/", network).body == b"done"
        assert proxy.asked == [f"CONNECT 127.0.0.1:{server.port}" if server_tls else f"POST {server.url}/"]

    @pytest.mark.parametrize("proxy_tls", [False, True])
    def test_a_server_behind_a_tunnel_may_take_its_time_for_the_handshake(
        self, tls: ssl.SSLContext, trusting: Network, proxy_tls: bool
    ) -> None:
        class Slow(HttpServer):
            def _serve(self, connection: socket.socket) -> None:
                self._ended.wait(1)
                super()._serve(connection)

        with Slow(ok, tls) as server, ProxyServer(tls=tls if proxy_tls else None) as proxy:
            assert send(server.url, replace(trusting, proxy=proxy.url)).body == b"done"

    @pytest.mark.parametrize("server_tls", [False, True])
    def test_connections_are_kept(self, tls: ssl.SSLContext, trusting: Network, server_tls: bool) -> None:
        with HttpServer(ok, tls if server_tls else None) as server, ProxyServer() as proxy:
            transport = RequestsTransport(USUAL, replace(trusting, proxy=proxy.url))
            for _ in range(5):
                assert transport.send(Request(server.url, BODY)).status == 207
        assert (proxy.connections, len(server.requests)) == (1, 5)

    def test_the_token_host_is_reached_by_the_same_proxy(self, password: str) -> None:
        def token(exchange: Exchange) -> None:
            exchange.reply(200, b'{"access_token":"t","expires_in":86400}')

        with HttpServer(token) as ims, ProxyServer(f"me:{PASSWORD}") as proxy:
            transport = RequestsTransport(
                by_default(Timeouts), by_default(Network, proxy=proxy.url, proxy_user="me", proxy_password=password)
            )
            assert OAuthTokens(OAuthClient(ims.url, "id", password, "openid"), transport).token() == "t"
        assert proxy.asked == [f"POST {ims.url}/ims/token/v3"]

    def test_a_reply_that_drips_through_two_layers_of_tls(self, tls: ssl.SSLContext, trusting: Network) -> None:
        def drip(exchange: Exchange) -> None:
            exchange.head(207, 100_000)
            while exchange.pause(0.02):
                exchange.send(b"x")

        with HttpServer(drip, tls) as server, ProxyServer(tls=tls) as proxy:
            started = time.monotonic()
            error = refusal(server.url, replace(trusting, proxy=proxy.url), by_default(Timeouts, connect=5, total=0.5))
        assert isinstance(error, ReplyError)
        assert 0.5 <= time.monotonic() - started < 0.5 + SLACK


@pytest.fixture(params=["http", "https"])
def target(request: pytest.FixtureRequest) -> str:
    """The URL of a host that no request may reach: forwarded to, or through a tunnel."""
    return f"{request.param}://aep.test/collection/1"


class TestProxyRefuses:
    def test_credentials_are_wanted(self, target: str) -> None:
        with ProxyServer(f"me:{PASSWORD}") as proxy:
            error = refusal(target, by_default(Network, proxy=proxy.url))
        assert isinstance(error, ConfigurationError)
        assert str(error) == (
            f"the proxy 127.0.0.1:{proxy.port} requires a user name and a password (407): set aep_proxy_user and "
            "aep_proxy_password"
        )
        assert len(proxy.requests) == 1

    def test_credentials_are_wrong(self, target: str, password: str) -> None:
        with ProxyServer("me:another") as proxy:
            error = refusal(target, by_default(Network, proxy=proxy.url, proxy_user="me", proxy_password=password))
        assert isinstance(error, ConfigurationError)
        assert str(error).startswith(f"the proxy 127.0.0.1:{proxy.port} refuses the user name or the password (407): ")

    def test_a_proxy_that_is_not_known_of(self) -> None:
        with HttpServer(lambda exchange: exchange.reply(407)) as server:
            error = refusal(server.url, by_default(Network))
        assert isinstance(error, ConfigurationError)
        assert "the proxy on the way requires a user name" in str(error)

    def test_a_password_that_is_changed_is_read_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SOME_PASSWORD", "old")
        with HttpServer(ok) as server, ProxyServer("me:new") as proxy:
            transport = RequestsTransport(
                by_default(Timeouts),
                by_default(Network, proxy=proxy.url, proxy_user="me", proxy_password="env:SOME_PASSWORD"),
            )
            with pytest.raises(ConfigurationError, match="407"):
                transport.send(Request(server.url, BODY))
            monkeypatch.setenv("SOME_PASSWORD", "new")
            assert transport.send(Request(server.url, BODY)).status == 207

    def test_no_password(self, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("NO_PASSWORD", raising=False)
        with ProxyServer() as proxy:
            error = refusal(
                target, by_default(Network, proxy=proxy.url, proxy_user="me", proxy_password="env:NO_PASSWORD")
            )
        assert isinstance(error, SecretError)
        assert "NO_PASSWORD is not set" in str(error)
        assert proxy.connections == 0

    def test_it_cannot_be_reached(self, target: str) -> None:
        port = free_port()
        error = refusal(target, by_default(Network, proxy=f"http://127.0.0.1:{port}"))
        assert isinstance(error, ConnectError)
        assert re.match(rf"no connection to the proxy 127.0.0.1:{port}: .*Connection refused$", str(error))

    def test_its_name_is_not_found(self, target: str) -> None:
        error = refusal(target, by_default(Network, proxy="http://proxy.invalid:3128"))
        assert isinstance(error, ConnectError)
        assert str(error).startswith("no connection to the proxy proxy.invalid:3128: ")

    def test_it_does_not_take_the_connection(self, target: str) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
            host, port = listener.getsockname()
            waiting = [socket.socket() for _ in range(4)]
            try:
                for one in waiting:
                    one.setblocking(False)
                    one.connect_ex((host, port))
                error = refusal(target, by_default(Network, proxy=f"http://{host}:{port}"), QUICK)
            finally:
                for one in waiting:
                    one.close()
        assert isinstance(error, ConnectError)
        assert f"no connection to the proxy {host}:{port}: timed out" in str(error)

    @pytest.mark.parametrize("status", [502, 503, 504])
    def test_no_tunnel_for_now(self, status: int) -> None:
        with ProxyServer(refusal=status) as proxy:
            error = refusal("https://aep.test/collection/1", by_default(Network, proxy=proxy.url))
        assert isinstance(error, ConnectError)
        assert f"the proxy 127.0.0.1:{proxy.port} does not connect to aep.test: " in str(error)
        assert str(status) in str(error)

    @pytest.mark.parametrize("status", [400, 403, 404, 405, 501])
    def test_no_tunnel_ever(self, status: int) -> None:
        with ProxyServer(refusal=status) as proxy:
            error = refusal("https://aep.test/collection/1", by_default(Network, proxy=proxy.url))
        assert isinstance(error, ConfigurationError)
        assert f"the proxy 127.0.0.1:{proxy.port} refuses a connection to aep.test: " in str(error)
        assert f"{status} " in str(error)
        assert "aep_proxy" in str(error)

    def test_what_it_answers_in_place_of_a_server_is_a_reply(self) -> None:
        """It may have passed the request on before."""
        with ProxyServer(refusal=503) as proxy:
            assert send("http://aep.test/collection/1", by_default(Network, proxy=proxy.url)).status == 503

    @pytest.mark.parametrize("fault", ["silent", "dripping", "closed", "reset", "no HTTP"])
    def test_no_answer_to_a_connect(self, fault: str) -> None:
        def answer(exchange: Exchange) -> None:
            if fault == "silent":
                exchange.ended.wait(PATIENCE_SECONDS)
            elif fault == "dripping":
                while exchange.pause(0.02):
                    exchange.send(b"x")
            elif fault == "no HTTP":
                exchange.send(b"SMTP ready\r\n")
            exchange.reset() if fault == "reset" else exchange.close()

        with HttpServer(answer) as proxy:
            started = time.monotonic()
            error = refusal("https://aep.test/collection/1", by_default(Network, proxy=proxy.url), QUICK)
        assert isinstance(error, ConnectError)
        assert f"the proxy 127.0.0.1:{proxy.port} does not connect to aep.test: " in str(error)
        assert time.monotonic() - started < 0.5 + SLACK

    @pytest.mark.parametrize("end", ["reset", "closed"])
    def test_a_forwarded_request_without_a_reply_may_have_arrived(self, end: str) -> None:
        with HttpServer(lambda exchange: exchange.reset() if end == "reset" else exchange.close()) as proxy:
            assert isinstance(refusal("http://aep.test/", by_default(Network, proxy=proxy.url)), ReplyError)

    @pytest.mark.parametrize("end", ["reset", "closed"])
    def test_a_request_through_a_tunnel_without_a_reply_may_have_arrived(
        self, tls: ssl.SSLContext, trusting: Network, end: str
    ) -> None:
        def lose(exchange: Exchange) -> None:
            exchange.reset() if end == "reset" else exchange.close()

        with HttpServer(lose, tls) as server, ProxyServer() as proxy:
            assert isinstance(refusal(server.url, replace(trusting, proxy=proxy.url)), ReplyError)
        assert len(server.requests) == 1

    def test_tls_to_it_is_not_to_be_trusted(self, target: str, tls: ssl.SSLContext) -> None:
        with ProxyServer(tls=tls) as proxy:
            error = refusal(target, by_default(Network, proxy=proxy.url))
        assert isinstance(error, ConfigurationError)
        assert f"no connection to the proxy 127.0.0.1:{proxy.port}: " in str(error)
        assert "certificate verify failed" in str(error)
        assert "aep_ca_file" in str(error)
        assert proxy.requests == []

    def test_tls_to_it_is_cut(self, target: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            error = refusal(target, by_default(Network, proxy=f"https://127.0.0.1:{port}"), QUICK)
        assert isinstance(error, ConnectError)
        assert f"no connection to the proxy 127.0.0.1:{port}: " in str(error)

    def test_tls_behind_it_is_the_servers_matter(self, tls: ssl.SSLContext) -> None:
        with HttpServer(ok, tls) as server, ProxyServer() as proxy:
            error = refusal(server.url, by_default(Network, proxy=proxy.url))
        assert isinstance(error, ConfigurationError)
        assert str(error).startswith(f"TLS to 127.0.0.1:{server.port} failed: ")

    @pytest.mark.parametrize("fault", ["unreachable", "407", "503", "silent"])
    def test_a_failed_try_keeps_nothing_of_its_request(self, target: str, fault: str) -> None:
        """In a long outage the bodies of all the tries would add up until the garbage collector runs."""

        def answer(exchange: Exchange) -> None:
            exchange.pause(30) if fault == "silent" else exchange.reply(int(fault))

        body = b"x" * 100_000
        with HttpServer(answer) as proxy:
            url = f"http://127.0.0.1:{free_port()}" if fault == "unreachable" else proxy.url
            transport = RequestsTransport(QUICK, by_default(Network, proxy=url))
            gc.disable()
            try:
                before = sys.getrefcount(body)
                with suppress(AepError):
                    transport.send(Request(target, body))
                assert sys.getrefcount(body) == before
            finally:
                gc.enable()

    @pytest.mark.parametrize(("url", "address"), [("http://p", "p:80"), ("https://p", "p:443"), ("http://p:1", "p:1")])
    def test_it_is_named_with_its_port(self, url: str, address: str) -> None:
        assert f"the proxy {address} does not" in str(
            proxy_refusal(by_default(Network, proxy=url), "aep", None, "timed out")
        )


class TestAuthorities:
    def test_one_of_our_own_is_trusted(self, tls: ssl.SSLContext, trusting: Network) -> None:
        with HttpServer(ok, tls) as server:
            assert send(server.url, trusting).body == b"done"

    def test_it_takes_the_place_of_the_public_ones(
        self, authority: Authority, tls: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("aep.http.network.DEFAULT_CA_BUNDLE_PATH", str(authority.certificate))
        monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(authority.certificate))
        other = by_default(Network, ca_file=str(Authority(tmp_path).certificate))
        with HttpServer(ok, tls) as server:
            assert send(server.url, by_default(Network)).body == b"done"
            error = refusal(server.url, other)
        assert isinstance(error, ConfigurationError)
        assert "to trust its authority, set aep_ca_file" in str(error)
        assert len(server.requests) == 1

    def test_one_that_does_not_say_what_its_key_is_for(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Python 3.13 refuses it. Earlier versions do if set to be as strict."""

        def as_of_3_13() -> ssl.SSLContext:
            context = create_urllib3_context()
            context.verify_flags |= ssl.VERIFY_X509_STRICT
            return context

        monkeypatch.setattr("aep.http.network.create_urllib3_context", as_of_3_13)
        company = Authority(tmp_path, key_usage=False)
        with HttpServer(ok, company.context()) as server:
            error = refusal(server.url, by_default(Network, ca_file=str(company.certificate)))
        assert isinstance(error, ConfigurationError)
        assert f"TLS to 127.0.0.1:{server.port} failed" in str(error)
        assert "key usage" in str(error)
        assert "have a new one issued" in str(error)
        assert "the authority in aep_ca_file" in str(error)

    def test_a_certificate_for_another_host(self, tls: ssl.SSLContext, trusting: Network) -> None:
        with HttpServer(ok, tls) as server:
            error = refusal(f"https://localhost:{server.port}/", trusting)
        assert isinstance(error, ConfigurationError)
        assert re.search(r"localhost.*(mismatch|not valid|doesn't match)", str(error))
        assert "aep_ca_file" not in str(error)


class TestClientCertificates:
    @pytest.fixture
    def strict(self, authority: Authority) -> ssl.SSLContext:
        return authority.context(client=True)

    def test_with_its_key(self, strict: ssl.SSLContext, trusting: Network, client_certificate: tuple[str, str]) -> None:
        certificate, key = client_certificate
        with HttpServer(ok, strict) as server:
            assert send(server.url, replace(trusting, client_certificate=certificate, client_key=key)).body == b"done"

    def test_with_an_encrypted_key(
        self,
        authority: Authority,
        strict: ssl.SSLContext,
        trusting: Network,
        client_certificate: tuple[str, str],
        password: str,
    ) -> None:
        certificate, key = client_certificate
        encrypted = str(authority.encrypt(Path(key), PASSWORD))
        network = replace(trusting, client_certificate=certificate, client_key=encrypted, client_key_password=password)
        with HttpServer(ok, strict) as server:
            assert send(server.url, network).body == b"done"

    def test_in_one_file(
        self, strict: ssl.SSLContext, trusting: Network, client_certificate: tuple[str, str], tmp_path: Path
    ) -> None:
        both = tmp_path / "both.pem"
        both.write_bytes(b"".join(Path(file).read_bytes() for file in client_certificate))
        with HttpServer(ok, strict) as server, ProxyServer() as proxy:
            network = replace(trusting, client_certificate=str(both), proxy=proxy.url)
            assert send(server.url, network).body == b"done"

    def test_none_where_one_is_wanted(self, strict: ssl.SSLContext, trusting: Network) -> None:
        """With TLS 1.3 the server says so only when the request is on its way, and breaks that off."""
        transport = RequestsTransport(USUAL, trusting)
        with HttpServer(ok, strict) as server:
            for _ in range(10):
                with pytest.raises(ConfigurationError) as caught:
                    transport.send(Request(server.url, b"x" * 900_000))
                assert f"TLS to 127.0.0.1:{server.port} failed: " in str(caught.value)
                assert str(caught.value).endswith("; set aep_client_certificate")
        assert server.requests == []


Change = Callable[[Network, Path], Network]

FILES: dict[str, tuple[Change, str]] = {
    "no authorities": (
        lambda network, folder: replace(network, ca_file=str(folder / "none")),
        r"aep_ca_file: \S+/none cannot be read: No such file or directory",
    ),
    "authorities in a folder": (
        lambda network, folder: replace(network, ca_file=str(folder)),
        r"aep_ca_file: \S+ cannot be read: Is a directory",
    ),
    "authorities that are no path": (
        lambda network, _: replace(network, ca_file="a\0b"),
        r"aep_ca_file: a\0b cannot be read: not a valid path",
    ),
    "authorities that are no PEM": (
        lambda network, folder: replace(network, ca_file=str(folder / "junk")),
        r"aep_ca_file: \S+/junk has no certificate in PEM format",
    ),
    "no certificate": (
        lambda network, folder: replace(network, client_certificate=str(folder / "none")),
        r"aep_client_certificate: \S+/none cannot be read: No such file or directory",
    ),
    "a certificate that is not a PEM": (
        lambda network, folder: replace(network, client_certificate=str(folder / "junk")),
        r"aep_client_certificate: \S+/junk has no certificate in PEM format",
    ),
    "a certificate without its key": (
        lambda network, _: replace(network, client_key=None),
        r"aep_client_certificate: \S+/client.pem has no private key in PEM format",
    ),
    "no key": (
        lambda network, folder: replace(network, client_key=str(folder / "none")),
        r"aep_client_key: \S+/none cannot be read: No such file or directory",
    ),
    "a key that is not a PEM": (
        lambda network, folder: replace(network, client_key=str(folder / "junk")),
        r"aep_client_key: \S+/junk has no private key in PEM format",
    ),
    "another's key": (
        lambda network, folder: replace(network, client_key=str(folder / "ca.key")),
        r"aep_client_key: \S+/ca.key has a private key that does not match \S+/client.pem",
    ),
    "an encrypted key without a password": (
        lambda network, folder: replace(network, client_key=str(folder / "client.encrypted.key")),
        r"aep_client_key: \S+/client.encrypted.key is encrypted: set aep_client_key_password",
    ),
    "an encrypted key with another password": (
        lambda network, folder: replace(
            network, client_key=str(folder / "client.encrypted.key"), client_key_password="env:SOME_PASSWORD"
        ),
        r"aep_client_key: \S+/client.encrypted.key has a private key that aep_client_key_password does not decrypt",
    ),
}


class TestFiles:
    @pytest.mark.parametrize("case", FILES)
    def test_what_is_wrong_is_told_before_anything_is_sent(
        self, case: str, authority: Authority, client_certificate: tuple[str, str], password: str
    ) -> None:
        change, says = FILES[case]
        certificate, key = client_certificate
        folder = authority.certificate.parent
        authority.encrypt(Path(key), "another password")
        (folder / "junk").write_text("junk")
        network = change(by_default(Network, client_certificate=certificate, client_key=key), folder)
        with HttpServer(ok) as server:
            error = refusal(server.url, network)
        assert isinstance(error, ConfigurationError)
        assert re.fullmatch(says, str(error))
        assert server.connections == 0
        with pytest.raises(ConfigurationError, match=says):
            network.check()

    def test_a_file_that_is_mended_is_read_again(
        self, authority: Authority, tls: ssl.SSLContext, tmp_path: Path
    ) -> None:
        bundle = tmp_path / "bundle.pem"
        transport = RequestsTransport(USUAL, by_default(Network, ca_file=str(bundle)))
        with HttpServer(ok, tls) as server:
            with pytest.raises(ConfigurationError, match="aep_ca_file"):
                transport.send(Request(server.url, BODY))
            bundle.write_bytes(authority.certificate.read_bytes())
            assert transport.send(Request(server.url, BODY)).status == 207

    def test_which_networks_have_files(self) -> None:
        assert not by_default(Network, proxy="http://p:1", proxy_user="me", proxy_password="env:P", gzip=True).has_files
        assert by_default(Network, ca_file="a").has_files
        assert by_default(Network, client_certificate="a").has_files


class TestGzip:
    def test_bodies_are_compressed(self) -> None:
        with HttpServer(ok) as server:
            assert send(server.url, by_default(Network, gzip=True)).status == 207
        (received,) = server.requests
        assert received.headers["content-encoding"] == "gzip"
        assert received.headers["content-type"] == "application/json"
        assert int(received.headers["content-length"]) == len(received.body) < len(BODY)
        assert gzip.decompress(received.body) == BODY

    def test_not_unless_asked_for(self) -> None:
        with HttpServer(ok) as server:
            send(server.url, by_default(Network))
        assert "content-encoding" not in server.requests[0].headers
        assert server.requests[0].body == BODY


class TestSilence:
    def limited(self, answer: Callable[[Exchange], None]) -> tuple[str, float]:
        """Return the words of the error with a limit on silence far below that on all, and how long it took."""
        with HttpServer(answer) as server:
            started = time.monotonic()
            error = refusal(server.url, by_default(Network), by_default(Timeouts, connect=5, total=60, read=0.3))
        assert isinstance(error, ReplyError)
        return str(error), time.monotonic() - started

    def test_before_the_reply(self) -> None:
        def silent(exchange: Exchange) -> None:
            exchange.pause(30)

        words, seconds = self.limited(silent)
        assert words.endswith("in time (5 s to connect, 0.3 s without a byte, 60 s in all)")
        assert 0.3 <= seconds < 0.3 + SLACK

    def test_in_the_reply(self) -> None:
        def stall(exchange: Exchange) -> None:
            exchange.head(207, 100)
            exchange.send(b"x")
            exchange.pause(30)

        words, seconds = self.limited(stall)
        assert words.endswith("took longer than 60 s, or 0.3 s without a byte")
        assert 0.3 <= seconds < 0.3 + SLACK

    def test_a_reply_that_is_slow_but_never_silent(self) -> None:
        def slow(exchange: Exchange) -> None:
            exchange.head(207, 80)
            for _ in range(80):
                exchange.pause(0.05)
                exchange.send(b"x")

        with HttpServer(slow) as server:
            reply = send(server.url, by_default(Network), by_default(Timeouts, connect=60, total=240, read=3.5))
        assert reply.body == b"x" * 80


class TestSecrets:
    def test_they_are_in_nothing_that_shows_or_travels(
        self, authority: Authority, client_certificate: tuple[str, str], password: str
    ) -> None:
        certificate, key = client_certificate
        encrypted = str(authority.encrypt(Path(key), PASSWORD))
        network = by_default(
            Network,
            proxy="http://p:1",
            proxy_user="me",
            proxy_password=password,
            ca_file=None,
            client_certificate=certificate,
            client_key=encrypted,
            client_key_password=password,
        )
        network.check()
        transport = RequestsTransport(USUAL, network)
        shown = f"{network!r} {network} {transport!r}".encode() + pickle.dumps(network)
        with pytest.raises(AepError) as caught:
            transport.send(Request("https://aep.test/", BODY))
        shown += repr(caught.value).encode()
        header = network.proxy_headers()["Proxy-Authorization"].encode()
        assert PASSWORD.encode() not in shown
        assert header.removeprefix(b"Basic ") not in shown
        assert pickle.loads(pickle.dumps(network)) == network

    def test_a_password_with_bytes_that_are_no_text(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SOME_PASSWORD", b"p\xff".decode(errors="surrogateescape"))
        headers = by_default(
            Network, proxy="http://p:1", proxy_user="me", proxy_password="env:SOME_PASSWORD"
        ).proxy_headers()
        assert headers == {"Proxy-Authorization": "Basic bWU6cP8="}
