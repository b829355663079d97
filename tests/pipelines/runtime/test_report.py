from __future__ import annotations

import re
from collections import Counter

import pytest
from rich.console import Console

from pipelines.output.layout import LINES, lay_out
from pipelines.output.table import show
from pipelines.runtime.report import duration, durations, summary, table, warnings, without_success
from transforms.sinks.files import FileSink
from transforms.worker import metrics
from transforms.worker.latency import LATENCY


def counts(**routes: tuple[int, int]) -> Counter[str]:
    """Of a run with these routes: how many records were accepted and dead-lettered."""
    found: Counter[str] = Counter()
    for route, (accepted, dead_lettered) in routes.items():
        found[metrics.ACCEPTED] += accepted
        found[f"{metrics.DEAD_LETTERED}required"] += dead_lettered
        found[metrics.accepted_by(route)] += accepted
        found[metrics.dead_lettered_by(route)] += dead_lettered
    return found


@pytest.mark.parametrize(
    ("found", "named"),
    [
        (counts(one=(0, 400)), "through by route one (400 dead-lettered): do"),
        (
            counts(one=(0, 400), two=(5, 1), three=(0, 1)),
            "by route one (400 dead-lettered), by route three (1 dead-lettered): do",
        ),
        # Where fields decide on the route, what was not parsed has none.
        (Counter({f"{metrics.DEAD_LETTERED}json": 7}), "through (7 dead-lettered): do"),
    ],
)
def test_a_route_of_which_nothing_got_through_is_named(found: Counter[str], named: str) -> None:
    assert named in without_success(summary(found, 1.0, "finished"))


@pytest.mark.parametrize(
    "found",
    [
        Counter(),
        counts(one=(5, 0)),
        counts(one=(1, 400)),
        counts(one=(0, 0), two=(1, 0)),
        Counter({metrics.TOMBSTONES: 5, metrics.PASSED_OVER: 3}),
        Counter({metrics.ACCEPTED: 1, f"{metrics.DEAD_LETTERED}json": 7}),
    ],
)
def test_nothing_is_said_where_records_got_through_or_there_were_none(found: Counter[str]) -> None:
    assert without_success(summary(found, 1.0, "finished")) == ""


def shown(found: Counter[str]) -> str:
    console, sink = Console(width=120), FileSink("dead-letters", "dead_letter_path")
    with console.capture() as capture:
        show(console, table(summary(found, 1.0, "finished"), (sink,), "Kafka to AEP", "AEP"))
    return capture.get()


def test_what_a_route_drops_is_accounted_for_and_shown() -> None:
    found = counts(one=(5, 2)) + Counter({metrics.READ: 1010, metrics.DROPPED: 1003, metrics.dropped_by("one"): 1003})
    account = summary(found, 1.0, "finished")
    assert (account["dropped"], account["unaccounted"]) == (1003, 0)
    assert account["routes"] == {"one": {"accepted": 5, "dead_lettered": 2, "dropped": 1003}}
    assert re.search(r"dropped by its route .* 1,003 ", shown(found))


def test_a_route_that_drops_all_of_its_records_is_warned_of() -> None:
    found = counts(one=(5, 0), two=(0, 0)) + Counter({metrics.DROPPED: 9, metrics.dropped_by("one"): 1})
    found[metrics.dropped_by("two")] = 1008
    (warning,) = warnings(summary(found, 1.0, "finished"))
    assert warning.startswith("warning: route two: all of its 1,008 records were dropped.")


def test_latency_is_in_the_summary_and_in_the_table() -> None:
    found = counts(one=(1_000, 0), two=(10, 0)) + Counter({metrics.REQUESTS: 3})
    found |= {f"{LATENCY}one/100": 960, f"{LATENCY}one/63000000": 40, f"{LATENCY}one/sum": 1}
    account = summary(found, 1.0, "finished")
    assert account["latency_milliseconds"] == {"records": 1_000, "p50": 95, "p95": 100, "p99": 61_250_000}
    assert re.search(r"latency .* p50 0.095 s, p95 0.100 s, p99 61,250.0 s; 10 not measured ", shown(found))


def test_latency_that_was_not_measured_is_said_to_be_so() -> None:
    found = counts(one=(5, 0)) + Counter({metrics.REQUESTS: 1})
    assert summary(found, 1.0, "finished")["latency_milliseconds"] == {}
    assert re.search(r"latency .* not measured: ", shown(found))
    assert "latency" not in shown(counts(one=(5, 0)))  # the output is a sink: nothing is posted


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1_020, "1.02 s"),
        (9_990, "9.99 s"),
        (599_000, "599.0 s"),
        (600_000, "10 min"),
        (36_000_000, "10 h"),
    ],
)
def test_a_duration_has_a_unit_that_fits(milliseconds: float, shown: str) -> None:
    assert duration(milliseconds) == shown


def test_durations_that_are_compared_have_one_unit() -> None:
    assert durations([570_300, 780_000, 781_000]) == ["570.3 s", "780.0 s", "781.0 s"]
    assert durations([40, 90, 999]) == ["40 ms", "90 ms", "999 ms"]
    assert durations([40, 5_000, 20_000]) == ["0.040 s", "5.00 s", "20.0 s"]
    assert durations([660_000, 36_000_000]) == ["11 min", "600 min"]


def test_where_nothing_is_dropped_nothing_is_shown_of_it() -> None:
    found = counts(one=(5, 2))
    assert summary(found, 1.0, "finished")["dropped"] == 0
    assert "dropped" not in shown(found)


def test_words_instead_of_a_number_wrap_in_the_account_of_a_narrow_terminal() -> None:
    found = counts(one=(5, 2)) + Counter({metrics.READ: 7, metrics.REQUESTS: 1})
    grid = table(summary(found, 1.0, "finished"), (), "Kafka to AEP", "AEP")
    texts = [[cell.plain for cell in row[0]] for row in grid.rows if row]
    assert max(len(cells[1]) for cells in texts) > 50  # of a latency that was not measured
    layout = lay_out(grid.columns, texts, 80, LINES)
    assert (layout.stacked, len(layout.widths), layout.total <= 80) == (False, 2, True)
