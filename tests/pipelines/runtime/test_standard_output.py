"""What becomes of a run whose standard output cannot be written to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import orjson
import pytest

from testing.services.process import PATIENCE_SECONDS
from tests.pipelines.runtime.test_run import ROOT, arguments


@contextmanager
def a_full_disk() -> Iterator[int]:
    with open("/dev/full", "wb") as full:
        yield full.fileno()


@contextmanager
def a_pipe_that_nobody_reads() -> Iterator[int]:
    reads, writes = os.pipe()
    os.close(reads)
    try:
        yield writes
    finally:
        os.close(writes)


def beam_aep(*command: object, stdout: int | None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command; None closes its standard output before it starts."""
    program = [sys.executable, "-m", "pipelines.cli", *map(str, command)]
    return subprocess.run(
        program if stdout is not None else ["sh", "-c", 'exec "$@" >&-', "sh", *program],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.mark.parametrize(
    ("output", "why"),
    [
        (a_full_disk, "No space left on device"),
        (a_pipe_that_nobody_reads, "Broken pipe"),
        (None, "Bad file descriptor"),
    ],
)
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_replay_that_cannot_print_its_counts_leaves_no_dead_letter_to_be_sent_again(
    output: Callable[[], AbstractContextManager[int]] | None, why: str, log_format: str, tmp_path: Path
) -> None:
    options = arguments(tmp_path, summary_file=tmp_path / "summary.json", log_format=log_format)
    assert beam_aep("run", *options, stdout=subprocess.DEVNULL).returncode == 0
    first = {file.name for file in (tmp_path / "dead-letters").glob("*.jsonl")}
    (tmp_path / "summary.json").unlink()
    if output is None:
        done = beam_aep("replay", "--json", *options, stdout=None)
    else:
        with output() as stdout:
            done = beam_aep("replay", "--json", *options, stdout=stdout)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert f"the counts cannot be written to the standard output: {why}; the counts are above" in done.stderr
    assert orjson.loads((tmp_path / "summary.json").read_bytes())["read"] == 3
    # Where they were, the next replay would send them once more.
    assert not first & {file.name for file in (tmp_path / "dead-letters").glob("*.jsonl")}
    assert list((tmp_path / "dead-letters" / "replayed").iterdir())


def test_options_that_cannot_be_printed_are_no_traceback(tmp_path: Path) -> None:
    with a_full_disk() as stdout:
        done = beam_aep("run", *arguments(tmp_path), "--print_options", stdout=stdout)
    assert (done.returncode, done.stderr) == (
        1,
        "error: the standard output cannot be written to: No space left on device\n",
    )
    with a_pipe_that_nobody_reads() as stdout:  # as with head
        done = beam_aep("run", *arguments(tmp_path), "--print_options", stdout=stdout)
    assert (done.returncode, done.stderr) == (1, "")


def test_options_are_printed_where_the_encoding_lacks_their_characters(tmp_path: Path) -> None:
    done = beam_aep(
        "run",
        *arguments(tmp_path, aep_source_name="ж"),
        "--print_options",
        stdout=subprocess.PIPE,
        PYTHONIOENCODING="latin-1",
    )
    assert done.returncode == 0, done.stderr
    assert "aep_source_name: \\u0436" in done.stdout


def test_a_signal_at_the_start_ends_a_run_whose_standard_output_is_closed(tmp_path: Path) -> None:
    code = """
import signal, sys
from dataclasses import replace
from pipelines.kafka_to_aep import JOB
from pipelines.runtime.run import run

sys.stdout.close()
sys.stdout = None
sys.exit(run(sys.argv[1:], replace(JOB, plan=lambda *_: signal.raise_signal(signal.SIGTERM))))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments(tmp_path)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (-signal.SIGTERM, "stopped before anything was read")


@pytest.mark.parametrize("command", [["--version"], ["run", "--help"], ["check", "--help"]])
def test_any_command_says_that_its_output_cannot_be_written(command: list[str]) -> None:
    with a_full_disk() as stdout:
        done = beam_aep(*command, stdout=stdout)
    assert (done.returncode, done.stderr) == (1, "error: the output cannot be written: No space left on device\n")
