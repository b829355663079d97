from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aep.http.backoff import full_jitter, retry_after

WALL = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            (None, 0),
            ("", 0),
            ("0", 0),
            ("120", 120),
            (" 5 ", 5),
            ("007", 7),
            ("301", 300),
            ("9" * 400, 300),
            ("9" * 5000, 300),
            ("-1", 0),
            ("1.5", 0),
            ("1e3", 0),
            ("١٢", 0),
            ("inf", 0),
            ("nan", 0),
            ("soon", 0),
            ("5, 6", 0),
            ("Fri, 02 Jan 2026 03:04:35 GMT", 30),
            ("Fri, 02 Jan 2026 03:04:35", 30),
            ("Fri, 02 Jan 2026 04:04:35 +0100", 30),
            ("Friday, 02-Jan-26 03:04:35 GMT", 30),
            ("Fri Jan  2 03:04:35 2026", 30),
            ("Fri, 02 Jan 2026 03:04:05 GMT", 0),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 300),
            ("Fri, 31 Dec 99999999999999999999 23:59:59 GMT", 0),
            ("Fri, 99 Jan 2026 03:04:35 GMT", 0),
            ("Fri, 02 Jan 2026 03:04:35 +99999999999999999999", 0),
        ],
    )
    def test_seconds_or_a_date_capped_or_nothing(self, header: str | None, seconds: float) -> None:
        assert retry_after(header, 300, WALL.timestamp) == seconds

    @given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ ([+-]\d+|GMT)"))
    def test_any_text_gives_seconds_within_the_cap(self, header: str) -> None:
        assert 0 <= retry_after(header, 300, WALL.timestamp) <= 300

    @given(st.integers(0, 10**30))
    def test_seconds(self, seconds: int) -> None:
        assert retry_after(str(seconds), 300) == min(seconds, 300)


@given(st.integers(1, 10**9), st.floats(0, 1, exclude_max=True))
def test_the_wait_is_drawn_below_a_doubling_bound(number: int, random: float) -> None:
    bound = min(60.0, 0.5 * 2 ** min(number - 1, 100))
    assert full_jitter(number, 0.5, 60.0, lambda: random) == random * bound
