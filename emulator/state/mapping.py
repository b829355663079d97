"""Data Prep's mapping sets, as far as plain attributes go: a raw message becomes an XDM entity. Pure functions.

Source: "Create a streaming connection for raw data" (`sourceAttribute` and `destinationXdmPath`, dotted paths); the
newer names are `source`, `destination` and `sourceType`. Expressions and functions are refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

Path = tuple[str, ...]

_ATTRIBUTE = re.compile(r"(\$\.)?[\w@$:-]+(\.[\w@$:-]+)*")


class Mapping(NamedTuple):
    """One attribute: where it comes from in a message, and where it goes in the entity."""

    source: Path
    destination: Path


def read_mappings(entries: object) -> list[Mapping]:
    """Read the `mappings` of a mapping set.

    Raises:
        ValueError: An entry is malformed or asks for more than the copy of an attribute; the message says which.
    """
    if not isinstance(entries, list):
        raise ValueError("mappings must be a list")
    found = []
    for number, entry in enumerate(entries):
        fields = entry if isinstance(entry, dict) else {}
        source = fields.get("sourceAttribute", fields.get("source"))
        destination = fields.get("destinationXdmPath", fields.get("destination"))
        if not isinstance(source, str) or not isinstance(destination, str) or not destination:
            raise ValueError(f"mapping {number}: give sourceAttribute and destinationXdmPath")
        plain = str(fields.get("sourceType", "ATTRIBUTE")).upper() in ("ATTRIBUTE", "TEXT")
        if not plain or not _ATTRIBUTE.fullmatch(source):
            raise ValueError(f"mapping {number}: {source!r} is not a plain attribute; nothing else is supported here")
        found.append(Mapping(tuple(source.removeprefix("$.").split(".")), tuple(destination.split("."))))
    return found


def apply_mappings(mappings: Sequence[Mapping], message: dict[str, Any]) -> dict[str, Any]:
    """Make the entity of a raw message; attributes that it lacks are left out.

    Raises:
        ValueError: Two attributes go to places that exclude each other.
    """
    entity: dict[str, Any] = {}
    for mapping in mappings:
        value: Any = message
        for step in mapping.source:
            value = value.get(step) if isinstance(value, dict) else None
        if value is None:
            continue
        parent = entity
        for step in mapping.destination[:-1]:
            parent = parent.setdefault(step, {})
            if not isinstance(parent, dict):
                raise ValueError(f"{'.'.join(mapping.destination)} leads through a value that is not an object")
        parent[mapping.destination[-1]] = value
    return entity
