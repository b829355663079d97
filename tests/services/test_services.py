"""The services themselves: what the other tests take for granted about them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import pytest
import requests
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.periodicsequence import PeriodicImpulse
from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.services import downloads
from tests.services.flink import FlinkCluster
from tests.services.kafka import KafkaBroker
from tests.services.process import (
    ServiceError,
    ServiceProcess,
    ServiceUnavailable,
    free_port,
    is_listening,
    wait_for,
)
from tests.services.pytest_support import require
from tests.services.toxiproxy import Toxiproxy

DEADLINE = 60
# Threads of Beam's in-process worker end with an exception when the runner hangs up.
WORKER_HANGS_UP = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


@pytest.fixture(scope="module")
def kafka() -> Iterator[KafkaBroker]:
    with require(KafkaBroker()) as broker:
        yield broker


@pytest.fixture(scope="module")
def flink() -> Iterator[FlinkCluster]:
    with require(FlinkCluster()) as cluster:
        yield cluster


def flink_options(cluster: FlinkCluster, *more: str) -> PipelineOptions:
    portable = ["--runner=PortableRunner", f"--job_endpoint={cluster.job_endpoint}", "--environment_type=LOOPBACK"]
    return PipelineOptions([*portable, "--parallelism=2", *more])


def state_of(pid: int) -> str:
    """The letter that ``ps`` shows for a process; empty when there is none."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()[:1]


def test_a_process_that_fails_shows_its_log(tmp_path: Path) -> None:
    process = ServiceProcess("clumsy", ["sh", "-c", "echo no disk; exit 3"], tmp_path / "log")
    with pytest.raises(ServiceError, match=r"clumsy ended at its start with exit code 3(?s:.*)no disk"):
        process.wait_until_ready(lambda: False, DEADLINE)


def test_a_process_that_is_never_ready_is_killed(tmp_path: Path) -> None:
    process = ServiceProcess("slow", ["sleep", "1000"], tmp_path / "log")
    with pytest.raises(ServiceError, match=r"slow was not ready after 0\.1 s"):
        process.wait_until_ready(lambda: False, 0.1)
    assert not process.running


def test_a_paused_process_answers_only_after_resume(tmp_path: Path) -> None:
    with ServiceProcess("sleeper", ["sleep", "1000"], tmp_path / "log") as process:
        process.pause()
        wait_for(lambda: state_of(process.pid) == "T", DEADLINE, "the process to stop")
        process.resume()
        wait_for(lambda: state_of(process.pid) == "S", DEADLINE, "the process to go on")
    assert not process.running


def test_a_process_dies_with_whoever_started_it(tmp_path: Path) -> None:
    port = free_port()
    server = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    script = f"""
import pathlib, time
from tests.services.process import ServiceProcess
ServiceProcess("server", {server!r}, pathlib.Path({str(tmp_path / "log")!r}))
time.sleep(1000)
"""
    starter = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[2])
    try:
        wait_for(lambda: is_listening(port), DEADLINE, "the server to start")
    finally:
        os.kill(starter.pid, signal.SIGKILL)
        starter.wait()
    wait_for(lambda: not is_listening(port), DEADLINE, "the server to be gone")


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("BEAM_AEP_CACHE", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(ServiceUnavailable, match="no java found"):
        downloads.java()
    with pytest.raises(ServiceUnavailable, match="no mvn found"):
        downloads.kafka_jars()
    assert [path.name for path in (tmp_path / "beam-aep").iterdir() if path.is_dir()] == []


def test_an_unavailable_service_skips_and_fails_under_ci(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("CI", "false")
    with pytest.raises(pytest.skip.Exception, match="no java found"), require(FlinkCluster()):
        pass
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no java found"), require(FlinkCluster()):
        pass


@pytest.mark.kafka
def test_kafka_keeps_records_and_offsets_over_restart_and_crash(kafka: KafkaBroker) -> None:
    kafka.create_topic("kept", 2, max_message_bytes=3_000_000)
    headers = [("trace", b"1")]
    kafka.produce("kept", [(b"a", b"1", headers, 0), (b"b", None, None, 1), (None, b"x" * 2_500_000, None, 1)])
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": "readers"})
    consumer.commit(offsets=[TopicPartition("kept", 1, 2)], asynchronous=False)
    consumer.close()

    for end in (kafka.stop, kafka.kill):
        end()
        assert not is_listening(kafka.port)
        kafka.start()
        assert kafka.end_offsets("kept") == {0: 1, 1: 2}
        assert kafka.committed("readers", "kept") == {1: 2}

    kafka.add_partitions("kept", 3)
    kafka.produce("kept", [(b"c", b"3", None, 2)])
    assert kafka.end_offsets("kept") == {0: 1, 1: 2, 2: 1}
    records = sorted((m.partition(), m.offset(), m.key(), m.value()) for m in kafka.consume_all("kept"))
    assert records == [(0, 0, b"a", b"1"), (1, 0, b"b", None), (1, 1, None, b"x" * 2_500_000), (2, 0, b"c", b"3")]

    kafka.delete_records("kept", {1: 1})
    assert sorted(m.key() or b"" for m in kafka.consume_all("kept")) == [b"", b"a", b"c"]


@pytest.mark.kafka
def test_kafka_refuses_what_the_topic_does_not_take(kafka: KafkaBroker) -> None:
    kafka.create_topic("small", max_message_bytes=1000)
    with pytest.raises(KafkaException, match="MSG_SIZE_TOO_LARGE"):
        kafka.produce("small", [(None, os.urandom(2000), None, None)])
    assert kafka.consume_all("small") == []


@pytest.mark.flink
@WORKER_HANGS_UP
def test_flink_runs_a_pipeline_to_done(flink: FlinkCluster) -> None:
    pipeline = beam.Pipeline(options=flink_options(flink))
    squares = pipeline | beam.Create(range(10)) | beam.Reshuffle() | beam.Map(lambda number: number**2)
    assert_that(squares, equal_to([number**2 for number in range(10)]))
    result = pipeline.run()
    assert result.wait_until_finish() == PipelineState.DONE
    assert flink.jobs()[-1]["state"] == "FINISHED"


@pytest.mark.flink
@WORKER_HANGS_UP
def test_flink_restores_a_job_after_the_loss_of_its_task_manager(flink: FlinkCluster) -> None:
    checkpointing = ["--checkpointing_interval=500", "--finish_bundle_before_checkpointing"]
    pipeline = beam.Pipeline(options=flink_options(flink, "--streaming", *checkpointing))
    _ = pipeline | PeriodicImpulse(fire_interval=0.5) | beam.Map(str)
    pipeline.run()
    job = wait_for(lambda: [j for j in flink.jobs() if j["state"] == "RUNNING"], DEADLINE, "a running job")[0]["jid"]

    def count(kind: str) -> int:
        return int(flink.checkpoints(job)["counts"][kind])

    wait_for(lambda: count("completed"), DEADLINE, "a checkpoint")
    flink.kill_task_manager(0)
    flink.start_task_manager()
    wait_for(lambda: count("restored"), DEADLINE, "the job to be restored")
    before = count("completed")
    wait_for(lambda: count("completed") > before, DEADLINE, "a checkpoint after the restore")

    savepoint = flink.savepoint(job)
    assert Path(savepoint.removeprefix("file:")).is_dir()
    flink.cancel(job)
    assert flink.jobs()[-1]["state"] == "CANCELED"


def test_toxiproxy_cuts_and_delays_what_passes_through(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    with (
        require(Toxiproxy()) as toxiproxy,
        ServiceProcess("server", command, tmp_path / "log") as server,
        requests.Session() as session,
    ):
        server.wait_until_ready(lambda: is_listening(port), DEADLINE)
        session.trust_env = False
        proxy = toxiproxy.proxy(f"127.0.0.1:{port}")
        url = f"http://{proxy.address}/"
        assert session.get(url, timeout=10).ok
        proxy.toxic("timeout", stream="upstream", timeout=0)
        with pytest.raises(requests.ReadTimeout):
            session.get(url, timeout=0.3)
        proxy.clear()
        assert session.get(url, timeout=10).ok
        proxy.down()
        with pytest.raises(requests.ConnectionError):
            session.get(url, timeout=10)
        proxy.up()
        assert session.get(url, timeout=10).ok
        with pytest.raises(RuntimeError, match="Toxiproxy: POST"):
            proxy.toxic("no such kind")
