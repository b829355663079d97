from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aep.errors import ConfigurationError
from aep.ingestion.envelope import (
    BATCH_OVERHEAD,
    Destination,
    Envelope,
    MessageResult,
    batch_url,
    error_message,
    read_multi_status,
    read_xaction_id,
    single_url,
)

INLET = "https://dcs.adobedc.net/collection/9b0c"
SCHEMA_ID = "https://ns.adobe.com/acme/schemas/loyalty-event"
CONTENT_TYPE = "application/vnd.adobe.xed-full+json;version=1"
REF = {"id": SCHEMA_ID, "contentType": CONTENT_TYPE}
FULL = Destination(INLET, "entity", SCHEMA_ID, CONTENT_TYPE, "ACME@AdobeOrg", "5f0", "flow-1", "Läden")

texts = st.text(max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
records = st.dictionaries(texts, json_values, max_size=4).map(orjson.dumps)
destinations = st.builds(
    Destination,
    st.just(INLET),
    st.sampled_from(["entity", "message", "raw"]),
    schema_id=st.just(SCHEMA_ID) | texts,
    org_id=st.none() | texts,
    dataset_id=st.none() | texts,
    flow_id=st.none() | texts,
    source_name=st.none() | texts,
)


class TestEnvelope:
    def test_an_entity_gets_adobes_message_format(self) -> None:
        assert orjson.loads(Envelope(FULL).message(b'{"_id":"1"}')) == {
            "header": {
                "schemaRef": REF,
                "imsOrgId": "ACME@AdobeOrg",
                "datasetId": "5f0",
                "flowId": "flow-1",
                "source": {"name": "Läden"},
            },
            "body": {"xdmMeta": {"schemaRef": REF}, "xdmEntity": {"_id": "1"}},
        }

    def test_what_is_not_given_is_left_out(self) -> None:
        message = orjson.loads(Envelope(Destination(INLET, "entity", SCHEMA_ID)).message(b"{}"))
        assert message["header"] == {"schemaRef": REF}

    @pytest.mark.parametrize("payload", ["message", "raw"])
    def test_ready_made_messages_and_raw_records_go_as_they_are(self, payload: Any) -> None:
        envelope = Envelope(Destination(INLET, payload, SCHEMA_ID, org_id="ACME@AdobeOrg"))
        assert envelope.message(b'{"a":1}') == b'{"a":1}'
        assert envelope.batch([b'{"a":1}', b'{"b":2}']) == b'{"messages":[{"a":1},{"b":2}]}'

    @given(destinations, st.lists(records, min_size=1, max_size=6))
    def test_a_batch_is_what_orjson_writes(self, destination: Destination, bodies: list[bytes]) -> None:
        envelope = Envelope(destination)
        messages = [orjson.loads(envelope.message(body)) for body in bodies]
        assert envelope.batch(bodies) == orjson.dumps({"messages": messages})
        if destination.payload == "entity":
            assert [message["body"]["xdmEntity"] for message in messages] == [orjson.loads(body) for body in bodies]

    @given(destinations, st.lists(records, min_size=1, max_size=6))
    def test_sizes_add_up_in_bytes(self, destination: Destination, bodies: list[bytes]) -> None:
        envelope = Envelope(destination)
        commas_too_many = 1  # each message counts a comma, and the last has none
        expected = BATCH_OVERHEAD + sum(len(body) + envelope.overhead for body in bodies) - commas_too_many
        assert len(envelope.batch(bodies)) == expected

    def test_multibyte_text_counts_in_bytes(self) -> None:
        body = orjson.dumps({"name": "Ünïcödé 😀"})
        assert len(body) > len(body.decode())
        assert len(Envelope(FULL).batch([body])) == BATCH_OVERHEAD + Envelope(FULL).overhead - 1 + len(body)


class TestUrls:
    def test_the_batch_url_and_back(self) -> None:
        assert batch_url(INLET) == "https://dcs.adobedc.net/collection/batch/9b0c"
        assert batch_url(batch_url(INLET)) == batch_url(INLET)
        assert single_url(batch_url(INLET)) == INLET
        assert single_url(INLET) == INLET

    def test_a_query_is_kept(self) -> None:
        assert (
            batch_url(f"{INLET}?x-adobe-flow-id=1") == "https://dcs.adobedc.net/collection/batch/9b0c?x-adobe-flow-id=1"
        )

    @pytest.mark.parametrize("url", ["", "https://dcs.adobedc.net", "https://dcs.adobedc.net/collection", "9b0c"])
    def test_what_is_no_inlet_is_refused_with_an_example(self, url: str) -> None:
        with pytest.raises(ConfigurationError, match=r"aep_inlet_url .*https://dcs.adobedc.net/collection/<inlet id>"):
            batch_url(url)


# The replies of "Stream multiple messages in a single HTTP request", and of Adobe's Kafka Connect sink.
ALL_GOOD = {
    "inletId": "9b0c",
    "batchId": "1565628583792:1485:153",
    "receivedTimeMs": 1565628583854,
    "responses": [{"xactionId": "1565628583792:1485:153:0"}, {"xactionId": "1565628583792:1485:153:1"}],
}
UNKNOWN_FORMAT = "inletId: [9b0c] imsOrgId: [ACME@AdobeOrg] Message has unknown xdm format"
WRONG_ORG = "inletId: [9b0c] imsOrgId: [ACME@AdobeOrg] Message has an absent or wrong ims org in the header"
PARTIAL = {
    "inletId": "9b0c",
    "batchId": "1565638336649:1750:244",
    "receivedTimeMs": 1565638336705,
    "responses": [
        {"xactionId": "1565650704337:2124:92:3"},
        {"statusCode": 400, "message": UNKNOWN_FORMAT},
        {"statusCode": 400, "message": WRONG_ORG},
    ],
}
NO_HEADER = "The 'header' field is mandatory. Provide a valid 'header' value and try again."
CONNECTOR = {
    "inletId": "9b0c",
    "batchId": "1565638336649:1750:244",
    "receivedTimeMs": 1565638336705,
    "responses": [
        {"xactionId": "9341f8eb-494a-4c89-9879-4d06a58d2dc7-0", "status": 400, "message": NO_HEADER},
        {"xactionId": "9341f8eb-494a-4c89-9879-4d06a58d2dc7-1"},
    ],
}


def read(responses: object, count: int | None = None, batch_id: object = "1:2:3") -> Sequence[MessageResult] | None:
    body = orjson.dumps({"inletId": "9b0c", "batchId": batch_id, "responses": responses})
    return read_multi_status(body, len(responses) if count is None and isinstance(responses, list) else count or 0)


def ids(*values: str | None) -> list[dict[str, Any]]:
    """Return a response for each id; None is a failed one without an id."""
    return [{"statusCode": 400, "message": "no"} if value is None else {"xactionId": value} for value in values]


class TestMultiStatus:
    def test_adobes_example_of_success(self) -> None:
        elements = read_multi_status(orjson.dumps(ALL_GOOD), 2)
        assert elements == [
            MessageResult(200, "", "1565628583792:1485:153:0"),
            MessageResult(200, "", "1565628583792:1485:153:1"),
        ]
        assert [element.accepted for element in elements] == [True, True]

    def test_adobes_example_of_a_partial_success(self) -> None:
        elements = read_multi_status(orjson.dumps(PARTIAL), 3)
        assert elements == [
            MessageResult(200, "", "1565650704337:2124:92:3"),
            MessageResult(400, UNKNOWN_FORMAT),
            MessageResult(400, WRONG_ORG),
        ]
        assert [element.accepted for element in elements] == [True, False, False]

    def test_the_form_that_adobes_connector_reads(self) -> None:
        assert read_multi_status(orjson.dumps(CONNECTOR), 2) == [
            MessageResult(400, NO_HEADER, "9341f8eb-494a-4c89-9879-4d06a58d2dc7-0"),
            MessageResult(200, "", "9341f8eb-494a-4c89-9879-4d06a58d2dc7-1"),
        ]

    @pytest.mark.parametrize("count", [1, 3, 5])
    def test_another_number_of_responses_fits_nothing(self, count: int) -> None:
        assert read_multi_status(orjson.dumps(ALL_GOOD), count) is None

    @pytest.mark.parametrize(
        "body",
        [b"", b"<html>OK</html>", b"null", b"[]", b'"text"', b"7", b"{}", b'{"responses":null}', b'{"responses":{}}'],
    )
    def test_a_body_without_responses_fits_nothing(self, body: bytes) -> None:
        assert read_multi_status(body, 0) is None

    @pytest.mark.parametrize(
        "response",
        [
            None,
            7,
            "accepted",
            [],
            {},
            {"message": "who?"},
            {"xactionId": ""},
            {"xactionId": None},
            {"xactionId": 7},
            {"xactionId": "1:2:3:0", "status": "maybe"},
            {"xactionId": "1:2:3:0", "status": [400]},
            {"xactionId": "1:2:3:0", "status": True},
            {"xactionId": "1:2:3:0", "status": 0},
            {"xactionId": "1:2:3:0", "status": -1},
            {"xactionId": "1:2:3:0", "status": 102},
            {"xactionId": "1:2:3:0", "status": 302},
            {"xactionId": "1:2:3:0", "status": 600},
        ],
    )
    def test_a_response_that_says_neither_received_nor_refused_fits_nothing(self, response: object) -> None:
        assert read([response]) is None

    @pytest.mark.parametrize(
        ("response", "element"),
        [
            ({"xactionId": "x", "status": 200}, MessageResult(200, "", "x")),
            ({"status": 201}, MessageResult(201)),
            ({"statusCode": "429", "message": "slow down"}, MessageResult(429, "slow down")),
            ({"status": None, "statusCode": 400, "xactionId": "x"}, MessageResult(400, "", "x")),
            ({"status": 503, "statusCode": 400}, MessageResult(503)),
            ({"status": 400, "message": {"a": 1}}, MessageResult(400, "{'a': 1}")),
            ({"status": 400, "message": None}, MessageResult(400)),
            ({"status": 400, "message": "m" * 1_000_000}, MessageResult(400, "m" * 500)),
            ({"status": 500, "xactionId": 7}, MessageResult(500)),
        ],
    )
    def test_one_response(self, response: dict[str, Any], element: MessageResult) -> None:
        assert read([response]) == [element]

    @pytest.mark.parametrize(
        "responses",
        [
            ids("b:1", "b:0"),
            ids("u-1", "u-0", "u-2"),
            ids("same", "same"),
            ids("same", None, "same"),
            ids("1:2:3:1", None, "1:2:3:2"),
            ids(None, None, "1:2:3:0"),
            ids("1:2:3-1", None),
        ],
    )
    def test_ids_that_contradict_their_places_fit_nothing(self, responses: list[dict[str, Any]]) -> None:
        assert read(responses) is None

    @pytest.mark.parametrize(
        "responses",
        [
            ids("1:2:3:0", None, "1:2:3:2"),
            ids("b:0", "b:1", "b:2"),
            ids("u-0", "u-1"),
            ids("5:1:1", "5:2:2"),
            ids("b:7", "b:8"),
            ids("b:1", "b:2"),
            ids("a:1", "b:0"),
            ids("9341f8eb", "77ab01"),
            ids("1:2:3:9", None),
            ids(None, None),
            [],
        ],
    )
    def test_ids_that_agree_or_number_nothing_fit(self, responses: list[dict[str, Any]]) -> None:
        elements = read(responses)
        assert elements is not None
        assert [element.accepted for element in elements] == ["xactionId" in response for response in responses]

    @given(st.permutations(range(6)), st.sampled_from("-:"), st.lists(st.booleans(), min_size=6, max_size=6))
    def test_numbering_ids_fit_in_their_order_only(self, order: list[int], mark: str, failed: list[bool]) -> None:
        responses = [
            {"xactionId": f"1:2:3{mark}{number}", **({"status": 400, "message": "no"} if failed[number] else {})}
            for number in order
        ]
        elements = read(responses)
        if order == sorted(order):
            assert elements is not None
            assert [element.accepted for element in elements] == [not one for one in failed]
        else:
            assert elements is None

    @given(st.permutations(range(6)), st.sets(st.integers(0, 5)))
    def test_the_batchs_own_ids_contradict_even_if_some_are_missing(self, order: list[int], failed: set[int]) -> None:
        responses = ids(*(None if number in failed else f"1:2:3:{number}" for number in order))
        in_place = all(number == place for place, number in enumerate(order) if number not in failed)
        assert (read(responses) is not None) is in_place

    @given(st.lists(st.none() | st.uuids().map(str), min_size=1, max_size=8, unique=True))
    def test_unrelated_ids_are_taken_by_position(self, values: list[str | None]) -> None:
        elements = read(ids(*values))
        assert elements is not None
        assert [element.xaction_id or None for element in elements] == values

    @given(
        st.lists(st.sampled_from(["1:2:3:0", "1:2:3:1", "a", "b", "c", "d"]), max_size=5)
        | st.lists(st.sampled_from(["1:2:3:0", "", None, 0, True, ["a"], {}]), max_size=3),
        st.booleans(),
    )
    def test_responses_that_are_all_ids_are_read_as_each_alone(self, values: list[Any], among_others: bool) -> None:
        responses: list[Any] = [{"xactionId": value} for value in values] + ["no object"] * among_others
        # A status that is null says nothing, but has each of them looked at.
        each = [{**one, "status": None} if isinstance(one, dict) else one for one in responses]
        assert read(responses) == read(each)

    @given(st.binary(max_size=200), st.integers(0, 3))
    def test_any_bytes_are_read_without_an_error(self, body: bytes, count: int) -> None:
        elements = read_multi_status(body, count)
        assert elements is None or len(elements) == count

    @given(st.lists(st.dictionaries(st.sampled_from(["status", "statusCode", "message", "xactionId"]), json_values)))
    def test_any_responses_are_read_without_an_error(self, responses: list[dict[str, Any]]) -> None:
        elements = read(responses)
        assert elements is None or all(200 <= one.status < 300 or 400 <= one.status < 600 for one in elements)


@pytest.mark.parametrize(
    ("body", "xaction_id"),
    [
        (
            b'{"inletId":"f6ca","xactionId":"1555445493896:8600:8","syncValidation":{"skipped":true}}',
            "1555445493896:8600:8",
        ),
        (b'{"inletId":"f6ca"}', ""),
        (b'{"xactionId":null}', ""),
        (b"[]", ""),
        (b"", ""),
        (b"<html>", ""),
    ],
)
def test_the_transaction_id_of_a_single_message(body: bytes, xaction_id: str) -> None:
    assert read_xaction_id(body) == xaction_id


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            b'{"type":"https://ns.adobe.com/adobecloud/problem/data-collection-service-authorization","status":"401",'
            b'"title":"Authorization","report":{"message":"[id] Ims service token is empty"}}',
            "[id] Ims service token is empty",
        ),
        (b'{"title":"BadRequestError","detail":"A valid content-type must be specified"}', "A valid content-type"),
        (b'{"error_code":"403010","message":"Oauth token is missing."}', "Oauth token is missing."),
        (b'{"title":"Authorization","report":"none"}', "Authorization"),
        (b'{"report":{"message":null},"title":"Invalid XDM Message Format"}', "Invalid XDM Message Format"),
        (b'{"code":7}', "{'code': 7}"),
        (b'["a"]', "['a']"),
        (b" <h1>Bad Gateway</h1>\n", "<h1>Bad Gateway</h1>"),
        (b"\xff\xfe", "\ufffd"),
        (b"", ""),
    ],
)
def test_aeps_words_in_an_error_reply(body: bytes, message: str) -> None:
    assert error_message(body).startswith(message)
    assert bool(error_message(body)) is bool(message)


@given(st.binary(max_size=2000) | json_values.map(orjson.dumps))
def test_an_error_message_is_short_whatever_the_reply(body: bytes) -> None:
    assert len(error_message(body)) <= 500


def test_a_long_error_message_is_cut() -> None:
    assert error_message(orjson.dumps({"report": {"message": "x" * 9000}})) == "x" * 500
