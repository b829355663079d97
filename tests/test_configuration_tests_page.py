"""The page on testing a configuration: each command, and each step of the example for CI, with the page's own files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree.ElementTree import parse

import pytest
import yaml

from pipelines.cli.test.case import CaseKeys
from testing.services.process import PATIENCE_SECONDS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "configuration-tests.md").read_text()
FILES = dict(re.findall(r"^```yaml\n# (\S+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))
COMMANDS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    for name, content in FILES.items():
        if "/" not in name:
            (tmp_path / name).write_text(content)
    return tmp_path


def run(command: str, folder: Path, **environment: str) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        shell=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env={**os.environ, "PATH": path, **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_run(command: str, folder: Path) -> None:
    assert re.search(r"^ready: |tests passed, 0 failed$", run(command, folder), re.MULTILINE)


def test_the_example_for_ci_runs(folder: Path) -> None:
    (workflow,) = [yaml.safe_load(content) for name, content in FILES.items() if "workflows" in name]
    (job,) = workflow["jobs"].values()
    steps = [step for step in job["steps"] if step.get("run", "pip").partition(" ")[0] != "pip"]
    said = [run(step["run"], folder, **step.get("env", {})) for step in steps]
    assert [words.splitlines()[-1].partition(",")[0] for words in said] == ["ready: 4 ok", "4 of 4 tests passed"]
    assert parse(folder / "results.xml").getroot().attrib["tests"] == "4"


def test_each_key_of_a_case_is_explained() -> None:
    explained = re.findall(r"^\| (`.*?`) \|", PAGE, re.MULTILINE)
    assert [key for keys in explained for key in re.findall(r"`(\w+)`", keys)] == list(CaseKeys.model_fields)
