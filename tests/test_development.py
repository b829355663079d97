"""The commands for those who change the code agree with each other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def commands(target: str) -> list[str]:
    """Return the commands that make would run for a target."""
    # Without what the make that may run this test was given: its virtual environment is another one.
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKEOVERRIDES")}
    done = subprocess.run(
        ["make", "--dry-run", target], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_pre_commit_runs_what_make_check_runs() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repository["repo"] for repository in config["repos"]] == ["local"]  # nothing is downloaded
    hooks = [hook["entry"] for hook in config["repos"][0]["hooks"]]
    checks = [command for command in commands("check") if " -m ruff " in command or " -m mypy" in command]
    assert hooks == checks


def test_each_python_that_is_named_is_tested() -> None:
    (tested,) = [line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("PYTHONS := ")]
    versions = tested.removeprefix("PYTHONS := ").split()
    (minors,) = re.findall(r"for minor in \(([\d, ]+)\)", (ROOT / "setup.py").read_text())
    assert [f"3.{minor}" for minor in minors.split(", ")] == versions
    for page in ("README.md", "CONTRIBUTING.md", "docs/tutorial.md"):
        assert f"Python {versions[0]} to {versions[-1]}" in (ROOT / page).read_text()


def test_a_python_is_found_by_its_version() -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = subprocess.run(
        [ROOT / ".ci" / "python", version], capture_output=True, text=True, check=True
    ).stdout.strip()
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"Python {version}.")
    assert subprocess.run([ROOT / ".ci" / "python", "3.0"], capture_output=True).returncode == 1


def test_the_canary_runs_tests_that_exist() -> None:
    (pytest,) = [command for command in commands("canary") if " -m pytest " in command]
    paths = [word for word in pytest.split() if word.startswith("tests/")]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
