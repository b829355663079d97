"""The contract of the collection service, example by example from Adobe's documents."""

from __future__ import annotations

import re
import time
from typing import Any, ClassVar

import orjson
import pytest
import requests

from testing.services.emulator import CLIENT_ID, CLIENT_SECRET, Emulator
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.emulator.conftest import SCHEMA, Client, batch_url, make_message

INLET_TYPE = "http://ns.adobe.com/adobecloud/problem/data-collection-service/inlet"
AUTH_TYPE = "https://ns.adobe.com/adobecloud/problem/data-collection-service-authorization"
NUMBERS = re.compile(r"\d{13}:\d+:\d+")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NO_HEADER = "The 'header' field is mandatory. Provide a valid 'header' value and try again."


def start_of(inlet: dict[str, Any]) -> str:
    return f"inletId: [{inlet['inletId']}] imsOrgId: [{inlet['orgId']}] "


def get_token(emulator: Emulator, client: Client) -> str:
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    answer = client.session.post(
        f"{emulator.url}/ims/token/v3", data={**form, "scope": "openid,AdobeID"}, timeout=PATIENCE_SECONDS
    )
    return str(answer.json()["access_token"])


class TestSingle:
    def test_accepted_without_validation(self, inlet: dict[str, Any], client: Client) -> None:
        answer = client.single(inlet, make_message(inlet, "a"))
        assert answer.status_code == 200
        body = answer.json()
        assert list(body) == ["inletId", "xactionId", "receivedTimeMs", "syncValidation"]
        assert body["inletId"] == inlet["inletId"]
        assert NUMBERS.fullmatch(body["xactionId"])
        assert abs(body["receivedTimeMs"] / 1000 - time.time()) < 60
        assert body["syncValidation"] == {"skipped": True}

    @pytest.mark.parametrize("name", ["syncValidation", "synchronousValidation"])
    def test_sync_validation_passes(self, inlet: dict[str, Any], client: Client, name: str) -> None:
        answer = client.single(inlet, make_message(inlet, "a"), f"?{name}=true")
        assert (answer.status_code, answer.json()[name]) == (200, {"status": "pass"})

    def test_sync_validation_fails(self, emulator: Emulator, inlet: dict[str, Any], client: Client) -> None:
        entity = {"_id": 5, "timestamp": "2026-01-02T03:04:05Z", "workEmail": {}}
        answer = client.single(inlet, make_message(inlet, entity), "?syncValidation=true")
        assert answer.status_code == 400
        body = answer.json()
        assert (body["type"], body["status"], body["title"]) == (INLET_TYPE, 400, "Invalid XDM Message Format")
        assert body["report"]["message"] == start_of(inlet) + "Message is invalid"
        (report,) = body["report"]["cause"]["_streamingValidation"]
        assert report["message"] == "2 schema violations found"
        assert {
            (each["pointerToViolation"], each["keyword"]): each["message"] for each in report["causingExceptions"]
        } == {
            ("#", "additionalProperties"): "extraneous key [workEmail] is not permitted",
            ("#/_id", "type"): "expected type: String, found: Long",
        }
        assert emulator.messages(inlet["inletId"]) == []  # "not written to the output queue"
        assert emulator.inlet_stats(inlet["inletId"])["rejected"] == 1

    def test_sync_validation_is_limited_to_60_a_minute(self, inlet: dict[str, Any], client: Client) -> None:
        statuses = [
            client.single(inlet, make_message(inlet, str(number)), "?syncValidation=true").status_code
            for number in range(61)
        ]
        assert statuses == [200] * 60 + [429]
        assert client.single(inlet, make_message(inlet, "x")).status_code == 200

    def test_sync_validation_outside_va7(self, emulator: Emulator, inlet: dict[str, Any], client: Client) -> None:
        emulator.faults(sync_supported=False)
        assert client.single(inlet, make_message(inlet, "a"), "?syncValidation=true").status_code == 501
        assert client.single(inlet, make_message(inlet, "a")).status_code == 200

    def test_wrong_organisation(self, inlet: dict[str, Any], client: Client) -> None:
        answer = client.single(inlet, make_message({**inlet, "orgId": "OTHER@AdobeOrg"}, "a"))
        assert answer.status_code == 400
        assert answer.json() == {
            "type": INLET_TYPE,
            "status": 400,
            "title": "Invalid XDM Message Format",
            "report": {"message": start_of(inlet) + "Message has an absent or wrong ims org in the header"},
        }

    def test_door_validation(self, emulator: Emulator, client: Client) -> None:
        inlet = emulator.create_inlet(schema=SCHEMA, validation="door")
        answer = client.single(inlet, make_message(inlet, {"_id": "a"}))
        assert (answer.status_code, answer.json()["report"]["message"]) == (
            400,
            start_of(inlet) + "Message is invalid",
        )


class TestBatch:
    def test_all_accepted(self, emulator: Emulator, inlet: dict[str, Any], client: Client) -> None:
        answer = client.batch(inlet, [make_message(inlet, "a"), make_message(inlet, "b")])
        assert answer.status_code == 207
        body = answer.json()
        assert list(body) == ["inletId", "batchId", "receivedTimeMs", "responses"]
        assert body["inletId"] == inlet["inletId"]
        assert NUMBERS.fullmatch(body["batchId"])
        first, second = body["responses"]
        assert UUID.fullmatch(first["xactionId"].removesuffix("-0"))
        assert second == {"xactionId": first["xactionId"].removesuffix("-0") + "-1"}
        assert emulator.ids(inlet["inletId"]) == {"a": 1, "b": 1}

    def test_partial_success(self, emulator: Emulator, inlet: dict[str, Any], client: Client) -> None:
        wrong_org = make_message({**inlet, "orgId": "OTHER@AdobeOrg"}, "c")
        messages = [{"body": {}}, make_message(inlet, "b"), wrong_org]
        answer = client.batch(inlet, messages)
        assert answer.status_code == 207
        first, second, third = answer.json()["responses"]
        prefix = first["xactionId"][:-1]
        assert first == {"xactionId": prefix + "0", "status": 400, "message": NO_HEADER}
        assert second == {"xactionId": prefix + "1"}
        text = start_of(inlet) + "Message has an absent or wrong ims org in the header"
        assert third == {"xactionId": prefix + "2", "status": 400, "message": text}
        stats = emulator.inlet_stats(inlet["inletId"])
        assert (stats["messages"], stats["accepted"], stats["rejected"]) == (3, 1, 2)

    def test_older_dialect(self, emulator: Emulator, inlet: dict[str, Any], client: Client) -> None:
        emulator.faults(dialect="statusCode")
        body = client.batch(inlet, [make_message(inlet, "a"), {}]).json()
        assert body["responses"] == [{"xactionId": body["batchId"] + ":0"}, {"statusCode": 400, "message": NO_HEADER}]

    def test_207_even_when_all_fail(self, inlet: dict[str, Any], client: Client) -> None:
        answer = client.batch(inlet, [{}, "text", None])
        assert answer.status_code == 207
        assert [each["status"] for each in answer.json()["responses"]] == [400, 400, 400]

    def test_empty_batch(self, inlet: dict[str, Any], client: Client) -> None:
        answer = client.batch(inlet, [])
        assert (answer.status_code, answer.json()["responses"]) == (207, [])

    def test_sync_validation_is_ignored(self, inlet: dict[str, Any], client: Client) -> None:
        answer = client.post(batch_url(inlet) + "?syncValidation=true", {"messages": [make_message(inlet, {"_id": 5})]})
        assert (answer.status_code, list(answer.json()["responses"][0])) == (207, ["xactionId"])

    def test_door_validation(self, emulator: Emulator, client: Client) -> None:
        inlet = emulator.create_inlet(schema=SCHEMA, validation="door")
        answer = client.batch(inlet, [make_message(inlet, {"_id": 5}), make_message(inlet, "b")])
        failed, passed = answer.json()["responses"]
        assert (failed["status"], failed["message"]) == (400, start_of(inlet) + "Message is invalid")
        assert list(passed) == ["xactionId"]
        assert emulator.ids(inlet["inletId"]) == {"b": 1}

    def test_duplicates_are_counted(self, emulator: Emulator, inlet: dict[str, Any], client: Client) -> None:
        client.batch(inlet, [make_message(inlet, "a"), make_message(inlet, "a")])
        client.single(inlet, make_message(inlet, "a"))
        client.single(inlet, make_message(inlet, "b"))
        assert emulator.ids(inlet["inletId"]) == {"a": 3, "b": 1}
        stats = emulator.stats()
        assert (stats["unique_ids"], stats["duplicates"]) == (2, 2)
        assert stats["inlets"][inlet["inletId"]]["statuses"] == {"207": 1, "200": 2}

    def test_messages_are_kept_as_sent(self, emulator: Emulator, inlet: dict[str, Any], client: Client) -> None:
        entity = {"_id": "ä€😀", "timestamp": "2026-01-02T03:04:05Z", "points": -0.5}
        xaction_id = client.batch(inlet, [make_message(inlet, entity)]).json()["responses"][0]["xactionId"]
        (stored,) = emulator.messages(inlet["inletId"])
        assert (stored["entity"], stored["xactionId"]) == (entity, xaction_id)
        assert stored["datasetId"] == inlet["datasetId"]

    def test_nesting_that_cannot_be_written_again(self, inlet: dict[str, Any], client: Client) -> None:
        deep = b'{"a":' * 300 + b"1" + b"}" * 300
        message = orjson.dumps(make_message(inlet, {"x": 0})).replace(b'{"x":0}', deep)
        answer = client.post(batch_url(inlet), b'{"messages":[' + message + b"]}")
        assert (answer.status_code, answer.json()["responses"][0]["status"]) == (207, 400)


class TestRaw:
    PERSON: ClassVar[dict[str, Any]] = {
        "name": "Johnson Smith",
        "location": {"city": "Seattle"},
        "birthday": {"year": 1984},
    }

    @pytest.fixture
    def raw_inlet(self, emulator: Emulator) -> dict[str, Any]:
        return emulator.create_inlet(data_type="raw")

    def test_flow_in_header(self, emulator: Emulator, raw_inlet: dict[str, Any], client: Client) -> None:
        assert client.single(raw_inlet, self.PERSON, x_adobe_flow_id="flow-1").status_code == 200
        (stored,) = emulator.messages(raw_inlet["inletId"])
        assert (stored["entity"], stored["flowId"]) == (self.PERSON, "flow-1")

    def test_flow_in_query(self, raw_inlet: dict[str, Any], client: Client) -> None:
        assert client.single(raw_inlet, self.PERSON, "?x-adobe-flow-id=flow-1").status_code == 200

    def test_without_flow(self, raw_inlet: dict[str, Any], client: Client) -> None:
        assert client.single(raw_inlet, self.PERSON).status_code == 400

    def test_batch(self, emulator: Emulator, raw_inlet: dict[str, Any], client: Client) -> None:
        answer = client.batch(raw_inlet, [{"_id": "a"}, {"_id": 5}, "text"], x_adobe_flow_id="flow-1")
        assert [each.get("status") for each in answer.json()["responses"]] == [None, None, 400]
        assert emulator.ids(raw_inlet["inletId"]) == {"a": 1, "5": 1}


class TestAuthentication:
    @pytest.fixture
    def closed_inlet(self, emulator: Emulator) -> dict[str, Any]:
        return emulator.create_inlet(authentication_required=True)

    @pytest.mark.parametrize("header", ["", "Bearer"])
    def test_missing(self, closed_inlet: dict[str, Any], client: Client, header: str) -> None:
        answer = client.batch(closed_inlet, [make_message(closed_inlet, "a")], Authorization=header)
        assert answer.status_code == 401
        assert answer.json() == {
            "type": AUTH_TYPE,
            "status": "401",
            "title": "Authorization",
            "report": {"message": f"[{closed_inlet['inletId']}] Ims service token is empty"},
        }

    @pytest.mark.parametrize("header", ["Bearer wrong", "Basic wrong", "wrong"])
    def test_invalid(self, closed_inlet: dict[str, Any], client: Client, header: str) -> None:
        answer = client.single(closed_inlet, make_message(closed_inlet, "a"), Authorization=header)
        assert (answer.status_code, answer.json()["status"]) == (403, "403")

    @pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  ", ""])
    def test_valid(self, emulator: Emulator, closed_inlet: dict[str, Any], client: Client, scheme: str) -> None:
        token = get_token(emulator, client)
        answer = client.batch(closed_inlet, [make_message(closed_inlet, "a")], Authorization=scheme + token)
        assert answer.status_code == 207

    def test_revoked(self, emulator: Emulator, closed_inlet: dict[str, Any], client: Client) -> None:
        bearer = f"Bearer {get_token(emulator, client)}"
        emulator.revoke_tokens()
        assert client.single(closed_inlet, make_message(closed_inlet, "a"), Authorization=bearer).status_code == 403

    def test_expired(self, emulator: Emulator, closed_inlet: dict[str, Any], client: Client) -> None:
        emulator.faults(token_ttl_s=0.2)
        bearer = f"Bearer {get_token(emulator, client)}"
        deadline = time.monotonic() + PATIENCE_SECONDS
        message = make_message(closed_inlet, "a")
        while client.single(closed_inlet, message, Authorization=bearer).status_code != 403:
            assert time.monotonic() < deadline, "the token did not expire"

    def test_open_inlet_ignores_tokens(self, inlet: dict[str, Any], client: Client) -> None:
        answer = client.single(inlet, make_message(inlet, "a"), Authorization="Bearer wrong")
        assert answer.status_code == 200


class TestWholeRequest:
    @pytest.mark.parametrize("url", ["inletUrl", "batch"])
    @pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a":NaN}'])
    def test_malformed_json(self, inlet: dict[str, Any], client: Client, url: str, body: bytes) -> None:
        answer = client.post(batch_url(inlet) if url == "batch" else inlet["inletUrl"], body)
        assert (answer.status_code, answer.json()["type"]) == (400, INLET_TYPE)

    @pytest.mark.parametrize("body", [{}, [], "text", {"messages": {}}, {"messages": None}])
    def test_without_messages(self, inlet: dict[str, Any], client: Client, body: Any) -> None:
        answer = client.post(batch_url(inlet), body)
        assert (answer.status_code, "'messages'" in answer.json()["report"]["message"]) == (400, True)

    @pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-jackson-smile"])
    def test_content_type(self, inlet: dict[str, Any], client: Client, content_type: str) -> None:
        answer = client.single(inlet, make_message(inlet, "a"), Content_Type=content_type)
        assert answer.status_code == 415

    def test_content_type_with_charset(self, inlet: dict[str, Any], client: Client) -> None:
        answer = client.single(inlet, make_message(inlet, "a"), Content_Type="Application/JSON; charset=UTF-8")
        assert answer.status_code == 200

    def test_content_encoding(self, inlet: dict[str, Any], client: Client) -> None:
        assert client.single(inlet, b"\x1f\x8b", Content_Encoding="gzip").status_code == 415

    @pytest.mark.parametrize("path", ["/collection/none", "/collection/batch/none", "/nowhere"])
    def test_unknown_address(self, emulator: Emulator, client: Client, path: str) -> None:
        answer = client.post(emulator.url + path, {"messages": []})
        assert (answer.status_code, answer.json()["status"]) == (404, 404)

    def test_wrong_method(self, inlet: dict[str, Any], client: Client) -> None:
        assert client.session.get(inlet["inletUrl"], timeout=PATIENCE_SECONDS).status_code == 405

    @pytest.mark.parametrize("size", [1_000_000, 1_000_001, 5_000_000])
    def test_limit_of_the_body(self, emulator: Emulator, inlet: dict[str, Any], client: Client, size: int) -> None:
        entity = {"_id": "a", "filler": "ä"}
        body = orjson.dumps({"messages": [make_message(inlet, entity)]})
        body = body.replace("ä".encode(), "ä".encode() + b"x" * (size - len(body)))
        answer = client.post(batch_url(inlet), body)
        assert len(body) == size
        assert answer.status_code == (207 if size == 1_000_000 else 413)
        assert emulator.inlet_stats(inlet["inletId"])["bytes"] == size

    def test_a_smaller_limit_can_be_set(self, inlet: dict[str, Any], client: Client, emulator: Emulator) -> None:
        one, two = ([make_message(inlet, str(number)) for number in range(count)] for count in (1, 2))
        emulator.faults(max_body_bytes=len(orjson.dumps({"messages": two})) - 1)
        assert [client.batch(inlet, messages).status_code for messages in (one, two)] == [207, 413]

    def test_answers_do_not_wait_for_a_delayed_acknowledgement(self, inlet: dict[str, Any], client: Client) -> None:
        messages = [make_message(inlet, str(number)) for number in range(100)]

        def is_quick() -> bool:
            start = time.monotonic()
            client.batch(inlet, messages)
            return time.monotonic() - start < 0.04

        # Linux delays acknowledgements by 40 ms, all but the first few of a connection. A busy machine adds to that.
        for _ in range(10):
            is_quick()
        wait_for(is_quick, PATIENCE_SECONDS, "an answer without that delay")


class TestFaults:
    def test_rate(self, emulator: Emulator, inlet: dict[str, Any], client: Client) -> None:
        emulator.faults(rate={"429": 0.3, "503": 0.3}, retry_after=7, seed=3)
        answers = [client.batch(inlet, [make_message(inlet, str(number))]) for number in range(60)]
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) == {207, 429, 503}
        assert all(answer.headers["Retry-After"] == "7" for answer in answers if answer.status_code != 207)
        stats = emulator.inlet_stats(inlet["inletId"])
        assert stats["statuses"] == {str(status): statuses.count(status) for status in set(statuses)}
        assert stats["accepted"] == statuses.count(207)

    def test_latency(self, emulator: Emulator, inlet: dict[str, Any], client: Client) -> None:
        emulator.faults(latency_ms=150)
        start = time.monotonic()
        assert client.batch(inlet, []).status_code == 207
        assert time.monotonic() - start >= 0.15

    def test_outage_ends(self, emulator: Emulator, inlet: dict[str, Any], client: Client) -> None:
        emulator.faults(outage_s=0.5, retry_after="soon")
        answer = client.batch(inlet, [])
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "soon")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while client.batch(inlet, []).status_code == 503:
            assert time.monotonic() < deadline, "the outage did not end"

    @pytest.mark.parametrize(
        ("faults", "stored"),
        [
            ({"outage_s": 60, "outage_mode": "reset"}, {}),
            ({"reset_rate": 1, "reset_when": "before"}, {}),
            ({"reset_rate": 1, "reset_when": "after"}, {"a": 1}),
        ],
    )
    def test_reset(
        self, emulator: Emulator, inlet: dict[str, Any], client: Client, faults: dict[str, Any], stored: dict[str, int]
    ) -> None:
        emulator.faults(**faults)
        with pytest.raises(requests.exceptions.ConnectionError):
            client.batch(inlet, [make_message(inlet, "a")])
        assert emulator.ids(inlet["inletId"]) == stored
        assert emulator.inlet_stats(inlet["inletId"])["statuses"] == {"reset": 1}

    @pytest.mark.parametrize(("kind", "count"), [("short", 1), ("long", 3), ("reversed", 2), ("missing", None)])
    def test_responses_that_do_not_fit(
        self, emulator: Emulator, inlet: dict[str, Any], client: Client, kind: str, count: int | None
    ) -> None:
        emulator.faults(responses=kind)
        answer = client.batch(inlet, [make_message(inlet, "a"), {}])
        responses = answer.json().get("responses")
        assert answer.status_code == 207
        assert (None if responses is None else len(responses)) == count
        if kind == "reversed":
            assert "status" in responses[0]
        assert emulator.ids(inlet["inletId"]) == {"a": 1}

    def test_answer_that_is_not_json(self, emulator: Emulator, inlet: dict[str, Any], client: Client) -> None:
        emulator.faults(responses="not_json")
        answer = client.batch(inlet, [make_message(inlet, "a")])
        assert answer.status_code == 207
        with pytest.raises(ValueError):
            answer.json()

    def test_elements(self, emulator: Emulator, inlet: dict[str, Any], client: Client) -> None:
        emulator.faults(element_rate={"400": 0.2, "429": 0.2, "500": 0.2}, seed=1)
        answer = client.batch(inlet, [make_message(inlet, str(number)) for number in range(200)])
        statuses = [each.get("status") for each in answer.json()["responses"]]
        assert {status: statuses.count(status) > 20 for status in set(statuses)} == dict.fromkeys(
            [None, 400, 429, 500], True
        )
        accepted = {str(number): 1 for number, status in enumerate(statuses) if status is None}
        assert emulator.ids(inlet["inletId"]) == accepted
        stats = emulator.inlet_stats(inlet["inletId"])
        assert (stats["accepted"], stats["rejected"]) == (len(accepted), statuses.count(400))
        assert stats["deferred"] == statuses.count(429) + statuses.count(500)

    def test_one_inlet(self, emulator: Emulator, inlet: dict[str, Any], client: Client) -> None:
        other = emulator.create_inlet()
        emulator.faults(inlet=inlet["inletId"], rate={"503": 1})
        assert client.batch(inlet, []).status_code == 503
        assert client.batch(other, []).status_code == 207
        emulator.clear_faults()
        assert client.batch(inlet, []).status_code == 207


class TestOtherOrigins:
    """A page of another origin may send from a browser, as Adobe's own web SDKs do."""

    ORIGIN = "https://shop.example"

    @pytest.mark.parametrize("batch", [False, True])
    def test_preflight(self, inlet: dict[str, Any], client: Client, batch: bool) -> None:
        url = batch_url(inlet) if batch else inlet["inletUrl"]
        headers = {
            "Origin": self.ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,x-adobe-flow-id",
        }
        answer = client.session.options(url, headers=headers, timeout=PATIENCE_SECONDS)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == self.ORIGIN
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert answer.headers["access-control-allow-headers"] == "content-type,x-adobe-flow-id"

    def test_answers(self, inlet: dict[str, Any], client: Client) -> None:
        """Refusals can be read as well."""
        good = client.single(inlet, make_message(inlet, "a"), Origin=self.ORIGIN)
        bad = client.single(inlet, {}, Origin=self.ORIGIN)
        assert (good.status_code, bad.status_code) == (200, 400)
        for answer in (good, bad):
            assert answer.headers["access-control-allow-origin"] == self.ORIGIN
        assert "access-control-allow-origin" not in client.single(inlet, make_message(inlet, "b")).headers
