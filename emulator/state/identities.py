"""Identities of a record, and the merging of profile fragments. Pure functions.

Sources: "Identity descriptors", "IdentityMap" (one identity is primary), "Ingest streaming record data", "Guardrails
for Identity Service data" (the size of a graph, and what goes from a full one).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from emulator.state.datasets import Identity

MAX_GRAPH_IDENTITIES = 50

# Cookies go first, then devices, then all others: custom namespaces stand for people, as Email and Phone do.
_COOKIES = frozenset({"aaid", "adcloud", "core", "ecid", "tntid"})
_DEVICES = frozenset({"gaid", "idfa", "waid"})


class Named(NamedTuple):
    """An identity that a record carries. The namespace is in small letters: `email` and `Email` are one."""

    namespace: str
    value: str

    @property
    def xid(self) -> str:
        """Its opaque native id, as Profile access shows it."""
        digest = hashlib.sha256(f"{self.namespace}\0{self.value}".encode()).digest()
        return base64.urlsafe_b64encode(digest)[:30].decode()


def named(namespace: str, value: str) -> Named:
    """Make an identity of a namespace code in any case."""
    return Named(namespace.lower(), value)


def identities_in(entity: dict[str, Any], fields: Sequence[Identity]) -> list[Named]:
    """Return the identities of a record, the primary one first; an empty list if it names no primary one.

    The primary identity is the field of the primary descriptor, else the one that the `identityMap` marks, else the
    only one of the `identityMap`.
    """
    primary: Named | None = None
    found: list[Named] = []
    for field in fields:
        value: Any = entity
        for step in field.path:
            value = value.get(step) if isinstance(value, dict) else None
        if isinstance(value, (str, int)) and value != "":
            identity = named(field.namespace, str(value))
            found.append(identity)
            if field.primary:
                primary = primary or identity
    marked: list[Named] = []
    mapped: list[Named] = []
    for namespace, item in _items(entity.get("identityMap")):
        if isinstance(item.get("id"), str) and item["id"]:
            identity = named(namespace, item["id"])
            mapped.append(identity)
            if item.get("primary") is True:
                marked.append(identity)
    if primary is None:
        primary = marked[0] if marked else mapped[0] if len(mapped) == 1 else None
    return [] if primary is None else list(dict.fromkeys([primary, *found, *mapped]))


def surplus(linked: Mapping[Named, int], newest: Sequence[Named]) -> list[Named]:
    """Return the identities that leave a graph of more than 50, by the type of their namespace and the oldest first.

    Args:
        linked: The identities of the graph, each with a number that rises with the time it was last ingested.
        newest: Those that stay, because the others make room for them.
    """

    def type_and_age(identity: Named) -> tuple[int, int, Named]:
        kind = 0 if identity.namespace in _COOKIES else 1 if identity.namespace in _DEVICES else 2
        return kind, linked[identity], identity  # which of one record goes first, Adobe does not say

    others = sorted(linked.keys() - set(newest), key=type_and_age)
    return others[: max(0, len(linked) - MAX_GRAPH_IDENTITIES)]


def _items(identity_map: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the entries of an `identityMap` with their namespaces; what is malformed is passed over."""
    for namespace, items in identity_map.items() if isinstance(identity_map, dict) else ():
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict):
                yield namespace, item


def merge_into(target: dict[str, Any], source: dict[str, Any]) -> None:
    """Write an entity over another, field by field; lists are replaced."""
    for key, value in source.items():
        mine = target.get(key)
        if isinstance(value, dict) and isinstance(mine, dict):
            merge_into(mine, value)
        else:
            target[key] = value


def pick(entity: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """Only some fields of an entity, each a dotted path."""
    picked: dict[str, Any] = {}
    for field in fields:
        steps = field.strip().split(".")
        value: Any = entity
        for step in steps:
            value = value.get(step) if isinstance(value, dict) else None
        if value is not None:
            nested: Any = value
            for step in reversed(steps):
                nested = {step: nested}
            merge_into(picked, nested)
    return picked


def identity_map(identities: Sequence[Named]) -> dict[str, list[dict[str, str]]]:
    """Return identities as an XDM `identityMap`."""
    found: dict[str, list[dict[str, str]]] = {}
    for namespace, value in identities:
        found.setdefault(namespace, []).append({"id": value})
    return found
