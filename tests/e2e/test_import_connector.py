"""Taking over from Adobe's Kafka Connect sink: its group's offsets are where the pipeline goes on."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from aep.ingestion.envelope import Destination, Envelope
from aep.xdm.schema import FileSchemaSource
from pipelines.cli.main import main
from samples.loyalty import Sample, generate
from testing.services.process import PATIENCE_SECONDS
from tests.e2e.scenario import ORG_ID, ROOT, RUN_SECONDS, SCHEMAS, Scenario

pytestmark = pytest.mark.kafka


def produce_messages(scenario: Scenario, samples: list[Sample]) -> None:
    """Put events into the topic as the connector wants them: in their envelopes."""
    schema = FileSchemaSource(str(SCHEMAS / "loyalty-event.schema.json")).load()
    inlet = scenario.inlets["events"]
    destination = Destination(
        inlet["inletUrl"],
        "entity",
        schema_id=schema.id,
        content_type=schema.content_type,
        org_id=ORG_ID,
        dataset_id=inlet["datasetId"],
    )
    wrap = Envelope(destination).message
    scenario.broker.produce(scenario.topics["events"], ((one.key, wrap(one.value), None, None) for one in samples))


@contextmanager
def connector(scenario: Scenario, group: str, records: int) -> Iterator[set[int]]:
    """A consumer as Connect had it before Kafka 3.0, that has committed its first records and is still a member.

    Yields:
        The sequence numbers of what it has committed.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": scenario.broker.bootstrap_servers,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "partition.assignment.strategy": "range",
        }
    )
    consumer.subscribe([scenario.topics["events"]])
    taken: set[int] = set()
    offsets: dict[int, int] = {}
    while len(taken) < records:
        message = consumer.poll(PATIENCE_SECONDS)
        assert message is not None, "nothing to read"
        assert message.error() is None, message.error()
        value = json.loads(message.value() or b"")
        taken.add(int(value["body"]["xdmEntity"]["_id"].rpartition("-")[2]))
        offsets[message.partition() or 0] = (message.offset() or 0) + 1
    topic = scenario.topics["events"]
    consumer.commit(offsets=[TopicPartition(topic, *place) for place in offsets.items()], asynchronous=False)
    consumer.pause(consumer.assignment())
    gone = threading.Event()

    def stay() -> None:
        while not gone.is_set():
            consumer.poll(0.1)

    staying = threading.Thread(target=stay)
    staying.start()
    try:
        yield taken
    finally:
        gone.set()
        staying.join()
        consumer.close()


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.cli", "run", "--options_file", str(folder / "options.yaml")]
    command.append("--kafka_stop_at=end")
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)


def test_the_pipeline_goes_on_where_the_connector_stopped(scenario: Scenario, tmp_path: Path) -> None:
    name = f"aep-{scenario.name}"
    samples = list(generate(500, kind="events"))
    produce_messages(scenario, samples[:300])
    source, folder = tmp_path / "connector.properties", tmp_path / "run"
    source.write_text(
        f"name={name}\n"
        "connector.class=com.adobe.platform.streaming.sink.impl.AEPSinkConnector\n"
        f"topics={scenario.topics['events']}\n"
        "value.converter=org.apache.kafka.connect.storage.StringConverter\n"
        f"aep.endpoint={scenario.inlets['events']['inletUrl']}\n"
    )
    servers = scenario.broker.bootstrap_servers
    assert main(["import-connector", str(source), "--output", str(folder), "--bootstrap-servers", servers]) == 0

    with connector(scenario, f"connect-{name}", records=170) as sent:
        refused = run(folder)
        assert refused.returncode == 2, refused.stderr
        assert f"group connect-{name}" in refused.stderr
        assert "Inconsistent group protocol" in refused.stderr
        assert scenario.messages_accepted() == 0

    produce_messages(scenario, samples[300:])
    finished = run(folder)
    assert finished.returncode == 0, finished.stderr
    accepted = scenario.accepted("events")
    assert set(accepted) == {one.sequence for one in samples} - sent
    assert set(accepted.values()) == {1}
    topic = scenario.topics["events"]
    assert scenario.broker.committed(f"connect-{name}", topic) == scenario.broker.end_offsets(topic)
    assert run(folder).returncode == 0
    assert scenario.accepted("events") == accepted
