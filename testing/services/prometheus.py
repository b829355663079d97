"""promtool, Prometheus' own checker of metrics and rules."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import TracebackType

from testing.services import downloads


class Promtool:
    """promtool, fetched as the `with` block begins. Each check returns what is wrong, "" for nothing."""

    def __enter__(self) -> Promtool:
        self._path = downloads.promtool()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: no process runs on."""

    def check_metrics(self, text: str) -> str:
        """Check metrics in the text format, their names and units included."""
        return self._run("check", "metrics", stdin=text)

    def check_rules(self, path: Path) -> str:
        """Check a file of rules."""
        return self._run("check", "rules", "--lint=all", "--lint-fatal", str(path))

    def check_config(self, path: Path) -> str:
        """Check a configuration of Prometheus."""
        return self._run("check", "config", str(path))

    def rule_tests(self, path: Path) -> str:
        """Run a file of unit tests of rules."""
        return self._run("test", "rules", str(path))

    def _run(self, *arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            [str(self._path), *arguments],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout.strip() if done.returncode else ""
