"""What Flow Service asks Kinesis when a destination is set up."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, Protocol


class StreamAccess(NamedTuple):
    """Credentials and the region that they are used in."""

    access_key_id: str
    secret_key: str
    region: str


class StreamAccessError(Exception):
    """Kinesis refuses the credentials; the message is its own, such as which right is missing."""


class StreamDirectory(Protocol):
    """The streams of Kinesis, as ListStreams shows them."""

    def list_streams(self, access: StreamAccess) -> Collection[str]:
        """Return the names of the streams in a region.

        Raises:
            StreamAccessError: The credentials are not valid, or `kinesis:ListStreams` is denied.
        """
        ...
