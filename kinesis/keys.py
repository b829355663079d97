"""Makes the partition keys of records."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from kinesis.limits import MAX_KEY_CHARACTERS, Fault

IDENTITY, KAFKA_KEY, RANDOM = "identity", "kafka_key", "random"

_MAX_ORDERS = 1_000


@dataclass(frozen=True)
class PartitionKeys:
    """What the partition key of each record is made of.

    Attributes:
        source: `identity`, `kafka_key`, `random`, or a JSON pointer to a field.
        identities: For `identity`, namespaces in the order in which they are looked for, without regard to case. A
            record that has none of them gets the first of its namespaces by name.
        hashed: Send the SHA-256 of each key instead, so that no identity shows in keys.
    """

    source: str
    identities: tuple[str, ...]
    hashed: bool


class KeyMaker:
    """Makes partition keys.

    Attributes:
        needs_object: Whether keys are made of what is in the record.
    """

    def __init__(self, keys: PartitionKeys):
        self._source = keys.source
        self._hashed = keys.hashed
        self._identities = _Identities(keys.identities)
        self.needs_object = keys.source not in (KAFKA_KEY, RANDOM)

    def __call__(self, record: Mapping[str, Any], kafka_key: bytes | None) -> str | Fault:
        """Return the partition key of a record, or why it has none.

        A key that is longer than Kinesis takes is replaced by its SHA-256. `random` gives each record a key of its own.

        Args:
            record: Its JSON object; empty where keys are not made of it.
            kafka_key: The key of the Kafka record that it was read from.
        """
        if self._source == IDENTITY:
            key = self._identities.first(record.get("identityMap"))
        elif self._source == RANDOM:
            return uuid.uuid4().hex
        elif self._source == KAFKA_KEY:
            key = _text_of(kafka_key)
        else:
            key = _field(record, self._source)
        if isinstance(key, Fault):
            return key
        if self._hashed or len(key) > MAX_KEY_CHARACTERS:
            try:
                return sha256(key.encode()).hexdigest()
            except UnicodeEncodeError:
                return Fault("bad_key", "the partition key cannot be encoded as UTF-8: it has half of a surrogate pair")
        return key


class _Identities:
    """Finds the first identity of records, by the order of namespaces."""

    def __init__(self, namespaces: tuple[str, ...]):
        self._rank = {name.lower(): number for number, name in reversed([*enumerate(namespaces)])}
        self._orders: dict[tuple[str, ...], list[str]] = {}  # few, since most records have the same namespaces

    def first(self, identity_map: Any) -> str | Fault:
        """Return the first identity of a map; of several in one namespace, the primary or the first."""
        if isinstance(identity_map, dict):
            for name in self._in_order(identity_map):
                if found := _first_id(identity_map[name]):
                    return found
        return Fault("bad_key", "the record has no identity in identityMap to make a partition key from")

    def _in_order(self, identity_map: dict[str, Any]) -> list[str]:
        names = tuple(identity_map)
        order = self._orders.get(names)
        if order is None:
            last = len(self._rank)
            order = sorted(names, key=lambda name: (self._rank.get(name.lower(), last), name.lower(), name))
            if len(self._orders) < _MAX_ORDERS:
                self._orders[names] = order
        return order


def _text_of(kafka_key: bytes | None) -> str | Fault:
    if not kafka_key:
        return Fault("bad_key", "the Kafka record has no key to make a partition key from")
    try:
        return kafka_key.decode()
    except UnicodeDecodeError:
        return Fault("bad_key", "the key of the Kafka record is not UTF-8 and cannot be a partition key")


def _first_id(identities: Any) -> str:
    if not isinstance(identities, list):
        return ""
    first = ""
    for item in identities:
        id_ = item.get("id") if isinstance(item, dict) else None
        if id_ and isinstance(id_, str):
            if len(identities) == 1 or item.get("primary") is True:
                return id_
            first = first or id_
    return first


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
            return Fault("bad_key", f"the record has no field {pointer} to make a partition key from")
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return Fault("bad_key", f"the field {pointer} is neither a string nor an integer and cannot be a partition key")
