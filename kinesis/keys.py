"""Partition keys: what a record's is made of."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from kinesis.limits import MAX_KEY_CHARACTERS, Fault

IDENTITY, KAFKA_KEY, RANDOM = "identity", "kafka_key", "random"


@dataclass(frozen=True)
class PartitionKeys:
    """Makes the partition key of each record.

    Attributes:
        source: `identity`, `kafka_key`, `random`, or a JSON pointer to a field.
        identities: For `identity`, namespaces in the order in which they are looked for, without regard to case. A
            record that has none of them gets the first of its namespaces by name.
        hashed: Send the SHA-256 of each key instead, so that no identity shows in keys.
    """

    source: str
    identities: tuple[str, ...] = ()
    hashed: bool = False

    @property
    def needs_object(self) -> bool:
        """Whether keys are made of what is in the record."""
        return self.source not in (KAFKA_KEY, RANDOM)

    def make(self, record: Mapping[str, Any], kafka_key: bytes | None) -> str | Fault:
        """Return the partition key of a record, or why it has none.

        A key that is longer than Kinesis takes is replaced by its SHA-256. `random` gives each record a key of its own.

        Args:
            record: Its JSON object; empty where keys are not made of it.
            kafka_key: The key of the Kafka record that it was read from.
        """
        if self.source == RANDOM:
            return uuid.uuid4().hex
        if self.source == KAFKA_KEY:
            key = _text_of(kafka_key)
        elif self.source == IDENTITY:
            key = _identity(record, self.identities)
        else:
            key = _field(record, self.source)
        if isinstance(key, Fault):
            return key
        if self.hashed or len(key) > MAX_KEY_CHARACTERS:
            try:
                return sha256(key.encode()).hexdigest()
            except UnicodeEncodeError:
                return Fault("bad_key", "the partition key cannot be encoded as UTF-8: it has half of a surrogate pair")
        return key


def _text_of(kafka_key: bytes | None) -> str | Fault:
    if not kafka_key:
        return Fault("bad_key", "the Kafka record has no key to make a partition key of")
    try:
        return kafka_key.decode()
    except UnicodeDecodeError:
        return Fault("bad_key", "the key of the Kafka record is not UTF-8 and cannot be a partition key")


def _identity(record: Mapping[str, Any], namespaces: tuple[str, ...]) -> str | Fault:
    """Return the first identity, by the order of the namespaces; of several in one, the primary or the first."""
    identity_map = record.get("identityMap")
    by_name: dict[str, Any] = {}
    if isinstance(identity_map, dict):
        by_name = {name.lower(): identity_map[name] for name in sorted(identity_map, reverse=True)}
    wanted = [name.lower() for name in namespaces]
    for name in (*wanted, *sorted(by_name.keys() - set(wanted))):
        if found := _first_id(by_name.get(name)):
            return found
    return Fault("bad_key", "the record has no identity in identityMap to make a partition key of")


def _first_id(identities: Any) -> str:
    if not isinstance(identities, list):
        return ""
    items = [item for item in identities if isinstance(item, dict) and isinstance(item.get("id"), str) and item["id"]]
    primary = next((item["id"] for item in items if item.get("primary") is True), None)
    return primary or (items[0]["id"] if items else "")


def _field(record: Mapping[str, Any], pointer: str) -> str | Fault:
    """Return the value of a field as text: a string or a whole number (RFC 6901 names the field)."""
    value: Any = record
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and name.isascii() and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, Mapping) and name in value:
            value = value[name]
        else:
            return Fault("bad_key", f"the record has no field {pointer} to make a partition key of")
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return Fault("bad_key", f"the field {pointer} is neither text nor a whole number and cannot be a partition key")
