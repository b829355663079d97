from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
import orjson
import pytest

from aep.ingestion.delivery import Answer
from tests.transforms.eager import apply
from tests.transforms.examples import packed, record
from transforms.dead_letters import WriteDeadLetters
from transforms.kafka.client import KafkaCluster
from transforms.receipts import WriteReceipts, receipts_of
from transforms.records.chunk import Batch
from transforms.records.dead_letter import DeadLetter
from transforms.sinks.base import Entry, Sink, SinkError, describe_all, first_source
from transforms.sinks.files import FileSink, read_files
from transforms.sinks.kafka import KafkaSink
from transforms.worker import metrics, process

LETTERS = [
    DeadLetter("validate", "type", "wrong type", "events", 2, record(offset, b"{}", key=b"k"), at=7)
    for offset in (0, 1)
]
BATCH = Batch("events", [packed(b"1")])


@dataclass(frozen=True)
class ListSink:
    """A sink of a third kind, which knows nothing of who writes to it. FnApiRunner works in this process."""

    name: str
    fails: bool = False

    def check(self, local: bool) -> None: ...

    def write(self, entries: Sequence[Entry]) -> None:
        if self.fails:
            raise SinkError(f"{self.name} is full")
        WRITTEN[self.name].append(list(entries))

    def describe(self) -> str:
        return f"list {self.name}"

    def needs_network(self) -> bool:
        return False

    def source(self) -> None:
        return None


WRITTEN: dict[str, list[list[Entry]]] = defaultdict(list)


@pytest.fixture(autouse=True)
def _nothing_written() -> None:
    WRITTEN.clear()


def test_dead_letters_and_receipts_go_to_a_sink_of_any_kind_once_a_bundle() -> None:
    sink: Sink = ListSink("any")
    apply(WriteDeadLetters((sink,)), LETTERS)
    apply(WriteReceipts((sink,)), [receipts_of(BATCH, [Answer("", "", 1, "x-0")], now=7)])
    letters, receipts = WRITTEN["any"]
    assert [one.to_json() for one in letters] == [one.to_json() for one in LETTERS]
    assert [one.to_message()[:2] for one in letters] == [(b"k", b"{}")] * 2
    (receipt,) = receipts
    assert orjson.loads(receipt.to_json())["xactionId"] == "x-0"
    assert receipt.to_message() == (None, receipt.to_json(), ())


def test_all_sinks_get_everything(tmp_path: Path) -> None:
    apply(WriteDeadLetters((FileSink(str(tmp_path), "dead_letter_path"), ListSink("b"))), LETTERS)
    assert list(read_files(str(tmp_path))) == LETTERS
    assert [len(entries) for entries in WRITTEN["b"]] == [2]


@pytest.mark.parametrize("write", [WriteDeadLetters, WriteReceipts])
def test_one_sink_that_fails_fails_the_bundle_and_nothing_counts_as_written(write: type[beam.PTransform]) -> None:
    elements = LETTERS if write is WriteDeadLetters else [receipts_of(BATCH, [Answer("", "", 1, "x-0")])]
    with pytest.raises(Exception, match="b is full"):
        apply(write((ListSink("a"), ListSink("b", fails=True))), elements)
    assert isinstance(process.failure, SinkError)
    assert metrics.process_counts() == {"failures/SinkError": 1}


def test_a_folder_is_looked_at_from_where_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    sink = FileSink(str(tmp_path / "file" / "below"), "receipt_path")
    sink.check(local=False)  # the workers', elsewhere
    with pytest.raises(SinkError, match=r"below cannot be written to: .*Not a directory.*; check receipt_path"):
        sink.check(local=True)
    FileSink(str(tmp_path / "new"), "receipt_path").check(local=True)
    assert list((tmp_path / "new").iterdir()) == []


def test_sinks_are_named_together() -> None:
    assert describe_all((FileSink("out", "dead_letter_path"), ListSink("b"))) == "out, list b"
    assert describe_all(()) == ""


def test_a_replay_reads_the_first_sink_that_can_be_read_back() -> None:
    folder, topic = FileSink("out", "dead_letter_path"), KafkaSink("d", KafkaCluster("k:9092", {}), "dead_letter_topic")
    assert first_source((ListSink("b"), folder, topic)) == "out"
    assert first_source((topic,)) == "topic:d"
    assert first_source((ListSink("b"),)) is None
