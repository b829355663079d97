"""docs/kinesis-faults.md and the tests are about the same."""

from __future__ import annotations

import re
from pathlib import Path

from tests.faults.test_docs import ROOT, ROW, functions_of

HERE = Path(__file__)


def test_each_row_has_its_tests_and_each_test_its_row() -> None:
    rows = ROW.findall((ROOT / "docs" / "kinesis-faults.md").read_text())
    assert [int(number) for number, *_ in rows] == list(range(1, len(rows) + 1))
    named = set()
    for number, _, _, tests in rows:
        names = re.findall(r"`(\S+)`", tests)
        assert names, f"row {number} has no test"
        for name in names:
            path, _, function = name.partition("::")
            assert function in functions_of(ROOT / path), name
        named.update(names)
    for path in HERE.parent.glob("test_*.py"):
        if path != HERE:
            assert {f"{path.relative_to(ROOT)}::{function}" for function in functions_of(path)} <= named
