from __future__ import annotations

import gzip
import logging
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from aep.errors import (
    AepError,
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    ConnectError,
    ForbiddenError,
    InvalidRequestError,
    NetworkError,
    PlatformError,
    ReplyError,
    StoppedError,
    TokenError,
    UnavailableError,
)
from aep.http.network import Network
from aep.http.transport import Reply, RequestsTransport, Timeouts
from aep.platform.client import TRIES, PlatformClient, checked_base_url, next_link, segment
from testing.defaults import by_default
from testing.fakes.http_server import Exchange, HttpServer
from testing.services.process import free_port
from tests.aep.management import TOKEN, Organisation, Script, Tokens, Waits, answer, scripted

BUSY = answer({"title": "busy"}, 503)
REFUSED = answer({"error_code": "401013", "message": "Oauth token is not valid"}, 401)


class TestCall:
    def test_what_is_sent(self) -> None:
        with HttpServer(Script(answer({"a": 1}))) as server:
            found = scripted(server).json("GET", "/data/x", query={"a": "1 2&3", "b": None, "c": 4})
        assert found == {"a": 1}
        (request,) = server.requests
        assert request.line == "GET /data/x?a=1+2%263&c=4 HTTP/1.1"
        assert request.headers["authorization"] == f"Bearer {TOKEN}-1"
        assert request.headers["x-api-key"] == "key-1"
        assert request.headers["x-gw-ims-org-id"] == "ACME@AdobeOrg"
        assert request.headers["x-sandbox-name"] == "dev"
        assert request.headers["accept"] == "application/json"
        assert request.body == b""
        assert "content-type" not in request.headers

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
    def test_json_is_sent(self, method: str) -> None:
        with HttpServer(Script(answer({}))) as server:
            scripted(server).send(method, "/x", {"a": "ä"}, headers={"Accept": "text/x", "If-Match": '"1"'})
        (request,) = server.requests
        assert request.line == f"{method} /x HTTP/1.1"
        assert request.body == '{"a":"ä"}'.encode()
        assert request.headers["content-type"] == "application/json"
        assert (request.headers["accept"], request.headers["if-match"]) == ("text/x", '"1"')

    def test_a_reply_without_a_body(self) -> None:
        with HttpServer(Script(answer(None, 204))) as server:
            assert scripted(server).send("DELETE", "/x").status == 204

    @pytest.mark.parametrize(
        ("body", "words"), [(b"", "not JSON"), (b'{"a":', "not JSON"), (b"[1]", "not a JSON object"), (b"{}", "'a'")]
    )
    def test_a_success_that_is_no_answer(self, body: bytes, words: str) -> None:
        with HttpServer(Script(answer(body))) as server, pytest.raises(PlatformError, match=words) as caught:
            scripted(server).json("GET", "/x", needs=("a",))
        assert caught.value.status == 200
        assert caught.value.url == f"{server.url}/x"

    def test_a_call_without_a_body_is_not_compressed(self) -> None:
        transport = RequestsTransport(by_default(Timeouts), by_default(Network, gzip=True))
        with HttpServer(Script(answer({}))) as server:
            client = PlatformClient(server.url, Tokens(), "key", "org", "dev", transport)
            client.send("GET", "/x")
            client.send("POST", "/x", {"a": 1})
        first, second = server.requests
        assert (first.body, first.headers.get("content-encoding")) == (b"", None)
        assert (gzip.decompress(second.body), second.headers["content-encoding"]) == (b'{"a":1}', "gzip")

    def test_redirects_are_not_followed(self) -> None:
        with HttpServer(Script(answer(None, 302, Location="http://elsewhere.test/"))) as server:
            with pytest.raises(PlatformError, match="answers 302"):
                scripted(server).send("GET", "/x")
            assert len(server.requests) == 1


class TestTries:
    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    def test_what_may_be_done_twice_is_tried_again(self, method: str, status: int) -> None:
        waits = Waits()
        with HttpServer(Script(answer(None, status), answer(None, status), answer({}))) as server:
            assert scripted(server, waits=waits).send(method, "/x").status == 200
        assert len(server.requests) == 3
        assert waits.seconds == [0.25, 0.5]  # half of a bound that doubles

    @pytest.mark.parametrize("method", ["POST", "PATCH"])
    @pytest.mark.parametrize(("status", "requests"), [(429, 2), (503, 2), (408, 1), (500, 1), (502, 1), (504, 1)])
    def test_what_may_not_is_tried_again_when_nothing_was_done(self, method: str, status: int, requests: int) -> None:
        with HttpServer(Script(answer(None, status), answer({}))) as server:
            client = scripted(server)
            if requests == 2:
                client.send(method, "/x", {})
            else:
                with pytest.raises(UnavailableError):
                    client.send(method, "/x", {})
        assert len(server.requests) == requests

    def test_it_ends(self) -> None:
        with HttpServer(Script(BUSY)) as server, pytest.raises(UnavailableError, match="busy"):
            scripted(server).send("GET", "/x")
        assert len(server.requests) == TRIES

    @pytest.mark.parametrize("status", [400, 404, 409, 501])
    def test_a_refusal_is_not_tried_again(self, status: int) -> None:
        with HttpServer(Script(answer(None, status))) as server, pytest.raises(PlatformError):
            scripted(server).send("GET", "/x")
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        ("reply", "seconds"),
        [
            (answer(None, 503, Retry_After="7"), 7.25),
            (answer(None, 429, Retry_After="Mon, 12 Jan 1970 13:46:50 GMT"), 10.25),
            (answer([{"message": "Too many requests", "retryAfterMs": "500", "statusCode": "429"}], 429), 0.75),
        ],
    )
    def test_the_wait_that_is_asked_for(self, reply: Reply, seconds: float) -> None:
        waits = Waits()
        with HttpServer(Script(reply, answer({}))) as server:
            scripted(server, waits=waits).send("GET", "/x")
        assert waits.seconds == [seconds]

    def test_the_process_ends_meanwhile(self) -> None:
        words = r"retried: GET .*/x answers 503: busy"
        with HttpServer(Script(BUSY)) as server, pytest.raises(StoppedError, match=words):
            scripted(server, waits=Waits(ends=True)).send("GET", "/x")
        assert len(server.requests) == 1

    def test_no_connection(self) -> None:
        waits = Waits()
        with pytest.raises(ConnectError):
            scripted(f"http://127.0.0.1:{free_port()}", waits=waits).send("POST", "/x", {})
        assert len(waits.seconds) == TRIES - 1

    @pytest.mark.parametrize(("method", "requests"), [("GET", TRIES), ("DELETE", TRIES), ("POST", 1), ("PATCH", 1)])
    def test_a_lost_reply(self, method: str, requests: int) -> None:
        with HttpServer(Exchange.reset) as server, pytest.raises(ReplyError):
            scripted(server).send(method, "/x", {})
        assert len(server.requests) == requests

    def test_a_delete_that_was_done_though_its_reply_was_lost(self) -> None:
        with HttpServer(Script(answer(None, 502), answer(None, 404))) as server:
            scripted(server).send("DELETE", "/x")

    @pytest.mark.parametrize("replies", [(answer(None, 404),), (BUSY, answer(None, 404))])
    def test_a_delete_of_nothing(self, replies: tuple[Reply, ...]) -> None:
        with HttpServer(Script(*replies)) as server, pytest.raises(PlatformError, match="404"):
            scripted(server).send("DELETE", "/x")

    def test_a_log_line_for_each(self, caplog: pytest.LogCaptureFixture) -> None:
        with HttpServer(Script(BUSY, answer({}))) as server, caplog.at_level(logging.WARNING):
            scripted(server).send("GET", "/x", query={"entityId": "jane@example.com"})
        (record,) = caplog.records
        assert record.getMessage() == f"GET {server.url}/x answers 503: busy; trying again in 0.2 s"


class TestToken:
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_a_refused_token_is_renewed_once(self, method: str) -> None:
        waits = Waits()
        with HttpServer(Script(REFUSED, answer({}))) as server:
            scripted(server, waits=waits).send(method, "/x", {})
        assert [each.headers["authorization"] for each in server.requests] == [f"Bearer {TOKEN}-1", f"Bearer {TOKEN}-2"]
        assert waits.seconds == []

    def test_a_new_token_that_is_refused_too(self) -> None:
        with HttpServer(Script(REFUSED)) as server, pytest.raises(ForbiddenError, match="401013"):
            scripted(server).send("GET", "/x")
        assert len(server.requests) == 2

    def test_a_renewal_takes_none_of_the_tries(self) -> None:
        with HttpServer(Script(BUSY, BUSY, REFUSED, BUSY, answer({}))) as server:
            scripted(server).send("GET", "/x")
        assert len(server.requests) == TRIES + 1

    def test_a_403_of_another_kind(self) -> None:
        tokens = Tokens()
        refusal = answer({"error_code": "403003", "message": "Api Key is invalid"}, 403)
        with HttpServer(Script(refusal)) as server, pytest.raises(ForbiddenError, match="Api Key is invalid"):
            scripted(server, tokens).send("GET", "/x")
        assert (len(server.requests), tokens.issued) == (1, 1)

    @pytest.mark.parametrize(
        ("error", "waits"), [(TokenError("IMS is down"), TRIES - 1), (AuthenticationError("IMS refuses"), 0)]
    )
    def test_no_token(self, error: AepError, waits: int) -> None:
        class NoTokens(Tokens):
            def token(self) -> str:
                raise error

        noted = Waits()
        with pytest.raises(type(error)):
            scripted("http://unused.test", NoTokens(), noted).send("POST", "/x", {})
        assert len(noted.seconds) == waits


class TestSecrets:
    @pytest.mark.parametrize("echoes", [True, False])
    @pytest.mark.parametrize("status", [200, 400, 401, 403, 500])
    def test_no_token_in_an_error(self, status: int, echoes: bool, caplog: pytest.LogCaptureFixture) -> None:
        def echo(exchange: Exchange) -> None:
            exchange.reply(status, exchange.request.headers["authorization"].encode() if echoes else b"nothing")

        with (
            HttpServer(echo) as server,
            pytest.raises(PlatformError) as caught,
            caplog.at_level(logging.DEBUG, "aep"),
        ):
            scripted(server).json("GET", "/x", query={"entityId": "jane@example.com"})
        for shown in (str(caught.value), repr(caught.value), repr(vars(caught.value)), caplog.text):
            assert TOKEN not in shown
            assert "jane" not in shown
        assert TOKEN.encode() not in pickle.dumps(caught.value)

    def test_a_client_shows_no_token_and_is_not_pickled(self) -> None:
        client = scripted("http://unused.test")
        assert TOKEN not in repr(client)
        with pytest.raises((TypeError, pickle.PicklingError)):
            pickle.dumps(client)

    @pytest.mark.parametrize(
        "url",
        [
            "https://u:sesame@h",
            "https://h/?a=sesame",
            "https://h#sesame",
            "ftp://h/sesame",
            "sesame",
            "https://[sesame",
        ],
    )
    def test_an_address_that_is_none_is_not_repeated(self, url: str) -> None:
        with pytest.raises(ConfigurationError, match=r"platform\.adobe\.io") as caught:
            scripted(url)
        assert "sesame" not in str(caught.value)

    def test_an_address(self) -> None:
        assert checked_base_url(" https://platform.adobe.io/ ") == "https://platform.adobe.io"


class TestPages:
    @staticmethod
    def pages(client: PlatformClient) -> list[dict[str, Any]]:
        return list(client.pages("/list", {"orderby": "+timestamp", "limit": 2, "none": None}))

    def test_links_are_followed(self) -> None:
        link = {"_links": {"next": {"href": "/list?start=b&orderby=+timestamp&limit=9"}}}
        with HttpServer(Script(answer({"n": 1, **link}), answer({"n": 2, "_links": {"next": {"href": ""}}}))) as server:
            assert [page["n"] for page in self.pages(scripted(server))] == [1, 2]
        assert [each.path for each in server.requests] == [
            "/list?orderby=%2Btimestamp&limit=2",
            "/list?start=b&orderby=%2Btimestamp&limit=2",
        ]

    def test_a_token_goes_to_no_other_host(self) -> None:
        with HttpServer(Script(answer({}))) as thief:
            link = {"_links": {"next": {"href": f"{thief.url}/list?start=b"}}}
            with HttpServer(Script(answer(link), answer({}))) as server:
                assert len(self.pages(scripted(server))) == 2
        assert thief.requests == []

    def test_a_circle_ends(self) -> None:
        link = {"_links": {"next": {"href": "/list?start=b"}}}
        with HttpServer(Script(answer(link))) as server, pytest.raises(PlatformError, match="loop"):
            self.pages(scripted(server))
        assert len(server.requests) == 2

    def test_a_page_is_fetched_when_it_is_asked_for(self) -> None:
        link = {"_links": {"next": {"href": "/list?start=b"}}}
        with HttpServer(Script(answer(link))) as server:
            next(iter(scripted(server).pages("/list")))
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        "page", [{}, {"_links": None}, {"_links": []}, {"_links": {"next": None}}, {"_links": {"next": {"href": "/x"}}}]
    )
    def test_no_link(self, page: dict[str, Any]) -> None:
        assert next_link(page) is None


@pytest.mark.parametrize(
    ("name", "path"), [("https://ns.adobe.com/a/b", "https%3A%2F%2Fns.adobe.com%2Fa%2Fb"), ("_a.b", "_a.b")]
)
def test_an_id_in_a_path(name: str, path: str) -> None:
    assert segment(name) == path


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_no_id_for_a_path(name: str) -> None:
    with pytest.raises(ConfigurationError):
        segment(name)


class TestGateway:
    """Against the emulator."""

    PATH = "/data/foundation/schemaregistry/stats"

    def test_a_call(self, organisation: Organisation) -> None:
        assert organisation.client.json("GET", self.PATH)["imsOrg"] == organisation.id

    def test_revoked_tokens_are_renewed(self, organisation: Organisation) -> None:
        organisation.client.json("GET", self.PATH)
        organisation.tokens.take_renewals()
        organisation.emulator.revoke_tokens()
        organisation.client.json("GET", self.PATH)
        assert organisation.tokens.take_renewals() == 1

    def test_refusals(self, organisation: Organisation) -> None:
        def client(api_key: str, org_id: str) -> Callable[[], object]:
            made = PlatformClient(
                organisation.emulator.url, organisation.tokens, api_key, org_id, "dev", organisation.transport
            )
            return lambda: made.json("GET", self.PATH)

        with pytest.raises(ForbiddenError, match="Api Key is invalid") as caught:
            client("nobody", organisation.id)()
        assert (caught.value.status, caught.value.code) == (403, "403003")
        with pytest.raises(InvalidRequestError, match="Missing header"):
            client("emulator-client", "")()

    def test_no_such_path(self, organisation: Organisation) -> None:
        with pytest.raises(PlatformError, match="404"):
            organisation.client.json("GET", "/data/foundation/nothing")


def test_the_errors_are_a_family() -> None:
    assert issubclass(ConflictError, PlatformError)
    assert not issubclass(PlatformError, NetworkError | ConfigurationError)
