"""What Flow Service asks Kinesis when a destination is set up ("Amazon Kinesis connection": rights are checked)."""

from __future__ import annotations

from typing import Any, NamedTuple

from emulator.api.flow_errors import refused
from emulator.kinesis.errors import KinesisError
from emulator.kinesis.service import Kinesis


class StreamAccess(NamedTuple):
    """Credentials, and the region that they are used in."""

    access_key_id: str
    secret_key: str
    region: str


def list_streams(kinesis: Kinesis, access: StreamAccess) -> list[str]:
    """Return the names of the streams that the credentials see.

    Raises:
        ApiError: Kinesis refuses the credentials or the call; the text has its code and words, and says which.
    """
    names: list[str] = []
    parameters: dict[str, Any] = {}
    try:
        caller = kinesis.sign_in(*access)
        while True:
            page = kinesis.answer(caller, "ListStreams", parameters) or {}
            names += page["StreamNames"]
            if not page["HasMoreStreams"]:
                return names
            parameters = {"NextToken": page["NextToken"]}
    except KinesisError as error:
        raise refused(400, _why(access, error)) from error


def _why(access: StreamAccess, error: KinesisError) -> str:
    where, words = f"Kinesis in region {access.region}", f"{error.code}: {error.message}"
    if error.code == "AccessDeniedException":
        return f"{where} accepts the credentials, but their user lacks the right kinesis:ListStreams: {words}"
    return f"{where} refuses the credentials: {words}"


def check_stream(kinesis: Kinesis, access: StreamAccess, stream: str) -> None:
    """Check that a stream exists.

    Raises:
        ApiError: It does not, or `list_streams` is refused.
    """
    if stream not in list_streams(kinesis, access):
        raise refused(400, f"Kinesis has no stream {stream} in region {access.region} for these credentials")
