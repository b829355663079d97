"""A run for Dataflow on a machine without the packages of Google Cloud, as a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.kafka_to_aep import JOB
from pipelines.runtime.cluster_run import run_on_cluster
from pipelines.runtime.console import ConsoleReporter, console
from pipelines.runtime.run import as_run
from testing.services.process import PATIENCE_SECONDS
from tests.pipelines.options.test_dataflow_checks import flags
from tests.pipelines.to_aep import make_plan, parse


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.cli", "run", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)


@pytest.mark.parametrize("dry", [[], ["--dry_run"]])
def test_the_extra_is_named_before_anybody_is_asked(dry: list[str]) -> None:
    done = run(*flags(), "--runner=DataflowRunner", *dry)
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: DataflowRunner needs packages of Google Cloud" in done.stderr
    assert "pip install 'beam-aep[gcp]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_beam_finds_wrong_with_its_own_options_ends_in_a_sentence(tmp_path: Path) -> None:
    of_files = {
        "kafka_source": "file",
        "kafka_file_pattern": tmp_path / "*.jsonl",
        "dead_letter_path": tmp_path / "dead",
    }
    done = run(
        *flags("dead_letter_topic", **of_files), "--environment_type=LOOPBACK", "--environment_config=localhost:50000"
    )
    assert done.returncode == 2
    assert "error: Option environment_config is not compatible with environment type LOOPBACK" in done.stderr
    assert "Traceback" not in done.stderr


class _Submitted:
    """A pipeline, and the job that it becomes."""

    def __init__(self) -> None:
        self.ran = 0

    def run(self) -> _Submitted:
        self.ran += 1
        return self

    def wait_until_finish(self) -> None:
        raise AssertionError("waited for a job that does not run before this process has ended")


def test_the_launcher_of_a_template_is_not_kept_waiting() -> None:
    """It submits the job itself, from the file that `template_location` names, when this process has ended."""
    location = "--template_location=gs://bucket/staging/template_launches/1/job_object"
    plan = make_plan(parse([*flags(), "--runner=DataflowRunner", location]))
    pipeline = _Submitted()
    assert run_on_cluster(pipeline, plan, as_run(JOB), ConsoleReporter(console())) == 0
    assert pipeline.ran == 1
