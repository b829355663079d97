"""Conditions on a record: fields that must have one of the values given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aep.mapping.entries import EntriesError
from aep.xdm.pointers import is_pointer, resolve

Scalar = bool | int | float | str


@dataclass(frozen=True)
class Condition:
    """A field, by its JSON pointer, and the values of which it must have one."""

    pointer: str
    values: tuple[Scalar, ...]

    def fits(self, record: dict[str, Any]) -> bool:
        """Return whether the record's field has one of the values; 1 and true differ, 1 and 1.0 are equal."""
        found = resolve(record, self.pointer)
        return any(found == value and isinstance(found, bool) == isinstance(value, bool) for value in self.values)


def compile_conditions(fields: Mapping[str, Any]) -> tuple[Condition, ...]:
    """Return the conditions of `{POINTER: VALUE}` or `{POINTER: [VALUE, ...]}`; all of them must hold.

    Raises:
        EntriesError: All problems found.
    """
    problems = {}
    conditions = []
    for place, given in fields.items():
        values = given if isinstance(given, list) else [given]
        if place == "" or not is_pointer(place):
            problems[place] = f"{place!r} is not a JSON pointer: write /eventType"
        elif not values or not all(isinstance(value, Scalar) for value in values):
            problems[place] = f"{place}: expected a string, a number, true or false, or a list of these"
        else:
            conditions.append(Condition(place, tuple(values)))
    if problems:
        raise EntriesError(problems)
    return tuple(conditions)
