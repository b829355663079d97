"""Dead letters of another pipeline than `kafka_to_aep` go through the steps of the pipeline that wrote them."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from pipelines import profiles_to_kinesis, replay_dead_letters
from testing.services.kinesis import Kinesis
from tests.pipelines.test_profiles_to_kinesis import options, profile, summary, write
from transforms.records.dead_letter import DeadLetter
from transforms.sinks.files import read_files
from transforms.worker import metrics, process


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KINESIS_KEY", "AKIDEXAMPLE")
    monkeypatch.setenv("KINESIS_SECRET", "hunter2")
    metrics.reset()
    process.start_run()


def dead_letters() -> list[DeadLetter]:
    return list(read_files("dead-letters"))


def test_profiles_are_put_on_their_stream_once_the_reason_is_gone(
    kinesis: Kinesis, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = kinesis.create_stream(1)
    write(profile(1), profile(2, identityMap={}), b"no JSON")
    assert profiles_to_kinesis.main(options(kinesis, kinesis_stream=stream)) == 0
    assert sorted((one.stage, one.code) for one in dead_letters()) == [("parse", "json"), ("post", "bad_key")]
    again = options(kinesis, kinesis_stream=stream, kinesis_partition_key="/n", replay_codes="bad_key")
    capsys.readouterr()
    assert replay_dead_letters.main(["--pipeline=profiles_to_kinesis", *again]) == 0
    assert "Replay of Profiles to Kinesis: finished" in capsys.readouterr().err
    kept = kinesis.records(stream)
    assert [(each.partition_key, orjson.loads(each.data)) for each in kept] == [
        ("ecid-1", profile(1)),
        ("2", profile(2, identityMap={})),
    ]
    assert [one.code for one in dead_letters()] == ["json"]
    found = summary()
    assert (found["read"], found["accepted"], found["passed_over"], found["unaccounted"]) == (2, 1, 1, 0)


@pytest.mark.parametrize("name", ["nowhere", "replay_dead_letters"])
def test_a_name_that_no_pipeline_with_dead_letters_has(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay_dead_letters.main(["--pipeline", name]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"--pipeline: expected one of kafka_to_aep, kinesis_to_kafka, profiles_to_kinesis, got {name}" in said
