"""docs/configuration.md has every option and every key of a route, as they are declared."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from pipelines.jobs import jobs
from pipelines.options.route_keys import RouteKey, RouteKeys, describe_keys
from pipelines.options.table import OPTIONS, Option
from pipelines.page import page

ROOT = Path(__file__).parents[2]
OPTIONS_PART, ROUTES_PART = page().split("\n## Keys of a route\n")


def row(part: str, name: str) -> list[str]:
    """Return the cells of the only row about a name."""
    (found,) = re.findall(rf"^\| `{name}` \| (.*) \|$", part, re.MULTILINE)
    return re.split(r"(?<!\\) \| ", found)


def plain(cell: str) -> str:
    return cell.replace("`", "").replace("\\|", "|")


def test_the_page_is_made_from_the_declarations_that_run() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == page(), "run `make docs`"


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)
def test_each_option_is_there_with_type_unit_default_and_help(option: Option) -> None:
    type_, default, help_ = row(OPTIONS_PART, option.name)
    assert plain(type_).startswith(option.type.removesuffix(" or null").replace("|", ", "))
    assert ("null" in type_) == option.nullable
    assert option.unit is None or option.kind == "list" or type_.endswith(f", in {option.unit}")
    assert default
    assert plain(help_) == option.help


KEYS = {
    (job.destination.name, key.name): key
    for job in jobs().values()
    for key in describe_keys(job.destination.keys).values()
}


@pytest.mark.parametrize(
    ("kind", "key"), [(kind, key) for (kind, _), key in KEYS.items()], ids=[" ".join(name) for name in KEYS]
)
def test_each_key_of_a_route_is_there_with_what_it_is_when_left_out(kind: str, key: RouteKey) -> None:
    of_all, *own = ROUTES_PART.split("\n### Keys of a route to ")
    (part,) = [of_all] if key.name in RouteKeys.model_fields else [one for one in own if one.startswith(f"{kind}\n")]
    _, default, help_ = row(part, key.name)
    assert plain(help_) == key.help
    assert not key.shared or default == f"option `{key.option}`"


def test_each_table_has_four_columns() -> None:
    for line in page().splitlines():
        if line.startswith("| `"):
            assert len(re.split(r"(?<!\\) \| ", line)) == 4, line


def test_the_base_file_says_only_what_differs_from_the_defaults() -> None:
    given = yaml.safe_load((ROOT / "configs" / "base.yaml").read_text())
    assert given
    assert [name for name, value in given.items() if name in OPTIONS and value == OPTIONS[name].default] == []
