"""A job server that nobody has started, or that is something else, is said before a job is submitted."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import orjson
import pytest

from pipelines.runtime.job_server import check_job_server
from pipelines.runtime.preflight import PreflightError
from testing.services.process import PATIENCE_SECONDS, free_port, wait_for
from tests.pipelines.to_aep import parse

OPTIONS = [
    "--kafka_source=file",
    "--kafka_file_pattern=records.jsonl",
    "--kafka_topics=events",
    "--aep_inlet_url=https://dcs.adobedc.net/collection/INLET_ID",
    "--aep_auth=none",
    "--aep_org_id=ORG_ID@AdobeOrg",
    "--aep_dataset_id=DATASET_ID",
    "--xdm_payload=raw",
    "--dead_letter_path=dead-letters",
    "--runner=PortableRunner",
]


def test_a_run_whose_job_server_is_not_there_ends_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_text("")
    endpoint = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "pipelines.kafka_to_aep", *OPTIONS, f"--job_endpoint={endpoint}"]
    done = subprocess.run(
        [*command, "--job_server_timeout=1"], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert said == (
        f"error: job_endpoint (command line): no job server answers at {endpoint}: start Beam's there, or leave it out "
        "and let FlinkRunner start one"
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_what_listens_and_speaks_another_protocol_is_no_job_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(PreflightError, match=f"no job server answers at {endpoint}"):
            check_job_server(parse([*OPTIONS, f"--job_endpoint={endpoint}", "--job_server_timeout=1"]))


def test_one_that_answers_is_taken() -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        check_job_server(parse([*OPTIONS, f"--job_endpoint=127.0.0.1:{port}"]))
    finally:
        server.stop(None).wait()


def test_the_one_that_beam_has_in_this_process_is_not_looked_for() -> None:
    check_job_server(parse([*OPTIONS, "--job_endpoint=embed"]))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_job_server_that_beam_has_started_does_not_outlive_a_run_that_a_signal_ends(
    number: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "records.jsonl").write_text("")
    (tmp_path / "job-server.jar").touch()
    java, started = tmp_path / "java", tmp_path / "started"
    java.write_text(f"#!/bin/sh\necho $$ > {started}.part && mv {started}.part {started}\nexec sleep 1000\n")
    java.chmod(0o755)
    options = [one.replace("PortableRunner", "FlinkRunner") for one in OPTIONS]
    options += ["--flink_job_server_jar=job-server.jar", f"--job_server_java_launcher={java}"]
    (tmp_path / "summary.json").write_text('{"outcome": "finished"}')  # of an earlier run
    options.append("--summary_file=summary.json")
    with subprocess.Popen(
        [sys.executable, "-m", "pipelines.kafka_to_aep", *options], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as run:
        try:
            wait_for(started.exists, PATIENCE_SECONDS, "the job server")
            run.send_signal(number)
            _, log = run.communicate(timeout=PATIENCE_SECONDS)
        finally:
            run.kill()
    job_server = Path("/proc") / started.read_text().strip()
    if still_there := job_server.exists():
        os.kill(int(job_server.name), signal.SIGKILL)
    assert not still_there
    assert run.returncode == (130 if number == signal.SIGINT else -number)
    assert orjson.loads((tmp_path / "summary.json").read_bytes())["outcome"] == "unknown"
    assert "stopped waiting" in log
    assert "Traceback" not in log
