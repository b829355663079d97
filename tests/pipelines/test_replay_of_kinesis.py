"""Dead letters of kinesis_to_kafka come back through its steps, by the program as users run it.

What is refused today passes tomorrow when the shape takes more, or when its line was corrected by hand, as here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipelines.runtime.kinesis_plan import is_same_stream
from testing.services.kafka import KafkaBroker
from testing.services.kinesis import Kinesis
from testing.services.process import PATIENCE_SECONDS
from tests.pipelines.test_kinesis_to_kafka import BAD, ROOT, Program, profile, put
from transforms.records.dead_letter import DeadLetter
from transforms.records.record import Record
from transforms.sinks.files import read_files, write_file

NO_IDENTITY = b'{"person":{}}'
CORRECTED = b'{"person": {}, "identityMap": {"ecid": [{"id": "1"}]}}'


@pytest.fixture
def stream(kinesis: Kinesis) -> str:
    kinesis.switch(limits=False)
    return kinesis.create_stream(1)


def replay(program: Program, **options: Any) -> tuple[int, str]:
    """Replay with the options of the run that wrote the dead letters; return the exit code and what was said."""
    given = {name: value for name, value in {**program.options, **options}.items() if value is not None}
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "replay", "--pipeline=kinesis_to_kafka"]
        + [f"--{name}={value}" for name, value in given.items()],
        cwd=program.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return done.returncode, " ".join(done.stderr.split())


def place(one: DeadLetter) -> tuple[str, int, Record]:
    return one.topic, one.partition, one.record


def corrected(one: DeadLetter) -> DeadLetter:
    one.record = one.record._replace(value=CORRECTED)
    return one


def test_from_files_to_files_what_passes_is_written_and_the_rest_is_dead_lettered_again(
    kinesis: Kinesis, stream: str, tmp_path: Path
) -> None:
    put(kinesis, stream, [*BAD, profile(7)], "key")
    program = Program(kinesis, stream, tmp_path)
    assert program.run()[0] == 0
    folder = str(tmp_path / "dead-letters")
    before = {one.record.value: one for one in read_files(folder)}
    for file in (tmp_path / "dead-letters").iterdir():
        file.unlink()
    other = DeadLetter("shape", "required", "", "another-stream", 0, before[NO_IDENTITY].record)
    write_file(folder, [other, *(corrected(one) if one.stage == "shape" else one for one in before.values())])
    checkpoint = (tmp_path / f"kinesis-{stream}.json").read_bytes()

    code, said = replay(program, replay_stages="shape")
    assert code == 0, said
    assert "2 dead letters replayed" in said
    assert "dead letters of topic another-stream are passed over" in said
    shape = [one for one in before.values() if one.stage == "shape"]
    written = [line for line in program.lines("output") if "number" not in line["profile"]["person"]]
    assert [line["profile"] for line in written] == [orjson.loads(CORRECTED)] * 2
    assert [(line["shard"], line["sequence_number"], line["arrival"]) for line in written] == [
        tuple((value or b"").decode() for _, value in one.record.headers) for one in shape
    ]
    assert {(line["partition_key"], line["membership"]) for line in written} == {("key", "changed")}
    summary = program.summary()
    assert (summary["read"], summary["accepted"], summary["unaccounted"]) == (len(BAD) + 1, 2, 0)

    code, said = replay(program)
    assert code == 0, said
    again = list(read_files(folder))
    assert {one.replays for one in again} == {0, 1}  # the other stream's was not replayed
    assert sorted(map(place, again)) == sorted(
        map(place, [other, *(each for each in before.values() if each not in shape)])
    )
    assert program.summary()["unaccounted"] == 0
    assert (tmp_path / f"kinesis-{stream}.json").read_bytes() == checkpoint


@pytest.mark.kafka
def test_from_a_topic_to_a_topic_a_message_is_no_different_from_one_that_passed_at_once(
    kinesis: Kinesis, stream: str, tmp_path: Path, broker: KafkaBroker
) -> None:
    suffix = uuid.uuid4().hex[:8]
    out, dead = f"out-{suffix}", f"dead-{suffix}"
    for topic in (out, dead):
        broker.create_topic(topic, 1)
    put(kinesis, stream, [NO_IDENTITY, b"\xff\x00"], "key")
    where: dict[str, Any] = {
        "kafka_bootstrap_servers": broker.bootstrap_servers,
        "output_topic": out,
        "dead_letter_topic": dead,
        "output_path": None,
        "dead_letter_path": None,
        "replay_group_id": suffix,
    }
    program = Program(kinesis, stream, tmp_path, **where)
    assert program.run()[0] == 0
    # As a user would who puts the corrected message behind the others, with its headers.
    first = next(message for message in broker.consume_all(dead) if message.value() == NO_IDENTITY)
    headers = first.headers() or []
    broker.produce(dead, [(first.key(), CORRECTED, headers, 0)])

    code, said = replay(program)
    assert code == 0, said
    (message,) = broker.consume_all(out)
    assert (message.key(), message.value()) == (b"key", CORRECTED)
    own = [(name, value) for name, value in headers if name.startswith("kinesis.")]
    assert len(own) == 3
    assert message.headers() == [*own, ("aep.membership", b"changed")]
    letters = broker.consume_all(dead)
    assert [each.value() for each in letters[3:]] == [NO_IDENTITY, b"\xff\x00"]
    assert [dict(each.headers() or ())["beam_aep.replays"] for each in letters[3:]] == [b"1", b"1"]
    assert [value for value in letters[3].headers() or () if value[0].startswith("kinesis.")] == own
    assert program.summary()["unaccounted"] == 0


@pytest.mark.parametrize("named", ["profiles", "arn:aws:kinesis:us-east-1:123456789012:stream/profiles"])
def test_a_stream_is_the_same_by_its_name_and_its_arn(named: str) -> None:
    arn = "arn:aws:kinesis:us-east-1:123456789012:stream/profiles"
    assert is_same_stream(named, arn)
    assert is_same_stream(arn, named)
    assert not is_same_stream(named, "other")
    assert not is_same_stream(arn, arn.replace("us-east-1", "eu-west-1"))
