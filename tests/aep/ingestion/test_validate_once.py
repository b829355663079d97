"""One event with synchronous validation: what is sent, and what AEP's replies say."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from aep.errors import AuthenticationError, ConfigurationError
from aep.http.network import Network
from aep.http.transport import Reply, RequestsTransport, Timeouts
from aep.ingestion.envelope import Destination
from aep.ingestion.validate_once import Violation, read_verdict, send_validated
from testing.defaults import by_default
from testing.fakes.http_server import HttpServer
from tests.aep.management import TOKEN, Script, Tokens, answer


def verdict_of(content: Any, status: int = 200) -> Any:
    return read_verdict(answer(content, status))


@pytest.mark.parametrize("name", ["syncValidation", "synchronousValidation"])
def test_passed(name: str) -> None:
    verdict = verdict_of({"xactionId": "1:2:3", name: {"status": "pass"}})
    assert (verdict.received, verdict.validated, verdict.xaction_id) == (True, True, "1:2:3")


@pytest.mark.parametrize("content", [{"xactionId": "1"}, {"xactionId": "1", "syncValidation": {"skipped": True}}])
def test_received_without_validation(content: dict[str, Any]) -> None:
    assert verdict_of(content)[1:3] == (True, False)


def leaf(place: str, keyword: str, message: str) -> dict[str, Any]:
    return {"pointerToViolation": place, "causingExceptions": [], "keyword": keyword, "message": message}


def test_violations_are_the_leaves() -> None:
    inner = {
        "message": "2 schema violations found",
        "causingExceptions": [leaf("#/a/b", "type", "t"), leaf("#", "k", "x")],
    }
    cause = {"_streamingValidation": [{"message": "3 found", "causingExceptions": [inner, leaf("#/c", "enum", "e")]}]}
    verdict = verdict_of({"report": {"message": "Message is invalid", "cause": cause}}, 400)
    assert (verdict.received, verdict.validated, verdict.message) == (False, True, "Message is invalid")
    assert verdict.violations == (
        Violation("/a/b", "type", "t"),
        Violation("", "k", "x"),
        Violation("/c", "enum", "e"),
    )


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"report":7}', b'{"report":{"cause":{"_streamingValidation":7}}}']
)
def test_a_refusal_in_another_form(body: bytes) -> None:
    verdict = read_verdict(Reply(400, body, {}))
    assert (verdict.received, verdict.violations) == (False, ())


def test_what_says_nothing_of_the_event() -> None:
    with pytest.raises(AuthenticationError, match="check the route's auth"):
        verdict_of({"report": {"message": "token is empty"}}, 401)
    with pytest.raises(ConfigurationError, match="only VA7"):
        verdict_of({}, 501)
    for content in ({}, {"ok": True}):
        with pytest.raises(ConfigurationError, match="answers 200, which is not how AEP replies: check aep_inlet_url"):
            verdict_of(content)


def test_what_is_sent() -> None:
    with HttpServer(Script(answer({"xactionId": "1"}))) as server:
        url = f"{server.url}/collection/batch/i"
        destination = Destination(
            url, "entity", "s", dataset_id="d", org_id="o", flow_id="f", headers={"x-sandbox-name": "dev"}
        )
        send_validated(destination, b'{"a":1}', RequestsTransport(by_default(Timeouts), by_default(Network)), Tokens())
    (sent,) = server.requests
    assert sent.line == "POST /collection/i?syncValidation=true HTTP/1.1"
    assert sent.headers["authorization"] == f"Bearer {TOKEN}-1"
    assert (sent.headers["x-adobe-flow-id"], sent.headers["x-sandbox-name"]) == ("f", "dev")
    message = orjson.loads(sent.body)
    assert message["body"]["xdmEntity"] == {"a": 1}
    assert message["header"]["datasetId"] == "d"
