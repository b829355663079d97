"""The services themselves: what the other tests take for granted about them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
import requests
from confluent_kafka import Consumer, KafkaException, TopicPartition

from testing.services import downloads
from testing.services.flink import FlinkCluster
from testing.services.kafka import KafkaBroker
from testing.services.process import (
    PATIENCE_SECONDS,
    ServiceError,
    ServiceProcess,
    ServiceUnavailable,
    _can_be_had,
    free_port,
    is_listening,
    wait_for,
)
from testing.services.pytest_support import require
from testing.services.toxiproxy import Toxiproxy


def state_of(pid: int) -> str:
    """Return the letter that `ps` shows for a process; empty when there is none."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()[:1]


def test_a_process_that_fails_shows_its_log(tmp_path: Path) -> None:
    process = ServiceProcess("clumsy", ["sh", "-c", "echo no disk; exit 3"], tmp_path / "log")
    with pytest.raises(ServiceError, match=r"clumsy ended at its start with exit code 3(?s:.*)no disk"):
        process.wait_until_ready(lambda: False, PATIENCE_SECONDS)


def test_a_process_that_is_never_ready_is_killed(tmp_path: Path) -> None:
    process = ServiceProcess("slow", ["sleep", "1000"], tmp_path / "log")
    with pytest.raises(ServiceError, match=r"slow was not ready after 0\.1 s"):
        process.wait_until_ready(lambda: False, 0.1)
    assert not process.running


def test_a_paused_process_answers_only_after_resume(tmp_path: Path) -> None:
    with ServiceProcess("sleeper", ["sleep", "1000"], tmp_path / "log") as process:
        process.pause()
        wait_for(lambda: state_of(process.pid) == "T", PATIENCE_SECONDS, "the process to stop")
        process.resume()
        wait_for(lambda: state_of(process.pid) == "S", PATIENCE_SECONDS, "the process to go on")
    assert not process.running


def test_a_process_dies_with_whoever_started_it(tmp_path: Path) -> None:
    port = free_port()
    server = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    script = f"""
import pathlib, time
from testing.services.process import ServiceProcess
ServiceProcess("server", {server!r}, pathlib.Path({str(tmp_path / "log")!r}))
time.sleep(1000)
"""
    starter = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[2])
    try:
        wait_for(lambda: is_listening(port), PATIENCE_SECONDS, "the server to start")
    finally:
        os.kill(starter.pid, signal.SIGKILL)
        starter.wait()
    wait_for(lambda: not is_listening(port), PATIENCE_SECONDS, "the server to be gone")


def test_a_free_port_stays_free_for_whoever_starts_on_it_later() -> None:
    """The system gives those of its range to whoever asks for any port, and to whoever connects."""
    given_away = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(free_port() < given_away for _ in range(20))
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        assert not _can_be_had(taken.getsockname()[1])


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
def test_kafka_keeps_records_and_offsets_over_restart_and_crash(own_broker: KafkaBroker) -> None:
    kafka = own_broker
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
def test_kafka_refuses_what_the_topic_does_not_take(broker: KafkaBroker) -> None:
    topic = f"small-{uuid.uuid4().hex[:8]}"
    broker.create_topic(topic, max_message_bytes=1000)
    with pytest.raises(KafkaException, match="MSG_SIZE_TOO_LARGE"):
        broker.produce(topic, [(None, os.urandom(2000), None, None)])
    assert broker.consume_all(topic) == []


@pytest.mark.kafka
def test_the_broker_of_all_tests_cannot_be_stopped(broker: KafkaBroker) -> None:
    for change in (broker.stop, broker.kill, broker.pause, broker.resume, broker.start):
        with pytest.raises(ServiceError, match="take own_broker"):
            change()


def test_toxiproxy_cuts_and_delays_what_passes_through(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    with (
        require(Toxiproxy()) as toxiproxy,
        ServiceProcess("server", command, tmp_path / "log") as server,
        requests.Session() as session,
    ):
        server.wait_until_ready(lambda: is_listening(port), PATIENCE_SECONDS)
        session.trust_env = False
        proxy = toxiproxy.proxy(f"127.0.0.1:{port}")
        url = f"http://{proxy.address}/"
        assert session.get(url, timeout=PATIENCE_SECONDS).ok
        proxy.toxic("timeout", stream="upstream", timeout=0)
        with pytest.raises(requests.ReadTimeout):
            session.get(url, timeout=0.3)
        proxy.clear()
        assert session.get(url, timeout=PATIENCE_SECONDS).ok
        proxy.down()
        with pytest.raises(requests.ConnectionError):
            session.get(url, timeout=PATIENCE_SECONDS)
        proxy.up()
        assert session.get(url, timeout=PATIENCE_SECONDS).ok
        with pytest.raises(RuntimeError, match="Toxiproxy: POST"):
            proxy.toxic("no such kind")
