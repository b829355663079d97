"""Functions as users write them for `transform` of a route."""

from __future__ import annotations

from datetime import date
from typing import Any

from aep.mapping.transform import Metadata

NOT_A_FUNCTION = 1


def enrich(record: dict[str, Any], metadata: Metadata) -> dict[str, Any] | None:
    """Do a bit of everything, so that a property test meets it all."""
    kind = record.get("kind")
    if kind == "b":
        return None
    if kind == 1:
        raise ValueError(f"kind {kind}\nis unknown")
    return {**record, "name": f"{metadata.topic}-{metadata.partition}-{metadata.offset}"}


def in_place(record: dict[str, Any], metadata: Metadata) -> dict[str, Any]:
    record.pop("other", None)
    record["n"] = metadata.offset % 20
    return record


def as_it_is(record: dict[str, Any], metadata: Metadata) -> dict[str, Any]:
    return record


def metadata_of(record: dict[str, Any], metadata: Metadata) -> dict[str, Any]:
    key = None if metadata.key is None else metadata.key.decode()
    return {**metadata._asdict(), "key": key, "headers": {name: str(value) for name, value in metadata.headers}}


def a_list(record: dict[str, Any], metadata: Metadata) -> Any:
    return [record]


def a_date(record: dict[str, Any], metadata: Metadata) -> dict[str, Any]:
    return {**record, "at": date(2026, 1, 31)}


def not_a_number(record: dict[str, Any], metadata: Metadata) -> dict[str, Any]:
    return {**record, "n": float("nan")}


def a_set(record: dict[str, Any], metadata: Metadata) -> dict[str, Any]:
    return {**record, "n": {1}}


def long_words(record: dict[str, Any], metadata: Metadata) -> dict[str, Any]:
    raise LookupError("x" * 10_000 + "\udc80")


def no_metadata(record: dict[str, Any]) -> dict[str, Any]:
    return record


_REUSED: dict[str, Any] = {}


def reused(record: dict[str, Any], metadata: Metadata) -> dict[str, Any]:
    """Return the same object for every record."""
    _REUSED.update(name=record["name"])
    return _REUSED


class _Text(str):
    """Text as libraries return it: NumPy's `str_`, or what an HTML parser found."""


def text_of_a_library(record: dict[str, Any], metadata: Metadata) -> dict[str, Any]:
    return {**record, "name": _Text("Ana")}


def without_purchases(record: dict[str, Any], metadata: Metadata) -> dict[str, Any] | None:
    """For loyalty events: drops purchases, refuses listings of platinum members, makes members of the others."""
    if record["eventType"] == "commerce.purchases":
        return None
    if record["_acme"]["loyalty"]["tier"] == "platinum":
        raise ValueError("members of this tier are handled elsewhere")
    record["_acme"]["loyalty"]["tier"] = "member"
    return record


def nothing_left(record: dict[str, Any], metadata: Metadata) -> None:
    return None
