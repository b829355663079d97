"""Errors of calls that read a stream: which pass by themselves, and what users have to do about the others."""

from __future__ import annotations

from typing import Any

from kinesis.errors import AccessError, KinesisError, StreamError

_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    }
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
_KEY = frozenset(
    {
        "KMSAccessDeniedException",
        "KMSDisabledException",
        "KMSInvalidStateException",
        "KMSNotFoundException",
        "KMSOptInRequired",
    }
)
# Everything else that is the caller's fault passes, or is unknown: then it is tried again, and named in the log.
_REFUSED = frozenset({"ResourceNotFoundException", "InvalidArgumentException", "ValidationException"})


def code_of(error: Exception) -> str:
    """Return the code of an error of AWS's, or the kind of an error on the way."""
    from botocore.exceptions import ClientError

    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code") or "no code")
    return type(error).__name__


def is_transient(error: Exception) -> bool:
    """Return whether the same call may succeed later: throttled, failing, unreachable, or an unknown code."""
    from botocore.exceptions import ClientError, HTTPClientError

    if isinstance(error, ClientError):
        return code_of(error) not in _CREDENTIALS | _DENIED | _KEY | _REFUSED
    return isinstance(error, HTTPClientError)


def is_denied(error: Exception) -> bool:
    """Return whether the right to a call is missing."""
    return code_of(error) in _DENIED


def explain(error: Exception, stream: str, client: Any) -> KinesisError:
    """Return what users read of an error that does not pass by itself.

    Args:
        error: Of boto3.
        stream: The name or ARN that was asked for.
        client: That was asked.
    """
    from botocore.exceptions import ClientError

    where = f"stream {stream} in {client.meta.region_name} at {client.meta.endpoint_url}"
    code = code_of(error)
    if not isinstance(error, ClientError):
        words = str(error).partition("\n")[0]
        return AccessError(f"{where} cannot be read: {words}")
    call, said = error.operation_name, error.response["Error"].get("Message") or ""
    answer = f"{call} answers {code}{said and f': {said}'}"
    if code in _CREDENTIALS:
        return AccessError(f"{where}: AWS does not accept the credentials: {answer}")
    if code in _DENIED:
        return AccessError(f"{where}: the right kinesis:{call} is missing: {answer}")
    if code in _KEY:
        return StreamError(f"{where}: its KMS key cannot be used: {answer}")
    if code == "ResourceNotFoundException":
        return StreamError(f"{where} does not exist, or not for this account: check kinesis_stream and kinesis_region")
    return StreamError(f"{where}: {answer}")
