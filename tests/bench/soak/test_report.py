"""What a soak shows: figures of the processes, the line, the tables, and the JSON that holds it all."""

from __future__ import annotations

import io
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from bench.soak.account import Account, Duplicates
from bench.soak.chaos import Fault
from bench.soak.pipeline import Run
from bench.soak.report import Spread, document, line, process, progress_numbers, slope, spread, tables
from bench.soak.run import Result, Settings, State
from pipelines.output.table import show

LOG = """\
2026-11-02T09:12:06Z INFO transforms.kafka.assignment: this process now reads 8 partitions
2026-11-02T09:12:07Z INFO beam_aep: read 4,166  accepted 3,780  dead-lettered 44  in flight 3  lag 1,204  833 events/s
2026-11-02T09:12:07Z WARNING somewhere: in flight 99  lag 99
2026-11-02T09:12:17Z INFO beam_aep: read 6,670  accepted 6,256  dead-lettered 67  in flight 0  lag 0  667 events/s
"""
OLD_LOG = "read 6,670  accepted 6,256  dead-lettered 67  requests 23  sent again 1  667 events/s\n"


@pytest.fixture
def result(tmp_path: Path) -> Result:
    log = tmp_path / "pipeline-1.log"
    log.write_text(LOG)
    runs = [
        Run(1, 0, log, 7.0, "killed", [(1.0, 100_000_000), (2.0, 180_000_000)], {}, unanswered=40),
        Run(2, 8, tmp_path / "none", 70.0, "stopped", [], {"retries": {"429": 6}, "duplicates_possible": 20}),
    ]
    account = Account(
        *(30_000, 22_700, {"json": 200, "type": 99}, 7_000, Duplicates(70, 50, 20, 40)), 866, {"207": 860, "429": 6}
    )
    plan = [Fault(5, 2, "pipeline_kill"), Fault(20, 3, "latency", {"latency_ms": 50}), Fault(30, 3, "latency")]
    return Result(Settings(60, 500, 7, tmp_path), plan, account, runs, [(2.0, 10), (4.0, 4_321)], 61.5)


@pytest.mark.parametrize(
    ("log", "words", "numbers"),
    [(LOG, "in flight", [3, 0]), (LOG, "lag", [1_204, 0]), (OLD_LOG, "in flight", []), ("", "lag", [])],
)
def test_numbers_are_taken_from_progress_lines_only_and_may_be_absent(log: str, words: str, numbers: list[int]) -> None:
    assert progress_numbers(log, words) == numbers


def test_a_spread_is_the_least_the_middle_and_the_most() -> None:
    assert spread([3.0, 1.0, 2_000.0]) == Spread(1, 3, 2_000)
    assert str(Spread(1, 3, 2_000)) == "1 / 3 / 2,000"
    assert spread([]) is None


def test_memory_is_said_to_grow_when_it_does_once_it_is_warm() -> None:
    start = [(float(second), second * 10_000_000) for second in range(20)]
    growing = [(float(second), 200_000_000 + second * 50_000) for second in range(20, 90)]
    assert slope(start + growing) == pytest.approx(3)
    assert slope(start + [(float(second), 200_000_000) for second in range(20, 90)]) == pytest.approx(0)


@pytest.mark.parametrize("seconds", [0, 10, 40])
def test_of_a_short_process_nothing_is_said_about_its_growth(seconds: int) -> None:
    assert slope([(float(second), 1) for second in range(seconds)]) is None


def test_the_line_says_what_goes_on() -> None:
    state = State(65, 32_500, 31_000, 1_400, 212_000_000, [Fault(60, 9, "latency"), Fault(64, 2, "aep_freeze")], "")
    assert line(state, 600) == (
        "1:05 of 10:00  produced 32,500  accepted 31,000  lag 1,400  memory 212 MB  faults: latency, aep_freeze"
    )
    state.doing = "draining"
    assert line(state, 600).endswith("  draining")
    assert line(State(doing="starting"), 600) == "starting"


def test_figures_of_a_process_come_from_its_samples_and_its_log(result: Result) -> None:
    first, second = result.runs
    assert process(first) == {
        "memory_mb": Spread(100, 140, 180),
        "memory_mb_per_minute": None,
        "in_flight": Spread(0, 1.5, 3),
        "lag": Spread(0, 602, 1_204),
    }
    assert set(process(second).values()) == {None}


@pytest.mark.parametrize("missing", [0, 1])
def test_the_tables_have_every_figure(result: Result, missing: int) -> None:
    output = io.StringIO()
    console = Console(file=output, width=130)
    account = Account(**{**vars(result.account), "produced": result.account.produced - 1 + missing})
    for table in tables(Result(**{**vars(result), "account": account})):
        show(console, table)
    rows = {
        cells[0]: cells[1:]
        for one in output.getvalue().splitlines()
        if len(cells := [cell.strip() for cell in one.strip("│┃").replace("┃", "│").split("│")]) > 1
    }
    assert rows["records in Kafka"] == [f"{29_999 + missing:,}"]
    assert rows["accepted by AEP"] == ["22,700"]
    assert rows["dead-lettered: json"] == ["200"]
    assert rows["dropped by their route"] == ["7,000"]
    assert rows["unaccounted for"] == [str(missing)]
    assert rows["duplicates"] == ["70"]
    assert rows["at most"] == ["110"]
    assert rows["fault: latency"] == ["2"]
    assert rows["answered: 429"] == ["6"]
    assert rows["highest lag"] == ["4,321"]
    assert rows["1 killed"] == ["7", "100 / 140 / 180", "-", "0 / 2 / 3", "-"]
    assert rows["2 stopped"] == ["70", "-", "-", "-", "429 6"]


def test_the_document_holds_it_all(result: Result) -> None:
    written = orjson.loads(document(result))
    assert written["settings"] == {"minutes": 1, "rate": 500, "seed": 7}
    assert written["account"]["duplicates_bound"] == 110
    assert written["account"]["problems"] == []
    assert written["lag_highest"] == 4_321
    assert [fault["kind"] for fault in written["plan"]] == ["pipeline_kill", "latency", "latency"]
    assert written["processes"][0]["in_flight"] == {"least": 0, "middle": 1.5, "most": 3}
    assert written["processes"][0]["memory"] == [[1, 100_000_000], [2, 180_000_000]]
