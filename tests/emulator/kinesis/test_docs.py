"""The page about the local Kinesis: its example runs, and its switches are those that there are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import orjson

from emulator.kinesis.service import CALLS
from emulator.kinesis.switches import Switches
from testing.services.kinesis import Kinesis
from testing.services.process import PATIENCE_SECONDS

PAGE = (Path(__file__).parents[3] / "docs" / "local-kinesis.md").read_text()


def test_the_example_runs() -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    with Kinesis() as kinesis:
        script = example.replace("http://127.0.0.1:4567", kinesis.endpoint)
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"shardId-00000000000[01] jane b'{\"n\": 1}'\n", done.stdout)


def test_the_switches_are_those_that_there_are() -> None:
    rows = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == Switches.model_fields.keys()
    (posted,) = re.findall(r"curl -d '(.*?)'", PAGE)
    Switches.model_validate(orjson.loads(posted))


def test_the_calls_are_those_that_there_are() -> None:
    (calls,) = re.findall(r"\*\*Calls\*\*: (.*?), by name", PAGE, re.DOTALL)
    assert set(re.findall(r"\w+(?=,|$| and)", calls.replace("\n", " "))) == CALLS.keys()
