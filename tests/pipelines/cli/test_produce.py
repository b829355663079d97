"""`beam-aep produce`: which records it makes of lines, and how it refuses what is wrong."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from emulator.kafka import PARTITIONS, running
from pipelines.cli.main import main
from testing.services.process import PATIENCE_SECONDS, free_port


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running() as address:
        yield address


@pytest.fixture
def options(address: str, tmp_path: Path) -> str:
    (tmp_path / "kafka.yaml").write_text(f"kafka_bootstrap_servers: {address}\n")
    return f"--options_file={tmp_path / 'kafka.yaml'}"


def values(address: str, topic: str) -> list[bytes]:
    """Return the values of a topic's records, in order of their bytes."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "test", "enable.auto.commit": False})
    found = []
    for partition in range(PARTITIONS):
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=PATIENCE_SECONDS)
        consumer.assign([TopicPartition(topic, partition, 0)])
        for _ in range(end):
            message = consumer.poll(PATIENCE_SECONDS)
            assert message is not None
            assert message.error() is None
            found.append(bytes(message.value() or b""))
    consumer.close()
    return sorted(found)


LINES = b'{"a": 1}\r\n\n  {oops\n\xff\xfe\n{"last": "\xe2\x98\x83"}'
RECORDS = [b"  {oops", b'{"a": 1}', b'{"last": "\xe2\x98\x83"}', b"\xff\xfe"]


@pytest.mark.parametrize("name", ["lines.jsonl", "lines.jsonl.gz", "-", None])
def test_each_line_is_a_record_as_it_is(
    name: str | None,
    address: str,
    options: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    topic = f"from-{name}"
    if name in ("-", None):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LINES)))
        given = ["-"] if name else []
    else:
        (tmp_path / name).write_bytes(gzip.compress(LINES) if name.endswith(".gz") else LINES)
        given = [str(tmp_path / name)]
    assert main(["produce", "--topic", topic, options, *given]) == 0
    assert capsys.readouterr().err == f"4 records to topic {topic} on {address}\n"
    assert values(address, topic) == RECORDS


def test_what_is_wrong_is_said(options: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cut.gz").write_bytes(gzip.compress(LINES)[:-4])
    (tmp_path / "nobody.yaml").write_text(f"kafka_bootstrap_servers: 127.0.0.1:{free_port()}\n")
    (tmp_path / "empty.yaml").write_text("kafka_topics: [t]\n")
    for arguments, says in (
        ([options, "missing.jsonl"], "error: missing.jsonl: No such file or directory\n"),
        ([options, str(tmp_path / "cut.gz")], f"{tmp_path / 'cut.gz'} is cut off"),
        ([f"-f{tmp_path / 'nobody.yaml'}"], "error: no Kafka broker answers at 127.0.0.1"),
        ([f"-f{tmp_path / 'empty.yaml'}"], "kafka_bootstrap_servers: missing"),
        ([], "missing: --options_file"),
        ([options, ""], "expected a path, got an empty text"),
        ([options, "--topic="], "is empty"),
    ):
        assert main(["produce", "--topic=wrong", *arguments]) == 2
        assert says in capsys.readouterr().err
