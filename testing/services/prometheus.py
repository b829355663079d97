"""promtool, Prometheus' own checker of metrics and rules."""

from __future__ import annotations

import subprocess
from pathlib import Path

from testing.services import downloads


def check_metrics(text: str) -> str:
    """Return what promtool finds wrong with metrics in the text format, "" for nothing."""
    return _run("check", "metrics", stdin=text)


def check_rules(path: Path) -> str:
    """Return what promtool finds wrong with a file of rules, "" for nothing."""
    return _run("check", "rules", "--lint=all", "--lint-fatal", str(path))


def rule_tests(path: Path) -> str:
    """Return what fails of a file of unit tests of rules, "" for nothing."""
    return _run("test", "rules", str(path))


def _run(*arguments: str, stdin: str = "") -> str:
    done = subprocess.run(
        [str(downloads.promtool()), *arguments],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    said = done.stdout.strip()
    return said if done.returncode else ""
