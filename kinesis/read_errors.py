"""Errors of calls that read a stream: when to call again, and when that cannot help."""

from __future__ import annotations

from kinesis.answers import Again, Halve, Stop, read_error
from kinesis.errors import KinesisError


class GoneError(KinesisError):
    """Kinesis does not know the stream, the shard or the position in it, or does not take it."""


def boto_errors() -> tuple[type[Exception], ...]:
    """Return all that calls of boto3 raise; for an `except`, so that botocore is loaded only after an error."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    return BotoCoreError, ClientError, ResponseParserError


def code_of(error: Exception) -> str:
    """Return the code of an error of AWS's; "" for an error on the way."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code") or "") if isinstance(response, dict) else ""


def why_again(error: Exception, stream: str) -> str:
    """Return why a call failed that is to be made again.

    Args:
        error: One of `boto_errors`.
        stream: The name or ARN that was asked for.

    Raises:
        GoneError: Kinesis does not know what was asked for.
        KinesisError: Somebody has to change something: credentials, rights, a key, an address.
    """
    decision = read_error(error, stream)
    if isinstance(decision, Again):
        return decision.why
    if isinstance(decision, Halve):
        raise GoneError(f"stream {stream}: {decision.why}") from None
    assert isinstance(decision, Stop)
    if code_of(error) == "ResourceNotFoundException":
        raise GoneError(str(decision.error)) from None
    raise decision.error from None
