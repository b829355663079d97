"""Tables of dead letters. Possible personal data is shown only on request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import orjson
from rich.text import Text

from aep.counted import counted
from pipelines.cli.common import WHOLE_RECORD, plain, without_indices
from pipelines.output.layout import Column
from pipelines.output.table import Table
from samples.files import shipped
from transforms.records.dead_letter import DeadLetter, iso_time
from transforms.records.dead_letter_codes import CODES, link_of
from transforms.records.redacted import missing_in, missing_key

_MAX_SHOWN = 2_000  # characters of a value, which may be a megabyte
_MAX_FIELDS = 30


@dataclass
class Tally:
    """How many, the first and the last by time, and the first one as an example."""

    example: DeadLetter
    count: int = 0
    first: float = float("inf")
    last: float = float("-inf")

    def add(self, one: DeadLetter) -> None:
        """Count another."""
        self.count += 1
        self.first = min(self.first, one.at)
        self.last = max(self.last, one.at)


Tallies = dict[tuple[str, ...], Tally]


class Stats:
    """Counts of dead letters by code, by field, and by route and schema."""

    def __init__(self, letters: Iterable[DeadLetter]):
        self.total = 0
        self.by_code: Tallies = {}
        self.by_field: Tallies = {}
        self.by_schema: Tallies = {}
        for one in letters:
            self.total += 1
            _add(self.by_code, (one.stage, one.code), one)
            _add(self.by_field, (without_indices(one.pointer), one.code), one)
            _add(self.by_schema, (one.route, one.schema.get("id", ""), one.schema.get("version", "")), one)

    def document(self, values: bool) -> dict[str, Any]:
        """Return the counts for programs, the most frequent first.

        Args:
            values: With messages too, which may quote a record.
        """
        return {
            "total": self.total,
            "by_code": _rows(self.by_code, ("stage", "code"), values),
            "by_field": _rows(self.by_field, ("field", "code"), values),
            "by_route_and_schema": _rows(self.by_schema, ("route", "schema", "version"), values),
        }

    def tables(self, values: bool) -> list[Table]:
        """Return the counts, the most frequent first; none when there is nothing to count.

        Args:
            values: Show messages too, which may quote a record.
        """
        if not self.total:
            return []
        by_code = _table(f"{counted(self.total, 'dead letter')} by code", Column("stage", rank=1), Column("code"))
        by_field = _table("By field, with * for a place in a list", Column("field", "id"), Column("code"))
        by_schema = _table("By route and schema", Column("route"), Column("schema", "id"), Column("version"))
        for grid, tallies in ((by_code, self.by_code), (by_field, self.by_field), (by_schema, self.by_schema)):
            most = _most_first(tallies)
            for key, tally in most[:_MAX_FIELDS]:
                example = place_of(tally.example) + (f": {tally.example.message}" if values else "")
                names = (key[0] or WHOLE_RECORD, *key[1:]) if tallies is self.by_field else key
                times = _time(tally.first), _time(tally.last)
                grid.add(*map(printable, names), f"{tally.count:,}", *times, printable(example))
            if len(most) > _MAX_FIELDS:
                grid.note = f"and {len(most) - _MAX_FIELDS:,} more, each less frequent"
        return [by_code, by_field, by_schema]


def _add(tallies: Tallies, key: tuple[str, ...], one: DeadLetter) -> None:
    tallies.setdefault(key, Tally(one)).add(one)


def _most_first(tallies: Tallies) -> list[tuple[tuple[str, ...], Tally]]:
    return sorted(tallies.items(), key=lambda item: -item[1].count)


def _rows(tallies: Tallies, names: tuple[str, ...], values: bool) -> list[dict[str, Any]]:
    return [
        {
            **dict(zip(names, key, strict=True)),
            "count": tally.count,
            "first": iso_time(tally.first),
            "last": iso_time(tally.last),
            "example": place_of(tally.example),
            **({"message": tally.example.message} if values else {}),
        }
        for key, tally in _most_first(tallies)
    ]


def _table(title: str, *columns: Column) -> Table:
    times = Column("first (UTC)", rank=3), Column("last (UTC)", rank=2)
    return Table(title, (*columns, Column("count", "number"), *times, Column("example", "text", rank=4)))


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M:%S}"


def place_of(one: DeadLetter) -> str:
    """Return where the record was read, as Kafka writes it: topic, partition, offset."""
    return f"{one.topic}-{one.partition}@{one.record.offset}"


def letter_document(one: DeadLetter, values: bool) -> dict[str, Any]:
    """Return one dead letter as its file has it; without `values`, nothing that may be personal data."""
    document: dict[str, Any] = orjson.loads(one.to_json()) | {
        "missing": missing_key(one),
        "see": shipped(link_of(one.code)),
    }
    if not values:
        for name in ("message", "headers", "key", "key_base64", "value", "value_base64"):
            document.pop(name, None)
        for error in document["errors"]:
            del error["message"]
    return document


def letter_fields(one: DeadLetter, values: bool) -> list[tuple[str, str]]:
    """Return one dead letter by names: its reason, and with `values` the record as well."""
    explained = CODES.get(one.code)
    rows = [
        ("refused by", f"{one.stage}, {one.code}"),
        ("field", one.pointer or WHOLE_RECORD),
        ("missing", missing_key(one) or ""),
        ("means", explained.meaning if explained else ""),
        ("to do", explained.remedy if explained else ""),
        ("see", shipped(link_of(one.code))),
        ("at", iso_time(one.at)),
        ("route", one.route),
        ("schema", " ".join(one.schema.get(name, "") for name in ("id", "version"))),
        ("attempts", str(one.attempts)),
        ("replays", str(one.replays)),
    ]
    if values:
        rows.insert(2, ("message", one.message))
    if one.error_count > 1:
        for number, error in enumerate(one.errors, start=1):
            whose = f"{error['by']}: " if "by" in error else ""  # where two have checked it
            said = error["message"] if values else missing_in(error["message"], one.stage)
            words = f"{whose}{error['code']} {error['pointer']}" + (f": {said}" if said else "")
            rows.append((f"violation {number} of {one.error_count}", words))
    if values:
        rows += [(f"header {name}", _text(content)) for name, content in one.record.headers]
        rows += [("key", _text(one.record.key)), ("value", _text(one.record.value))]
    return [(plain(name), plain(content)) for name, content in rows if content.strip()]


def _text(content: bytes | None) -> str:
    if content is None:
        return "(none)"
    text = content[: 4 * _MAX_SHOWN].decode(errors="backslashreplace")
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}... ({len(content):,} bytes)"


def printable(text: str) -> Text:
    """Return the text with its control characters escaped: a record must not control the user's terminal."""
    return Text(plain(text))
