"""Convert values to XDM types (Basics of schema composition, Field types): exactly, or not at all.

Each converter takes a value of parsed JSON that is not null. A value that it cannot convert without loss or guessing it
refuses with a message that does not show the value.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

import orjson

from aep.xdm.formats import PATTERNS

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

_SECOND = 1_000_000_000
NANOSECONDS = {"days": 86_400 * _SECOND, "s": _SECOND, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""The units that a number since 1970 can have, each in nanoseconds."""
# A number of days or seconds that is taken for milliseconds gives a moment in January 1970 (seconds until 2054).
_DOUBTFUL = 31 * NANOSECONDS["days"]
SCALES = range(-400, 1_001)  # of decimals: any with which a number in JSON can have digits left

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,19})")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,400})(\.[0-9]{1,400})?([eE][-+]?[0-9]{1,3})?")
_DATE = r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
_TIME = r"(?P<time>[0-9]{2}:[0-9]{2})(?P<seconds>:[0-9]{2})?(?P<fraction>[.,][0-9]{1,9})?"
_OFFSET = r"(?P<offset>[Zz]|[+-][0-9]{2}(:?[0-9]{2})?)?"
_ZONE = r"(\[[A-Za-z0-9_+/:-]{1,64}\])?"  # java.time's ZonedDateTime writes the zone's name after the offset
_DATE_TIME = re.compile(f"{_DATE}[Tt ]{_TIME}{_OFFSET}{_ZONE}")
_BASIC_DATE = re.compile(r"[0-9]{8}")
_OF_XDM = re.compile(PATTERNS["date-time"])

_NAMES = {"days": "days", "s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_MAX_DECIMAL_BYTES = 1_000  # more than any number in JSON needs, and few enough for Python to write them in digits
_TOO_EXACT = "has more digits than a JSON number holds exactly"


class Unfit(ValueError):  # noqa: N818 - what a value is, rather than an error of the program
    """The value does not fit the type; says why."""


def to_string(value: Any) -> str:
    """Return text; numbers and booleans as JSON writes them."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return orjson.dumps(value).decode()
    raise Unfit("expected a string, got an object or array")


def to_integer(value: Any) -> int:
    """Return a 64-bit integer; text if it consists of its digits, 12.0 as 12."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
        return int(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63:
        return value
    raise Unfit("not a 64-bit integer")


def to_number(value: Any) -> int | float:
    """Return a finite number; text if it is a JSON number that a float holds exactly.

    Also a decimal with its scale, as in Debezium's VariableScaleDecimal: `{"scale": 2, "value": BASE64}`.
    """
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return number_of(Decimal(value))
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    if (
        isinstance(value, dict)
        and value.keys() == {"scale", "value"}
        and isinstance(value["value"], str)
        and is_scale(value["scale"])
    ):
        return to_decimal(value["value"], value["scale"])
    raise Unfit("not a number")


def is_scale(value: Any) -> bool:
    """Return whether a value can be the scale of a decimal: the number of digits after its decimal point."""
    return isinstance(value, int) and not isinstance(value, bool) and value in SCALES


def to_decimal(value: Any, scale: int) -> int | float:
    """Return the number that text in base64 holds: the bytes of a signed big-endian integer, without its decimal point.

    (Kafka Connect, org.apache.kafka.connect.data.Decimal, as JsonConverter writes it.) A number stays as it is.
    """
    if not isinstance(value, str):
        return to_number(value)
    try:
        data = base64.b64decode(value, validate=True)
    except ValueError:
        raise Unfit("not a base64 decimal") from None
    return decimal_of(data, scale)


def to_boolean(value: Any) -> bool:
    """Convert to a boolean; `true` and `false` in any case, 1 and 0 are taken as well."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, int) and value in (0, 1):
        return value == 1
    raise Unfit("not true or false")


def to_date_time(value: Any, unit: str | None = None) -> str:
    """Return a date-time of RFC 3339, of a number since 1970 or of ISO 8601 text with an offset.

    Args:
        value: What was read.
        unit: Of numbers, one of NANOSECONDS. Without one they are milliseconds, unless that is doubtful.
    """
    if not isinstance(value, str) or _NUMBER.fullmatch(value):
        return _since_1970(value, unit)
    found = _DATE_TIME.fullmatch(value)
    if not found:
        raise Unfit("neither an ISO 8601 date and time nor a number since 1970")
    seconds, offset = found["seconds"] or ":00", found["offset"]
    if not offset:
        raise Unfit("has no offset from UTC, such as Z or +01:00")
    if offset not in ("Z", "z"):
        offset = f"{offset[:3]}:{offset[3:].lstrip(':') or '00'}"
    fraction = (found["fraction"] or "").replace(",", ".")
    text = f"{found['date']}T{found['time']}{seconds}{fraction}{offset.upper()}"
    try:
        date.fromisoformat(found["date"])
    except ValueError:
        raise Unfit("not a valid date and time") from None
    if not _OF_XDM.fullmatch(text):
        raise Unfit("not a valid date and time, or not a valid offset from UTC")
    return text


def to_date(value: Any, unit: str | None = None) -> str:
    """Return a date, of a number since 1970 (in UTC), of ISO 8601 text, of which a time is left out, or of 20260131.

    Args:
        value: What was read.
        unit: As for `to_date_time`; a number with a unit is never read as 20260131.
    """
    if unit is None and not isinstance(value, bool) and _BASIC_DATE.fullmatch(text := str(value)):
        value = f"{text[:4]}-{text[4:6]}-{text[6:]}"  # as milliseconds it would be the first or second of January 1970
    if not isinstance(value, str) or _NUMBER.fullmatch(value):
        return _since_1970(value, unit)[:10]
    found = re.match(_DATE, value)
    if not found or not (found.end() == len(value) or _DATE_TIME.fullmatch(value)):
        raise Unfit("neither an ISO 8601 date nor a number since 1970")
    try:
        date.fromisoformat(found["date"])
    except ValueError:
        raise Unfit("not a valid date") from None
    return found["date"]


def decimal_of(unscaled: bytes, scale: int) -> int | float:
    """Return the number whose digits are a signed big-endian integer, `scale` of them after the decimal point.

    Raises:
        Unfit: It has more digits than a number in JSON holds exactly, or none.
    """
    if not unscaled:
        raise Unfit("a decimal without digits")
    if len(unscaled) > _MAX_DECIMAL_BYTES:
        raise Unfit(_TOO_EXACT)
    digits = int.from_bytes(unscaled, "big", signed=True)
    return number_of(Decimal(digits * 10**-scale) if scale < 0 else Decimal(f"{digits}E-{scale}"))


def number_of(value: Decimal) -> int | float:
    """Return the number that JSON writes with the same value: whole ones of 64 bits, others as they come back from a
    float.

    Raises:
        Unfit: It has more digits than that.
    """
    if value.as_tuple().exponent == 0:
        if -(2**63) <= value < 2**64:
            return int(value)
    elif Decimal(repr(number := float(value))) == value:
        return number
    raise Unfit(_TOO_EXACT)


def date_time_of(microseconds: int) -> str:
    """Return the RFC 3339 date-time in UTC of microseconds since 1970: to the millisecond where that is exact.

    Raises:
        Unfit: It is outside the years 1 to 9999.
    """
    try:
        moment = EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        raise Unfit("beyond the range of dates") from None
    exact = "microseconds" if microseconds % 1000 else "milliseconds"
    return moment.isoformat(timespec=exact).replace("+00:00", "Z")


def _since_1970(value: Any, unit: str | None) -> str:
    """Return the date-time in UTC of a number of units since 1970, as exact as the number."""
    nanoseconds = _nanoseconds(value, unit or "ms")
    if unit is None and abs(nanoseconds) < _DOUBTFUL:
        units = ", ".join(NANOSECONDS)
        raise Unfit(f"as milliseconds it is within a month of 1970: set its unit (unit: {units})")
    microseconds, rest = divmod(nanoseconds, 1_000)
    text = date_time_of(microseconds)
    return f"{text[:19]}.{nanoseconds % _SECOND:09}Z" if rest else text


def _nanoseconds(value: Any, unit: str) -> int:
    try:
        return to_integer(value) * NANOSECONDS[unit]
    except Unfit:
        pass
    if isinstance(value, str) or (isinstance(value, float) and math.isfinite(value) and abs(value) <= 2**53):
        exact = Fraction(str(value)) * NANOSECONDS[unit]
        if unit in ("s", "ms") and exact.denominator == 1:
            return exact.numerator
    raise Unfit(f"neither text nor a number of {_NAMES[unit]} since 1970")


CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "string": to_string,
    "integer": to_integer,
    "number": to_number,
    "boolean": to_boolean,
    "date-time": to_date_time,
    "date": to_date,
}
"""By the name of the type."""
