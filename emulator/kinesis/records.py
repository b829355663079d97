"""The records of PutRecord and PutRecords: their constraints and sizes. Pure functions.

Sources: PutRecords in AWS's API reference; the messages are those that clients report from AWS. One invalid record
makes AWS refuse the whole request. AWS's message for data and key that are too large only together is not published;
here it names the data.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, NamedTuple

from emulator.kinesis.errors import invalid_argument
from emulator.kinesis.parameters import HASH_KEY_PATTERN, constraint, serialization_error
from emulator.kinesis.placement import HASH_KEYS, hash_key

MAX_RECORDS = 500
MAX_REQUEST_BYTES = 10 << 20
MAX_KEY_CHARACTERS = 256

_HASH_KEY = re.compile(HASH_KEY_PATTERN)


class Entry(NamedTuple):
    """A record of a request. `key` is its hash key; its size counts data and partition key."""

    data: bytes
    partition_key: str | None
    key: int
    size: int


def read_entries(records: Any, *, max_record_bytes: int, keys_needed: bool) -> list[Entry]:
    """Read the `Records` of PutRecords.

    Raises:
        KinesisError: The request is refused as a whole.
    """
    if records is None:
        raise constraint("records", None, "Member must not be null")
    if not isinstance(records, list):
        raise serialization_error("records", "a list")
    if not records:
        raise constraint("records", "[]", "Member must have length greater than or equal to 1")
    if len(records) > MAX_RECORDS:
        raise constraint("records", f"{len(records)} records", "Member must have length less than or equal to 500")
    entries = [
        read_entry(record, f"records.{number}.member.", max_record_bytes, keys_needed)
        for number, record in enumerate(records, 1)
    ]
    if sum(entry.size for entry in entries) > MAX_REQUEST_BYTES:
        raise invalid_argument("Records size exceeds 10 MB limit")
    return entries


def read_entry(record: Any, where: str, max_record_bytes: int, keys_needed: bool) -> Entry:
    """Read one record.

    Args:
        record: Its JSON.
        where: Prefix of its members' names in messages.
        max_record_bytes: Largest size of data and partition key.
        keys_needed: Whether it must have a partition key.

    Raises:
        KinesisError: The request is refused as a whole.
    """
    if not isinstance(record, dict):
        raise serialization_error(where.rstrip("."), "an object")
    partition_key = record.get("PartitionKey")
    key_bytes = b""
    if partition_key is not None:
        if not isinstance(partition_key, str):
            raise serialization_error(f"{where}partitionKey", "a string")
        if not 1 <= len(partition_key) <= MAX_KEY_CHARACTERS:
            bound = "greater than or equal to 1" if not partition_key else "less than or equal to 256"
            raise constraint(f"{where}partitionKey", partition_key, f"Member must have length {bound}")
        key_bytes = partition_key.encode()
    elif keys_needed:
        raise constraint(f"{where}partitionKey", None, "Member must not be null")
    data = _data(record.get("Data"), where)
    size = len(data) + len(key_bytes)
    if size > max_record_bytes:
        rule = f"Member must have length less than or equal to {max_record_bytes}"
        raise constraint(f"{where}data", f"{size} bytes", rule)
    explicit = record.get("ExplicitHashKey")
    key = _explicit(explicit, where) if explicit is not None else hash_key(partition_key or "")
    return Entry(data, partition_key, key, size)


def _data(text: Any, where: str) -> bytes:
    if text is None:
        raise constraint(f"{where}data", None, "Member must not be null")
    if not isinstance(text, str):
        raise serialization_error(f"{where}data", "base64")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise serialization_error(f"{where}data", "base64") from error


def _explicit(text: Any, where: str) -> int:
    if not isinstance(text, str):
        raise serialization_error(f"{where}explicitHashKey", "a string")
    if not _HASH_KEY.fullmatch(text):
        rule = f"Member must satisfy regular expression pattern: {_HASH_KEY.pattern}"
        raise constraint(f"{where}explicitHashKey", text, rule)
    key = int(text)
    if key >= HASH_KEYS:
        raise invalid_argument(
            f"Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was {text}"
        )
    return key
