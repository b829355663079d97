"""Beam's own ways to start a worker, and what is set in each worker's process."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.worker import statesampler
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer
from apache_beam.transforms.environments import (
    EmbeddedPythonEnvironment,
    EmbeddedPythonGrpcEnvironment,
    Environment,
    ExternalEnvironment,
    SubprocessSDKEnvironment,
)

from testing.services.process import PATIENCE_SECONDS, ServiceProcess, free_port, wait_for
from tests.transforms.examples import chunk, routes
from transforms.parse import ParseRecords
from transforms.records.chunk import Chunk
from transforms.worker import process

# The collector's thresholds, and how many milliseconds the thread sleeps that a bundle waits for at its end.
TUNED, USERS_OWN = (50_000, 50, 50, 5), (12_345, 10, 10, statesampler.DEFAULT_SAMPLING_PERIOD_MS)


@pytest.fixture(autouse=True)
def own_setting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings of the program that the tests run in."""
    before = gc.get_threshold()
    process.take("worker is set up")
    gc.set_threshold(*USERS_OWN[:3])
    own = next(one for one in statesampler.StateSampler.__mro__ if one.__module__ == statesampler.__name__)
    monkeypatch.setattr(statesampler, "StateSampler", own)
    yield
    gc.set_threshold(*before)


def run(environment: Environment, folder: Path) -> dict[int, tuple[int, ...]]:
    """Parse a record in the environment; give the settings of each process that did, as its next stage finds them."""

    def note(_: int) -> None:
        found = (*gc.get_threshold(), statesampler.get_current_tracker().sampling_period_ms)
        Path(folder, str(os.getpid())).write_text(" ".join(map(str, found)))

    with beam.Pipeline(FnApiRunner(environment), PipelineOptions([])) as pipeline:
        parsed = pipeline | beam.Create([chunk(b"{}")]) | ParseRecords(routes(), "skip")
        counted = parsed.main | "Count" >> beam.Map(_records).with_output_types(int)
        counted | beam.Reshuffle() | "Note" >> beam.Map(note)
    return {int(one.name): tuple(map(int, one.read_text().split())) for one in folder.iterdir()}


def _records(parsed: Chunk) -> int:
    return len(parsed.records)


def test_a_process_that_a_worker_pool_starts_is_tuned(tmp_path: Path) -> None:
    port, found = free_port(), tmp_path / "found"
    found.mkdir()
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with ServiceProcess("worker pool", command, tmp_path / "pool.log", env={"PATH": path}) as pool:
        wait_for(lambda: "Started worker pool" in pool.log(), PATIENCE_SECONDS, "the worker pool")
        settings = run(ExternalEnvironment(f"localhost:{port}"), found)
    assert list(settings.values()) == [TUNED]
    assert os.getpid() not in settings


def test_a_process_that_a_container_starts_is_tuned(tmp_path: Path) -> None:
    command = f"{sys.executable} -m apache_beam.runners.worker.sdk_worker_main"
    settings = run(SubprocessSDKEnvironment.from_command_string(command), tmp_path)
    assert list(settings.values()) == [TUNED]
    assert os.getpid() not in settings


@pytest.mark.parametrize("kind", ["in memory", "embedded", "loopback"])
def test_a_users_own_program_in_which_the_worker_is_a_thread_keeps_its_setting(tmp_path: Path, kind: str) -> None:
    if kind == "loopback":
        address, server = BeamFnExternalWorkerPoolServicer.start(use_process=False)
        settings = run(ExternalEnvironment(address), tmp_path)
        server.stop(0)
    elif kind == "embedded":
        settings = run(EmbeddedPythonGrpcEnvironment.default(), tmp_path)
    else:
        settings = run(EmbeddedPythonEnvironment.default(), tmp_path)
    assert settings == {os.getpid(): USERS_OWN}
