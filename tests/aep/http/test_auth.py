from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aep.errors import (
    AepError,
    AuthenticationError,
    ConnectError,
    NetworkError,
    ReplyError,
    SecretError,
    TokenError,
)
from aep.http import auth
from aep.http.auth import OAuthClient, OAuthTokens, StaticToken, read_token_reply
from aep.http.network import Network
from aep.http.transport import Reply, Request, RequestsTransport, Timeouts
from testing.defaults import by_default
from testing.services.emulator import CLIENT_ID, CLIENT_SECRET, Emulator
from testing.services.process import PATIENCE_SECONDS, free_port, wait_for

SECRET = "sesame-open-0451"
CLIENT = by_default(OAuthClient, ims_url="https://ims.test/", client_id="client-1", client_secret="env:AEP_TEST_SECRET")


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEP_TEST_SECRET", SECRET)
    monkeypatch.setenv("EMULATOR_SECRET", CLIENT_SECRET)


class Ims:
    """IMS in memory: answers with the replies of a script, then with a new token each time."""

    def __init__(self, *script: Reply | NetworkError, expires_in: float = 86_399, latency: float = 0) -> None:
        self.script = list(script)
        self.expires_in = expires_in
        self.latency = latency
        self.requests: list[Request] = []
        self.issued = 0

    def send(self, request: Request) -> Reply:
        self.requests.append(request)
        if self.script:
            step = self.script.pop(0)
            if isinstance(step, NetworkError):
                raise step
            return step
        time.sleep(self.latency)
        self.issued += 1
        return token_reply(f"token-{self.issued}", self.expires_in)


class Queue:
    """A lock that knows who came."""

    def __init__(self) -> None:
        self.came: list[int] = []
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self.came.append(threading.get_ident())
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def token_reply(token: Any = "token-1", expires_in: Any = 86_399) -> Reply:
    return Reply(200, orjson.dumps({"access_token": token, "token_type": "bearer", "expires_in": expires_in}))


def refusal(status: int, **fields: str) -> Reply:
    return Reply(status, orjson.dumps(fields))


class TestRequest:
    def test_the_form_that_ims_expects(self) -> None:
        ims = Ims()
        assert OAuthTokens(CLIENT, ims).token() == "token-1"
        (request,) = ims.requests
        assert request.url == "https://ims.test/ims/token/v3"
        assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert parse_qs(request.body.decode(), strict_parsing=True) == {
            "grant_type": ["client_credentials"],
            "client_id": ["client-1"],
            "client_secret": [SECRET],
            "scope": [CLIENT.scopes],
        }
        assert CLIENT.scopes.count(",") == 4
        assert " " not in CLIENT.scopes

    def test_a_secret_with_any_characters_arrives_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AEP_TEST_SECRET", "a&b=c d+ü%20")
        ims = Ims()
        OAuthTokens(CLIENT, ims).token()
        assert parse_qs(ims.requests[0].body.decode())["client_secret"] == ["a&b=c d+ü%20"]

    def test_the_secret_is_read_for_each_fetch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ims = Ims()
        tokens = OAuthTokens(CLIENT, ims)
        tokens.reject(tokens.token())
        monkeypatch.setenv("AEP_TEST_SECRET", "rotated")
        tokens.token()
        assert [parse_qs(request.body.decode())["client_secret"] for request in ims.requests] == [[SECRET], ["rotated"]]

    def test_a_secret_that_is_missing_sends_nothing(self) -> None:
        ims = Ims()
        with pytest.raises(SecretError, match="NOT_THERE"):
            OAuthTokens(OAuthClient("https://ims.test", "client-1", "env:NOT_THERE", "openid"), ims).token()
        assert ims.requests == []


class TestLife:
    @pytest.mark.parametrize(
        ("expires_in", "kept", "gone"),
        [
            (86_399, 86_338, 86_339),
            (86_399_992, 86_339, 86_340),  # milliseconds, as older endpoints count
            (600, 539, 540),
            (119, 59, 59.5),
            (10, 4.9, 5),
            (0.5, 0.2, 0.25),
        ],
    )
    def test_a_token_is_renewed_a_minute_ahead_or_at_half_its_life(
        self, expires_in: float, kept: float, gone: float
    ) -> None:
        ims, clock = Ims(expires_in=expires_in), Clock()
        tokens = OAuthTokens(CLIENT, ims, clock)
        assert tokens.token() == "token-1"
        clock.now = 1_000 + kept
        assert tokens.token() == "token-1"
        clock.now = 1_000 + gone
        assert tokens.token() == "token-2"
        assert tokens.take_renewals() == 2

    @pytest.mark.parametrize(
        ("expires_in", "seconds"),
        [(86_399, 86_399), (86_400, 86_400), (1_000_000, 1_000_000), (86_399_992, 86_399.992), (1_000_001, 1000.001)],
    )
    def test_seconds_against_milliseconds(self, expires_in: int, seconds: float) -> None:
        assert read_token_reply(token_reply(expires_in=expires_in), CLIENT) == ("token-1", seconds)

    def test_a_rejected_token_is_renewed(self) -> None:
        tokens = OAuthTokens(CLIENT, Ims())
        tokens.reject(tokens.token())
        assert tokens.token() == "token-2"

    def test_the_rejection_of_an_older_token_is_overtaken(self) -> None:
        tokens = OAuthTokens(CLIENT, Ims())
        old = tokens.token()
        assert tokens.reject(old)
        assert tokens.reject(old)  # none was fetched since
        new = tokens.token()
        assert not tokens.reject(old)
        assert tokens.token() == new
        assert tokens.take_renewals() == 2

    def test_one_fetch_for_many_threads(self) -> None:
        threads = 16
        together = threading.Barrier(threads)
        ims = Ims(latency=0.05)  # long enough for all threads to ask meanwhile
        tokens = OAuthTokens(CLIENT, ims)
        seen: list[tuple[str, str]] = []

        def work() -> None:
            together.wait(PATIENCE_SECONDS)
            first = tokens.token()
            together.wait(PATIENCE_SECONDS)
            tokens.reject(first)
            seen.append((first, tokens.token()))

        workers = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
        for one in workers:
            one.start()
        for one in workers:
            one.join(PATIENCE_SECONDS)
        assert seen == [("token-1", "token-2")] * threads
        assert (tokens.take_renewals(), len(ims.requests)) == (2, 2)

    def test_one_failed_fetch_for_the_threads_that_wait_for_it(self) -> None:
        threads = 8
        hangs = threading.Event()

        class Hanging(Ims):
            def send(self, request: Request) -> Reply:
                hangs.wait(PATIENCE_SECONDS)
                return super().send(request)

        ims = Hanging(*[ReplyError("no reply in time")] * threads)
        tokens = OAuthTokens(CLIENT, ims)
        queue = tokens._lock = Queue()  # type: ignore[assignment]
        errors: list[str] = []

        def work() -> None:
            with pytest.raises(TokenError) as caught:
                tokens.token()
            errors.append(str(caught.value))

        workers = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
        for one in workers:
            one.start()
        wait_for(lambda: len(queue.came) == threads, PATIENCE_SECONDS, "all threads to ask for a token")
        hangs.set()
        for one in workers:
            one.join(PATIENCE_SECONDS)
        assert errors == ["IMS: no reply in time"] * threads
        assert len(ims.requests) == 1
        ims.script.clear()
        assert tokens.token() == "token-1"

    def test_a_failed_fetch_leaves_no_token_and_no_lock(self) -> None:
        tokens = OAuthTokens(CLIENT, Ims(ConnectError("refused")))
        with pytest.raises(TokenError):
            tokens.token()
        assert tokens.token() == "token-1"


class TestFailures:
    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 599])
    def test_ims_is_failing(self, status: int) -> None:
        reply = refusal(status, error="internal_error", error_description="Please try again later")
        with pytest.raises(TokenError, match=f"IMS at https://ims.test/ answers {status}"):
            read_token_reply(reply, CLIENT)

    @pytest.mark.parametrize("error", [ConnectError("connection to ims.test: refused"), ReplyError("reset")])
    def test_ims_is_unreachable(self, error: NetworkError) -> None:
        with pytest.raises(TokenError, match=rf"^IMS: {error}$"):
            OAuthTokens(CLIENT, Ims(error)).token()

    @pytest.mark.parametrize(
        ("reply", "words"),
        [
            (refusal(400, error="invalid_client", error_description="unknown"), r"400 \(invalid_client: unknown\)"),
            (refusal(401, error="invalid_client"), r"401 \(invalid_client\)"),
            (refusal(400, error="invalid_scope"), r"invalid_scope"),
            (refusal(403), "403;"),
            (Reply(404, b"<html>"), "404;"),
            (Reply(302, b""), "302;"),
            (Reply(400, b"[]"), "400;"),
        ],
    )
    def test_ims_refuses_the_client(self, reply: Reply, words: str) -> None:
        with pytest.raises(AuthenticationError, match=rf"refuses the client client-1 with .*{words}") as caught:
            read_token_reply(reply, CLIENT)
        for option in ("aep_client_id", "aep_client_secret", "aep_scopes", "aep_ims_url"):
            assert option in str(caught.value)

    @pytest.mark.parametrize(
        "reply",
        [
            Reply(200, b""),
            Reply(200, b"<html>login</html>"),
            Reply(200, b"[]"),
            Reply(200, b"{}"),
            token_reply(token=None),
            token_reply(token=""),
            token_reply(token=7),
            token_reply(expires_in=None),
            token_reply(expires_in="soon"),
            token_reply(expires_in=0),
            token_reply(expires_in=-1),
        ],
    )
    def test_a_200_that_is_no_reply_of_ims(self, reply: Reply) -> None:
        with pytest.raises(AuthenticationError, match=r"without access_token and expires_in; check aep_ims_url"):
            read_token_reply(reply, CLIENT)

    @given(st.integers(100, 599), st.binary(max_size=60) | st.dictionaries(st.text(), st.text()).map(orjson.dumps))
    def test_any_reply_gives_a_token_or_an_error_of_ours(self, status: int, body: bytes) -> None:
        try:
            token, life = read_token_reply(Reply(status, body), CLIENT)
        except AepError:
            return
        assert token
        assert life > 0

    @pytest.mark.parametrize(
        "step",
        [
            ConnectError("refused"),
            refusal(500),
            refusal(401, error="invalid_client", error_description="bad secret"),
            refusal(400, error="invalid_client", error_description=f"client_secret={SECRET}&scope=openid"),
            Reply(500, SECRET.encode()),
            Reply(200, b'{"access_token":"%s"}' % SECRET.encode()),
        ],
    )
    def test_no_message_holds_a_secret(self, step: Reply | NetworkError) -> None:
        tokens = OAuthTokens(CLIENT, Ims(step))
        with pytest.raises(AepError) as caught:
            tokens.token()
        assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r}"

    def test_no_representation_or_pickle_holds_a_secret(self) -> None:
        ims = Ims()
        tokens = OAuthTokens(CLIENT, ims)
        token = tokens.token()
        shown = f"{CLIENT!r} {tokens!r} {ims.requests!r} {token_reply(token)!r}"
        assert SECRET not in shown
        assert token not in shown
        assert SECRET.encode() not in pickle.dumps(CLIENT)


class TestStaticToken:
    def test_is_read_once_and_again_after_a_rejection(self, tmp_path: Path) -> None:
        file = tmp_path / "token"
        file.write_text("one\n")
        source = StaticToken(f"file:{file}")
        assert source.token() == "one"
        file.write_text("two\n")
        assert source.token() == "one"
        source.reject("another")
        assert source.token() == "one"
        source.reject("one")
        assert source.token() == "two"
        assert "two" not in repr(source)

    def test_is_read_again_after_a_minute(self, tmp_path: Path) -> None:
        file = tmp_path / "token"
        file.write_text("one")
        clock = Clock()
        source = StaticToken(f"file:{file}", clock)
        assert source.token() == "one"
        file.write_text("two")
        clock.now += 61
        assert source.token() == "two"
        assert (source.take_renewals(), source.take_renewals()) == (2, 0)

    def test_that_is_away_while_it_is_replaced_stays_in_use_until_it_is_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "token"
        file.write_text("one")
        clock = Clock()
        source = StaticToken(f"file:{file}", clock)
        source.token()
        file.unlink()
        clock.now += 61
        assert source.token() == "one"
        source.reject("one")
        with pytest.raises(SecretError):
            source.token()
        file.write_text("two")
        assert source.token() == "two"


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


class TestAgainstTheEmulator:
    @pytest.fixture
    def emulator(self, running: Emulator) -> Emulator:
        running.reset()
        return running

    def tokens(self, url: str, secret: str = "env:EMULATOR_SECRET", clock: Clock | None = None) -> OAuthTokens:
        client = OAuthClient(url, CLIENT_ID, secret, "openid")
        return OAuthTokens(client, RequestsTransport(by_default(Timeouts), by_default(Network)), clock or Clock())

    def test_a_token(self, emulator: Emulator) -> None:
        tokens = self.tokens(emulator.url)
        assert len(tokens.token()) > 40
        assert tokens.token() == tokens.token()
        assert emulator.stats()["tokens_issued"] == 1

    def test_it_expires_by_our_clock(self, emulator: Emulator) -> None:
        clock = Clock()
        tokens = self.tokens(emulator.url, clock=clock)
        first = tokens.token()
        clock.now += 86_399 - 61
        assert tokens.token() == first
        clock.now += 1
        assert tokens.token() != first
        assert emulator.stats()["tokens_issued"] == 2

    def test_a_wrong_secret(self, emulator: Emulator) -> None:
        with pytest.raises(AuthenticationError, match=r"401 \(invalid_client: .*\); check aep_client_id") as caught:
            self.tokens(emulator.url, "env:AEP_TEST_SECRET").token()
        assert SECRET not in str(caught.value)

    def test_unknown_scopes(self, emulator: Emulator) -> None:
        client = OAuthClient(emulator.url, CLIENT_ID, "env:EMULATOR_SECRET", "openid AdobeID")
        with pytest.raises(AuthenticationError, match="invalid_scope"):
            OAuthTokens(client, RequestsTransport(by_default(Timeouts), by_default(Network))).token()

    def test_ims_is_failing_and_then_well(self, emulator: Emulator) -> None:
        tokens = self.tokens(emulator.url)
        emulator.faults(ims_status=503)
        with pytest.raises(TokenError, match="answers 503"):
            tokens.token()
        emulator.clear_faults()
        assert tokens.token()

    def test_an_address_that_is_not_ims(self, emulator: Emulator) -> None:
        with pytest.raises(AuthenticationError, match="404"):
            self.tokens(f"{emulator.url}/nowhere").token()

    def test_nobody_listens(self) -> None:
        with pytest.raises(TokenError, match=r"IMS: connection to 127\.0\.0\.1:.*refused"):
            self.tokens(f"http://127.0.0.1:{free_port()}").token()


def test_an_ims_that_hangs_is_named_before_its_time_is_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(auth, "_SAY_AFTER_SECONDS", 0.0)

    class Hangs(Ims):
        def send(self, request: Request) -> Reply:
            wait_for(lambda: caplog.records, PATIENCE_SECONDS, "a word about it")
            return super().send(request)

    assert OAuthTokens(CLIENT, Hangs()).token() == "token-1"
    assert caplog.records[0].message == "IMS at https://ims.test/ has not answered for 0 s; waiting for it"
