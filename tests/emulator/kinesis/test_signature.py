"""Signature Version 4, held against botocore's own signer."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from emulator.kinesis.errors import KinesisError
from emulator.kinesis.signature import Caller, SignedRequest, authenticate

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SECRETS = {"AKIDEXAMPLE": SECRET}


def signed(body: bytes = b"{}", secret: str = SECRET, token: str | None = None, target: str = "T") -> SignedRequest:
    """Return a request that botocore has signed just now."""
    headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1", "Host": "127.0.0.1:4567"}
    request = AWSRequest("POST", "http://127.0.0.1:4567/", headers, body)
    SigV4Auth(Credentials("AKIDEXAMPLE", secret, token), "kinesis", "eu-west-1").add_auth(request)
    return SignedRequest("POST", "/", "", {name.lower(): value for name, value in request.headers.items()}, body)


def date_of(request: SignedRequest) -> float:
    text = request.headers["x-amz-date"]
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc).timestamp()


def refusal(request: SignedRequest, secrets: dict[str, str], now: float) -> str:
    with pytest.raises(KinesisError) as refused:
        authenticate(request, secrets, now)
    return refused.value.code


@given(st.binary(max_size=100), st.from_regex(r"[!-~]{1,40}", fullmatch=True), st.none() | st.just("session"))
def test_what_botocore_signs_is_right(body: bytes, secret: str, token: str | None) -> None:
    request = signed(body, secret, token, target="Kinesis_20131202.PutRecords")
    caller = authenticate(request, {"AKIDEXAMPLE": secret}, date_of(request))
    assert caller == Caller("AKIDEXAMPLE", "eu-west-1")


def test_what_was_changed_is_not() -> None:
    request = signed()
    changed = [
        request._replace(body=b"{ }"),
        request._replace(path="/other"),
        request._replace(headers={**request.headers, "x-amz-target": "other"}),
        request._replace(headers={**request.headers, "host": "other"}),
        signed(secret="another"),
    ]
    for each in changed:
        assert refusal(each, SECRETS, date_of(each)) == "InvalidSignatureException"
        assert authenticate(each, {}, date_of(each)).region == "eu-west-1"  # without keys any is taken


@pytest.mark.parametrize("secrets", [{}, SECRETS])
def test_the_date_is_within_five_minutes(secrets: dict[str, str]) -> None:
    request = signed()
    for seconds in (-300, 0, 300):
        authenticate(request, secrets, date_of(request) + seconds)
    for seconds in (-301, 301):
        assert refusal(request, secrets, date_of(request) + seconds) == "InvalidSignatureException"


def test_an_unknown_key() -> None:
    request = signed()
    assert refusal(request, {"OTHER": SECRET}, date_of(request)) == "UnrecognizedClientException"


def test_requests_without_a_whole_signature() -> None:
    request = signed()
    headers = dict(request.headers)
    authorization = headers["authorization"]
    without = {name: value for name, value in headers.items() if name != "authorization"}
    assert refusal(request._replace(headers=without), {}, 0) == "MissingAuthenticationTokenException"
    for wrong in (
        {**headers, "authorization": "Bearer token"},
        {**headers, "authorization": authorization.partition(", Signature")[0]},
        {**headers, "authorization": authorization.replace("/kinesis", "")},
        {**headers, "x-amz-date": "yesterday"},
        {name: value for name, value in headers.items() if name != "x-amz-date"},
    ):
        assert refusal(request._replace(headers=wrong), {}, date_of(request)) == "IncompleteSignatureException"
