"""What is read: where it starts and stops, which topics, what an idle or shared reader does."""

from __future__ import annotations

import gzip
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from samples.loyalty import generate
from testing.services.process import PATIENCE_SECONDS, free_port, wait_for
from tests.e2e.scenario import Scenario

pytestmark = pytest.mark.kafka


def accepted_after(scenario: Scenario, **options: object) -> int:
    """Messages that a run adds to what AEP has accepted."""
    before = scenario.messages_accepted()
    finished = scenario.run(**options)
    assert finished.code == 0, finished.output
    return scenario.messages_accepted() - before


def test_a_start_that_is_refused_holds_the_place_of_a_group_that_begins_at_the_end(scenario: Scenario) -> None:
    scenario.produce(generate(20))
    nobody = f"http://127.0.0.1:{free_port()}"
    oauth = {"aep_auth": "oauth", "aep_client_id": "c", "aep_client_secret": "env:HOME", "aep_ims_url": nobody}
    assert scenario.run(kafka_reset="latest", aep_retry_budget_seconds=1, **oauth).code == 2
    scenario.produce(list(generate(50))[20:])
    assert accepted_after(scenario, kafka_reset="latest") == 30


def test_starts_at_the_committed_offsets_the_beginning_the_end_or_a_time(scenario: Scenario) -> None:
    scenario.produce(generate(300))
    assert accepted_after(scenario) == 300
    # Times of records are in milliseconds; the next one must not share one with the last.
    moment = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    wait_for(
        lambda: datetime.now(timezone.utc).isoformat(timespec="milliseconds") > moment,
        PATIENCE_SECONDS,
        "a millisecond",
    )
    scenario.produce(list(generate(350))[300:])
    assert accepted_after(scenario, kafka_start="latest") == 0
    assert accepted_after(scenario, kafka_start=moment, kafka_group_id="other") == 50
    assert accepted_after(scenario, kafka_start="committed", kafka_group_id="third", kafka_reset="latest") == 0
    assert accepted_after(scenario, kafka_start="earliest") == 350
    # The latest run moved the group's offsets: they say where a restart goes on, whatever the start was.
    assert scenario.committed() == scenario.end_offsets()


def test_topics_by_regular_expression_and_a_topic_that_comes_later(scenario: Scenario) -> None:
    routes = scenario.routes_file().read_text()
    for kind, topic in scenario.topics.items():
        routes = routes.replace(f"- {topic}\n", f"- ^{scenario.name}(-more)?-{kind}$\n")
    path = scenario.folder / "patterns.yaml"
    path.write_text(routes)
    scenario.produce(generate(100))
    pipeline = scenario.start(routes_file=str(path), kafka_stop_at="never", kafka_discovery_seconds=1)
    scenario.wait_until_accepted(100)
    later = f"{scenario.name}-more-events"
    scenario.broker.create_topic(later, 2)
    extra = list(generate(200, kind="events"))[100:]
    scenario.broker.produce(later, ((one.key, one.value, None, None) for one in extra))
    scenario.broker.add_partitions(scenario.topics["events"], 6)
    more = list(generate(300, kind="events"))[200:]
    scenario.broker.produce(scenario.topics["events"], ((one.key, one.value, None, 5) for one in more))
    scenario.wait_until_accepted(300)
    pipeline.terminate()
    assert pipeline.exit_code == 0, pipeline.log_tail()
    assert max(scenario.accepted("events").values()) == 1


def test_expired_records_are_reported_and_the_reset_policy_decides(scenario: Scenario) -> None:
    scenario.produce(generate(400, kind="events"))
    topic = scenario.topics["events"]
    assert accepted_after(scenario) == 400
    scenario.produce(list(generate(800, kind="events"))[400:])
    ends = scenario.broker.end_offsets(topic)
    scenario.broker.delete_records(topic, {partition: end - 10 for partition, end in ends.items()})
    refused = scenario.run(kafka_reset="error")
    assert refused.code == 2
    assert f"topic {topic} partition 0" in refused.output
    assert "is gone" in refused.output
    finished = scenario.run()
    assert finished.code == 0
    assert finished.summary["read"] == 40
    assert "records deleted" in finished.output


def test_tombstones_are_counted_and_skipped_or_dead_lettered(scenario: Scenario) -> None:
    topic = scenario.topics["profiles"]
    scenario.broker.produce(topic, ((b"key", None, None, 0) for _ in range(7)))
    finished = scenario.run()
    assert finished.summary["tombstones"] == 7
    assert finished.summary["unaccounted"] == 0
    assert scenario.dead_lettered() == []
    again = scenario.run(kafka_start="earliest", kafka_tombstones="dead_letter")
    assert again.summary["dead_lettered"] == {"tombstone": 7}
    assert {(one.stage, one.code, one.record.value) for one in scenario.dead_lettered()} == {
        ("parse", "tombstone", None)
    }


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_two_processes_of_a_group_share_the_partitions(scenario: Scenario, protocol: str) -> None:
    scenario.emulator.faults(latency_ms=20)
    config = {"group.protocol": protocol}
    options = {"kafka_stop_at": "never", "kafka_bundle_max_records": 500, "kafka_config": config}
    first = scenario.start(**options)
    scenario.produce(generate(5_000))
    scenario.wait_until_accepted(500)
    second = scenario.start(**options)
    wait_for(lambda: "reads 4 partitions" in second.log(), PATIENCE_SECONDS, "the second process to get its share")
    scenario.produce(list(generate(10_000))[5_000:])
    wait_for(lambda: len(scenario.accepted("events")) >= 8_000, PATIENCE_SECONDS, "all events")
    scenario.emulator.clear_faults()
    first.kill()
    scenario.produce(list(generate(12_000))[10_000:])
    wait_for(
        lambda: scenario.committed() == scenario.end_offsets(), PATIENCE_SECONDS, "the second process to take over"
    )
    second.terminate()
    assert second.exit_code == 0, second.log_tail()
    # What was under way at the hand-overs may come twice, and no more.
    scenario.check_every_sample(duplicates=3 * 1_000)


def test_stops_after_so_many_seconds(scenario: Scenario) -> None:
    scenario.produce(generate(100))
    seconds = 8
    while scenario.messages_accepted() < 100:  # on a busy machine the time may be up before anything is read
        before = scenario.messages_accepted()
        finished = scenario.run(kafka_stop_at="never", kafka_stop_after_seconds=seconds)
        assert finished.code == 0, finished.output
        assert finished.summary["accepted"] == scenario.messages_accepted() - before
        assert scenario.records_committed() == scenario.messages_accepted()
        seconds *= 2
    assert scenario.committed() == scenario.end_offsets()


def test_an_idle_run_uses_next_to_no_processor_time(scenario: Scenario) -> None:
    """The exact figure is the benchmark's; this holds that it does not spin."""
    pipeline = scenario.start(kafka_stop_at="never")
    wait_for(lambda: "reads 8 partitions" in pipeline.log(), PATIENCE_SECONDS, "the partitions")

    def processor_seconds() -> float:
        fields = Path(f"/proc/{pipeline.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    before, started = processor_seconds(), time.monotonic()
    wait_for(lambda: time.monotonic() - started > 6, PATIENCE_SECONDS, "six seconds")
    assert (processor_seconds() - before) / (time.monotonic() - started) < 0.2
    pipeline.terminate()
    assert pipeline.exit_code == 0


def test_files_of_json_lines_take_the_place_of_topics(scenario: Scenario) -> None:
    samples = list(generate(500, kind="events", broken_share=0.05))
    scenario.oracle.samples = {sample.sequence: sample for sample in samples}
    lines = [sample.value for sample in samples]
    folder = scenario.folder / "events"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(b"\n".join(lines[:300]) + b"\n")
    with gzip.open(folder / "b.jsonl.gz", "wb") as file:
        file.write(b"\n".join(lines[300:]))
    finished = scenario.run(
        kafka_source="file",
        kafka_file_pattern=str(folder / "*"),
        kafka_bootstrap_servers=None,
        kafka_stop_at=None,
        routes_file=None,
        aep_inlet_url=scenario.inlets["events"]["inletUrl"],
        aep_dataset_id=scenario.inlets["events"]["datasetId"],
        aep_org_id="ACME@AdobeOrg",
        xdm_schema_file="configs/schemas/loyalty-event.schema.json",
    )
    assert finished.code == 0, finished.output
    assert finished.summary["read"] == 500
    assert set(scenario.accepted("events")) == scenario.oracle.good(events=True)
    dead = [
        (Path((dict(one.record.headers)["file"] or b"").decode()).name, one.record.offset)
        for one in scenario.dead_lettered()
    ]
    expected = [("a.jsonl", n + 1) if n < 300 else ("b.jsonl.gz", n - 299) for n in scenario.oracle.broken()]
    assert sorted(dead) == sorted(expected)


def test_a_topic_created_again_while_a_run_goes_on_is_read_from_its_beginning(scenario: Scenario) -> None:
    samples = list(generate(400, kind="events"))
    scenario.produce(samples[:100])
    pipeline = scenario.start(kafka_stop_at="never")
    scenario.wait_until_accepted(100)
    topic = scenario.topics["events"]
    scenario.broker.create_topic_again(topic, 4)
    scenario.produce(samples[100:])
    wait_for(lambda: len(scenario.accepted("events")) == 400, PATIENCE_SECONDS, "the records of both topics")
    wait_for(lambda: scenario.committed() == scenario.end_offsets(), PATIENCE_SECONDS, "the commits")
    pipeline.terminate()
    assert f"topic {topic} was deleted and created again" in pipeline.log()


@pytest.mark.parametrize("again", [True, False])
def test_a_topic_created_again_where_kafka_reset_is_error_and_one_deleted_end_the_run(
    scenario: Scenario, again: bool
) -> None:
    topic = scenario.topics["events"]
    scenario.produce(generate(100, kind="events"))
    reset = "error" if again else "earliest"
    pipeline = scenario.start(kafka_stop_at="never", kafka_start="earliest", kafka_reset=reset)
    scenario.wait_until_accepted(100)
    if again:
        scenario.broker.create_topic_again(topic, 4)
    else:
        scenario.broker.delete_topic(topic)
    wait_for(lambda: not pipeline.running, PATIENCE_SECONDS, "the end")
    assert pipeline.exit_code == 2, pipeline.log_tail()
    assert f"topic {topic} was deleted" in pipeline.log(), pipeline.log_tail()
    assert "Traceback" not in pipeline.log()
