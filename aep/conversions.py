"""How a source of a map is converted: its ``type``, and the ``unit``, ``pattern`` or ``scale`` that go with it.

What a combination means is looked at once, when the map is read; per record there is one function to call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from aep.field_types import (
    CONVERTERS,
    NANOSECONDS,
    SCALES,
    is_scale,
    pattern_problem,
    to_date,
    to_date_by,
    to_date_time,
    to_date_time_by,
    to_decimal,
)

CONVERSION_KEYS = ("type", "unit", "pattern", "scale")
_DATES = ("date-time", "date")
_TYPES_OF = {"unit": _DATES, "pattern": _DATES, "scale": ("number",)}


def conversion_problem(source: Mapping[str, Any]) -> str | None:
    """What is wrong with a source's type and with what goes with it, naming the key; None for nothing."""
    kind = source.get("type")
    if "type" in source and kind not in tuple(CONVERTERS):
        return f"type must be one of {', '.join(CONVERTERS)}"
    for key, types in _TYPES_OF.items():
        if key in source and kind not in types:
            return f"{key} needs type: {' or '.join(types)}"
    if "unit" in source and "pattern" in source:
        return "has a unit, which is for numbers, and a pattern, which is for text: take one out"
    if "unit" in source and source["unit"] not in tuple(NANOSECONDS):
        return f"unit must be one of {', '.join(NANOSECONDS)}"
    if source.get("kafka") == "timestamp" and source.get("unit", "ms") != "ms":
        return "unit: Kafka's timestamp is in milliseconds, so leave the unit out"
    if "scale" in source and not is_scale(source["scale"]):
        return f"scale must be a whole number from {SCALES[0]} to {SCALES[-1]}"
    if "pattern" in source:
        pattern = source["pattern"]
        problem = pattern_problem(pattern, offset=kind == "date-time") if isinstance(pattern, str) else "must be text"
        return f"pattern {problem}" if problem else None
    return None


def converter_of(source: Mapping[str, Any]) -> Callable[[Any], Any] | None:
    """The conversion of a source without a ``conversion_problem``; None for no conversion."""
    kind = source.get("type")
    if "scale" in source:
        return partial(to_decimal, scale=source["scale"])
    if "pattern" in source:
        return partial(to_date_by if kind == "date" else to_date_time_by, pattern=source["pattern"])
    unit = "ms" if source.get("kafka") == "timestamp" else source.get("unit")
    if kind in _DATES and unit:
        return partial(to_date if kind == "date" else to_date_time, unit=unit)
    return CONVERTERS[kind] if kind else None
