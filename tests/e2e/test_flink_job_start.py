"""What users read of a Flink job whose workers do not start, on a real cluster with a real worker pool."""

from __future__ import annotations

import os
import sys
import textwrap
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from samples.loyalty import generate
from testing.services import downloads
from testing.services.flink import FlinkCluster
from testing.services.process import PATIENCE_SECONDS, ServiceProcess, free_port, wait_for
from testing.services.pytest_support import require
from tests.e2e.scenario import Scenario

pytestmark = [pytest.mark.kafka, pytest.mark.flink, pytest.mark.slow]


class Pools:
    """Starts worker pools on one port."""

    def __init__(self, folder: Path, until: ExitStack) -> None:
        self.port = free_port()
        self._folder, self._until = folder, until

    def start(self, path: str) -> ServiceProcess:
        """Start a pool with this PATH."""
        command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={self.port}"]
        pool = ServiceProcess("worker pool", command, self._folder / "pool.log", env={"PATH": path})
        self._until.callback(pool.kill)
        wait_for(lambda: "Started worker pool" in pool.log(), PATIENCE_SECONDS, "the worker pool")
        return pool

    def options(self, flink: FlinkCluster) -> dict[str, object]:
        """Return options of a job whose workers the pool starts."""
        address = {"environment_type": "EXTERNAL", "environment_config": f"localhost:{self.port}"}
        return {**flink.options(), **address, "flink_master": flink.rest_url}


@pytest.fixture
def pools(tmp_path: Path) -> Iterator[Pools]:
    with ExitStack() as until:
        yield Pools(tmp_path, until)


GOOD_PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def wait_for_words(pipeline: ServiceProcess, words: str) -> None:
    wait_for(lambda: words in pipeline.log() or not pipeline.running, PATIENCE_SECONDS, words)
    assert words in pipeline.log()


def jar_that_names(jars: Path, main_class: str, jar: Path) -> Path:
    """Write a jar without classes that starts one of the class path of these jars."""
    names = " ".join(each.as_uri() for each in sorted(jars.glob("*.jar")))
    lines = ["Manifest-Version: 1.0", f"Main-Class: {main_class}", f"Class-Path: {names}"]
    manifest = "".join("\n ".join(textwrap.wrap(line, 70, drop_whitespace=False)) + "\n" for line in lines)
    with zipfile.ZipFile(jar, "w") as file:
        file.writestr("META-INF/MANIFEST.MF", manifest)
    return jar


def flink_runner(flink: FlinkCluster, jar: Path) -> dict[str, object]:
    """Return options of a job whose run starts its own job server."""
    own = {"runner": "FlinkRunner", "job_endpoint": None, "flink_master": flink.rest_url}
    return {**flink.options(), **own, "flink_job_server_jar": str(jar), "job_server_java_launcher": downloads.java()}


def test_flink_runner_starts_a_job_server_without_its_lines(scenario: Scenario, tmp_path: Path) -> None:
    main = "org.apache.beam.runners.flink.FlinkJobServerDriver"
    jar = jar_that_names(downloads.flink_job_server_jars(), main, tmp_path / "job-server.jar")
    scenario.produce(generate(100))
    # The job brings Beam's jars, which are on this cluster's class path, too: they are not to be loaded twice.
    with require(FlinkCluster(settings={"classloader.resolve-order": "parent-first"})) as flink:
        pipeline = scenario.start(**flink_runner(flink, jar), shutdown_sources_after_idle_ms=3000)
        wait_for(lambda: flink.jobs() or not pipeline.running, PATIENCE_SECONDS, "the job to be submitted")
        wait_for(lambda: not pipeline.running, PATIENCE_SECONDS, "the end of the job")
    assert pipeline.exit_code == 0, pipeline.log()
    assert scenario.check_every_sample() == 0
    assert f"submitting the job to {flink.rest_url}" in pipeline.log()
    assert "subprocess_server" not in pipeline.log()
    assert "FlinkJarJobServer" not in pipeline.log()


def test_a_job_server_that_does_not_start_is_named(scenario: Scenario, flink: FlinkCluster, tmp_path: Path) -> None:
    jar = tmp_path / "job-server.jar"
    jar.write_text("not a jar")
    finished = scenario.run(**flink_runner(flink, jar))
    assert finished.code == 1, finished.output
    assert "error: the job was not submitted: Beam's job server does not start" in finished.output
    assert f"(Error: Invalid or corrupt jarfile {jar})" in finished.output
    assert "Traceback" not in finished.output


def test_a_missing_worker_pool_is_named_and_the_job_runs_once_it_is_there(
    scenario: Scenario, flink: FlinkCluster, pools: Pools
) -> None:
    scenario.produce(generate(100))
    pipeline = scenario.start("--no_wait_until_finish", **pools.options(flink), kafka_stop_at="never")
    wait_for_words(pipeline, f"Flink starts it again: no worker pool answers at localhost:{pools.port}")
    pools.start(GOOD_PATH)
    wait_for(lambda: not pipeline.running, PATIENCE_SECONDS, "the start of the job")
    assert pipeline.exit_code == 0, pipeline.log()
    assert scenario.summary()["outcome"] == "unknown"
    assert f"tasks of the job run: {flink.rest_url}/#/job/running/{flink.jobs()[-1]['jid']}" in pipeline.log()
    scenario.wait_until_accepted(100)


def test_a_worker_pool_that_never_comes_ends_the_job_in_one_sentence(
    scenario: Scenario, flink: FlinkCluster, pools: Pools
) -> None:
    scenario.produce(generate(100))
    finished = scenario.run("--no_wait_until_finish", **pools.options(flink))
    assert finished.code == 1, finished.output
    assert f"error: the job failed: no worker pool answers at localhost:{pools.port}" in finished.output
    assert "Traceback" not in finished.output


def test_a_pool_that_finds_no_python_is_named(
    scenario: Scenario, flink: FlinkCluster, pools: Pools, tmp_path: Path
) -> None:
    pools.start(str(tmp_path))
    finished = scenario.run(**pools.options(flink))
    assert finished.code == 1, finished.output
    assert "Flink starts it again: a worker pool finds no `python`" in finished.output
    assert "error: the job failed: a worker pool finds no `python`" in finished.output
    assert "Traceback" not in finished.output


def test_a_python_without_beam_is_said_after_a_minute(
    scenario: Scenario, flink: FlinkCluster, pools: Pools, tmp_path: Path
) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')  # -S: no site-packages
    bare.chmod(0o755)
    pool = pools.start(os.pathsep.join([str(tmp_path), os.environ["PATH"]]))
    pipeline = scenario.start(**pools.options(flink))
    wait_for_words(pipeline, f"tasks wait for a Python worker: the worker pool at localhost:{pools.port}")
    assert "No module named 'apache_beam'" in pool.log()
    assert pipeline.running


def test_a_python_without_this_package_is_named(
    scenario: Scenario, flink: FlinkCluster, pools: Pools, tmp_path: Path
) -> None:
    hide = "import sys\nfor name in ('aep', 'pipelines', 'transforms'):\n    sys.modules[name] = None\n"
    (tmp_path / "sitecustomize.py").write_text(hide)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ncd {tmp_path} && PYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    pools.start(os.pathsep.join([str(tmp_path), os.environ["PATH"]]))
    scenario.produce(generate(100))
    pipeline = scenario.start(**pools.options(flink))
    wait_for_words(pipeline, "Flink starts it again: the workers' Python lacks this package")
