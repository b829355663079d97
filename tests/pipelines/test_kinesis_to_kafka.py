"""Exported profiles from the local Kinesis to a topic and to files, by the program as users run it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from kinesis.positions import Checkpoint
from pipelines.options.kinesis_checks import reading_findings
from pipelines.options.merge import OptionsError, parse
from testing.services.kafka import KafkaBroker
from testing.services.kinesis import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, Kinesis
from testing.services.process import PATIENCE_SECONDS, free_port, wait_for
from tests.e2e.page import ready, scrape, settled

ROOT = Path(__file__).parents[2]


def profile(number: int, status: str = "realized", who: str = "") -> bytes:
    """Return an exported profile with a number."""
    audience = {"lastQualificationTime": "2026-11-28T08:00:00Z", "status": status}
    return orjson.dumps(
        {
            "person": {"number": number},
            "segmentMembership": {"ups": {"7841ba61-23c1-4bb3-a495-00d3g5fe1e93": audience}},
            "identityMap": {"ecid": [{"id": who or f"{number:038}"}]},
        }
    )


def put(kinesis: Kinesis, stream: str, values: Sequence[bytes], key: str | None = None) -> None:
    """Write values, each with its number as its key when there is no other."""
    client = kinesis.client()
    for first in range(0, len(values), 500):
        records = [
            {"Data": value, "PartitionKey": key or str(first + at)}
            for at, value in enumerate(values[first : first + 500])
        ]
        assert client.put_records(StreamName=stream, Records=records)["FailedRecordCount"] == 0


class Program:
    """The pipeline with its options, in a folder of its own."""

    def __init__(self, kinesis: Kinesis, stream: str, folder: Path, **options: object):
        self.folder = folder
        self.options = {
            "kinesis_stream": stream,
            "kinesis_region": REGION,
            "kinesis_endpoint": kinesis.endpoint,
            "kinesis_stop_at": "end",
            "kinesis_poll_seconds": 0.1,
            "output_path": folder / "output",
            "dead_letter_path": folder / "dead-letters",
            "summary_file": folder / "summary.json",
            **options,
        }

    def start(self) -> subprocess.Popen[str]:
        given = {name: value for name, value in self.options.items() if value is not None}
        arguments = [f"--{name}={str(value).lower() if value is True else value}" for name, value in given.items()]
        return subprocess.Popen(
            [sys.executable, "-m", "pipelines.kinesis_to_kafka", *arguments],
            cwd=self.folder,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
                "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            },
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self) -> tuple[int, str]:
        """Run it to its end; return the exit code and what it said."""
        running = self.start()
        _, said = running.communicate(timeout=PATIENCE_SECONDS)
        return running.returncode, said

    def summary(self) -> dict[str, Any]:
        return dict(orjson.loads((self.folder / "summary.json").read_bytes()))

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Return the lines of the files in a folder."""
        files = sorted((self.folder / name).glob("*.jsonl"))
        return [orjson.loads(line) for file in files for line in file.read_bytes().splitlines()]

    def numbers(self) -> list[int]:
        return [line["profile"]["person"]["number"] for line in self.lines("output")]


@pytest.fixture
def stream(kinesis: Kinesis) -> str:
    kinesis.switch(reshard_seconds=0, limits=False)
    return kinesis.create_stream(2)


BAD = {
    b"no json": ("parse", "json"),
    b"": ("parse", "empty"),
    b"\xff\x00": ("parse", "json"),
    b"[]": ("parse", "type"),
    b'{"identityMap":{"ecid":[{"id":"1"}]},"identityMap":{}}': ("parse", "duplicate_key"),
    b"\xf3\x89\x9a\xc2\x0a\x01a": ("parse", "kpl_aggregated"),
    b'{"person":{}}': ("shape", "required"),
    b'{"identityMap":{"ecid":[{"id":"1"}]},"segmentMembership":{"ups":{"a":{"status":"gone"}}}}': ("shape", "enum"),
}


@pytest.mark.kafka
def test_profiles_go_to_a_topic_with_their_key_and_headers(
    kinesis: Kinesis, stream: str, tmp_path: Path, broker: KafkaBroker
) -> None:
    topic, dead = f"out-{uuid.uuid4().hex[:8]}", f"dead-{uuid.uuid4().hex[:8]}"
    broker.create_topic(topic, 1)
    broker.create_topic(dead, 1)
    values = [profile(1, "realized"), profile(1, "exited"), profile(1, "existing")]
    put(kinesis, stream, values, "ключ")
    put(kinesis, stream, [bad for bad in BAD if bad])
    code, said = Program(
        kinesis,
        stream,
        tmp_path,
        kafka_bootstrap_servers=broker.bootstrap_servers,
        output_topic=topic,
        dead_letter_topic=dead,
        output_path=None,
        dead_letter_path=None,
    ).run()
    assert code == 0, said
    written = broker.consume_all(topic)
    assert [message.value() for message in written] == values
    assert {message.key() for message in written} == {"ключ".encode()}
    headers = [dict(message.headers() or ()) for message in written]
    assert [each["aep.membership"] for each in headers] == [b"entered", b"left", b"changed"]
    kept = {one.sequence_number: one for one in kinesis.records(stream)}
    for each, value in zip(headers, values, strict=True):
        stored = kept[(each["kinesis.sequence_number"] or b"").decode()]
        assert stored.data == value
        assert each["kinesis.shard"] == stored.shard_id.encode()
        assert (each["kinesis.arrival"] or b"").startswith(b"20")
    letters = {message.value(): dict(message.headers() or ()) for message in broker.consume_all(dead)}
    assert {value: (each["beam_aep.stage"], each["beam_aep.code"]) for value, each in letters.items()} == {
        value: (stage.encode(), code.encode()) for value, (stage, code) in BAD.items() if value
    }
    assert {(each["kinesis.sequence_number"] or b"").decode() for each in letters.values()} <= kept.keys()


def test_profiles_go_to_files_and_each_record_is_accounted_for(kinesis: Kinesis, stream: str, tmp_path: Path) -> None:
    put(kinesis, stream, [profile(number) for number in range(300)])
    put(kinesis, stream, [profile(number) for number in range(5)])
    put(kinesis, stream, list(BAD))
    put(kinesis, stream, [profile(5)] * 3, "same shard")
    page = tmp_path / "run.html"
    program = Program(kinesis, stream, tmp_path, report_file=page)
    code, said = program.run()
    assert code == 0, said
    numbers = program.numbers()
    assert sorted(set(numbers)) == list(range(300))
    assert len(numbers) == 308
    letters = program.lines("dead-letters")
    assert sorted((one["stage"], one["code"]) for one in letters) == sorted(BAD.values())
    assert all({header["name"] for header in one["headers"]} >= {"kinesis.shard"} for one in letters)
    aggregated = next(one for one in letters if one["code"] == "kpl_aggregated")
    assert "AggregationEnabled=false" in aggregated["message"]
    summary = program.summary()
    assert (summary["read"], summary["accepted"], summary["unaccounted"]) == (308 + len(BAD), 308, 0)
    report = page.read_text()
    assert "<title>Kinesis to Kafka: finished</title>" in report
    assert "Lag, seconds" in report
    assert "<code>kpl_aggregated</code>" in report
    assert summary["repeats_dropped"] == 0
    assert summary["repeats"] >= 2
    assert summary["lag_milliseconds"] < 5_000
    assert "requests" not in said
    assert "possible duplicates" not in said


def test_repeats_are_dropped_when_asked_for(kinesis: Kinesis, stream: str, tmp_path: Path) -> None:
    values = [profile(1), profile(1), profile(1, "exited"), profile(1, "exited"), profile(1)]
    put(kinesis, stream, values, "one")
    program = Program(kinesis, stream, tmp_path, kinesis_drop_repeats_seconds=600)
    code, said = program.run()
    assert code == 0, said
    assert [line["membership"] for line in program.lines("output")] == ["entered", "left", "entered"]
    summary = program.summary()
    assert (summary["repeats"], summary["repeats_dropped"], summary["unaccounted"]) == (2, 2, 0)
    assert "2, of which 2 dropped" in said


def test_a_run_that_is_killed_between_checkpoints_loses_nothing(kinesis: Kinesis, stream: str, tmp_path: Path) -> None:
    limits = {"kinesis_bundle_max_records": 100, "kinesis_stop_at": "never"}
    program = Program(kinesis, stream, tmp_path, **limits)
    written = 0
    for _ in range(2):
        put(kinesis, stream, [profile(number) for number in range(written, written + 1_000)])
        written += 1_000
        running = program.start()
        seen = len(set(program.numbers()))
        wait_for(lambda seen=seen: len(set(program.numbers())) > seen, PATIENCE_SECONDS, "more records")  # type: ignore[misc]
        running.send_signal(signal.SIGKILL)
        running.wait(PATIENCE_SECONDS)
        if running.stderr:
            running.stderr.close()
    program.options["kinesis_stop_at"] = "end"
    code, said = program.run()
    assert code == 0, said
    numbers = program.numbers()
    assert set(numbers) == set(range(written))
    repeated = len(numbers) - written
    assert repeated <= 2 * 100 * 2  # of each kill at most the open bundle, with a reply that it was cut in


@pytest.mark.slow
def test_a_run_that_is_killed_in_each_phase_loses_nothing(kinesis: Kinesis, stream: str, tmp_path: Path) -> None:
    program = Program(kinesis, stream, tmp_path, kinesis_bundle_max_records=100, kinesis_stop_at="never")
    checkpoint = tmp_path / f"kinesis-{stream}.json"
    refused = {"request_rate": {"503": 1.0}}
    phases: list[tuple[dict[str, Any], Callable[[], bool]]] = [
        ({}, lambda: True),  # as it starts
        ({**refused, "operations": ["GetRecords"]}, checkpoint.exists),
        ({**refused, "operations": ["GetShardIterator"]}, checkpoint.exists),
        ({}, lambda: len(set(program.numbers())) > seen),
        ({"latency_ms": 500, "operations": ["GetRecords"]}, lambda: len(set(program.numbers())) > seen),
    ]
    written = 0
    for switches, reached in phases:
        put(kinesis, stream, [profile(number) for number in range(written, written + 300)])
        written += 300
        seen = len(set(program.numbers()))
        kinesis.switch(**switches)
        running = program.start()
        wait_for(reached, PATIENCE_SECONDS, "the phase")
        running.send_signal(signal.SIGKILL)
        running.communicate(timeout=PATIENCE_SECONDS)
        kinesis.clear_switches()
        kinesis.switch(limits=False)
    program.options["kinesis_stop_at"] = "end"
    code, said = program.run()
    assert code == 0, said
    numbers = program.numbers()
    assert set(numbers) == set(range(written))
    assert len(numbers) - written <= 2 * 100 * 2  # of the two that wrote


def test_a_run_that_is_asked_to_end_goes_on_where_it_was(kinesis: Kinesis, stream: str, tmp_path: Path) -> None:
    put(kinesis, stream, [profile(number) for number in range(100)])
    port = free_port()
    program = Program(kinesis, stream, tmp_path, kinesis_stop_at="never", metrics_port=port)
    running = program.start()
    wait_for(lambda: len(program.numbers()) == 100, PATIENCE_SECONDS, "the first records")
    address = f"http://127.0.0.1:{port}"
    wait_for(lambda: ready(address)[1]["lag_seconds"] is not None, PATIENCE_SECONDS, "the lag to be measured")
    assert ready(address)[0] == 200
    # What is written is counted once its file has its name.
    wait_for(lambda: settled(address) == 100, PATIENCE_SECONDS, "the records to be counted")
    assert scrape(address)["beam_aep_read_records_total"][()] == 100
    running.send_signal(signal.SIGTERM)
    _, said = running.communicate(timeout=PATIENCE_SECONDS)
    assert running.returncode == 0, said
    assert "stopping: finishing the bundle and saving its positions" in " ".join(said.split())
    put(kinesis, stream, [profile(number) for number in range(100, 200)])
    program.options["kinesis_stop_at"] = "end"
    code, said = program.run()
    assert code == 0, said
    assert sorted(program.numbers()) == list(range(200))


def test_latest_stays_the_time_of_the_first_start_over_a_crash(kinesis: Kinesis, stream: str, tmp_path: Path) -> None:
    program = Program(kinesis, stream, tmp_path, kinesis_start="latest", kinesis_stop_at="never")
    running = program.start()
    file = tmp_path / f"kinesis-{stream}.json"
    wait_for(file.exists, PATIENCE_SECONDS, "the first checkpoint")
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=PATIENCE_SECONDS)
    put(kinesis, stream, [profile(number) for number in range(10)])
    program.options["kinesis_stop_at"] = "end"
    code, said = program.run()
    assert code == 0, said
    assert sorted(program.numbers()) == list(range(10))


def test_a_second_process_on_the_same_checkpoint_is_refused(kinesis: Kinesis, stream: str, tmp_path: Path) -> None:
    program = Program(kinesis, stream, tmp_path, kinesis_stop_at="never")
    first = program.start()
    wait_for((tmp_path / f"kinesis-{stream}.json").exists, PATIENCE_SECONDS, "the first checkpoint")
    code, said = program.run()
    assert code == 2
    assert f"another process reads stream {stream} with this checkpoint" in " ".join(said.split())
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=PATIENCE_SECONDS)
    assert first.returncode == 0


def test_what_is_wrong_before_the_start_ends_with_exit_code_2(kinesis: Kinesis, stream: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, said = Program(kinesis, stream, tmp_path, kinesis_checkpoint=tmp_path / "file" / "c.json").run()
    assert code == 2
    assert "check kinesis_checkpoint" in " ".join(said.split())
    code, said = Program(kinesis, stream, tmp_path, kinesis_start="2999-01-01T00:00:00Z").run()
    assert code == 2
    assert "kinesis_start is in the future" in " ".join(said.split())
    assert not (tmp_path / f"kinesis-{stream}.json").exists()  # or the next start would not ask for kinesis_start again
    code, said = Program(kinesis, "no-such-stream", tmp_path).run()
    assert code == 2
    assert f"no such stream no-such-stream in {REGION} " in " ".join(said.split())


def test_what_is_missing_or_contradictory_is_named_before_anything_is_read() -> None:
    with pytest.raises(OptionsError) as raised:
        parse(["--output_topic=t", "--dead_letter_topic=t"], reading_findings)
    text = str(raised.value)
    assert "kinesis_stream: missing: give the stream to read" in text
    assert "kafka_bootstrap_servers: missing: output_topic (command line) needs it" in text
    assert "dead_letter_topic (command line): is output_topic (command line) too: use another topic" in text
    with pytest.raises(OptionsError, match="output_path: missing: give it or output_topic, for what is read"):
        parse(["--kinesis_stream=s", "--dead_letter_path=d"], reading_findings)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("kinesis_stream=a/b", "'a/b' is not a valid stream name or ARN"),
        ("kinesis_start=committed", "must be earliest, latest, or an ISO 8601 time with its offset"),
        ("kinesis_start=2026-01-31", "must be earliest, latest, or an ISO 8601 time with its offset"),
        ("kinesis_reset=never", "expected one of earliest, latest, error"),
        ("kinesis_drop_repeats_seconds=-1", "must be greater than or equal to 0"),
        ("kinesis_poll_seconds=0", "must be greater than 0"),
    ],
)
def test_values_that_are_not_valid_are_refused(option: str, said: str) -> None:
    with pytest.raises(OptionsError, match=said):
        parse([f"--{option}"], lambda _: ())


@pytest.mark.parametrize("value", ["profiles", "arn:aws:kinesis:us-east-1:123456789012:stream/profiles"])
def test_a_stream_is_given_by_its_name_or_its_arn(value: str) -> None:
    assert parse([f"--kinesis_stream={value}"], lambda _: ()).kinesis.stream == value


def check(kinesis: Kinesis, stream: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> tuple[int, str]:
    """Run beam-aep check of the pipeline; return the exit code and what it said."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
    options = Program(kinesis, stream, folder).options
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pipelines.cli",
            "check",
            "--pipeline=kinesis_to_kafka",
            *(f"--{name}={value}" for name, value in options.items()),
            *more,
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "300"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def test_check_names_the_stream_and_the_rights_that_are_missing_and_moves_no_position(
    kinesis: Kinesis, stream: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = check(kinesis, stream, tmp_path, monkeypatch)
    assert code == 0, said
    assert f":stream/{stream}, ACTIVE, PROVISIONED, records of up to 1048576 bytes" in said
    assert f"kinesis-{stream}.json: not there yet: reading starts at earliest" in said
    assert kinesis.endpoint in said
    assert "it has no records" in said
    kinesis.switch(denied_actions=["kinesis:DescribeStreamSummary"])
    code, said = check(kinesis, stream, tmp_path, monkeypatch, "--sample=0")
    assert "no right to kinesis:DescribeStreamSummary" in said
    assert "no sample requested" in said
    kinesis.switch(denied_actions=["kinesis:GetRecords"])
    code, said = check(kinesis, stream, tmp_path, monkeypatch)
    assert code == 1, said
    assert f"the credentials lack the right kinesis:GetRecords on the stream {stream}" in said
    assert "the stream cannot be read from here" in said
    assert {one.name for one in tmp_path.iterdir()} <= {"output", "dead-letters"}


def test_check_finds_a_checkpoint_that_a_run_refuses(
    kinesis: Kinesis, stream: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / f"kinesis-{stream}.json"
    for content, words in (
        (b"{", f"{file.name}: not a whole checkpoint"),
        (Checkpoint("other").to_json(), f"{file.name}: a checkpoint of stream other, not of {stream}"),
    ):
        file.write_bytes(content)
        code, said = check(kinesis, stream, tmp_path, monkeypatch, "--offline")
        assert code == 1, said
        assert words in said
    file.write_bytes(Checkpoint(stream).to_json())
    code, said = check(kinesis, stream, tmp_path, monkeypatch, "--offline")
    assert code == 0, said
    assert f"{file.name}: reading goes on from it" in said
    assert {one.name for one in tmp_path.iterdir()} <= {"output", "dead-letters", file.name}


def test_check_says_how_many_records_have_the_shape(
    kinesis: Kinesis, stream: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(kinesis, stream, list(BAD))
    code, said = check(kinesis, stream, tmp_path, monkeypatch)
    assert code == 1, said
    bad = len(BAD)
    assert f"0 of {bad} records with the shape of an exported profile, {bad} would be dead-lettered: " in said
    assert "parse json (2)" in said
    put(kinesis, stream, [profile(number) for number in range(100)])
    code, said = check(kinesis, stream, tmp_path, monkeypatch)
    assert code == 0, said
    assert f"100 of {100 + bad} records with the shape of an exported profile, {bad} would be dead-lettered" in said
