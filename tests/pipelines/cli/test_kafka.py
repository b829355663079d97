"""`beam-aep kafka`: a broker in the foreground, the file with its address, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from confluent_kafka import Consumer

from demo.broker import held
from emulator.kafka import PARTITIONS
from pipelines.cli.main import main
from samples.loyalty import EVENTS_TOPIC, PROFILES_TOPIC
from testing.services.process import PATIENCE_SECONDS, ServiceProcess, is_listening, wait_for
from transforms.kafka.client import KafkaCluster

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "pipelines.cli", "kafka"]
ADDRESS = re.compile(r"^listening on (127\.0\.0\.1:\d+)$", re.MULTILINE)


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[tuple[ServiceProcess, str]]:
    env = {"PYTHONPATH": str(ROOT)}
    with ServiceProcess("beam-aep kafka", [*COMMAND, *arguments], folder / "log", env=env) as process:
        process.wait_until_ready(lambda: ADDRESS.search(process.log()) is not None, PATIENCE_SECONDS)
        match = ADDRESS.search(process.log())
        assert match
        yield process, match[1]


def test_other_commands_find_it_by_the_file_that_it_writes(tmp_path: Path) -> None:
    file = tmp_path / "kafka.yaml"
    with started(tmp_path, f"--write={file}") as (process, address):
        assert yaml.safe_load(file.read_text()) == {"kafka_bootstrap_servers": address}
        assert f"--options_file={file}" in process.log()
        assert main(["generate", "30", f"--options_file={file}"]) == 0
        assert held(KafkaCluster(address, {}), [PROFILES_TOPIC, EVENTS_TOPIC]) == 30
        consumer = Consumer({"bootstrap.servers": address, "group.id": "any"})
        partitions = consumer.list_topics(EVENTS_TOPIC, timeout=PATIENCE_SECONDS).topics[EVENTS_TOPIC].partitions
        consumer.close()
        assert len(partitions) == PARTITIONS
        assert f"{PARTITIONS} partitions" in process.log()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_in_good_order(tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path) as (process, address):
        os.kill(process.pid, number)
        wait_for(lambda: not process.running, PATIENCE_SECONDS, "its end")
        assert process.exit_code == 0
        assert not is_listening(int(address.rpartition(":")[2]))
        assert "Traceback" not in process.log()


def test_a_later_start_overwrites_its_file_and_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = tmp_path / "kafka.yaml", tmp_path / "mine.yaml"
    for _ in range(2):
        with started(tmp_path, f"--write={ours}"):
            pass
    (line,) = [line for line in ours.read_text().splitlines() if not line.startswith("#")]
    assert line.removeprefix("kafka_bootstrap_servers: ") == ADDRESS.findall((tmp_path / "log").read_text())[-1]
    theirs.write_text("kafka_topics: [orders]\n")
    assert main(["kafka", f"--write={theirs}"]) == 2
    assert f"{theirs}: was not written by beam-aep kafka" in capsys.readouterr().err
    assert theirs.read_text() == "kafka_topics: [orders]\n"


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--write=missing/kafka.yaml"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 2
    assert done.stderr == "error: missing/kafka.yaml: No such file or directory\n"


def test_help_says_what_the_broker_is_and_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kafka", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"with {PARTITIONS} partitions" in said
    for words in ("librdkafka's choice", "newest 5 MB of each partition", "nothing survives a restart"):
        assert words in said


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("kafka_topics: [orders]\n", "kafka_bootstrap_servers: missing"),
        ("kafka_bootstrap_servers: host:port\n", "options.yaml:1: kafka_bootstrap_servers:"),
    ],
)
def test_generate_says_what_is_wrong_with_an_options_file(
    content: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "options.yaml").write_text(content)
    assert main(["generate", "1", f"--options-file={tmp_path / 'options.yaml'}"]) == 2
    assert says in capsys.readouterr().err
