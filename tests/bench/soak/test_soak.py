"""A minute of faults, as users start it: every record is accounted for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from bench.soak.__main__ import main
from bench.soak.chaos import plan
from testing.services import downloads
from testing.services.process import PATIENCE_SECONDS
from testing.services.pytest_support import require

ROOT = Path(__file__).parents[3]
SEED, RATE = 11, 500


@contextmanager
def what_kafka_needs() -> Iterator[None]:
    downloads.java()
    downloads.kafka_jars()
    yield


@pytest.mark.parametrize(
    "arguments", [["--minutes=0.9"], ["--minutes=nan"], ["--rate=0"], ["--rate=1e9"], ["--seed=-1"], ["--seed=x"]]
)
def test_wrong_arguments_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "soak-files" / "precious"
    precious.parent.mkdir()
    precious.touch()
    with pytest.raises(SystemExit) as stopped:
        main([f"--output={tmp_path / 'soak.json'}"])
    assert stopped.value.code == 2
    assert precious.exists()


def test_without_java_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert main(["--minutes=1", f"--output={tmp_path / 'soak.json'}"]) == 2
    assert "cannot run here: no java found" in capsys.readouterr().err


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.usefixtures("broker_turn")
def test_a_minute_of_faults_loses_nothing(tmp_path: Path) -> None:
    output = tmp_path / "new" / "soak.json"
    command = [
        sys.executable,
        "-m",
        "bench.soak",
        "--minutes=1",
        f"--rate={RATE}",
        f"--seed={SEED}",
        f"--output={output}",
    ]
    with require(what_kafka_needs()):
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=2 * PATIENCE_SECONDS
        )
    assert done.returncode == 0, done.stdout + done.stderr
    written = orjson.loads(output.read_bytes())

    account = written["account"]
    assert account["problems"] == []
    assert account["produced"] >= 60 * RATE * 0.9
    assert account["produced"] == account["accepted"] + sum(account["dead_lettered"].values()) + account["dropped"]
    assert sum(account["dead_lettered"].values()) > 100
    assert account["duplicates"]["found"] <= account["duplicates_bound"]

    assert [fault["kind"] for fault in written["plan"]] == [fault.kind for fault in plan(SEED, 60)]
    endings = [process["ending"] for process in written["processes"]]
    assert endings[-1] == "stopped"
    assert endings.count("killed") == 1
    assert written["processes"][-1]["summary"]["dropped"] > 0
    # The faults were felt.
    assert written["processes"][-1]["summary"]["retries"]
    assert written["lag_highest"] > RATE
    assert 50 < written["processes"][-1]["memory_mb"]["most"] < written["memory_limit_mb"]
    assert "every one of" in done.stderr
