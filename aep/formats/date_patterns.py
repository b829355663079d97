"""Dates in text that is not ISO 8601, or that lacks its offset from UTC."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from aep.formats.xdm_types import Unfit, to_date_time, to_string

_WITHOUT_OFFSET = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2})?([.,][0-9]{1,9})?")


def pattern_problem(pattern: Any, *, is_time: bool, has_zone: bool) -> str | None:
    """Return why text in this pattern of strptime cannot be a date or, if it `is_time`, a date-time; None if it can.

    Args:
        pattern: As it was given.
        is_time: Whether it must contain a time, whose offset from UTC is in the text or given by a zone.
        has_zone: Whether a zone is given.
    """
    if not isinstance(pattern, str):
        return "must be text"
    probe = datetime(2026, 1, 31, 21, 32, 43, tzinfo=timezone(timedelta(hours=5)))
    try:
        read = datetime.strptime(probe.strftime(pattern), pattern)
    except (ValueError, re.error):  # re.error: a directive that is given twice
        return "is not a strptime pattern such as %d.%m.%Y"
    if read.date() != probe.date():
        return "has no day, month or year: write it as %d.%m.%Y"
    if is_time and (read.hour, read.minute) != (probe.hour, probe.minute):
        return "has no hours or minutes, which a date-time needs"
    if is_time and read.tzinfo is None and not has_zone:
        return (
            "has no offset from UTC (%z), which a date-time needs: add the time zone of the text, such as "
            "zone: Europe/Paris"
        )
    if read.tzinfo is not None and has_zone:
        return "contains the offset from UTC (%z): remove the zone"
    return None


def zone_of(name: Any) -> tzinfo:
    """Return the zone of this name: UTC, or one of the time zone database of this machine.

    Raises:
        ValueError: There is none.
    """
    if name == "UTC":
        return timezone.utc
    try:
        return ZoneInfo(str(name))
    except (LookupError, OSError, ValueError):  # OSError: a folder of the database, as Europe
        raise ValueError("zone must be UTC or the name of a time zone, such as Europe/Paris") from None


def to_date_time_in(value: Any, zone: tzinfo) -> str:
    """Return a date-time, as `to_date_time` makes it; ISO 8601 text without an offset takes that of the zone."""
    if isinstance(value, str) and _WITHOUT_OFFSET.fullmatch(value):
        value += _offset(value, zone)
    return to_date_time(value)


def to_date_time_by(value: Any, pattern: str, zone: tzinfo | None = None) -> str:
    """Return a date-time of text in a pattern of strptime; the offset from UTC is the text's or, without one, the
    zone's.
    """
    text = _read(value, pattern).isoformat()
    return to_date_time(text) if zone is None else to_date_time_in(text, zone)


def to_date_by(value: Any, pattern: str) -> str:
    """Return a date of text in a pattern of strptime; a time is left out."""
    return _read(value, pattern).date().isoformat()


def _read(value: Any, pattern: str) -> datetime:
    try:
        text = to_string(value)
        moment = datetime.strptime(text, pattern)
    except ValueError:  # Unfit is one
        raise Unfit("does not match the given pattern") from None
    # A number has lost its first zero, and digits without anything between them can be read in several ways.
    if text.isdigit() and moment.strftime(pattern) != text:
        raise Unfit("does not match the given pattern: it has too few digits")
    return moment


def _offset(text: str, zone: tzinfo) -> str:
    try:
        local = datetime.fromisoformat(f"{text[:10]}T{text[11:16]}")
    except ValueError:
        raise Unfit("not a valid date and time") from None
    first, second = (local.replace(tzinfo=zone, fold=fold).isoformat()[19:] for fold in (0, 1))
    if first != second:
        raise Unfit("ambiguous or nonexistent in the given zone, which changes to or from summer time then")
    if len(first) > len("+01:00"):  # the local times of before there were time zones
        raise Unfit("the given zone then had an offset from UTC with seconds, which XDM cannot express")
    return first
