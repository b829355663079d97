"""What fits into a record, a request and a second of a shard (PutRecords, and "Quotas and limits", of AWS's docs)."""

from __future__ import annotations

from hashlib import md5
from typing import NamedTuple

MAX_RECORDS = 500
"""In a request."""

MAX_REQUEST_BYTES = 10 * 2**20
"""Of a request: data and partition keys, before base64."""

REQUEST_BYTES = MAX_REQUEST_BYTES - 2**16
"""Requests are filled to this size: the rest is a margin for what else AWS may count."""

MAX_RECORD_BYTES = 10 * 2**20
"""Of a record, data and partition key, on any stream."""

DEFAULT_RECORD_BYTES = 2**20
"""The same on a stream with the default `MaxRecordSizeInKiB`."""

MAX_KEY_CHARACTERS = 256
SHARD_RECORDS = 1_000
"""A second."""

SHARD_BYTES = 1_000_000
"""A second; AWS says 1 MB, and some of its tools take it for 1 MiB."""


class PutRecord(NamedTuple):
    """A record to put on a stream."""

    data: bytes
    key: str


class Fault(NamedTuple):
    """Why a record cannot be put on the stream: the code and the message of its dead letter."""

    code: str
    message: str


class Measure(NamedTuple):
    """A record's size, and the hash of its partition key, which decides its shard."""

    size: int
    hash_key: int


def measure(record: PutRecord, max_record_bytes: int) -> Measure | Fault:
    """Return a record's size and hash key, or why Kinesis would refuse it, and with it the whole request.

    Args:
        record: Data and partition key.
        max_record_bytes: Of data and key together, as the stream has it.
    """
    key = record.key
    if not key:
        return Fault("bad_key", "the partition key is empty")
    if len(key) > MAX_KEY_CHARACTERS:
        return Fault("bad_key", f"the partition key has {len(key)} characters, {MAX_KEY_CHARACTERS} are allowed")
    try:
        encoded = key.encode()
    except UnicodeEncodeError:
        return Fault("bad_key", "the partition key cannot be encoded as UTF-8: it has half of a surrogate pair")
    size = len(record.data) + len(encoded)
    if size > max_record_bytes:
        return Fault("too_large", f"{size} bytes with its partition key, {max_record_bytes} fit into a record")
    return Measure(size, hash_key(encoded))


def hash_key(encoded: bytes) -> int:
    """Return the number by which Kinesis chooses the shard of a partition key (PutRecord: MD5, 128 bits)."""
    return int.from_bytes(md5(encoded, usedforsecurity=False).digest(), "big")
