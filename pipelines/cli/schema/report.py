"""Output of `beam-aep schema` about a schema, and about events checked against it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from aep.mapping.repeated_ids import IdSample, RepeatedIds
from aep.xdm.fields import Field, fields_of
from aep.xdm.rejection import rejection
from aep.xdm.schema import ResolvedSchema
from pipelines.cli.common import WHOLE_RECORD, plain, without_indices
from pipelines.cli.event_lines import Line
from pipelines.output.layout import Column
from pipelines.output.table import Table
from transforms.records.outcome import Refusal

_MAX_KINDS = 1_000  # that are counted apart, since keys of a map, which a record makes up, are in the names of fields
_MAX_ROWS = 30


@dataclass
class Kind:
    """Violations of one code at one field: how many, and the first one as an example.

    Attributes:
        code: Code of the violations.
        field: A JSON pointer with `*` for a place in an array, "" for the whole record.
        line: Number of the first line that has one.
        pointer: JSON pointer to it.
        message: What is wrong there.
        count: How many there are.
    """

    code: str
    field: str
    line: int
    pointer: str
    message: str
    count: int = 0


class Tally:
    """Counts of lines: how many are valid, and the others by code and field of their first violation.

    Args:
        ids: Looks at the _ids of the valid lines; None where these say nothing.
    """

    def __init__(self, ids: IdSample | None = None) -> None:
        self._ids = ids
        self.lines = 0
        self.invalid = 0
        self._kinds: dict[tuple[str, str], Kind] = {}

    def add(self, line: Line) -> None:
        self.lines += 1
        found = line.refusal
        if found is None:
            if self._ids is not None and line.body is not None:
                self._ids.add([line.body])
            return
        self.invalid += 1
        key = (found.code, without_indices(found.pointer))
        if key not in self._kinds and len(self._kinds) >= _MAX_KINDS:
            key = (found.code, "(other fields)")
        kind = self._kinds.setdefault(key, Kind(*key, line.number, found.pointer, found.message))
        kind.count += 1

    @property
    def repeated_ids(self) -> RepeatedIds:
        """How many of the valid lines looked at have an _id that another one has."""
        return RepeatedIds(0, 0) if self._ids is None else self._ids.found

    @property
    def headline(self) -> str:
        """How many lines there are of each kind."""
        return f"{self.lines - self.invalid:,} valid, {self.invalid:,} invalid" if self.lines else "no lines to check"

    @property
    def kinds(self) -> list[Kind]:
        """The most frequent first; of equals, the one that came first."""
        return sorted(self._kinds.values(), key=lambda kind: -kind.count)

    def as_json(self, schema: ResolvedSchema) -> dict[str, Any]:
        """Return the counts, with the schema that they are for."""
        return {
            "schema": {"id": schema.id, "version": schema.version, "sha256": schema.sha256},
            "lines": self.lines,
            "valid": self.lines - self.invalid,
            "invalid": self.invalid,
            "repeated_ids": self.repeated_ids._asdict(),
            "violations": [vars(kind) for kind in self.kinds],
        }

    def table(self) -> Table:
        """Return the counts as a table."""
        numbers = Column("count", "number"), Column("line", "number", rank=1)
        grid = Table(self.headline, (Column("code"), Column("field", "id"), *numbers, Column("problem", "text")))
        for kind in self.kinds[:_MAX_ROWS]:
            grid.add(
                kind.code,
                plain(kind.field) or WHOLE_RECORD,
                f"{kind.count:,}",
                f"{kind.line:,}",
                plain(kind.message),
            )
        if len(self._kinds) > _MAX_ROWS:
            grid.note = f"and {len(self._kinds) - _MAX_ROWS:,} more, each less frequent"
        return grid


def as_json(line: int, found: Refusal) -> dict[str, Any]:
    """Return the report of a line in our form, that of dead letters."""
    return {
        "line": line,
        "code": found.code,
        "message": found.message,
        "pointer": found.pointer,
        "errors": [error._asdict() for error in found.violations],
        "error_count": found.error_count,
    }


def as_adobe(line: int, found: Refusal) -> dict[str, Any]:
    """Return the report of a line in the form of Adobe's (Streaming validation guide)."""
    return {"line": line, **rejection(list(found.violations)).as_adobe()}


def as_text(line: int, found: Refusal) -> str:
    """Return the report of an event as text: a line for each violation."""
    rows = [
        f"line {line}: {error.code} at {plain(error.pointer) or WHOLE_RECORD}: {plain(error.message)}"
        for error in found.violations
    ]
    more = found.error_count - len(found.violations)
    return "\n".join(rows + ([f"line {line}: and {more} more"] if more else []))


def schema_rows(schema: ResolvedSchema) -> list[tuple[str, str]]:
    """Return what there is to know of a schema: names and values."""
    found = schema_document(schema)
    rows = [
        ("schema", schema.id),
        ("title", schema.title),
        ("version", schema.version),
        ("SHA-256", schema.sha256),
        ("class", (found["class"] or "(unknown)") + (", with time" if schema.is_event else "")),
        ("tenant", schema.tenant or "(none)"),
        ("fields", f"{found['fields']:,}"),
        ("required", ", ".join(found["required"]) or "(none)"),
    ]
    primary = found["primary_identities"]
    return rows + ([("primary identity", ", ".join(primary))] if primary else [])


def schema_document(schema: ResolvedSchema) -> dict[str, Any]:
    """Return the same for programs."""
    document = orjson.loads(schema.document)
    fields = list(fields_of(document))
    return {
        "id": schema.id,
        "title": schema.title,
        "version": schema.version,
        "sha256": schema.sha256,
        "class": str(document.get("meta:class", "")),
        "is_event": schema.is_event,
        "tenant": schema.tenant,
        "fields": len(fields),
        "required": _always_required(fields),
        "primary_identities": [each.pointer for each in schema.identities if each.primary],
    }


def _always_required(fields: Iterable[Field]) -> list[str]:
    """Return the fields that each record must have: required, as all objects around them are."""
    found = [""]
    for each in fields:
        if each.required and each.pointer.rpartition("/")[0] in found:
            found.append(each.pointer)
    return found[1:]
