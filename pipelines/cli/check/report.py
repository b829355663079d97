"""The findings of a check, as tables and as an exit code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.text import Text

from aep.counted import counted
from aep.mapping.repeated_ids import IdSample
from pipelines.cli.common import WHOLE_RECORD
from pipelines.cli.dead_letters.tables import place_of, printable
from pipelines.options.readiness import Check, State
from pipelines.output.layout import Column
from pipelines.output.table import Table
from transforms.records.dead_letter import DeadLetter

READY, NOT_READY, UNKNOWN = 0, 1, 2
"""Exit codes: a run would work; it would not; undetermined."""

_STYLES: dict[State, str] = {"ok": "green", "warning": "yellow", "wrong": "red", "not checked": "dim"}


@dataclass
class Findings:
    """What was found.

    Attributes:
        checks: In the order in which they were made.
        records: How many records the samples have.
        letters: Those of them that would be dead-lettered.
        ids: By route, a look at the _ids of those that would be posted.
        hints: What may be wrong with them.
    """

    checks: list[Check] = field(default_factory=list)
    records: int = 0
    letters: list[DeadLetter] = field(default_factory=list)
    ids: dict[str, IdSample | None] = field(default_factory=dict)
    hints: list[str] = field(default_factory=list)


@dataclass
class Reason:
    """Records of a sample that would be dead-lettered alike: by route, stage and code.

    Attributes:
        records: How many.
        first: The first of them.
    """

    first: DeadLetter
    records: int = 0


def exit_code(checks: Iterable[Check], *, strict: bool = False) -> int:
    """0 where nothing is wrong, 1 where something is, 2 where that is undetermined.

    Args:
        checks: That were made.
        strict: Take what was not checked for wrong.
    """
    found = list(checks)
    if any(check.state == "wrong" or (strict and check.state == "not checked") for check in found):
        return NOT_READY
    return UNKNOWN if any(check.failed for check in found) else READY


def verdict(checks: Sequence[Check], *, strict: bool = False) -> str:
    """Return a line for the end; see `exit_code`."""
    counts = {state: sum(check.state == state for check in checks) for state in _STYLES}
    numbers = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
    words = {READY: "ready", NOT_READY: "not ready", UNKNOWN: "undetermined, because checks failed"}
    why = " (--strict: all must be checked)" if strict and counts["not checked"] else ""
    return f"{words[exit_code(checks, strict=strict)]}: {numbers}{why}"


def check_table(pipeline: str, checks: Iterable[Check]) -> Table:
    """Show the checks of a pipeline in their order."""
    grid = Table(f"Checks of {pipeline}", (Column("what", "text"), Column("state"), Column("found", "text")))
    for check in checks:
        grid.add(printable(check.subject), Text(check.state, _STYLES[check.state]), printable(check.detail))
    return grid


def document(pipeline: str, found: Findings, *, strict: bool = False) -> dict[str, Any]:
    """Return the findings for programs."""
    verdicts = {READY: "ready", NOT_READY: "not ready", UNKNOWN: "undetermined"}
    return {
        "pipeline": pipeline,
        "verdict": verdicts[exit_code(found.checks, strict=strict)],
        "checks": [{"what": each.subject, "state": each.state, "found": each.detail} for each in found.checks],
        "records": found.records,
        "dead_letters": [
            {
                "route": each.first.route,
                "stage": each.first.stage,
                "code": each.first.code,
                "records": each.records,
                "first_at": place_of(each.first),
                "field": each.first.pointer,
            }
            for each in _reasons(found.letters)
        ],
        "hints": found.hints,
    }


def _reasons(letters: Iterable[DeadLetter]) -> list[Reason]:
    """Return the reasons, the most frequent first."""
    reasons: dict[tuple[str, str, str], Reason] = {}
    for letter in letters:
        reasons.setdefault((letter.route, letter.stage, letter.code), Reason(letter)).records += 1
    return sorted(reasons.values(), key=lambda each: -each.records)


def dead_letter_table(letters: Sequence[DeadLetter], records: int) -> Table:
    """Return why records of a sample would be dead-lettered, each reason with an example.

    Messages may quote a record and do not show.
    """
    title = f"{len(letters):,} of {counted(records, 'record')} of the samples would be dead-lettered"
    columns = Column("route", rank=1), Column("stage", rank=2), Column("code"), Column("records", "number")
    grid = Table(title, (*columns, Column("first at", "id", rank=3), Column("field", "id")))
    for reason in _reasons(letters):
        first = reason.first
        names, place = (first.route, first.stage, first.code), (place_of(first), first.pointer or WHOLE_RECORD)
        grid.add(*map(printable, names), f"{reason.records:,}", *map(printable, place))
    return grid
