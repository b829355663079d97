"""The demo as users start it, and how it ends when they have seen enough."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests
import yaml
from rich.console import Console

from demo import broker
from demo.__main__ import TOPICS, check_held, parse_arguments, run_pipeline, verdict
from demo.account import Delivered, Expected
from pipelines.cli.generate.records import send
from samples.loyalty import generate
from testing.services.emulator import CLIENT_SECRET
from testing.services.process import PATIENCE_SECONDS, ServiceError, is_listening, wait_for

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
SAME = {topic: topic for topic in TOPICS}


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "demo", *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def read_until(process: subprocess.Popen[str], words: str) -> str:
    assert process.stdout is not None
    read = ""
    for line in process.stdout:
        read += line
        if words in line:
            return read
    raise AssertionError(f"it ended without {words!r}:\n{read}")


def emulator_port(output: str) -> int:
    match = re.search(r"emulated, is at http://127\.0\.0\.1:(\d+)", output)
    assert match, output
    return int(match[1])


def test_every_event_is_accounted_for(tmp_path: Path) -> None:
    process = start(tmp_path, "--events", "700", "--broken-share", "0.2")
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, output
    assert output.splitlines()[-1] == "every one of 700 events is accounted for"
    assert not is_listening(emulator_port(output))
    # What it leaves behind to be read.
    options = (tmp_path / ".demo" / "options.yaml").read_text()
    assert yaml.safe_load(options)["aep_client_secret"] == "env:AEP_CLIENT_SECRET"
    assert CLIENT_SECRET not in options
    summary = orjson.loads((tmp_path / ".demo" / "summary.json").read_bytes())
    letters = [line for path in tmp_path.glob(".demo/dead-letters/*.jsonl") for line in path.open()]
    assert summary["accepted"] + len(letters) == summary["read"] == 700


def test_keep_leaves_kafka_and_the_emulator_running_until_ctrl_c(tmp_path: Path) -> None:
    """And what it prints to try next works as it stands there."""
    process = start(tmp_path, "--events", "50", "--keep")
    output = read_until(process, "run until Ctrl-C")
    assert "every one of 50 events is accounted for" in output
    match = re.search(r"Kafka \(embedded\) is at 127\.0\.0\.1:(\d+)", output)
    assert match
    assert is_listening(int(match[1]))
    (page,) = re.findall(r"http\S+/profiles\?\S+(?=:)", output)
    assert "loyalty-7-000000001" in requests.get(page, timeout=PATIENCE_SECONDS).text
    said = [
        subprocess.run(
            command, cwd=tmp_path, env=ENVIRONMENT, shell=True, capture_output=True, text=True, timeout=PATIENCE_SECONDS
        )
        for command in re.findall(r"^  (AEP_CLIENT_SECRET=.*)$", output, re.MULTILINE)
    ]
    assert [each.stderr for each in said if each.returncode] == []
    generated, ran, looked_up = (each.stdout + each.stderr for each in said)
    assert "1,000 records" in generated
    assert re.search(r"accepted by AEP\W+1,000\b", ran)
    assert "commerce." in looked_up  # an event of the profile
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0
    assert not is_listening(emulator_port(output))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_of_it(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path, "--events", "60000")
    output = read_until(process, "pipelines.kafka_to_aep")
    process.send_signal(number)
    # The pipeline writes to the same pipe, which ends when both have ended.
    rest, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130, rest
    assert "nothing is left running" in rest
    assert "accounted for" not in rest.replace("unaccounted for", "")
    wait_for(lambda: not is_listening(emulator_port(output)), PATIENCE_SECONDS, "the emulator's end")


def test_a_signal_while_the_pipeline_starts_leaves_it_not_running(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("demo.__main__.PIPELINE", ("-c", "import time; time.sleep(600)"))
    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_pipeline()
        assert started[0].poll() is not None
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_embedded_broker_keeps_what_the_demo_sends_by_default() -> None:
    events = parse_arguments([]).events
    with broker.running("embedded", TOPICS) as cluster:
        send(generate(events, broken_share=0.02), cluster, SAME)
        assert broker.held(cluster, TOPICS) == events


def test_what_the_broker_threw_away_is_noticed() -> None:
    with broker.running("embedded", TOPICS) as cluster:
        send(generate(100), cluster, SAME)
        check_held(cluster, 100)
        with pytest.raises(ServiceError, match=r"holds 100 of the 101 events.*fewer --events"):
            check_held(cluster, 101)


def test_a_lost_event_makes_the_demo_fail() -> None:
    expected = Expected.of_topics(TOPICS)
    assert len(list(expected.note(generate(20)))) == 20
    delivered = {topic: Delivered(dict.fromkeys(good, 1), 1, 0) for topic, good in expected.good.items()}
    console = Console(file=io.StringIO())
    assert verdict(console, 20, expected, delivered, []) == 0
    delivered[TOPICS[0]] = Delivered({}, 0, 0)
    assert verdict(console, 20, expected, delivered, []) == 1


@pytest.mark.parametrize("wrong", [["--events", "0"], ["--broken-share", "2"], ["--kafka", "redpanda"]])
def test_wrong_arguments(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments(wrong)
    assert ended.value.code == 2
    assert wrong[0] in capsys.readouterr().err
