"""docs/faults.md and the tests of the campaign are about the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (\d+) \|(.+)\|(.+)\|(.*)\|$", re.MULTILINE)


def functions_of(path: Path) -> set[str]:
    """Return the names of the test functions of a file."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_each_row_has_its_tests_and_each_test_its_row() -> None:
    rows = ROW.findall((ROOT / "docs" / "faults.md").read_text())
    assert [int(number) for number, *_ in rows] == list(range(1, len(rows) + 1))
    here = set().union(*(functions_of(path) for path in Path(__file__).parent.glob("test_*.py")))
    told: list[str] = []
    for number, _, _, tests in rows:
        names = re.findall(r"`(\S+)`", tests)
        assert names, f"row {number} has no test"
        for name in names:
            path, _, function = name.rpartition("::")
            if path:
                assert function in functions_of(ROOT / path), name
            else:
                assert name.startswith(f"test_fault_{int(number):02}_"), name
                told.append(name)
    assert sorted(told) == sorted(name for name in here if name.startswith("test_fault_"))
