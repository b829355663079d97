"""Whether a profile fits a rule. Pure.

Adobe does not publish how PQL treats missing fields. Here every test of a missing field is false, except `isNull`:
without a city `city != "Rome"` is false and `not (city = "Rome")` is true. Adobe says the same of `notIn`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from emulator.segments.rules import (
    And,
    Attribute,
    Comparison,
    HasEvent,
    In,
    Not,
    Operand,
    Or,
    Presence,
    Rule,
    StringTest,
)

Entity = Mapping[str, Any]

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {"=": eq, "!=": ne, "<=": le, ">=": ge, "<": lt, ">": gt}


def fits(rule: Rule, profile: Entity, *, had_event: bool) -> bool:
    """Return whether a profile fits a rule.

    Args:
        rule: The rule.
        profile: The profile's attributes.
        had_event: Whether an event of the profile has met the rule's condition on events, see `event_fits`.
    """
    return _fits(rule, profile, None, had_event)


def event_fits(condition: HasEvent, profile: Entity, event: Entity) -> bool:
    """Return whether an event meets a rule's condition on events, given the profile when it arrived."""
    return condition.condition is None or _fits(condition.condition, profile, event, had_event=False)


def _fits(rule: Rule, profile: Entity, event: Entity | None, had_event: bool) -> bool:
    if isinstance(rule, And):
        return all(_fits(each, profile, event, had_event) for each in rule.rules)
    if isinstance(rule, Or):
        return any(_fits(each, profile, event, had_event) for each in rule.rules)
    if isinstance(rule, Not):
        return not _fits(rule.rule, profile, event, had_event)
    if isinstance(rule, HasEvent):
        return had_event
    if isinstance(rule, Comparison):
        return _compare(rule.operator, _value(rule.left, profile, event), _value(rule.right, profile, event))
    value = _value(rule.attribute, profile, event)
    if isinstance(rule, Presence):
        return (value is not None) is rule.present
    if isinstance(rule, In):
        return any(_compare("=", value, each.value) for each in rule.items)
    return isinstance(value, str) and _test_string(rule, value)


def _value(operand: Operand, profile: Entity, event: Entity | None) -> Any:
    """Return the value of an operand; None for a missing field, also for one inside a list."""
    if not isinstance(operand, Attribute):
        return operand.value
    value: Any = event if operand.variable else profile
    for step in operand.path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _compare(operator: str, left: Any, right: Any) -> bool:
    kind = _kind(left)
    if kind is None or kind != _kind(right):
        return False
    if kind is bool and operator not in ("=", "!="):
        return False
    return _OPERATORS[operator](left, right)


def _kind(value: Any) -> object:
    """Return what a value can be compared with: values of the same kind, none at all for None."""
    if isinstance(value, bool):
        return bool
    if isinstance(value, (int, float)):
        return "number"
    return str if isinstance(value, str) else None


def _test_string(test: StringTest, value: str) -> bool:
    text = test.text
    if not test.case_sensitive:
        value, text = value.casefold(), text.casefold()
    if test.function == "contains":
        return text in value
    return value.startswith(text) if test.function == "startsWith" else value == text
