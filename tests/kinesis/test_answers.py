"""What Kinesis' answers mean: again for one record, for the whole request, halve, or stop."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions
from botocore.parsers import ResponseParserError

from kinesis.answers import Again, Halve, Refused, Results, Stop, Stored, read_error, read_reply
from kinesis.errors import AccessError, StreamError

OK = {"ShardId": "shardId-000000000000", "SequenceNumber": "1"}
SLOW = "ProvisionedThroughputExceededException"
RATE = "Rate exceeded for shard shardId-000000000003 in stream s under account 123456789012."


def client_error(code: str, status: int = 400, words: str = "words") -> exceptions.ClientError:
    reply: Any = {"Error": {"Code": code, "Message": words}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return exceptions.ClientError(reply, "PutRecords")


def test_each_record_has_its_own_result() -> None:
    entries = [
        OK,
        {"ErrorCode": SLOW, "ErrorMessage": RATE},
        {"ErrorCode": "InternalFailure", "ErrorMessage": "Internal Service Failure"},
        {"ErrorCode": "KMSThrottlingException"},
        {"ErrorCode": "NeverHeardOf"},
    ]
    assert read_reply({"Records": entries, "FailedRecordCount": 4}, 5, "s") == Results(
        [
            Stored("shardId-000000000000", "1"),
            Refused("throttled", SLOW, "shardId-000000000003"),
            Refused("internal", "InternalFailure"),
            Refused("kms_throttled", "KMSThrottlingException"),
            Refused("unknown", "NeverHeardOf"),
        ]
    )


@pytest.mark.parametrize("count", [0, 7, None])
def test_a_wrong_count_of_failures_is_not_believed(count: int | None) -> None:
    reply = {"Records": [OK, {"ErrorCode": SLOW}], "FailedRecordCount": count}
    assert read_reply(reply, 2, "s") == Results([Stored(OK["ShardId"], "1"), Refused("throttled", SLOW)])


@pytest.mark.parametrize("records", [None, [], [OK], [OK, OK, OK], [OK, {}], [OK, {"ShardId": "x"}]])
def test_an_answer_that_does_not_fit_says_nothing(records: Any) -> None:
    decision = read_reply({"Records": records, "FailedRecordCount": 0}, 2, "s")
    assert isinstance(decision, Again)
    assert (decision.cause, decision.arrived) == ("misfit", True)


@pytest.mark.parametrize(
    ("error", "cause", "arrived"),
    [
        (client_error(SLOW), "throttled", True),
        (client_error("LimitExceededException"), "throttled", True),
        (client_error("KMSThrottlingException"), "kms_throttled", True),
        (client_error("InternalFailure", 500), "internal", True),
        (client_error("ServiceUnavailable", 503), "unavailable", True),
        (client_error("", 502), "unavailable", True),
        (client_error("NeverHeardOf"), "unknown", True),
        (exceptions.ReadTimeoutError(endpoint_url="u"), "reply", True),
        (exceptions.ConnectionClosedError(endpoint_url="u"), "reply", True),
        (exceptions.SSLError(endpoint_url="u", error="e"), "reply", True),
        (exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2), "reply", True),
        (ResponseParserError("not JSON"), "reply", True),
        (exceptions.EndpointConnectionError(endpoint_url="u"), "connect", False),
        (exceptions.ConnectTimeoutError(endpoint_url="u"), "connect", False),
        (exceptions.ProxyConnectionError(proxy_url="u"), "connect", False),
    ],
)
def test_a_request_that_is_sent_again(error: Exception, cause: str, arrived: bool) -> None:
    decision = read_error(error, "s")
    assert isinstance(decision, Again)
    assert (decision.cause, decision.arrived) == (cause, arrived)


@pytest.mark.parametrize("code", ["ValidationException", "InvalidArgumentException", "SerializationException"])
def test_a_request_that_kinesis_finds_invalid_is_halved(code: str) -> None:
    assert read_error(client_error(code), "s") == Halve(f"{code}: words")
    assert isinstance(read_error(client_error("", 413), "s"), Halve)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (client_error("ExpiredTokenException"), "refuses the credentials (ExpiredTokenException)"),
        (client_error("UnrecognizedClientException"), "refuses the credentials"),
        (
            client_error("InvalidSignatureException", words="Signature expired: 2026"),
            "is the clock of this machine right",
        ),
        (client_error("AccessDeniedException", words="User u is not allowed"), "lack the right kinesis:PutRecords"),
        (exceptions.NoCredentialsError(), "no AWS credentials found: give kinesis_access_key_id"),
        (exceptions.PartialCredentialsError(provider="env", cred_var="secret"), "no AWS credentials"),
        (exceptions.CredentialRetrievalError(provider="sso", error_msg="gone"), "gone"),
    ],
)
def test_what_stops_for_its_credentials(error: Exception, words: str) -> None:
    decision = read_error(error, "s")
    assert isinstance(decision, Stop)
    assert isinstance(decision.error, AccessError)
    assert words in str(decision.error)


def test_a_stream_that_does_not_exist_is_told_once_with_its_region_and_account() -> None:
    words = "Stream s under account 123456789012 not found."
    answer = {"Error": {"Code": "ResourceNotFoundException", "Message": words}, "ResponseMetadata": {"Region": "r-1"}}
    decision = read_error(exceptions.ClientError(answer, "PutRecords"), "s")
    assert isinstance(decision, Stop)
    assert str(decision.error) == (
        "no such stream s in r-1 (account 123456789012): check kinesis_stream and kinesis_region"
    )


@pytest.mark.parametrize(
    "code", ["ResourceNotFoundException", "KMSDisabledException", "KMSAccessDeniedException", "KMSNotFoundException"]
)
def test_what_stops_for_its_stream(code: str) -> None:
    for decision in (read_error(client_error(code), "s"), read_reply({"Records": [{"ErrorCode": code}]}, 1, "s")):
        assert isinstance(decision, Stop)
        assert isinstance(decision.error, StreamError)
        assert "stream s" in str(decision.error)


def test_a_record_whose_credentials_are_refused_stops_too() -> None:
    assert isinstance(read_reply({"Records": [OK, {"ErrorCode": "AccessDeniedException"}]}, 2, "s"), Stop)


def test_errors_that_are_not_of_boto3_are_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        read_error(ZeroDivisionError(), "s")
