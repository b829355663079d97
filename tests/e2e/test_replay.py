"""Dead letters have a way back: refused by mistake, mended, replayed, and every sample arrives once and only once."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from samples.loyalty import EVENTS_TOPIC, generate
from testing.services import raw_headers
from testing.services.process import ServiceProcess, wait_for
from tests.e2e.scenario import ORG_ID, ROOT, RUN_SECONDS, SCHEMAS, Finished, Scenario
from transforms.records.dead_letter import DeadLetter
from transforms.sinks.files import read_files

pytestmark = pytest.mark.kafka

COUNT = 3_000


def command(scenario: Scenario, *arguments: str, **options: Any) -> list[str]:
    """Return the command line of a replay with the options of the run that wrote the dead letters."""
    return [sys.executable, "-m", "pipelines.cli", "replay", *scenario.command(*arguments, **options)[3:]]


def replay(scenario: Scenario, *arguments: str, **options: Any) -> Finished:
    """Replay to the end; everything that is read must be accounted for."""
    (scenario.folder / "summary.json").unlink(missing_ok=True)
    done = subprocess.run(
        command(scenario, *arguments, **options), cwd=ROOT, capture_output=True, text=True, timeout=RUN_SECONDS
    )
    finished = Finished(done.returncode, done.stdout + done.stderr, scenario.summary())
    assert finished.code == 0, finished.output
    assert finished.summary["unaccounted"] == 0
    assert finished.summary["latency_milliseconds"] == {}  # of the first run's records, not of this one's
    return finished


def strict_routes(scenario: Scenario) -> str:
    """Return a routes file whose schema of events has no gold tier."""
    schema = orjson.loads((SCHEMAS / "loyalty-event.schema.json").read_bytes())
    schema["properties"]["_acme"]["properties"]["loyalty"]["properties"]["tier"]["enum"].remove("gold")
    path = scenario.folder / "strict.schema.json"
    path.write_bytes(orjson.dumps(schema))
    routes = yaml.safe_load(scenario.routes_file().read_text())
    next(route for route in routes["routes"] if route["name"] == "events")["schema_file"] = str(path)
    file = scenario.folder / "strict-routes.yaml"
    file.write_text(yaml.safe_dump(routes))
    return str(file)


def refuse_too_much(scenario: Scenario, **options: Any) -> int:
    """Return a run whose schema is too strict and whose inlets refuse some; returns the number of dead letters."""
    scenario.produce(generate(COUNT, broken_share=0.02))
    scenario.emulator.faults(element_rate={"400": 0.03}, seed=11)
    finished = scenario.run(routes_file=strict_routes(scenario), **options)
    assert finished.code == 0, finished.output
    scenario.emulator.clear_faults()
    dead = finished.summary["dead_lettered"]
    assert dead["enum"] > 300
    assert dead["rejected"] > 30
    return sum(dead.values())


def identity(one: DeadLetter) -> tuple[str, int, int]:
    return one.topic, one.partition, one.record.offset


def test_from_files_everything_arrives_once_and_a_second_replay_of_the_mended_replays_nothing(
    scenario: Scenario,
) -> None:
    letters = refuse_too_much(scenario)
    before = {identity(one): one for one in scenario.dead_lettered()}
    assert len(before) == letters

    finished = replay(scenario)
    broken = len(scenario.oracle.broken())
    assert finished.summary["read"] == letters
    assert finished.summary["accepted"] == letters - broken
    assert sum(finished.summary["dead_lettered"].values()) == broken
    assert f"{letters} dead letters replayed" in finished.output
    assert scenario.check_every_sample() == 0

    refused_again = scenario.dead_lettered()
    assert {one.replays for one in refused_again} == {1}
    for one in refused_again:
        first = before[identity(one)]
        assert (one.record, one.topic, one.partition) == (first.record, first.topic, first.partition)
    replayed = list(read_files(str(scenario.dead_letters / "replayed")))
    assert {identity(one): one for one in replayed} == before
    assert len(replayed) == letters

    again = replay(scenario, "--replay_max_attempts=1")
    assert (again.summary["read"], again.summary["passed_over"], again.summary["requests"]) == (broken, broken, 0)
    assert scenario.dead_lettered() == refused_again
    twice = replay(scenario)
    assert twice.summary["accepted"] == 0
    assert {one.replays for one in scenario.dead_lettered()} == {2}
    assert scenario.check_every_sample() == 0


def test_what_a_filter_leaves_out_stays_where_it_is(scenario: Scenario) -> None:
    letters = refuse_too_much(scenario)
    before = Counter((identity(one), one.code) for one in scenario.dead_lettered())
    mended = sum(one.code == "enum" for one in scenario.dead_lettered())

    none = replay(scenario, "--replay_routes=events", "--replay_codes=avro")
    assert none.summary["passed_over"] == none.summary["read"] == letters
    assert Counter((identity(one), one.code) for one in scenario.dead_lettered()) == before
    assert not (scenario.dead_letters / "replayed").exists()

    finished = replay(scenario, "--replay_stages=validate", "--replay_codes=enum,avro")
    assert (finished.summary["read"], finished.summary["passed_over"]) == (letters, letters - mended)
    replayed = Counter((identity(one), one.code) for one in read_files(str(scenario.dead_letters / "replayed")))
    assert sum(replayed.values()) == mended
    waiting = Counter((identity(one), one.code) for one in scenario.dead_lettered() if one.replays == 0)
    assert replayed + waiting == before

    refused_again = sum(finished.summary["dead_lettered"].values())
    assert 0 < refused_again == replay(scenario, "--replay_max_attempts=1").summary["passed_over"]
    assert scenario.check_every_sample() == 0


def test_from_a_topic_each_is_replayed_once_by_a_group_and_what_is_new_is_left_to_the_next_run(
    scenario: Scenario,
) -> None:
    topic = f"{scenario.name}-dead"
    scenario.broker.create_topic(topic, 3)
    options = {"dead_letter_topic": topic, "dead_letter_path": None, "replay_group_id": f"replay-{scenario.name}"}
    letters = refuse_too_much(scenario, **options)
    ends = scenario.broker.end_offsets(topic)
    broken = len(scenario.oracle.broken())

    # Bundles so small that the topic grows while it is read.
    finished = replay(scenario, **options, kafka_bundle_max_records=20)
    assert finished.summary["read"] == letters
    assert finished.summary["accepted"] == letters - broken
    assert sum(finished.summary["dead_lettered"].values()) == broken
    assert scenario.broker.committed(f"replay-{scenario.name}", topic) == ends
    for kind in scenario.topics:
        assert scenario.accepted(kind) == Counter(scenario.oracle.good(events=kind == "events"))

    passed = replay(scenario, "--replay_max_attempts=1", **options)
    assert (passed.summary["read"], passed.summary["passed_over"]) == (broken, broken)
    assert replay(scenario, **options).summary["read"] == 0
    asked = replay(scenario, "--replay_codes=enum,rejected", **{**options, "replay_group_id": f"again-{scenario.name}"})
    assert asked.summary["read"] == letters + broken
    newest = scenario.broker.consume_all(topic)[-1]
    headers = [name for name, _ in newest.headers() or []]
    assert len(headers) == len(set(headers))
    assert "sequence" in headers


def test_a_topic_of_kafka_connects_dead_letters_is_replayed_too(scenario: Scenario) -> None:
    samples = list(generate(200, kind="events"))
    scenario.oracle.samples = {sample.sequence: sample for sample in samples}
    topic = f"{scenario.name}-connect"
    scenario.broker.create_topic(topic, 2)
    scenario.broker.produce(
        topic,
        (
            (
                *(sample.key, sample.value),
                [
                    ("sequence", str(sample.sequence).encode()),
                    ("__connect.errors.topic", scenario.topics["events"].encode()),
                    ("__connect.errors.partition", b"0"),
                    ("__connect.errors.offset", str(sample.sequence).encode()),
                    ("__connect.errors.connector.name", b"aep-sink"),
                    ("__connect.errors.stage", b"TASK_PUT"),
                    ("__connect.errors.exception.class.name", b"java.io.IOException"),
                ],
                None,
            )
            for sample in samples
        ),
    )
    scenario.broker.produce(topic, [(b"k", b"{}", [("trace", b"x")], 0)])
    options = {"replay_source": f"topic:{topic}", "replay_group_id": f"replay-{scenario.name}"}
    finished = replay(scenario, "--replay_stages=TASK_PUT", **options)
    assert (finished.summary["accepted"], finished.summary["passed_over"]) == (200, 1)
    assert f"topic {topic} partition 0 offset" in finished.output
    assert "is not a dead letter" in finished.output
    scenario.check_every_sample()


def test_messages_with_an_envelope_are_replayed_as_they_were(scenario: Scenario) -> None:
    reference = {
        "id": "https://ns.adobe.com/acme/schemas/loyalty-event",
        "contentType": "application/vnd.adobe.xed-full+json;version=1",
    }
    inlet = scenario.inlets["events"]
    samples = []
    for sample in generate(300, kind="events", broken_share=0.1, broken_kinds=["wrong_type", "unknown_field"]):
        message = {
            "header": {"schemaRef": reference, "imsOrgId": ORG_ID, "datasetId": inlet["datasetId"]},
            "body": {"xdmMeta": {"schemaRef": reference}, "xdmEntity": orjson.loads(sample.value)},
        }
        samples.append(sample._replace(value=orjson.dumps(message)))
    scenario.produce(samples)
    first = scenario.run(xdm_payload="message", routes_file=strict_routes(scenario))
    assert first.code == 0, first.output
    assert first.summary["dead_lettered"]["enum"] > 30
    replay(scenario, xdm_payload="message")
    # The oracle compares the values too: the original messages, without another envelope around them.
    assert scenario.check_every_sample() == 0
    replay(scenario, xdm_payload="message")
    assert {one.replays for one in scenario.dead_lettered()} == {2}
    assert scenario.check_every_sample() == 0


def test_killed_or_stopped_a_replay_loses_nothing_and_is_made_again(scenario: Scenario) -> None:
    letters = refuse_too_much(scenario)
    files = sorted(scenario.dead_letters.glob("*.jsonl"))
    scenario.emulator.faults(latency_ms=300)
    options = {"batch_max_messages": 10, "aep_max_in_flight": 1}
    before = scenario.messages_accepted()
    for end in (signal.SIGKILL, signal.SIGTERM):
        log = scenario.folder / f"replay-{end}.log"
        started = ServiceProcess("replay", command(scenario, **options), log)
        now = scenario.messages_accepted()
        scenario.wait_until_accepted(now + 30)
        started.signal(end)
        wait_for(lambda one=started: not one.running, RUN_SECONDS, "the replay to end")  # type: ignore[misc]
        assert set(files) <= set(scenario.dead_letters.glob("*.jsonl"))
        assert not (scenario.dead_letters / "replayed").exists()
    assert "was moved" in started.log()
    assert started.exit_code == 0
    scenario.emulator.clear_faults()
    repeated = scenario.messages_accepted() - before
    assert replay(scenario).summary["read"] >= letters
    # What the two had delivered comes again, and what they had refused again is a dead letter a second time.
    scenario.check_every_sample(duplicates=repeated + 2 * len(scenario.oracle.broken()))


def test_topics_that_no_route_takes_are_left(scenario: Scenario) -> None:
    letters = refuse_too_much(scenario)
    profiles = sum(one.topic == scenario.topics["profiles"] for one in scenario.dead_lettered())
    routes = yaml.safe_load(scenario.routes_file().read_text())
    file = scenario.folder / "only-events.yaml"
    file.write_text(yaml.safe_dump({"routes": [one for one in routes["routes"] if one["name"] == "events"]}))
    finished = replay(scenario, routes_file=str(file))
    assert finished.summary["passed_over"] == profiles
    assert finished.summary["read"] == letters
    assert f"{scenario.topics['profiles']} are passed over: the pipeline does not read it" in finished.output
    assert sum(one.topic == scenario.topics["profiles"] for one in scenario.dead_lettered()) == profiles
    replay(scenario, "--replay_max_attempts=1")
    assert scenario.check_every_sample() == 0


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"replay_source": "no-such-folder"}, ["no-such-folder", "replay_source"]),
        ({"replay_source": "nothing/2026*.jsonl"}, ["no file matches nothing/2026*.jsonl"]),
        ({"replay_source": "topic:no-such-topic"}, ["no topic no-such-topic", "replay_source"]),
        ({"replay_since": "yesterday"}, ["replay_since", "ISO 8601"]),
    ],
)
def test_what_cannot_be_replayed_is_refused(scenario: Scenario, options: dict[str, str], expected: list[str]) -> None:
    done = subprocess.run(
        command(scenario, **options), cwd=ROOT, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )
    assert done.returncode == 2, done.stderr
    for words in expected:
        assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_damaged_file_is_named_and_nothing_is_moved(scenario: Scenario) -> None:
    refuse_too_much(scenario)
    (whole, *_) = scenario.dead_letters.glob("*.jsonl")
    damaged = scenario.dead_letters / "99990101T000000-x.jsonl"
    shutil.copy(whole, damaged)
    with damaged.open("ab") as file:
        file.write(b'{"stage":"parse"\n')
    lines = len(Path(damaged).read_bytes().splitlines())
    done = subprocess.run(command(scenario), cwd=ROOT, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
    assert done.returncode == 2, done.stderr
    assert f"{damaged}, line {lines}, is not a dead letter" in done.stderr
    assert damaged.exists()
    assert not (scenario.dead_letters / "replayed").exists()


@pytest.mark.parametrize("place", ["files", "topic"])
def test_records_whose_headers_cannot_be_read_are_dead_lettered_and_replayed_without_them(
    scenario: Scenario, place: str
) -> None:
    samples = [one for one in generate(200) if one.topic == EVENTS_TOPIC][:20]
    for one in samples:
        scenario.oracle.samples[one.sequence] = one
    messages = [
        (one.key, one.value, [(b"\xe9" if number % 10 == 3 else b"name", b"x")]) for number, one in enumerate(samples)
    ]
    raw_headers.produce(scenario.broker.bootstrap_servers, scenario.topics["events"], messages)
    topic = f"{scenario.name}-dead"
    scenario.broker.create_topic(topic)
    sink = {"dead_letter_topic": topic, "dead_letter_path": None} if place == "topic" else {}
    finished = scenario.run(**sink)
    assert finished.code == 0, finished.output
    assert (finished.summary["accepted"], finished.summary["dead_lettered"]) == (18, {"header_name": 2})
    if place == "files":
        letters = scenario.dead_lettered()
        assert [(one.stage, one.code, one.record.headers) for one in letters] == 2 * [("parse", "header_name", ())]
        assert [one.record.value for one in letters] == [samples[3].value, samples[13].value]
    again = replay(scenario, **sink)
    assert (again.summary["accepted"], again.summary["dead_lettered"]) == (2, {})
    assert set(scenario.accepted("events")) == {one.sequence for one in samples}
