from __future__ import annotations

import re
from pathlib import Path

from aep.ingestion.message_rules import ADDRESSES, MESSAGE_RULES, MessageRule
from aep.ingestion.retry_rules import Rule
from aep.ingestion.rules import RULES
from pipelines.destinations.aep.outcome_page import page
from pipelines.options.table import OPTIONS

ROOT = Path(__file__).parents[4]
ALL_RULES: list[Rule | MessageRule] = [*RULES, *MESSAGE_RULES]


def test_the_page_is_made_from_the_rules_that_run() -> None:
    assert (ROOT / "docs" / "outcomes.md").read_text() == page(), "run `make docs`"


def test_each_rule_has_a_row_of_three_cells_in_order() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", page(), re.MULTILINE)
    assert [row[:2] for row in rows if row[0] not in ("reply", "---")] == [
        (rule.what_comes_back, rule.what_happens) for rule in ALL_RULES
    ]


def test_each_rule_names_a_document_or_says_that_there_is_none() -> None:
    for rule in ALL_RULES:
        assert "Not documented" in rule.source or any(title in rule.source for title in ADDRESSES), rule.name


def test_the_links_lead_somewhere() -> None:
    text = page()
    for title in re.findall(r"\[([^\]]+)\](?![:(])", text):
        assert f"\n[{title}]: https://" in text
    for anchor in re.findall(r"\(#([a-z0-9-]+)\)", text):
        assert f"\n## {anchor.replace('-', ' ')}\n" in text.lower()


def test_the_options_it_names_exist() -> None:
    assert set(re.findall(r"\baep_[a-z_]+\b", page())) <= OPTIONS.keys()
