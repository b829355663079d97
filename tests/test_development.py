"""The commands for those who change the code agree with each other."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def commands(target: str) -> list[str]:
    """Return the commands that make would run for a target."""
    done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_pre_commit_runs_what_make_check_runs() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repository["repo"] for repository in config["repos"]] == ["local"]  # nothing is downloaded
    hooks = [hook["entry"] for hook in config["repos"][0]["hooks"]]
    checks = [command for command in commands("check") if " -m ruff " in command or " -m mypy" in command]
    assert hooks == checks


def test_the_canary_runs_tests_that_exist() -> None:
    (pytest,) = [command for command in commands("canary") if " -m pytest " in command]
    paths = [word for word in pytest.split() if word.startswith("tests/")]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
