from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aep.formats.xdm_types import CONVERTERS, NANOSECONDS, Unfit, number_of, to_date, to_date_time, to_decimal
from aep.xdm.formats import PATTERNS


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("string", "a", "a"),
        ("string", 12, "12"),
        ("string", 1.5, "1.5"),
        ("string", True, "true"),
        ("integer", 5, 5),
        ("integer", 5.0, 5),
        ("integer", "-9223372036854775808", -(2**63)),
        ("number", 5, 5),
        ("number", "5", 5),
        ("number", "-1.5e3", -1500.0),
        ("boolean", False, False),
        ("boolean", "TRUE", True),
        ("boolean", 0, False),
        ("date-time", 2_678_400_000, "1970-02-01T00:00:00.000Z"),
        ("date-time", -2_678_400_001, "1969-11-30T23:59:59.999Z"),
        ("date-time", 1_700_000_000_000.5, "2023-11-14T22:13:20.000500Z"),
        ("date-time", "1700000000000", "2023-11-14T22:13:20.000Z"),
        ("date-time", 1.7e12, "2023-11-14T22:13:20.000Z"),
        ("date-time", "2024-02-29T10:00:00Z", "2024-02-29T10:00:00Z"),
        ("date-time", "2024-02-29 10:00+0130", "2024-02-29T10:00:00+01:30"),
        ("date-time", "2024-02-29t10:00:00,123456789z", "2024-02-29T10:00:00.123456789Z"),
        ("date-time", "2024-02-29T10:00:00-05", "2024-02-29T10:00:00-05:00"),
        ("date-time", "2026-01-31T10:00:00+01:00[Europe/Paris]", "2026-01-31T10:00:00+01:00"),
        ("date-time", "2026-01-31T10:00Z[UTC]", "2026-01-31T10:00:00Z"),
        ("date", "2026-01-31T10:00:00+01:00[Europe/Paris]", "2026-01-31"),
        ("date", "20260131", "2026-01-31"),
        ("date", 20260131, "2026-01-31"),
        ("number", {"scale": 2, "value": "BNI="}, 12.34),
        ("number", {"scale": 0, "value": "/w=="}, -1),
        ("number", {"scale": -2, "value": "DA=="}, 1200),
        ("date", "2024-02-29", "2024-02-29"),
        ("date", "2024-02-29T23:00:00-05:00", "2024-02-29"),
        ("date", 1_700_000_000_000, "2023-11-14"),
    ],
)
def test_what_fits_a_type(kind: str, value: Any, expected: Any) -> None:
    found = CONVERTERS[kind](value)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("string", [], "expected a string, got an object or array"),
        ("integer", 1.5, "not a 64-bit integer"),
        ("integer", True, "not a 64-bit integer"),
        ("integer", "1.0", "not a 64-bit integer"),
        ("integer", " 1", "not a 64-bit integer"),
        ("integer", "٣", "not a 64-bit integer"),
        ("integer", 2**63, "not a 64-bit integer"),
        ("integer", "9" * 5_000, "not a 64-bit integer"),
        ("integer", 1e300, "not a 64-bit integer"),
        ("number", "1,5", "not a number"),
        ("number", "1e999", "more digits than a JSON number holds"),
        ("number", "123456789012345678901", "more digits"),
        ("number", "0.12345678901234567890", "more digits"),
        ("number", False, "not a number"),
        ("number", {}, "not a number"),
        ("number", {"scale": True, "value": "DA=="}, "not a number"),
        ("number", {"scale": 2_000, "value": "DA=="}, "not a number"),
        ("number", {"scale": 2, "value": "DA=="} | {"unit": "EUR"}, "not a number"),
        ("number", {"scale": 20, "value": "AQAAAAAAAAAAAQ=="}, "more digits"),
        ("boolean", "yes", "not true or false"),
        ("boolean", 2, "not true or false"),
        ("boolean", 1.0, "not true or false"),
        ("date-time", "2024-02-29T10:00:00", "no offset from UTC"),
        ("date-time", "2024-02-29T10:00:00+18:30", "not a valid offset"),
        ("date-time", "2024-02-29T10:00:00+01:60", "not a valid offset"),
        ("date-time", "2024-02-30T10:00:00Z", "not a valid date and time"),
        ("date-time", "2024-02-29T24:00:00Z", "not a valid date and time"),
        ("date-time", "2024-02-29", "neither an ISO 8601 date and time"),
        ("date-time", 10**15, "beyond the range of dates"),
        ("date-time", 19_000, "within a month of 1970: set its unit"),
        ("date-time", 0, "within a month of 1970"),
        ("date-time", 1_700_000_000, "within a month of 1970"),
        ("date-time", "1700000000", "within a month of 1970"),
        ("date-time", 1_700_000_000.25, "within a month of 1970"),
        ("date-time", 2_678_399_999, "within a month of 1970"),
        ("date-time", -2_678_399_999, "within a month of 1970"),
        ("date-time", 1_700_000_000_000_000, "beyond the range of dates"),
        ("date-time", True, "a number of milliseconds"),
        ("date-time", "2026-01-31T10:00:00[Europe/Paris]", "no offset from UTC"),
        ("date-time", "2026-01-31T10:00:00Z[", "neither an ISO 8601 date and time"),
        ("date", 19_000, "within a month of 1970"),
        ("date", "20261331", "not a valid date"),
        ("date", 20260231, "not a valid date"),
        ("date", "2023-02-29", "not a valid date"),
        ("date", "2023-02-28x", "neither an ISO 8601 date"),
        ("date", None, "a number of milliseconds"),
    ],
)
def test_what_does_not(kind: str, value: Any, words: str) -> None:
    with pytest.raises(Unfit, match=words):
        CONVERTERS[kind](value)


@pytest.mark.parametrize(
    ("unit", "value", "expected"),
    [
        ("days", 19_000, "2022-01-08T00:00:00.000Z"),
        ("days", -1, "1969-12-31T00:00:00.000Z"),
        ("s", 0, "1970-01-01T00:00:00.000Z"),
        ("s", 1_700_000_000, "2023-11-14T22:13:20.000Z"),
        ("s", "1700000000", "2023-11-14T22:13:20.000Z"),
        ("s", 1_700_000_000.123, "2023-11-14T22:13:20.123Z"),
        ("s", "1700000000.123456789", "2023-11-14T22:13:20.123456789Z"),
        ("ms", 1, "1970-01-01T00:00:00.001Z"),
        ("us", 1_700_000_000_123_456, "2023-11-14T22:13:20.123456Z"),
        ("ns", 1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456789Z"),
        ("ns", -1, "1969-12-31T23:59:59.999999999Z"),
        ("s", "2024-02-29T10:00:00Z", "2024-02-29T10:00:00Z"),
    ],
)
def test_a_number_has_the_unit_that_is_stated(unit: str, value: Any, expected: str) -> None:
    assert to_date_time(value, unit) == expected
    assert to_date(value, unit) == expected[:10]


@pytest.mark.parametrize(
    ("unit", "value", "words"),
    [
        ("days", 1.5, "a number of days"),
        ("us", 0.5, "a number of microseconds"),
        ("s", "1700000000.1234567891", "a number of seconds"),
        ("s", 1e300, "a number of seconds"),
        ("s", "1e999", "beyond the range of dates"),
        ("s", float("nan"), "a number of seconds"),
        ("ns", [], "a number of nanoseconds"),
        ("s", 1_700_000_000_000, "beyond the range of dates"),
        ("days", 20260131, "beyond the range of dates"),
    ],
)
def test_a_number_that_is_none_of_its_unit(unit: str, value: Any, words: str) -> None:
    for convert in (to_date_time, to_date):
        with pytest.raises(Unfit, match=words):
            convert(value, unit)


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)), st.sampled_from(list(NANOSECONDS)))
def test_a_moment_in_any_unit_is_the_same_moment(moment: datetime, unit: str) -> None:
    microseconds = (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    number = microseconds * 1_000 // NANOSECONDS[unit]
    if not -(2**63) <= number < 2**63:  # nanoseconds end in the year 2262
        return
    text = to_date_time(number, unit)
    assert re.fullmatch(PATTERNS["date-time"].strip("^$"), text)
    found = datetime.fromisoformat(text.replace("Z", "")[:26])
    assert timedelta(0) <= moment - found < timedelta(microseconds=max(1, NANOSECONDS[unit] // 1_000))


@pytest.mark.parametrize(
    ("value", "scale", "expected"),
    [
        ("BNI=", 2, 12.34),
        ("+y4=", 2, -12.34),
        ("AA==", 9, 0.0),
        ("DA==", -2, 1200),
        ("1234", 0, -2_658_824),
        (7.5, 2, 7.5),
    ],
)
def test_a_decimal_in_base64_has_its_scale(value: Any, scale: int, expected: Any) -> None:
    assert to_decimal(value, scale) == expected


@pytest.mark.parametrize("value", ["", "12.34", "BNI", "é", None, True, [], "A" * 2_000])
def test_what_is_no_decimal_in_base64(value: Any) -> None:
    with pytest.raises(Unfit):
        to_decimal(value, 2)


@given(st.datetimes(timezones=st.sampled_from([timezone.utc, timezone(timedelta(hours=-9, minutes=-30))])))
def test_date_times_are_those_of_xdm_and_the_same_moment(moment: datetime) -> None:
    text = CONVERTERS["date-time"](moment.isoformat())
    assert re.fullmatch(PATTERNS["date-time"].strip("^$"), text)
    assert datetime.fromisoformat(text.replace("Z", "+00:00")) == moment


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_is_a_number_with_the_same_value_or_none(value: Decimal) -> None:
    try:
        number = number_of(value)
    except Unfit:
        return
    assert Decimal(orjson.dumps(number).decode()) == value
