"""The query parameter `property`, which filters lists of the Schema Registry and of Flow Service. Pure functions.

Sources: "Schema Registry API guide appendix" (operators; `~`, a regular expression, in its older editions; a class in
`meta:intendedToExtend`, so that lists are looked into), "Flow Service API". Several conditions in one parameter,
separated by commas, are what aepp sends; conditions of several parameters must all hold as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from operator import ge, gt, le, lt
from typing import Any

_CONDITION = re.compile(r"(?P<name>[^=!<>~]+)((?P<operator>==|!=|<=|>=|<|>|~)(?P<value>.*))?", re.DOTALL)
_NEXT_CONDITION = re.compile(r",(?=[\w@$:.\-]+(?:==|!=|<=|>=|<|>|~))")
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {"<": lt, ">": gt, "<=": le, ">=": ge}


def matching(items: Iterable[dict[str, Any]], properties: Sequence[str]) -> list[dict[str, Any]]:
    """Return the items for which all conditions hold.

    Args:
        items: Resources.
        properties: Each `property` of the query, such as `title==Loyalty`.

    Raises:
        ValueError: A condition cannot be read; the message says which.
    """
    conditions = [_condition(text) for given in properties for text in _NEXT_CONDITION.split(given) if text.strip()]
    return [each for each in items if all(holds(each) for holds in conditions)]


def _condition(text: str) -> Callable[[dict[str, Any]], bool]:
    match = _CONDITION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"property must be a name, an operator and a value, such as title==Loyalty, not {text!r}")
    name, operator, value = match["name"].strip(), match["operator"], (match["value"] or "").strip()
    if operator is None:
        return lambda item: bool(_values(item, name))
    if operator == "==":
        return lambda item: value in _values(item, name)
    if operator == "!=":
        return lambda item: value not in _values(item, name)
    if operator == "~":
        try:
            pattern = re.compile(value)
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"property {text!r}: {value!r} is not a valid regular expression: {error}") from error
        return lambda item: any(pattern.search(each) for each in _values(item, name))
    order = _ORDERS[operator]
    return lambda item: any(order(*_comparable(each, value)) for each in _values(item, name))


def _values(item: dict[str, Any], name: str) -> list[str]:
    """Return the values of a property as strings: one, those of a list, or none; dots lead into objects."""
    found: Any = item.get(name)
    if found is None and "." in name:
        found = item
        for step in name.split("."):
            found = found.get(step) if isinstance(found, dict) else None
    if found is None:
        return []
    return [_text(each) for each in (found if isinstance(found, list) else [found])]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _comparable(one: str, other: str) -> tuple[Any, Any]:
    """Return two texts as numbers where both are."""
    try:
        return float(one), float(other)
    except ValueError:
        return one, other
