"""What Kinesis' answers mean, for a request and for each of its records. Pure.

Sources: PutRecords, and "Common errors", of the Kinesis API reference; "Handling failures when using PutRecords" of the
developer guide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from kinesis.errors import AccessError, KinesisError, StreamError, UnreachableError
from kinesis.session import GIVE_CREDENTIALS

THROTTLED = "throttled"


class Stored(NamedTuple):
    """Kinesis has the record."""

    shard: str
    sequence_number: str


class Refused(NamedTuple):
    """Kinesis does not have the record and may take it later.

    Attributes:
        cause: For counts; `throttled` where the shard is at its limit.
        code: Kinesis' own.
        shard: The shard that is at its limit, where the answer names it.
    """

    cause: str
    code: str
    shard: str | None = None


@dataclass(frozen=True)
class Results:
    """One result for each record of the request, in order."""

    records: Sequence[Stored | Refused]


@dataclass(frozen=True)
class Again:
    """Send the whole request again.

    Attributes:
        cause: For counts.
        why: In words, for the log and for errors.
        arrived: It may have arrived, so that its records may be in the stream already.
    """

    cause: str
    why: str
    arrived: bool = True


@dataclass(frozen=True)
class Halve:
    """Send the two halves separately, to find the record that the request is refused for."""

    why: str


@dataclass(frozen=True)
class Stop:
    """The user has to fix something: end without committing anything."""

    error: KinesisError


Decision = Results | Again | Halve | Stop

# Codes of a record and of a request alike.
_CAUSES = {
    "ProvisionedThroughputExceededException": THROTTLED,
    "LimitExceededException": THROTTLED,
    "ThrottlingException": THROTTLED,
    "Throttling": THROTTLED,
    "RequestLimitExceeded": THROTTLED,
    "KMSThrottlingException": "kms_throttled",
    "InternalFailure": "internal",
    "InternalFailureException": "internal",
    "InternalServerError": "internal",
    "ServiceUnavailable": "unavailable",
    "ServiceUnavailableException": "unavailable",
    "503": "unavailable",
    "500": "internal",
}
_INVALID = frozenset(
    {"ValidationException", "ValidationError", "InvalidArgumentException", "SerializationException", "413"}
)
_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "OptInRequired",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "NotAuthorized", "UnauthorizedOperation"})
_KMS = {
    "KMSAccessDeniedException": "the credentials may not use the KMS key that encrypts the stream: grant "
    "kms:GenerateDataKey on it to write, kms:Decrypt to read",
    "KMSDisabledException": "the KMS key that encrypts the stream is disabled: enable it",
    "KMSInvalidStateException": "the KMS key that encrypts the stream is in an unusable state",
    "KMSNotFoundException": "the KMS key that encrypts the stream does not exist: give the stream another one",
    "KMSOptInRequired": "the AWS account is not subscribed to KMS, which encrypts the stream",
}
_SHARD = re.compile(r"shardId-\d+")
_ACCOUNT = re.compile(r"account (\d{12})")


def read_reply(reply: Mapping[str, Any], records: int, stream: str) -> Decision:
    """Return the result of each record from the answer to a request.

    `FailedRecordCount` is ignored: the entries say the same, and if they differ the entries are right. An
    answer whose entries do not match the request one to one says nothing.

    Args:
        reply: The answer of `PutRecords`.
        records: How many the request has.
        stream: Its name, for errors.
    """
    entries = reply.get("Records")
    if not isinstance(entries, list) or len(entries) != records:
        found = len(entries) if isinstance(entries, list) else "no"
        return Again("misfit", f"Kinesis answers {found} results for {records} records")
    results: list[Stored | Refused] = []
    for entry in entries:
        code = entry.get("ErrorCode")
        if code:
            if (error := _fatal(code, entry.get("ErrorMessage") or "", stream, "PutRecords")) is not None:
                return Stop(error)
            results.append(_refused(code, entry.get("ErrorMessage") or ""))
        elif entry.get("SequenceNumber") and entry.get("ShardId"):
            results.append(Stored(entry["ShardId"], entry["SequenceNumber"]))
        else:
            return Again("misfit", "Kinesis answers a result without a sequence number and without an error")
    return Results(results)


def read_error(error: Exception, stream: str) -> Decision:
    """Return what to do after a request that ended in an error.

    Args:
        error: What boto3 raised, or our own provider of credentials inside it.
        stream: Its name, for errors.

    Raises:
        Exception: The error itself, where it is not one of those.
    """
    from botocore import exceptions
    from botocore.parsers import ResponseParserError

    if isinstance(error, UnreachableError):
        return Again("connect", str(error), arrived=False)
    if isinstance(error, KinesisError):
        return Stop(error)
    if isinstance(error, exceptions.ClientError):
        code = str(error.response.get("Error", {}).get("Code") or "")
        words = str(error.response.get("Error", {}).get("Message") or "")
        about = error.response.get("ResponseMetadata", {})
        if error.operation_name.startswith("AssumeRole"):
            return _read_code_of_sts(code, words, int(about.get("HTTPStatusCode") or 0), error.operation_name)
        place = f"{stream} in {about['Region']}" if "Region" in about else stream
        return _read_code(code, words, int(about.get("HTTPStatusCode") or 0), place, error.operation_name)
    if isinstance(error, (exceptions.NoCredentialsError, exceptions.PartialCredentialsError)):
        return Stop(AccessError(f"no AWS credentials found: {GIVE_CREDENTIALS}"))
    if isinstance(error, (exceptions.EndpointConnectionError, exceptions.ConnectTimeoutError)):
        return Again("connect", f"no connection to {error.kwargs['endpoint_url']}", arrived=False)
    if isinstance(error, exceptions.ProxyConnectionError):
        return Again("connect", "no connection to the proxy (kinesis_proxy)", arrived=False)
    if isinstance(error, exceptions.SSLError):
        return Again("reply", f"no connection to Kinesis: {error}")
    if isinstance(error, exceptions.ReadTimeoutError):
        return Again("reply", "no complete reply from Kinesis within kinesis_timeout_seconds")
    broken = (
        exceptions.HTTPClientError,
        exceptions.ConnectionError,
        exceptions.IncompleteReadError,
        ResponseParserError,
    )
    if isinstance(error, broken):
        return Again("reply", "no complete reply from Kinesis")
    if isinstance(error, exceptions.BotoCoreError):
        # All others are about how the client is set up: tokens of SSO, a provider of credentials, an address.
        return Stop(AccessError(f"AWS cannot be called: {error}"))
    raise error


def _read_code(code: str, words: str, status: int, stream: str, call: str) -> Decision:
    if (error := _fatal(code, words, stream, call)) is not None:
        return Stop(error)
    if code in _INVALID or status == 413:
        return Halve(f"{code}: {words}" if words else code)
    cause = _CAUSES.get(code) or ("unavailable" if status >= 500 else "unknown")
    return Again(cause, f"Kinesis answers {code or status}")


def _read_code_of_sts(code: str, words: str, status: int, call: str) -> Decision:
    """Return what to do where no role was assumed, which is done inside any call: STS has limits and faults too."""
    if code in _CAUSES or code == "IDPCommunicationError" or status >= 500:
        return Again(_CAUSES.get(code, "unavailable"), f"STS assumes no role now ({code or status})", arrived=False)
    role = "the role (kinesis_role_arn)" if call == "AssumeRole" else "the role of AWS's own configuration"
    return Stop(AccessError(f"{role} cannot be assumed: {code}: {words}"))


def _fatal(code: str, words: str, stream: str, call: str) -> KinesisError | None:
    """Return the error that a user has to deal with, for a code that stands for one."""
    if code in _CREDENTIALS:
        late = "ignature expired" in words or "not yet current" in words
        clock = "; is the clock of this machine right?" if late else ""
        return AccessError(f"AWS refuses the credentials ({code}): renew them, and run again{clock}")
    if code in _DENIED:
        return AccessError(f"the credentials lack the right kinesis:{call} on the stream {stream}: {words or code}")
    if code == "ResourceNotFoundException":
        if words.startswith("Shard "):
            return StreamError(f"stream {stream}: {words}")
        account = _ACCOUNT.search(words)  # of a stream AWS's words say the same again, and this
        where = f" (account {account[1]})" if account else ""
        return StreamError(f"no such stream {stream}{where}: check kinesis_stream and kinesis_region")
    if code in _KMS:
        doing = "written to" if call == "PutRecords" else "read"
        return StreamError(f"the stream {stream} cannot be {doing}: {_KMS[code]}")
    return None


def _refused(code: str, words: str) -> Refused:
    cause = _CAUSES.get(code, "unknown")
    shard = _SHARD.search(words) if cause == THROTTLED else None
    return Refused(cause, code, shard[0] if shard else None)
