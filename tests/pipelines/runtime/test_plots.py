from __future__ import annotations

import html
import re
from datetime import datetime, timezone

import pytest

from pipelines.runtime.report_page.markup import Markup, element, join
from pipelines.runtime.report_page.plots import Line, Plot, say_time

STARTED = datetime(2026, 11, 29, 8, 59, 0, tzinfo=timezone.utc)


def plot(*values: float | None, by_tens: bool = False, seconds: float = 1.0) -> str:
    times = [seconds * (index + 0.5) for index in range(len(values))]
    lines = [Line("lag", values)]
    drawn = Plot("Lag", lines, times, seconds * len(values), STARTED, lambda value: f"{value:g} ms", by_tens).draw()
    return "" if drawn is None else str(drawn)


def labels(drawn: str) -> list[str]:
    return re.findall(r"<span style=\"top:[^>]*>([^<]*)<", drawn)


def test_an_axis_begins_at_0_and_holds_every_value() -> None:
    assert labels(plot(0, 3, 17)) == ["0 ms", "5 ms", "10 ms", "15 ms", "20 ms"]
    assert labels(plot(0, 0)) == ["0 ms", "1 ms"]
    assert labels(plot(0.02)) == ["0 ms", "0.005 ms", "0.01 ms", "0.015 ms", "0.02 ms"]


def test_an_axis_by_tens_holds_every_value() -> None:
    assert labels(plot(8, 2_300, by_tens=True)) == ["1 ms", "10 ms", "100 ms", "1000 ms", "10000 ms"]
    assert labels(plot(0, by_tens=True)) == ["1 ms", "10 ms"]


@pytest.mark.parametrize("by_tens", [False, True])
def test_no_line_leaves_its_plot(by_tens: bool) -> None:
    drawn = plot(0, 1, 99_999.5, 100_000, by_tens=by_tens)
    (path,) = re.findall(r'<path d="([^"]*)"', drawn)
    points = [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]
    assert len(points) == 4
    assert all(0 <= x <= 1_000 and 0 <= y <= 200 for x, y in points)


def test_a_line_goes_on_over_a_short_gap_and_not_over_a_long_one() -> None:
    (path,) = re.findall(r'<path d="([^"]*)"', plot(*[1.0] * 10, None, *[1.0] * 40, *[None] * 9, *[1.0] * 40))
    assert path.count("M") == 2
    (path,) = re.findall(r'<path d="([^"]*)"', plot(1, 2, 3))
    assert path.count("M") == 1


def test_a_point_says_when_it_was_to_be_found_in_a_log() -> None:
    assert '"2 h, 10:59:00: 3 ms"' in html.unescape(plot(3, seconds=14_400))
    assert '"1 d 12 h, 2026-11-30 20:59: 4 ms"' in html.unescape(plot(3, 4, seconds=86_400))


def test_what_was_never_known_has_no_plot() -> None:
    assert plot(None, None) == ""


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (2.5, "2.5 s"), (60, "1 min"), (95, "1 min 35 s"), (7_200, "2 h"), (90_000, "1 d 1 h")],
)
def test_a_time_has_two_units_at_most(seconds: float, said: str) -> None:
    assert say_time(seconds) == said


def test_text_is_escaped_wherever_it_stands() -> None:
    made = element("p", "<b>", join("&", Markup("<i>")), title='"', hidden=True, class_=None)
    assert made == '<p title="&quot;" hidden>&lt;b&gt;&amp;<i></p>'
