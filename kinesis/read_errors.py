"""Errors of calls that read a stream: when to call again, and when that cannot help."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from kinesis.answers import Again, Halve, Stop, read_error
from kinesis.errors import AccessError, KinesisError, UnreachableError

T = TypeVar("T")

_LOG = logging.getLogger(__name__)

START_SECONDS = 30.0
"""How long a start tries to reach Kinesis."""

_AGAIN_SECONDS = 2.0
_WARN_SECONDS = 60.0


class GoneError(KinesisError):
    """Kinesis does not know the stream, the shard or the position in it, or does not take it."""


def boto_errors() -> tuple[type[Exception], ...]:
    """Return all that calls of boto3 raise; for an `except`, so that botocore is loaded only after an error.

    Two are ours: the credentials of a role are fetched inside such a call (`kinesis.session`).
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    return BotoCoreError, ClientError, ResponseParserError, AccessError, UnreachableError


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
        KinesisError: The user has to fix something: credentials, rights, a key, an address.
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


def unreachable(stream: str, why: str, client: Any) -> UnreachableError:
    """Return the error of a call that got no answer from Kinesis.

    Args:
        stream: The name or ARN that was asked for.
        why: From `why_again`.
        client: Of boto3, which knows the address.
    """
    if "kinesis_proxy" in why or why.startswith("STS "):  # is not about Kinesis' address
        return UnreachableError(f"stream {stream}: {why}")
    url = client.meta.endpoint_url
    where = "" if url in why else f", at {url}"
    return UnreachableError(
        f"stream {stream}: {why}{where}; check the network, kinesis_endpoint, kinesis_region and kinesis_proxy"
    )


def reached(call: Callable[[], T], pause: Callable[[float], object] = time.sleep, seconds: float | None = None) -> T:
    """Make a call, again while Kinesis or STS gives no answer, and return its result.

    Args:
        call: Raises what `unreachable` returns.
        pause: Waits, in seconds; returns true when the process is to end.
        seconds: How long to try; None for as long as a start does.

    Raises:
        UnreachableError: It never answered.
        KinesisError: The user has to fix something.
    """
    seconds = START_SECONDS if seconds is None else seconds
    until = time.monotonic() + seconds
    warned_at = float("-inf")
    while True:
        try:
            return call()
        except UnreachableError as error:
            now = time.monotonic()
            if now >= until and warned_at > float("-inf"):
                raise UnreachableError(f"tried for {seconds:g} s: {error}") from None
            if now - warned_at >= _WARN_SECONDS:
                _LOG.warning("%s; trying %s", error, "again" if seconds == float("inf") else f"for {seconds:g} s")
                warned_at = now
            if pause(_AGAIN_SECONDS):
                raise
