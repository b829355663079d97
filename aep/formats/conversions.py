"""Conversion of a field map's source: its `type`, with `unit`, `pattern`, `zone` or `scale`.

A combination is interpreted once, when the map is read; per record there is one function to call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from aep.formats.date_patterns import pattern_problem, to_date_by, to_date_time_by, to_date_time_in, zone_of
from aep.formats.xdm_types import CONVERTERS, NANOSECONDS, SCALES, is_scale, to_date, to_date_time, to_decimal

CONVERSION_KEYS = ("type", "unit", "pattern", "zone", "scale")
_DATES = ("date-time", "date")
_TYPES_OF = {"unit": _DATES, "pattern": _DATES, "zone": ("date-time",), "scale": ("number",)}


def conversion_problem(source: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a source's type and its companions, naming the key; None if nothing is."""
    kind = source.get("type")
    if "type" in source and kind not in tuple(CONVERTERS):
        return f"type must be one of {', '.join(CONVERTERS)}"
    for key, types in _TYPES_OF.items():
        if key in source and kind not in types:
            return f"{key} needs type: {' or '.join(types)}"
    for key in ("pattern", "zone"):
        if "unit" in source and key in source:
            return f"has both a unit (for numbers) and a {key} (for text): remove one"
    if "unit" in source and source["unit"] not in tuple(NANOSECONDS):
        return f"unit must be one of {', '.join(NANOSECONDS)}"
    if source.get("kafka") == "timestamp":
        for key in ("unit", "pattern", "zone"):
            if key in source and (key, source[key]) != ("unit", "ms"):
                return f"{key}: Kafka's timestamp is in milliseconds, so remove the {key}"
    if "scale" in source and not is_scale(source["scale"]):
        return f"scale must be a whole number from {SCALES[0]} to {SCALES[-1]}"
    if "zone" in source:
        try:
            zone_of(source["zone"])
        except ValueError as error:
            return str(error)
    if "pattern" in source:
        problem = pattern_problem(source["pattern"], is_time=kind == "date-time", has_zone="zone" in source)
        return f"pattern {problem}" if problem else None
    return None


def converter_of(source: Mapping[str, Any]) -> Callable[[Any], Any] | None:
    """Return the conversion of a source without a `conversion_problem`; None for no conversion."""
    kind = source.get("type")
    if "scale" in source:
        return partial(to_decimal, scale=source["scale"])
    zone = zone_of(source["zone"]) if "zone" in source else None
    if "pattern" in source:
        if kind == "date":
            return partial(to_date_by, pattern=source["pattern"])
        return partial(to_date_time_by, pattern=source["pattern"], zone=zone)
    if zone is not None:
        return partial(to_date_time_in, zone=zone)
    unit = "ms" if source.get("kafka") == "timestamp" else source.get("unit")
    if kind in _DATES and unit:
        return partial(to_date if kind == "date" else to_date_time, unit=unit)
    return CONVERTERS[kind] if kind else None
