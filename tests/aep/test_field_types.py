from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aep.field_types import CONVERTERS, Unfit, number_of
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
        ("date-time", 0, "1970-01-01T00:00:00.000Z"),
        ("date-time", -1, "1969-12-31T23:59:59.999Z"),
        ("date-time", "1700000000000", "2023-11-14T22:13:20.000Z"),
        ("date-time", 1.7e12, "2023-11-14T22:13:20.000Z"),
        ("date-time", "2024-02-29T10:00:00Z", "2024-02-29T10:00:00Z"),
        ("date-time", "2024-02-29 10:00+0130", "2024-02-29T10:00:00+01:30"),
        ("date-time", "2024-02-29t10:00:00,123456789z", "2024-02-29T10:00:00.123456789Z"),
        ("date-time", "2024-02-29T10:00:00-05", "2024-02-29T10:00:00-05:00"),
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
        ("string", [], "an object or array is no string"),
        ("integer", 1.5, "no whole number"),
        ("integer", True, "no whole number"),
        ("integer", "1.0", "no whole number"),
        ("integer", " 1", "no whole number"),
        ("integer", "٣", "no whole number"),
        ("integer", 2**63, "no whole number of 64 bits"),
        ("integer", "9" * 5_000, "no whole number"),
        ("integer", 1e300, "no whole number"),
        ("number", "1,5", "no number"),
        ("number", "1e999", "more digits than a number in JSON holds"),
        ("number", "123456789012345678901", "more digits"),
        ("number", "0.12345678901234567890", "more digits"),
        ("number", False, "no number"),
        ("number", {}, "no number"),
        ("boolean", "yes", "not true or false"),
        ("boolean", 2, "not true or false"),
        ("boolean", 1.0, "not true or false"),
        ("date-time", "2024-02-29T10:00:00", "no offset from UTC"),
        ("date-time", "2024-02-29T10:00:00+18:30", "no such offset"),
        ("date-time", "2024-02-29T10:00:00+01:60", "no such offset"),
        ("date-time", "2024-02-30T10:00:00Z", "no such date and time"),
        ("date-time", "2024-02-29T24:00:00Z", "no such date and time"),
        ("date-time", "2024-02-29", "no ISO 8601 date and time"),
        ("date-time", 10**15, "so far from 1970"),
        ("date-time", 1.5, "whole milliseconds"),
        ("date-time", True, "whole milliseconds"),
        ("date", "2023-02-29", "no such date"),
        ("date", "2023-02-28x", "no ISO 8601 date"),
        ("date", None, "whole milliseconds"),
    ],
)
def test_what_does_not(kind: str, value: Any, words: str) -> None:
    with pytest.raises(Unfit, match=words):
        CONVERTERS[kind](value)


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
