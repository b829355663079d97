"""AWS Signature Version 4: who signed a request, and whether the signature is valid. Pure functions.

Source: "Create a signed AWS API request". Without keys of its own the emulator takes any access key and checks only
the date, which must be within five minutes, as for AWS.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import NamedTuple

from emulator.kinesis.errors import KinesisError

MAX_SKEW_SECONDS = 300
_ALGORITHM = "AWS4-HMAC-SHA256"
_DATE_FORMAT = "%Y%m%dT%H%M%SZ"
_FIELD = re.compile(r"(Credential|SignedHeaders|Signature)=([^,\s]+)")


class Caller(NamedTuple):
    """Who makes a call, and in which region."""

    access_key_id: str
    region: str


class SignedRequest(NamedTuple):
    """The signed parts of an HTTP request. Names of headers are in lower case; `query` is as it was sent."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class _Scope(NamedTuple):
    access_key_id: str
    day: str
    region: str
    service: str


def authenticate(request: SignedRequest, secrets: Mapping[str, str], now: float) -> Caller:
    """Check the signature of a request.

    Args:
        request: The request.
        secrets: Secret access keys by access key id; if there are none, any key is taken.
        now: Seconds since the epoch.

    Raises:
        KinesisError: There is no signature, its date is off, or it was made with another key.
    """
    authorization = request.headers.get("authorization", "")
    if not authorization:
        raise KinesisError("MissingAuthenticationTokenException", "Missing Authentication Token")
    fields = dict(_FIELD.findall(authorization))
    scope = fields.get("Credential", "").split("/")
    date = request.headers.get("x-amz-date", "")
    if not authorization.startswith(_ALGORITHM) or len(fields) != 3 or len(scope) != 5 or not date:
        raise KinesisError(
            "IncompleteSignatureException",
            f"Authorization header requires {_ALGORITHM} with Credential, SignedHeaders and Signature, and an "
            "X-Amz-Date header.",
        )
    caller = Caller(scope[0], scope[2])
    check_key(caller.access_key_id, secrets)
    _check_date(date, now)
    if secrets:
        expected = _signature(request, _Scope(*scope[:4]), date, fields["SignedHeaders"], secrets[caller.access_key_id])
        if not hmac.compare_digest(expected, fields["Signature"]):
            raise wrong_signature()
    return caller


def check_key(access_key_id: str, secrets: Mapping[str, str]) -> None:
    """Check that an access key is known, if any is.

    Raises:
        KinesisError: It is not.
    """
    if secrets and access_key_id not in secrets:
        raise KinesisError("UnrecognizedClientException", "The security token included in the request is invalid.")


def wrong_signature() -> KinesisError:
    """Make the refusal of a request that was signed with another secret, or changed on its way."""
    return KinesisError(
        "InvalidSignatureException",
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
        "Key and signing method. Consult the service documentation for details.",
    )


def _check_date(date: str, now: float) -> None:
    try:
        signed = datetime.strptime(date, _DATE_FORMAT).replace(tzinfo=timezone.utc).timestamp()
    except ValueError as error:
        raise KinesisError(
            "IncompleteSignatureException", f"Date must be in ISO-8601 'basic format', not {date}"
        ) from error
    here = datetime.fromtimestamp(now, timezone.utc).strftime(_DATE_FORMAT)
    if signed < now - MAX_SKEW_SECONDS:
        raise KinesisError(
            "InvalidSignatureException", f"Signature expired: {date} is now earlier than {here} - 5 min."
        )
    if signed > now + MAX_SKEW_SECONDS:
        raise KinesisError(
            "InvalidSignatureException", f"Signature not yet current: {date} is still later than {here} + 5 min."
        )


def _signature(request: SignedRequest, scope: _Scope, date: str, signed_headers: str, secret: str) -> str:
    names: Sequence[str] = signed_headers.split(";")
    headers = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in names)
    body_hash = hashlib.sha256(request.body).hexdigest()
    canonical = "\n".join((request.method, request.path, request.query, headers, signed_headers, body_hash))
    credential_scope = f"{scope.day}/{scope.region}/{scope.service}/aws4_request"
    to_sign = "\n".join((_ALGORITHM, date, credential_scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{secret}".encode()
    for part in (scope.day, scope.region, scope.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()
