"""The soak of the Kinesis pipelines: what it calls wrong, and a short outage as users start it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pytest

from aep.formats.exported_profile import check_shape
from bench.soak.kinesis import main, profiles
from bench.soak.kinesis_account import Found, problems
from bench.soak.pipeline import Run
from testing.services.process import PATIENCE_SECONDS
from testing.services.pytest_support import require
from tests.bench.soak.test_soak import ROOT, what_kafka_needs

KEPT = frozenset({("s", "1"), ("s", "2"), ("s", "3")})
RIGHT = Found(
    produced=2,
    stored=Counter({0: 2, 1: 1}),
    read=Counter(KEPT),
    kept=KEPT,
    growth_mb={"profiles_to_kinesis": 5.0, "kinesis_to_kafka": -2.0},
    runs={
        "profiles_to_kinesis": [
            Run(1, 0.0, Path("log"), ending="stopped", memory=[(1.0, 2 * 10**8)], summary={"duplicates_possible": 1})
        ]
    },
)


def test_nothing_is_wrong_when_every_profile_is_where_it_must_be() -> None:
    assert problems(RIGHT) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"produced": 3}, "profile 2 is not on the stream"),
        ({"stored": Counter({0: 3, 1: 1})}, "2 repetitions on the stream, where there may be 1 at most"),
        ({"read": Counter(KEPT - {("s", "2")})}, "record 2 of shard s was not read"),
        ({"read": Counter([*KEPT, ("s", "1")])}, "1 records were read twice"),
        ({"growth_mb": {"kinesis_to_kafka": 31.0}}, "kinesis_to_kafka grew by 31 MB in the outage"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], words: str) -> None:
    (said,) = problems(replace(RIGHT, **change))
    assert words in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ending": "by itself"}, "ended by itself"),
        ({"memory": [(1.0, 401 * 10**6)]}, "took 401 MB of memory"),
        ({"summary": {"duplicates_possible": 1, "unaccounted": 7}}, "could not account for 7 records itself"),
    ],
)
def test_what_no_process_may_do(change: dict[str, Any], words: str) -> None:
    (run,) = RIGHT.runs["profiles_to_kinesis"]
    (said,) = problems(replace(RIGHT, runs={"profiles_to_kinesis": [replace(run, **change)]}))
    assert words in said


def test_profiles_have_the_exported_shape() -> None:
    for sample in islice(profiles(), 3):
        assert check_shape(orjson.loads(sample.value)) is None


@pytest.mark.parametrize("arguments", [["--minutes=0"], ["--rate=0"], ["--rate=1e9"]])
def test_wrong_arguments_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.usefixtures("broker_turn")
def test_an_outage_loses_nothing(tmp_path: Path) -> None:
    output = tmp_path / "soak.json"
    command = [sys.executable, "-m", "bench.soak.kinesis", "--minutes=0.5", "--rate=100", f"--output={output}"]
    with require(what_kafka_needs()):
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=2 * PATIENCE_SECONDS
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "outage: Kinesis refuses connections" in done.stderr
    written = orjson.loads(output.read_bytes())
    account = written["account"]
    assert account["problems"] == []
    assert account["on_the_stream"] == account["produced"] > 30 * 100
    (run,) = written["runs"]["profiles_to_kinesis"]
    assert run["summary"]["retries"]["connect"] > 0  # the outage was felt
