"""Values made the types that XDM has (Basics of schema composition, Field types): exactly, or not at all.

Each converter takes a value of parsed JSON that is not null. What it cannot make the type without a loss or a guess it
refuses with words that do not show the value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import orjson

from aep.xdm.formats import PATTERNS

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,19})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,400})(\.[0-9]{1,400})?([eE][-+]?[0-9]{1,3})?")
_DATE = r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
_TIME = r"(?P<time>[0-9]{2}:[0-9]{2})(?P<seconds>:[0-9]{2})?(?P<fraction>[.,][0-9]{1,9})?"
_OFFSET = r"(?P<offset>[Zz]|[+-][0-9]{2}(:?[0-9]{2})?)?"
_DATE_TIME = re.compile(f"{_DATE}[Tt ]{_TIME}{_OFFSET}")
_OF_XDM = re.compile(PATTERNS["date-time"])


class Unfit(ValueError):  # noqa: N818 - what a value is, rather than an error of the program
    """The value does not fit the type; says why."""


def to_string(value: Any) -> str:
    """Text; numbers and booleans as JSON writes them."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return orjson.dumps(value).decode()
    raise Unfit("an object or array is no string")


def to_integer(value: Any) -> int:
    """A whole number of 64 bits; text if it is the digits of one, 12.0 as 12."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
        return int(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63:
        return value
    raise Unfit("it is no whole number of 64 bits")


def to_number(value: Any) -> int | float:
    """A finite number; text if it is one as JSON writes it, and no more exact than JSON's can be here."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return number_of(Decimal(value))
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    raise Unfit("it is no number")


def to_boolean(value: Any) -> bool:
    """True or false; also the words in either case, and 1 and 0."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, int) and value in (0, 1):
        return value == 1
    raise Unfit("it is not true or false")


def to_date_time(value: Any) -> str:
    """A date-time of RFC 3339, of milliseconds since 1970 or of ISO 8601 text with an offset."""
    if not isinstance(value, str) or _INTEGER.fullmatch(value):
        return date_time_of(_milliseconds(value) * 1000)
    found = _DATE_TIME.fullmatch(value)
    if not found:
        raise Unfit("it is no ISO 8601 date and time, nor milliseconds since 1970")
    seconds, offset = found["seconds"] or ":00", found["offset"]
    if not offset:
        raise Unfit("it has no offset from UTC, as Z or +01:00")
    if offset not in ("Z", "z"):
        offset = f"{offset[:3]}:{offset[3:].lstrip(':') or '00'}"
    fraction = (found["fraction"] or "").replace(",", ".")
    text = f"{found['date']}T{found['time']}{seconds}{fraction}{offset.upper()}"
    try:
        date.fromisoformat(found["date"])
    except ValueError:
        raise Unfit("there is no such date and time") from None
    if not _OF_XDM.fullmatch(text):
        raise Unfit("there is no such date and time, or no such offset from UTC")
    return text


def to_date(value: Any) -> str:
    """A date, of milliseconds since 1970 (in UTC) or of ISO 8601 text, of which a time is left out."""
    if not isinstance(value, str) or _INTEGER.fullmatch(value):
        return date_time_of(_milliseconds(value) * 1000)[:10]
    found = re.match(_DATE, value)
    if not found or not (found.end() == len(value) or _DATE_TIME.fullmatch(value)):
        raise Unfit("it is no ISO 8601 date, nor milliseconds since 1970")
    try:
        date.fromisoformat(found["date"])
    except ValueError:
        raise Unfit("there is no such date") from None
    return found["date"]


def number_of(value: Decimal) -> int | float:
    """The number that JSON writes with the same value: whole ones of 64 bits, others as they come back from a float.

    Raises:
      Unfit: it has more digits than that.
    """
    if value.as_tuple().exponent == 0:
        if -(2**63) <= value < 2**64:
            return int(value)
    elif Decimal(repr(number := float(value))) == value:
        return number
    raise Unfit("it has more digits than a number in JSON holds exactly")


def date_time_of(microseconds: int) -> str:
    """The RFC 3339 date-time in UTC, so many microseconds after 1970: to the millisecond where that is exact.

    Raises:
      Unfit: it is outside the years 1 to 9999.
    """
    try:
        moment = EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        raise Unfit("there is no date and time so far from 1970") from None
    exact = "microseconds" if microseconds % 1000 else "milliseconds"
    return moment.isoformat(timespec=exact).replace("+00:00", "Z")


def _milliseconds(value: Any) -> int:
    try:
        return to_integer(value)
    except Unfit:
        raise Unfit("it is no text, nor whole milliseconds since 1970") from None


CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "string": to_string,
    "integer": to_integer,
    "number": to_number,
    "boolean": to_boolean,
    "date-time": to_date_time,
    "date": to_date,
}
"""By the name of the type."""
