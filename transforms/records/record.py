"""A record as it was read from Kafka. Without Beam, so that commands which need no pipeline start fast."""

from __future__ import annotations

from typing import NamedTuple

Headers = tuple[tuple[str, bytes | None], ...]

Message = tuple[bytes | None, bytes | None, Headers]
"""What is sent to Kafka: key, value, headers."""

UNREADABLE_HEADERS: Headers = (("beam_aep.unreadable_headers", None),)
"""Instead of a record's headers, where the client cannot read them: the name of one is not UTF-8."""


class Record(NamedTuple):
    """One Kafka record as it was read. `timestamp` in milliseconds since 1970; a tombstone has no `value`."""

    offset: int
    timestamp: int
    key: bytes | None
    headers: Headers
    value: bytes | None
