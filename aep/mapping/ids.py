"""A deterministic `_id` for records that have none, so that AEP recognises a repeated event.

"Real-Time CDP Profile Store drops events if an event with the same _id already exists in the Profile Store" (Event
duplication); "generate your own xdmEntity._id ... in a way that remains consistent if the record ever needs to be
re-ingested ... consider concatenating values of other fields" (Streaming time series data).
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import orjson

from aep.xdm.pointers import resolve

OFFSET = "offset"
"""The rule that makes the `_id` of topic, partition and offset."""

IdRule = tuple[str, ...]
"""Where an `_id` comes from: `()` for nowhere, `(OFFSET,)`, or JSON pointers to the fields it is a hash of."""

_HASH_DIGITS = 32


class Place(NamedTuple):
    topic: str
    partition: int
    offset: int


class MissingField(NamedTuple):
    """A field that the rule names but the record lacks."""

    pointer: str


def fill_id(entity: dict[str, Any], body: bytes, rule: IdRule, place: Place) -> bytes | MissingField:
    """Give the entity an `_id` by the rule where it has none, in place.

    Args:
        entity: The record; one that has an `_id` keeps it, whatever it is.
        body: The entity as JSON.
        rule: Not empty.
        place: Where the record was read.

    Returns:
        The entity's JSON after that.
    """
    if entity.get("_id") is not None:
        return body
    made = make_id(entity, rule, place)
    if isinstance(made, MissingField):
        return made
    had_null = "_id" in entity
    entity["_id"] = made
    if had_null:
        return orjson.dumps(entity)
    # The JSON is put together rather than written anew, which for a large record takes much longer.
    return b"%s%s%s}" % (body[:-1], b"," if len(entity) > 1 else b"", b'"_id":' + orjson.dumps(made))


def make_id(entity: dict[str, Any], rule: IdRule, place: Place) -> str | MissingField:
    """Return the `_id` that the rule makes for a record: always the same for the same record."""
    if rule == (OFFSET,):
        return f"{place.topic}-{place.partition}-{place.offset}"
    values = []
    for pointer in rule:
        value = resolve(entity, pointer)
        if value is None:
            return MissingField(pointer)
        values.append(value)
    canonical = orjson.dumps(values, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()[:_HASH_DIGITS]
