from __future__ import annotations

from pathlib import Path

import apache_beam as beam
import orjson
import pytest

from aep.ingestion.delivery import Answer
from testing.services.kafka import KafkaBroker
from tests.transforms.conftest import NewTopic
from tests.transforms.eager import apply
from tests.transforms.examples import packed
from transforms.kafka.client import KafkaCluster
from transforms.receipts import WriteReceipts, receipts_of
from transforms.records.chunk import Batch
from transforms.sinks.files import FileSink
from transforms.sinks.kafka import KafkaSink
from transforms.worker import metrics

BATCH = Batch("events", [packed(b"1", b"2", start=5), packed(b"3", partition=1)])
ANSWERS = [Answer("", "", 1, "x-0"), Answer("rejected", "no", 1), Answer("", "", 2)]
RECEIPTS = [
    {
        "xactionId": "x-0",
        "route": "events",
        "topic": "events",
        "partition": 0,
        "offset": 5,
        "at": "1970-01-01T00:00:07.000+00:00",
    },
    {
        "xactionId": "",
        "route": "events",
        "topic": "events",
        "partition": 1,
        "offset": 0,
        "at": "1970-01-01T00:00:07.000+00:00",
    },
]


def test_what_aep_has_received_has_a_receipt() -> None:
    assert [orjson.loads(line) for line in receipts_of(BATCH, ANSWERS, now=7)] == RECEIPTS


def test_a_bundles_receipts_are_in_one_file(tmp_path: Path) -> None:
    written = receipts_of(BATCH, ANSWERS, now=7)
    apply(WriteReceipts((FileSink(str(tmp_path), "receipt_path"),)), [written, written])
    (file,) = tmp_path.iterdir()
    assert [orjson.loads(line) for line in file.read_bytes().splitlines()] == RECEIPTS * 2
    assert metrics.process_counts() == {"receipts": 4}


@pytest.mark.kafka
def test_receipts_go_to_a_topic(broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic) -> None:
    topic = new_topic()
    apply(WriteReceipts((KafkaSink(topic, cluster, "receipt_topic"),)), [receipts_of(BATCH, ANSWERS, now=7)])
    assert [orjson.loads(message.value() or b"") for message in broker.consume_all(topic)] == RECEIPTS


def test_receipts_that_cannot_be_written_fail_the_bundle(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sink = FileSink(str(tmp_path / "file" / "folder"), "receipt_path")
    with pytest.raises(Exception, match="folder"), beam.Pipeline("FnApiRunner") as pipeline:
        pipeline | beam.Create([receipts_of(BATCH, ANSWERS)], reshuffle=False) | WriteReceipts((sink,))
