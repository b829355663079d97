"""`replay --preview` says what a replay would do, and does nothing of it."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Consumer, TopicPartition

from pipelines.cli.main import main
from testing.services.kafka import KafkaBroker
from tests.pipelines.platform_bench import PlatformBench
from transforms.kafka.client import KafkaCluster
from transforms.kafka.send import send_all
from transforms.records.dead_letter import DeadLetter
from transforms.records.record import Record
from transforms.sinks.files import write_file

RAW = ["--aep_inlet_url=https://dcs.adobedc.net/collection/i", "--xdm_payload=raw", "--kafka_topics=orders"]
MAP = "/total: {from: /sum, type: number}\n"


def letter(offset: int, value: bytes, code: str = "map", topic: str = "orders", **more: Any) -> DeadLetter:
    record = Record(offset, 0, None, (), value)
    return DeadLetter("map", code, "secret", topic, 0, record, **{"route": "default", **more})


LETTERS = [
    letter(1, b'{"sum": "1"}'),
    letter(2, b'{"sum": "2"}'),
    letter(3, b'{"sum": "x"}'),
    letter(4, b"{oops", code="json"),
    letter(5, b"{}", topic="others"),
]


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    (tmp_path / "map.yaml").write_text(MAP)
    return [*RAW, f"--map_file={tmp_path}/map.yaml", f"--dead_letter_path={tmp_path}/dead"]


def preview(capsys: pytest.CaptureFixture[str], *options: str, code: int) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["replay", "--preview", "--json", *options]) == code, capsys.readouterr().err
    return dict(orjson.loads(capsys.readouterr().out))


def test_dead_letters_in_files_are_counted_and_stay(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_file(str(tmp_path / "dead"), LETTERS)
    before = {path.name: path.read_bytes() for path in (tmp_path / "dead").iterdir()}
    found = preview(capsys, *options, code=1)  # no brokers: none is asked
    assert found == {
        "dead_letters": 4,
        "passing": 2,
        "refused": 2,
        "dropped": 0,
        "passed_over": 1,
        "by_reason": [
            {
                "route": "default",
                "stage": "map",
                "code": "map",
                "dead_letters": 3,
                "passing": 2,
                "refused": 1,
                "dropped": 0,
                "now": [{"stage": "map", "code": "map", "count": 1}],
            },
            {
                "route": "default",
                "stage": "map",
                "code": "json",
                "dead_letters": 1,
                "passing": 0,
                "refused": 1,
                "dropped": 0,
                "now": [{"stage": "parse", "code": "json", "count": 1}],
            },
        ],
    }
    (tmp_path / "map.yaml").write_text("/total: {from: /sum, type: string, optional: true}\n")
    assert preview(capsys, *options, "--replay_codes=map", code=0)["passing"] == 3
    assert {path.name: path.read_bytes() for path in (tmp_path / "dead").iterdir()} == before


def test_a_person_reads_a_table_and_what_it_does_not_say(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_file(str(tmp_path / "dead"), LETTERS)
    assert main(["replay", "--preview", *options]) == 1
    shown = capsys.readouterr()
    assert "4 dead letters, as a replay would find them now" in shown.out
    (row,) = [line for line in shown.out.splitlines() if "map, map: 1" in line]
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        "default",
        "map",
        "map",
        "3",
        "2",
        "1",
        "0",
        "map, map: 1",
    ]
    assert "not replayed with these options: 1" in shown.err
    assert "the destination was not asked" in shown.err
    assert "secret" not in shown.out + shown.err


def test_of_no_dead_letters_there_is_no_table(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dead").mkdir()
    assert main(["replay", "--preview", *options]) == 0
    assert capsys.readouterr() == ("", "no dead letter would be replayed\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--pipeline=nowhere"], "no pipeline with dead letters is called nowhere"),
        ([*RAW, "--dead_letter_path=none"], "no folder none"),
        (RAW, "dead_letter_path: missing"),
        ([*RAW, "--dead_letter_topic=dead"], "kafka_bootstrap_servers: missing"),
        ([*RAW, "--dead_letter_path=x", "--replay_source=topic:dead"], "kafka_bootstrap_servers: missing"),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "--preview", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_a_topic_is_looked_at_from_the_offsets_of_its_group_and_none_is_committed(
    broker: KafkaBroker, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    topic, group = f"dead-{uuid.uuid4().hex[:8]}", f"again-{uuid.uuid4().hex[:8]}"
    broker.create_topic(topic, partitions=1)
    send_all(KafkaCluster(broker.bootstrap_servers, {}), topic, [one.to_message() for one in LETTERS])
    place = [
        f"--kafka_bootstrap_servers={broker.bootstrap_servers}",
        f"--replay_source=topic:{topic}",
        f"--replay_group_id={group}",
    ]
    assert preview(capsys, *options, *place, code=1)["dead_letters"] == 4
    assert preview(capsys, *options, *place, code=1)["dead_letters"] == 4
    assert broker.committed(group, topic) == {}
    commit_to(broker, group, topic, 3)
    assert preview(capsys, *options, *place, code=1)["dead_letters"] == 1
    assert broker.committed(group, topic) == {0: 3}


def commit_to(broker: KafkaBroker, group: str, topic: str, offset: int) -> None:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
    consumer.close()


def test_records_for_kinesis_are_judged_with_their_partition_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keyless = letter(1, b'{"n": "1", "identityMap": {}}', code="bad_key", topic="profiles")
    write_file(str(tmp_path / "dead"), [keyless])
    options = ["--pipeline=profiles_to_kinesis", "--kinesis_stream=s", f"--dead_letter_path={tmp_path}/dead"]
    options += ["--kafka_topics=profiles", "--kafka_bootstrap_servers=10.255.255.1:9092"]
    (row,) = preview(capsys, *options, code=1)["by_reason"]
    assert row["now"] == [{"stage": "post", "code": "bad_key", "count": 1}]
    preview(capsys, *options, "--kinesis_partition_key=/n", code=0)


def test_records_of_a_stream_are_judged_as_they_were_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = b'{"identityMap": {"email": [{"id": "a"}]}}'
    write_file(str(tmp_path / "dead"), [letter(1, good, topic="s"), letter(2, b"{}", topic="s")])
    options = ["--pipeline=kinesis_to_kafka", "--kinesis_stream=s", f"--dead_letter_path={tmp_path}/dead"]
    found = preview(capsys, *options, f"--output_path={tmp_path}/out", code=1)
    assert (found["passing"], found["by_reason"][0]["now"][0]["stage"]) == (1, "shape")
    assert not (tmp_path / "out").exists()


def test_a_replay_does_what_was_said(bench: PlatformBench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.write(bench.event(1), bench.event(2, colour="red"), bench.event(3, size="L"))
    assert bench.run("run")["accepted"] == 1
    bench.extend_schema("colour")
    found = preview(capsys, *bench.arguments(), code=1)
    assert (found["dead_letters"], found["passing"], found["refused"]) == (2, 1, 1)
    assert len(bench.letters()) == 2
    summary = bench.run("replay")
    assert (summary["accepted"], len(bench.letters())) == (1, 1)
