"""Every command and every example of the README and of the pages in docs/ works as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from testing.services.process import PATIENCE_SECONDS
from transforms.records.chunk import Record
from transforms.records.dead_letter import DeadLetter
from transforms.sinks.files import write_file

ROOT = Path(__file__).parents[1]
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]}
# The blocks of these are run by test_tutorial.py, test_destinations_page.py and test_configuration_tests_page.py.
RUN_IN_ORDER = ("docs/tutorial.md", "docs/destinations.md", "docs/configuration-tests.md")
RUN_HERE = [page for page in PAGES if page not in RUN_IN_ORDER]
MY_EVENTS = "# my-events.yaml\n"


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of a language, of all pages."""
    fenced = re.compile(rf"^```{language}\n(.*?)^```", re.DOTALL | re.MULTILINE)
    return [block for page in RUN_HERE for block in fenced.findall(PAGES[page])]


COMMANDS = sorted({line for block in blocks("sh") for line in block.splitlines()})


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("make ")])
def test_make_targets_exist(command: str) -> None:
    """They are run for real where they are tested: the demo and the benchmarks have tests, and this is make test."""
    done = subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [line for line in COMMANDS if not line.startswith("make ")])
def test_commands_run(command: str, tmp_path: Path) -> None:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (my_events,) = [block for block in blocks("yaml") if block.startswith(MY_EVENTS)]
    (tmp_path / "my-events.yaml").write_text(my_events)
    record = Record(offset=42, timestamp=0, key=None, headers=(), value=b"{}")
    write_file(str(tmp_path / "dead-letters"), [DeadLetter("validate", "type", "expected type", "events", 3, record)])
    done = subprocess.run(command, cwd=tmp_path, shell=True, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", [block for block in blocks("yaml") if not block.startswith(MY_EVENTS)])
def test_examples_of_options_can_be_added_to_the_first(block: str, tmp_path: Path) -> None:
    from pipelines.destinations.aep.keys import AepRouteKeys
    from tests.pipelines.to_aep import parse

    (first,) = [block for block in blocks("yaml") if block.startswith(MY_EVENTS)]
    (tmp_path / "first.yaml").write_text(first)
    (tmp_path / "more.yaml").write_text(block)
    (name, *_) = given = yaml.safe_load(block)
    if name in AepRouteKeys.model_fields:
        AepRouteKeys(name="r", topics=("t",), inlet_url="https://dcs.adobedc.net/collection/INLET_ID", **given)
    else:
        settings = parse([f"--options_file={tmp_path / file}.yaml" for file in ("first", "more")])
        assert all(settings.origin(option).startswith(str(tmp_path / "more.yaml")) for option in given)


def test_there_are_commands_of_both_kinds() -> None:
    assert {"make demo", "make test"} <= set(COMMANDS)
    assert len([line for line in COMMANDS if not line.startswith("make ")]) >= 3


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]+))?\)", PAGES[page]):
        if target.startswith("https://"):
            continue
        path = ((ROOT / page).parent / target).resolve() if target else ROOT / page
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path.read_text()), f"{target}#{anchor}"


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_each_page_can_be_found_from_the_readme() -> None:
    missing = {page for page in PAGES if page != "README.md" and f"]({page})" not in PAGES["README.md"]}
    assert missing == set()


def test_the_readme_stays_short() -> None:
    assert len(PAGES["README.md"].splitlines()) < 160


@pytest.mark.parametrize("page", PAGES)
def test_mentions_of_options_are_of_options_that_exist(page: str) -> None:
    from pipelines.options.table import OPTIONS

    mentioned = set(
        re.findall(
            r"\b((?:kafka|aep|kinesis|xdm|map|batch|dead_letter|receipt|replay)_[a-z0-9_]+)\b(?!\.py)", PAGES[page]
        )
    )
    others = {"kafka_to_aep", "kinesis_to_kafka", "kafka_key"}  # pipelines, and a value of kinesis_partition_key
    unknown = mentioned - OPTIONS.keys() - others
    assert unknown == set()


def test_each_command_is_in_the_table_of_commands() -> None:
    import typer

    from pipelines.cli.main import app

    documented = set(re.findall(r"^\| `([\w-]+)` \|", PAGES["docs/commands.md"], re.MULTILINE))
    group: Any = typer.main.get_command(app)
    assert documented == set(group.commands)
