from __future__ import annotations

import gc
import gzip
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import requests

import aep.http.transport
from aep.errors import AepError, ConfigurationError, ConnectError, NetworkError, ReplyError, StoppedError
from aep.http.network import Network
from aep.http.transport import Reply, Request, RequestsTransport, Timeouts
from testing.defaults import by_default
from testing.fakes.fake_aep import Clock
from testing.fakes.http_server import Exchange, HttpServer, Received
from testing.fakes.proxy_server import ProxyServer
from testing.services.process import BUSY_SECONDS, PATIENCE_SECONDS, free_port

SECRET = "sesame-open-0451"
USUAL = by_default(Timeouts)
DIRECT = by_default(Network)
QUICK = by_default(Timeouts, connect=5, total=0.5)
SLACK = BUSY_SECONDS


def send(url: str, timeouts: Timeouts = USUAL, **headers: str) -> Reply:
    request = Request(url, b'{"a":1}', {name.replace("_", "-"): text for name, text in headers.items()})
    return RequestsTransport(timeouts, DIRECT).send(request)


def failure(answer: Callable[[Exchange], None], timeouts: Timeouts = USUAL) -> AepError:
    """Return the error that a request to a server with this answer ends in."""
    with HttpServer(answer) as server, pytest.raises(AepError) as caught:
        send(server.url, timeouts)
    assert f"127.0.0.1:{server.port}" in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return caught.value


class TestReply:
    def test_a_post_and_its_reply(self) -> None:
        with HttpServer(lambda exchange: exchange.reply(207, b"body", X_Thing="Value")) as server:
            reply = send(
                f"{server.url}/collection/batch/1?a=b", Content_Type="application/json", Authorization="Bearer t"
            )
        assert (reply.status, reply.body, reply.headers["x-thing"]) == (207, b"body", "Value")
        (request,) = server.requests
        assert (request.line, request.body) == ("POST /collection/batch/1?a=b HTTP/1.1", b'{"a":1}')
        assert request.headers["content-type"] == "application/json"
        assert request.headers["authorization"] == "Bearer t"
        assert request.headers["content-length"] == "7"

    @pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 404, 429, 500, 503, 599])
    def test_any_status_is_a_reply(self, status: int) -> None:
        with HttpServer(lambda exchange: exchange.reply(status)) as server:
            assert send(server.url) == Reply(status, b"", {"content-length": "0"})

    @pytest.mark.parametrize("interim", [100, 102, 103, 199])
    def test_interim_replies_are_passed_over(self, interim: int) -> None:
        def hinting(exchange: Exchange) -> None:
            for _ in range(2):
                exchange.head(interim, None, Link="</style.css>")
            exchange.reply(207, b"body")

        with HttpServer(hinting) as server:
            reply = send(server.url)
        assert (reply.status, reply.body, "link" in reply.headers) == (207, b"body", False)

    def test_gzip_is_decoded(self) -> None:
        body = b'{"responses":[]}' * 1000

        def zipped(exchange: Exchange) -> None:
            exchange.reply(207, gzip.compress(body), Content_Encoding="gzip")

        with HttpServer(zipped) as server:
            assert send(server.url).body == body

    def test_a_chunked_reply(self) -> None:
        def chunked(exchange: Exchange) -> None:
            exchange.head(207, None, Transfer_Encoding="chunked")
            for piece in (b"5\r\nabcde\r\n", b"3\r\nfgh\r\n", b"0\r\n\r\n"):
                exchange.send(piece)

        with HttpServer(chunked) as server:
            assert send(server.url).body == b"abcdefgh"

    def test_a_reply_that_ends_with_its_connection(self) -> None:
        def until_closed(exchange: Exchange) -> None:
            exchange.head(200, None, Connection="close")
            exchange.send(b"abc")
            exchange.close()

        with HttpServer(until_closed) as server:
            assert send(server.url).body == b"abc"

    def test_connections_are_kept_for_each_thread(self) -> None:
        with HttpServer(lambda exchange: exchange.reply(207, b"x" * 200_000)) as server:
            transport = RequestsTransport(USUAL, DIRECT)

            def work() -> None:
                for _ in range(5):
                    transport.send(Request(server.url, b"{}"))

            threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(timeout=PATIENCE_SECONDS)
        assert (server.connections, len(server.requests)) == (3, 15)

    def test_each_request_goes_out_as_if_it_were_the_first(self) -> None:
        def body_and_headers(requests: list[Received]) -> list[tuple[str, bytes, dict[str, str]]]:
            return [(one.line, one.body, dict(one.headers)) for one in requests]

        with HttpServer(lambda exchange: exchange.reply(200)) as server:
            one = Request(f"{server.url}/a", b"{}", {"Content-Type": "application/json", "Authorization": "Bearer t"})
            longer, renewed = replace(one, body=b"[1,2,3]"), replace(one, headers={"Authorization": "Bearer u"})
            elsewhere, read, nothing = (
                replace(one, url=f"{server.url}/b"),
                replace(one, method="GET", body=b""),
                replace(one, body=b""),
            )
            all_of_them = [one, longer, one, renewed, longer, elsewhere, read, longer, nothing, one]
            transport = RequestsTransport(USUAL, DIRECT)
            for request in all_of_them:
                transport.send(request)
            kept = body_and_headers(server.requests)
            server.requests.clear()
            for request in all_of_them:
                RequestsTransport(USUAL, DIRECT).send(request)
            assert kept == body_and_headers(server.requests)

    def test_cookies_are_sent_for_as_long_as_they_hold(self) -> None:
        answers = iter(["", "route=a; Path=/", "", "route=a; Path=/; Max-Age=0", ""])
        with HttpServer(lambda exchange: exchange.reply(200, Set_Cookie=next(answers))) as server:
            transport = RequestsTransport(USUAL, DIRECT)
            for _ in range(5):
                transport.send(Request(server.url, b"{}"))
        assert [one.headers.get("cookie") for one in server.requests] == [None, None, "route=a", "route=a", None]

    def test_a_connection_that_the_peer_closed_meanwhile_is_made_anew(self) -> None:
        closed = threading.Event()

        def reply_and_close(exchange: Exchange) -> None:
            exchange.reply(200)
            exchange.connection.shutdown(socket.SHUT_RDWR)
            closed.set()

        with HttpServer(reply_and_close) as server:
            transport = RequestsTransport(USUAL, DIRECT)
            for _ in range(3):
                closed.clear()
                assert transport.send(Request(server.url, b"{}")).status == 200
                assert closed.wait(PATIENCE_SECONDS)
        assert server.connections == 3

    def test_a_connection_that_was_idle_for_a_minute_is_not_used_again(self) -> None:
        """As behind a NAT that has forgotten it: what is sent on it gets no answer, not even a reset."""
        clock = Clock()

        def answer(exchange: Exchange) -> None:
            if exchange.request.body == b"after the pause" and exchange.connection in connections:
                exchange.pause(PATIENCE_SECONDS)
            connections.append(exchange.connection)
            exchange.reply(207)

        connections: list[socket.socket] = []
        with HttpServer(answer) as server:
            transport = RequestsTransport(by_default(Timeouts, total=BUSY_SECONDS), DIRECT, clock=clock)
            for _ in range(3):
                transport.send(Request(server.url, b"at once"))
                clock.now += 50
            assert server.connections == 1
            clock.now += 15
            assert transport.send(Request(server.url, b"after the pause")).status == 207
            assert server.connections == 2

    @pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux shows the timers of sockets")
    @pytest.mark.parametrize("proxied", [False, True])
    def test_the_system_asks_whether_the_peer_of_a_silent_connection_is_still_there(self, proxied: bool) -> None:
        with HttpServer(lambda exchange: exchange.reply(207)) as server, ProxyServer() as proxy:
            network = by_default(Network, proxy=proxy.url) if proxied else DIRECT
            transport = RequestsTransport(USUAL, network)
            transport.send(Request(server.url, b"x"))
            port = int(proxy.url.rpartition(":")[2]) if proxied else server.port
            ours = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
            timers = [fields[5] for fields in ours if fields[2].endswith(f":{port:04X}") and fields[3] == "01"]
        # 02 is the timer of keep-alive, then the hundredths of a second until it runs out.
        assert [timer.partition(":")[0] for timer in timers] == ["02"]
        assert int(timers[0].partition(":")[2], 16) <= 30 * 100

    def test_a_failed_exchange_spoils_none_after_it(self) -> None:
        def first_too_short(exchange: Exchange) -> None:
            if len(server.requests) == 1:
                exchange.head(200, 100)
                exchange.send(b"old")
                exchange.close()
            else:
                exchange.reply(200, b"new")

        with HttpServer(first_too_short) as server:
            transport = RequestsTransport(USUAL, DIRECT)
            with pytest.raises(ReplyError):
                transport.send(Request(server.url, b"{}"))
            assert transport.send(Request(server.url, b"{}")).body == b"new"


class TestMemory:
    @pytest.mark.parametrize("fault", ["refused", "reset", "closed", "silent", "cut", "garbled"])
    def test_a_failed_try_keeps_nothing_of_its_request(self, fault: str) -> None:
        """In a long outage the bodies of all the tries would add up until the garbage collector runs."""

        def answer(exchange: Exchange) -> None:
            if fault == "silent":
                exchange.pause(1)
            elif fault == "cut":
                exchange.head(200, 100)
            elif fault == "garbled":
                exchange.reply(200, b"plain", Content_Encoding="gzip")
            exchange.close() if fault == "closed" else exchange.reset()

        body = b"x" * 100_000
        with HttpServer(answer) as server:
            url = f"http://127.0.0.1:{free_port()}/" if fault == "refused" else server.url
            transport = RequestsTransport(by_default(Timeouts, connect=5, total=0.2), DIRECT)
            gc.disable()
            try:
                before = sys.getrefcount(body)
                with pytest.raises(NetworkError):
                    transport.send(Request(url, body))
                assert sys.getrefcount(body) == before
            finally:
                gc.enable()


class TestHeaders:
    @pytest.mark.parametrize(
        ("headers", "words"),
        [
            (b"X-Some: x\r\n" * 100, "got more than 100 headers"),
            (b"X-Long: " + b"x" * 70_000 + b"\r\n", "got more than 65536 bytes when reading header line"),
        ],
    )
    @pytest.mark.parametrize("status", [207, 503])
    def test_more_than_can_be_read_is_no_endless_retry(self, status: int, headers: bytes, words: str) -> None:
        error = failure(lambda exchange: exchange.send(self._reply(status, headers)))
        assert type(error) is ConfigurationError
        assert f"cannot be read: {words}. Adobe does not answer like this: check the URL, and the proxy" in str(error)

    def test_more_than_can_be_read_of_a_proxy_is_no_endless_retry(self) -> None:
        reply = self._reply(200, b"X-Long: " + b"x" * 70_000 + b"\r\n")
        with HttpServer(lambda exchange: exchange.send(reply)) as proxy:
            transport = RequestsTransport(USUAL, by_default(Network, proxy=proxy.url))
            with pytest.raises(ConfigurationError, match=r"the reply of aep\.test .* got more than 65536 bytes"):
                transport.send(Request("https://aep.test/", b"x"))

    def test_as_many_as_can_be_read_are_read(self) -> None:
        with HttpServer(lambda exchange: exchange.send(self._reply(207, b"X-Some: x\r\n" * 98))) as server:
            assert send(server.url).status == 207

    @staticmethod
    def _reply(status: int, headers: bytes) -> bytes:
        return b"HTTP/1.1 %d Status\r\nContent-Length: 0\r\n%s\r\n" % (status, headers)


class TestEndOfTheProcess:
    """What is left of the time until the process has to end holds for requests that were sent before, too."""

    @pytest.mark.parametrize("hangs", ["silent", "drips", "does not read"])
    def test_a_request_that_is_under_way_ends_by_then(self, hangs: str) -> None:
        end = [float("inf")]

        def answer(exchange: Exchange) -> None:
            end[0] = time.monotonic() + 0.5
            if hangs == "drips":
                exchange.head(200, 10_000)
                while exchange.pause(0.05):
                    exchange.send(b"x")
            exchange.pause(BUSY_SECONDS)

        patient = by_default(Timeouts, connect=10 * BUSY_SECONDS, total=10 * BUSY_SECONDS)
        transport = RequestsTransport(patient, DIRECT, time_left=lambda: end[0] - time.monotonic())
        if hangs == "does not read":
            with socket.create_server(("127.0.0.1", 0)) as listener:
                end[0] = time.monotonic() + 0.5
                with pytest.raises(ReplyError, match=r"before the process had to end|timed out"):
                    transport.send(Request(f"http://127.0.0.1:{listener.getsockname()[1]}/", b"x" * 50_000_000))
        else:
            with HttpServer(answer) as server, pytest.raises(ReplyError, match="before the process had to end"):
                transport.send(Request(server.url, b"x"))
        assert 0 <= time.monotonic() - end[0] < SLACK

    def test_an_answer_in_time_is_taken(self) -> None:
        def answer(exchange: Exchange) -> None:
            exchange.pause(0.5)
            exchange.reply(207, b"late")

        with HttpServer(answer) as server:
            reply = RequestsTransport(USUAL, DIRECT, time_left=lambda: 10 * BUSY_SECONDS).send(
                Request(server.url, b"x")
            )
        assert reply.body == b"late"

    def test_nothing_is_sent_after_it(self) -> None:
        with HttpServer(lambda exchange: exchange.reply(200)) as server:
            with pytest.raises(StoppedError, match="ended before a request could be sent to 127"):
                RequestsTransport(USUAL, DIRECT, time_left=lambda: 0.0).send(Request(server.url, b"x"))
            assert server.connections == 0


class TestNothingBehindOurBack:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_redirects_are_not_followed(self, status: int) -> None:
        with HttpServer(lambda exchange: exchange.reply(200)) as other:

            def redirect(exchange: Exchange) -> None:
                exchange.reply(status, b"", Location=f"{other.url}/stolen")

            with HttpServer(redirect) as server:
                assert send(server.url, Authorization=f"Bearer {SECRET}").status == status
        assert other.connections == 0

    def test_a_redirect_to_what_is_no_address(self) -> None:
        with HttpServer(lambda exchange: exchange.reply(301, b"moved", Location="http://[::1")) as server:
            reply = send(server.url)
        assert (reply.status, reply.body) == (301, b"moved")

    def test_netrc_does_not_replace_the_token(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login somebody password else\n")
        monkeypatch.setenv("NETRC", str(netrc))
        with HttpServer(lambda exchange: exchange.reply(200)) as server:
            assert requests.utils.get_netrc_auth(server.url) == ("somebody", "else")
            send(server.url, Authorization="Bearer t")
        assert server.requests[0].headers["authorization"] == "Bearer t"

    def test_proxies_of_the_environment_are_not_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        with HttpServer(lambda exchange: exchange.reply(200)) as server:
            assert requests.utils.get_environ_proxies(server.url)
            assert send(server.url).status == 200

    def test_nothing_is_sent_twice(self) -> None:
        with HttpServer(lambda exchange: exchange.reset()) as server, pytest.raises(ReplyError):
            send(server.url)
        assert len(server.requests) == 1


class TestNoConnection:
    def test_refused(self) -> None:
        port = free_port()
        with pytest.raises(ConnectError, match=rf"^connection to 127.0.0.1:{port}: Connection refused$"):
            send(f"http://127.0.0.1:{port}/")

    def test_name_not_found(self) -> None:
        with pytest.raises(ConnectError, match=r"^connection to dcs.invalid: .*[Nn]ame"):
            send("http://dcs.invalid/collection/1")

    def test_no_answer_to_the_connection(self) -> None:
        # A full backlog: the kernel leaves further connections unanswered.
        with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
            waiting = [socket.socket() for _ in range(4)]
            try:
                for one in waiting:
                    one.setblocking(False)
                    one.connect_ex(listener.getsockname())
                host, port = listener.getsockname()
                with pytest.raises(ConnectError, match=rf"no connection to {host}:{port} within 0.3 s"):
                    send(f"http://{host}:{port}/", by_default(Timeouts, connect=0.3, total=5))
            finally:
                for one in waiting:
                    one.close()


class TestNoReply:
    def test_reset_before_the_reply(self) -> None:
        error = failure(lambda exchange: exchange.reset())
        assert isinstance(error, ReplyError)
        assert "reset by peer" in str(error)

    def test_closed_before_the_reply(self) -> None:
        error = failure(lambda exchange: exchange.close())
        assert isinstance(error, ReplyError)
        assert "closed connection without response" in str(error)

    def test_reset_in_the_middle_of_the_reply(self) -> None:
        def half(exchange: Exchange) -> None:
            exchange.head(207, 1000)
            exchange.send(b"x" * 500)
            exchange.reset()

        assert isinstance(failure(half), ReplyError)

    def test_closed_in_the_middle_of_the_reply(self) -> None:
        def half(exchange: Exchange) -> None:
            exchange.head(207, 1000)
            exchange.send(b"x" * 500)
            exchange.close()

        error = failure(half)
        assert isinstance(error, ReplyError)
        assert "500 bytes read" in str(error)

    def test_closed_in_the_middle_of_a_chunk(self) -> None:
        def half(exchange: Exchange) -> None:
            exchange.head(207, None, Transfer_Encoding="chunked")
            exchange.send(b"50\r\nabcde")
            exchange.close()

        assert isinstance(failure(half), ReplyError)

    @pytest.mark.parametrize("reply", [b"SMTP ready\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\r\n\r\n"])
    def test_no_http(self, reply: bytes) -> None:
        def nonsense(exchange: Exchange) -> None:
            exchange.send(reply)
            exchange.close()

        assert isinstance(failure(nonsense), ReplyError)

    @pytest.mark.parametrize("head", [b"", b"HTTP/1.1 abc ", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"])
    def test_what_is_no_http_is_not_quoted(self, head: bytes) -> None:
        def token(exchange: Exchange) -> None:
            exchange.send(head + b'{"access_token":"%s"}\r\n' % SECRET.encode())
            exchange.close()

        error = failure(token)
        assert isinstance(error, ReplyError)
        assert str(error).endswith(": not well-formed HTTP")

    def test_two_lengths(self) -> None:
        def two(exchange: Exchange) -> None:
            exchange.send(b"HTTP/1.1 207 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nbody")
            exchange.close()

        error = failure(two)
        assert isinstance(error, ReplyError)
        assert "Content-Length" in str(error)

    def test_a_body_that_cannot_be_decoded(self) -> None:
        error = failure(lambda exchange: exchange.reply(207, b"no gzip", Content_Encoding="gzip"))
        assert isinstance(error, ReplyError)

    def test_longer_than_any_reply_of_aeps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(aep.http.transport, "MAX_REPLY_BYTES", 300_000)

        def endless(exchange: Exchange) -> None:
            exchange.head(207, None, Connection="close")
            while exchange.pause(0):
                exchange.send(b"x" * 65_536)

        error = failure(endless)
        assert isinstance(error, ReplyError)
        assert "longer than 300000 bytes" in str(error)

    def test_a_small_reply_that_unpacks_to_a_large_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(aep.http.transport, "MAX_REPLY_BYTES", 300_000)
        bomb = gzip.compress(b"\0" * 50_000_000)
        error = failure(lambda exchange: exchange.reply(207, bomb, Content_Encoding="gzip"))
        assert isinstance(error, ReplyError)
        assert "longer than 300000 bytes" in str(error)


class TestTimeLimits:
    def test_no_reply_at_all(self) -> None:
        def silent(exchange: Exchange) -> None:
            exchange.ended.wait(PATIENCE_SECONDS)

        started = time.monotonic()
        error = failure(silent, QUICK)
        assert isinstance(error, ReplyError)
        assert "no reply from" in str(error)
        assert "5 s to connect, 0.5 s in all" in str(error)
        assert 0.5 <= time.monotonic() - started < 0.5 + SLACK

    def test_a_reply_that_drips(self) -> None:
        def drip(exchange: Exchange) -> None:
            exchange.head(207, 100_000)
            while exchange.pause(0.02):  # each byte comes well within the limit
                exchange.send(b"x")

        started = time.monotonic()
        error = failure(drip, QUICK)
        assert isinstance(error, ReplyError)
        assert "took longer than 0.5 s" in str(error)
        assert 0.5 <= time.monotonic() - started < 0.5 + SLACK

    def test_headers_that_drip(self) -> None:
        def drip(exchange: Exchange) -> None:
            exchange.send(b"HTTP/1.1 207 Multi-Status\r\nX-Filler: ")
            while exchange.pause(0.02):
                exchange.send(b"x")

        started = time.monotonic()
        error = failure(drip, QUICK)
        assert isinstance(error, ReplyError)
        assert "no reply from" in str(error)
        assert 0.5 <= time.monotonic() - started < 0.5 + SLACK

    def test_a_reply_that_falls_silent(self) -> None:
        def silent(exchange: Exchange) -> None:
            exchange.head(207, 100)
            exchange.send(b"x")
            exchange.ended.wait(PATIENCE_SECONDS)

        started = time.monotonic()
        assert isinstance(failure(silent, QUICK), ReplyError)
        assert 0.5 <= time.monotonic() - started < 2 * 0.5 + SLACK

    def test_a_large_body_that_is_sent_in_time_is_no_failure(self) -> None:
        with HttpServer(lambda exchange: exchange.reply(207)) as server:
            request = Request(server.url, b"x" * 5_000_000)
            assert RequestsTransport(by_default(Timeouts, connect=5, total=30), DIRECT).send(request).status == 207
        assert len(server.requests[0].body) == 5_000_000


class TestConfiguration:
    @pytest.mark.parametrize(
        "url",
        [
            "",
            "dcs.adobedc.net/collection/1",
            "ftp://dcs.adobedc.net/",
            "http://",
            "http://[::1",
            f"http://{'a' * 70}.net/",
        ],
    )
    def test_what_is_no_url(self, url: str) -> None:
        with pytest.raises(ConfigurationError, match=r"not an http\(s\) URL"):
            send(url)

    @pytest.mark.parametrize("token", [f"{SECRET}\n", f"{SECRET}\r\nX-Evil: 1", f"{SECRET}€"])
    def test_a_token_that_is_no_header_is_not_shown(self, token: str) -> None:
        with HttpServer(lambda exchange: exchange.reply(200)) as server:
            with pytest.raises(ConfigurationError, match=r"check the token and aep_headers \(headers: Auth") as caught:
                send(server.url, Authorization=f"Bearer {token}")
            assert server.requests == []
        assert SECRET not in str(caught.value)

    def test_representations_hold_no_secret(self) -> None:
        request = Request("http://127.0.0.1/", SECRET.encode(), {"Authorization": f"Bearer {SECRET}"})
        reply = Reply(200, b'{"access_token":"%s"}' % SECRET.encode())
        assert SECRET not in f"{request!r} {request} {reply!r} {reply}"


@contextmanager
def raw_server(then: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that reads a client's hello, does something, and closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                then(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


class TestTls:
    @pytest.fixture
    def tls(self, certificate: Path) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate / "cert", certificate / "key")
        return context

    def test_a_certificate_of_an_unknown_authority(self, tls: ssl.SSLContext) -> None:
        with HttpServer(lambda exchange: exchange.reply(200), tls) as server:
            expected = rf"^TLS to 127.0.0.1:{server.port} failed: .*certificate verify failed.*self.signed"
            with pytest.raises(ConfigurationError, match=expected):
                send(server.url, Authorization=f"Bearer {SECRET}")
        assert server.requests == []

    def test_a_server_without_tls(self) -> None:
        def plain(connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        with raw_server(plain) as port, pytest.raises(ConfigurationError) as caught:
            send(f"https://127.0.0.1:{port}/")
        assert str(caught.value).startswith(f"TLS to 127.0.0.1:{port} failed: ")
        assert "wrong version" in str(caught.value).lower().replace("_", " ")
        assert str(caught.value).endswith(
            "; this port does not speak TLS: check the port, or use http:// if it is plain HTTP"
        )

    @pytest.mark.parametrize("end", ["close", "reset"])
    def test_a_handshake_that_is_cut_is_worth_another_try(self, end: str) -> None:
        def cut(connection: socket.socket) -> None:
            if end == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        with raw_server(cut) as port, pytest.raises(ReplyError):
            send(f"https://127.0.0.1:{port}/")

    def test_a_handshake_that_is_not_answered(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
            with pytest.raises(ReplyError, match="in time"):
                send(url, by_default(Timeouts, connect=0.3, total=0.3))
