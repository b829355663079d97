"""What stops a run of `kinesis_to_kafka`: somebody has to act, nothing is lost, and the next run goes on."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipelines.kinesis_to_kafka import main
from testing.services.kinesis import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, Kinesis
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.faults.kinesis.campaign import ten_minutes_ahead
from tests.pipelines.test_kinesis_to_kafka import profile, put
from transforms.worker import metrics

FIRST, MORE = 200, 100
BUNDLE = 100


class Reading:
    """Runs `kinesis_to_kafka` in this process, to files, as often as a test wants."""

    def __init__(self, kinesis: Kinesis, folder: Path):
        self.kinesis, self._folder = kinesis, folder
        self.output = folder / "output"
        self.stream = kinesis.create_stream(2)
        put(kinesis, self.stream, [profile(number) for number in range(FIRST)])

    def run(self, **more: Any) -> int:
        metrics.reset()
        values = {
            "kinesis_stream": self.stream,
            "kinesis_endpoint": self.kinesis.endpoint,
            "kinesis_region": REGION,
            "kinesis_access_key_id": "env:KINESIS_KEY",
            "kinesis_secret_access_key": "env:KINESIS_SECRET",
            "kinesis_stop_at": "end",
            "kinesis_poll_seconds": 0.1,
            "kinesis_bundle_max_records": BUNDLE,
            "output_path": self.output,
            "dead_letter_path": self._folder / "dead-letters",
            "summary_file": self._folder / "summary.json",
            "progress": "off",
            **more,
        }
        return main([f"--{name}={value}" for name, value in values.items()])

    @property
    def summary(self) -> dict[str, Any]:
        return dict(orjson.loads((self._folder / "summary.json").read_bytes()))

    def numbers(self) -> Counter[int]:
        """Return how often each number was written."""
        lines = [line for file in self.output.glob("*.jsonl") for line in file.read_bytes().splitlines()]
        return Counter(orjson.loads(line)["profile"]["person"]["number"] for line in lines)

    def dead_letters(self) -> list[Path]:
        return list((self._folder / "dead-letters").glob("*.jsonl"))


@pytest.fixture
def reading(kinesis: Kinesis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reading:
    """A stream with profiles, to be read by this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KINESIS_KEY", ACCESS_KEY_ID)
    monkeypatch.setenv("KINESIS_SECRET", SECRET_ACCESS_KEY)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KINESIS"):
        monkeypatch.delenv(name, raising=False)
    kinesis.switch(limits=False)
    return Reading(kinesis, tmp_path)


@contextmanager
def meanwhile(act: Callable[[], object]) -> Iterator[None]:
    thread = threading.Thread(target=act)
    thread.start()
    yield
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("switches", "words"),
    [
        ({"denied_actions": ["kinesis:GetRecords"]}, "lack the right kinesis:GetRecords"),
        ({"expired_keys": ["*"]}, "AWS refuses the credentials (ExpiredTokenException): renew them"),
        ({"request_rate": {"KMSAccessDeniedException": 1.0}}, "kms:Decrypt to read"),
    ],
    ids=["right", "credentials", "key"],
)
def test_what_is_taken_away_while_the_reader_runs(
    reading: Reading, switches: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def take_away() -> None:
        wait_for(lambda: len(reading.numbers()) == FIRST, PATIENCE_SECONDS, "the first profiles")
        put(reading.kinesis, reading.stream, [profile(number) for number in range(FIRST, FIRST + MORE)])
        reading.kinesis.switch(**switches)

    with meanwhile(take_away):
        assert reading.run(kinesis_stop_at="never") == 2
    assert words in said(capsys)
    assert reading.summary["outcome"] == "failed"
    reading.kinesis.clear_switches()
    assert reading.run() == 0
    numbers = reading.numbers()
    assert numbers.keys() == set(range(FIRST + MORE))
    assert numbers.total() - len(numbers) <= BUNDLE
    assert not reading.dead_letters()


def test_the_clock_is_ten_minutes_off_when_the_reader_starts(
    reading: Reading, capsys: pytest.CaptureFixture[str]
) -> None:
    with ten_minutes_ahead():
        assert reading.run() == 2
    assert "is the clock of this machine right" in said(capsys)
    assert (reading.summary["outcome"], reading.summary["read"]) == ("failed", 0)
    assert reading.run() == 0
    assert reading.numbers() == Counter(range(FIRST))


def test_the_output_folder_is_lost_while_the_reader_runs(reading: Reading, capsys: pytest.CaptureFixture[str]) -> None:
    def lose() -> None:
        wait_for(lambda: len(reading.numbers()) == FIRST, PATIENCE_SECONDS, "the first profiles")
        reading.output.rename(reading.output.with_name("away"))
        reading.output.write_text("a file where the folder was")
        put(reading.kinesis, reading.stream, [profile(number) for number in range(FIRST, FIRST + MORE)])

    with meanwhile(lose):
        assert reading.run(kinesis_stop_at="never") == 2
    assert str(reading.output) in said(capsys)
    assert reading.summary["outcome"] == "failed"
    reading.output.unlink()
    reading.output.with_name("away").rename(reading.output)
    assert reading.run() == 0
    numbers = reading.numbers()
    assert numbers.keys() == set(range(FIRST + MORE))
    assert numbers.total() - len(numbers) <= BUNDLE
    assert not reading.dead_letters()


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was printed, in one line."""
    shown = capsys.readouterr()
    return " ".join((shown.out + shown.err).split())
