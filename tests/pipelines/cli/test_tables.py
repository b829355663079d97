"""What commands print on a terminal of 80 and of 120 columns, and through a pipe."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from pipelines.cli.main import main
from testing.services.process import PATIENCE_SECONDS
from testing.terminal import on_terminal, without_escapes
from tests.pipelines.cli.dead_letters.test_command import LETTERS, SCHEMA
from transforms.sinks.files import write_file

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "pipelines.cli"]
SCHEMA_FILE = "configs/schemas/loyalty-event.schema.json"

ID_IN_TEXT = """
from rich.console import Console
from pipelines.output.layout import Column
from pipelines.output.table import Table, show
table = Table("Checks", (Column("what", "text"), Column("state"), Column("found", "text")))
identifier = "https://ns.adobe.com/acme/schemas/3f6ca0a93b5b4b6d8c1f0e2d4a5b6c7d3f6ca0a93b5b4b6d8c1f0e2d4a5b6c7d"
table.add("schema of the route", "ok", f"found {identifier}")
show(Console(highlight=False), table)
"""


HEADINGS = """
from rich.console import Console
from pipelines.output.layout import Column
from pipelines.output.table import Table, show
counts = "dead letters", "would pass now", "refused again", "records of each"
table = Table("Counts", (Column("code"), *(Column(each, "number") for each in counts), Column("why", "text", rank=1)))
table.add("additionalProperties", "1", "1,000", "3", "4", "because of something that takes some more words to say")
show(Console(highlight=False), table)
"""


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("events") / "events.jsonl")
    assert main(["generate", "500", "--kind", "events", "--broken-share", "0.2", "--output", path]) == 0
    return path


@pytest.mark.parametrize("columns", [80, 120])
def test_a_table_fits_a_terminal_and_breaks_no_value(columns: int, events: str) -> None:
    command = [*COMMAND, "schema", "check", SCHEMA_FILE, "--events", events]
    code, written = on_terminal(command, columns, ROOT)
    out = without_escapes(written)
    table = [line for line in out.splitlines() if line.startswith(("┃", "│"))]
    assert (code, max(map(cell_len, table)) <= columns) == (1, True)
    codes = {line.split("│")[1].strip() for line in table if line.startswith("│")}
    assert {"additionalProperties", "integer_range", "timestamp_future"} <= codes
    narrow = columns == 80
    assert ("not shown for lack of space: line" in out) == narrow
    assert ("/_acme/loyalty/campaignCode" in out) != narrow
    assert bool(re.search("│ /_acme/[^ ]*…[^ ]*aignCode +│", out)) == narrow


def test_a_pipe_gets_a_table_whole(events: str) -> None:
    command = [*COMMAND, "schema", "check", SCHEMA_FILE, "--events", events]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE_SECONDS, check=False)
    assert "/_acme/loyalty/campaignCode" in done.stdout
    assert "│ not a valid ECID: expected 38 digits, two 19-digit numbers from 1 to 9223372036854775807 │" in done.stdout
    assert "…" not in done.stdout


def test_names_and_values_are_whole_on_any_terminal(tmp_path: Path) -> None:
    write_file(str(tmp_path), LETTERS)
    code, written = on_terminal([*COMMAND, "dead-letters", "show", "--from", str(tmp_path), "--limit", "1"], 40, ROOT)
    out = without_escapes(written)
    assert code == 0
    assert re.search("^refused by  validate, type$", out, re.MULTILINE)
    assert SCHEMA["id"] in out


def test_times_are_dropped_before_what_tells_rows_apart(tmp_path: Path) -> None:
    write_file(str(tmp_path), LETTERS)
    code, written = on_terminal([*COMMAND, "dead-letters", "stats", "--from", str(tmp_path)], 70, ROOT)
    out = without_escapes(written)
    assert code == 0
    by_code = out.split("By field")[0]
    assert re.search("stage +┃ code", by_code)
    assert "not shown for lack of space: first (UTC), example" in by_code


@pytest.mark.parametrize("columns", [30, 80])
def test_an_id_within_a_text_fits_in_a_table_and_in_a_list(columns: int) -> None:
    code, written = on_terminal([sys.executable, "-c", ID_IN_TEXT], columns, ROOT)
    lines = without_escapes(written).splitlines()
    assert (code, max(map(cell_len, lines)) <= columns) == (0, True)
    assert re.search("https://ns[^ ]*…[^ ]*c7d", "\n".join(lines))


@pytest.mark.parametrize("arguments", [["run"], ["run", "--pipeline=profiles_to_kinesis"], ["replay"]])
def test_the_help_of_a_run_fits_a_terminal(arguments: list[str]) -> None:
    code, written = on_terminal([*COMMAND, *arguments, "--help"], 80, ROOT)
    lines = without_escapes(written).splitlines()
    assert (code, [line for line in lines if len(line) > 80]) == (0, [])
    assert "  --kafka_topics  (list of str; default [])" in lines


@pytest.mark.parametrize("columns", [80, 90, 100])
def test_a_heading_that_is_longer_than_its_numbers_wraps_between_words(columns: int) -> None:
    _, written = on_terminal([sys.executable, "-c", HEADINGS], columns, ROOT)
    headings = [line.strip("┃").split("┃") for line in without_escapes(written).splitlines() if line.startswith("┃")]
    whole = [" ".join(part.strip() for part in parts).strip() for parts in zip(*headings, strict=True)]
    assert whole[:5] == ["code", "dead letters", "would pass now", "refused again", "records of each"]
