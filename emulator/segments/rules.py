"""What a rule of an audience is made of, and its text in PQL. Pure.

Sources: "Profile Query Language (PQL) overview" and its pages on boolean, comparison, array, object and string
functions and on logical quantifiers. This is a part of PQL: comparisons, `and`, `or`, `not`, `in`, `isNull` and
`isNotNull`, the string functions `equals`, `contains` and `startsWith`, and one `exists ... from xEvent`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

ComparisonOperator = Literal["=", "!=", "<=", ">=", "<", ">"]
StringFunction = Literal["equals", "contains", "startsWith"]
COMPARISONS: tuple[str, ...] = get_args(ComparisonOperator)
STRING_FUNCTIONS: tuple[str, ...] = get_args(StringFunction)
KEYWORDS = frozenset(["and", "or", "not", "in", "exists", "select", "from", "where", "true", "false"])


@dataclass(frozen=True)
class Constant:
    """A string, number or boolean."""

    value: str | int | float | bool


@dataclass(frozen=True)
class Attribute:
    """A field of the profile, or of the event that a variable stands for."""

    path: tuple[str, ...]
    variable: str | None = None


Operand: TypeAlias = Constant | Attribute


@dataclass(frozen=True)
class Comparison:
    """`left operator right`; false where a side is missing or the types differ."""

    left: Operand
    operator: ComparisonOperator
    right: Operand


@dataclass(frozen=True)
class In:
    """`attribute in [...]`."""

    attribute: Attribute
    items: tuple[Constant, ...]


@dataclass(frozen=True)
class StringTest:
    """`attribute.function("text")`."""

    attribute: Attribute
    function: StringFunction
    text: str
    case_sensitive: bool = True


@dataclass(frozen=True)
class Presence:
    """`attribute.isNotNull()` or `attribute.isNull()`."""

    attribute: Attribute
    present: bool


@dataclass(frozen=True)
class Not:
    """`not rule`."""

    rule: Rule


@dataclass(frozen=True)
class And:
    """`rule and rule ...`, at least two."""

    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Or:
    """`rule or rule ...`, at least two."""

    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class HasEvent:
    """`exists variable from xEvent where condition`; any event without a condition."""

    variable: str
    condition: Rule | None


Rule: TypeAlias = "Comparison | In | StringTest | Presence | Not | And | Or | HasEvent"


def to_pql(rule: Rule) -> str:
    """Return the text of a rule; it parses to an equal rule."""
    if isinstance(rule, (And, Or)):
        word = " and " if isinstance(rule, And) else " or "
        return word.join(_enclosed(each) for each in rule.rules)
    if isinstance(rule, Not):
        return f"not {_enclosed(rule.rule)}"
    if isinstance(rule, HasEvent):
        condition = "" if rule.condition is None else f" where {to_pql(rule.condition)}"
        return f"exists {rule.variable} from xEvent{condition}"
    if isinstance(rule, Comparison):
        return f"{_operand(rule.left)} {rule.operator} {_operand(rule.right)}"
    if isinstance(rule, In):
        return f"{_operand(rule.attribute)} in [{', '.join(_operand(each) for each in rule.items)}]"
    if isinstance(rule, StringTest):
        case = "" if rule.case_sensitive else ", false"
        return f"{_operand(rule.attribute)}.{rule.function}({json.dumps(rule.text)}{case})"
    return f"{_operand(rule.attribute)}.{'isNotNull' if rule.present else 'isNull'}()"


def event_conditions(rule: Rule) -> Iterator[HasEvent]:
    """Yield each condition on an event in a rule; a parsed rule has at most one."""
    if isinstance(rule, HasEvent):
        yield rule
    elif isinstance(rule, Not):
        yield from event_conditions(rule.rule)
    elif isinstance(rule, (And, Or)):
        for each in rule.rules:
            yield from event_conditions(each)


def _enclosed(rule: Rule) -> str:
    # a quantifier's condition reaches as far as it can
    text = to_pql(rule)
    return f"({text})" if isinstance(rule, (And, Or, HasEvent)) else text


def _operand(operand: Operand) -> str:
    if isinstance(operand, Attribute):
        return ".".join([operand.variable, *operand.path] if operand.variable else operand.path)
    return json.dumps(operand.value)
