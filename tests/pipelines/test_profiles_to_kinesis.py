"""`profiles_to_kinesis` as users run it, from files onto the local Kinesis; each profile has a number to find it by."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from pipelines.cli.main import main as beam_aep
from pipelines.destinations.kinesis import KINESIS
from pipelines.options.checks import contradictions
from pipelines.options.merge import parse
from pipelines.options.yaml_files import OptionsError
from pipelines.profiles_to_kinesis import main
from pipelines.runtime.plan import make_plan
from testing.services.kinesis import REGION, Kinesis
from testing.services.process import PATIENCE_SECONDS
from transforms.kinesis.connection import as_kinesis
from transforms.kinesis.destination import as_stream
from transforms.sinks.files import read_files
from transforms.worker import metrics, process

ROOT = Path(__file__).parents[2]
AUDIENCE = "7841ba61-23c1-4bb3-a495-00d3a5fe1e93"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KINESIS_KEY", "AKIDEXAMPLE")
    monkeypatch.setenv("KINESIS_SECRET", "hunter2")
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KINESIS"):
        monkeypatch.delenv(name, raising=False)
    metrics.reset()
    process.start_run()


def options(kinesis: Kinesis, **more: Any) -> list[str]:
    values = {
        "kafka_source": "file",
        "kafka_file_pattern": "profiles.jsonl",
        "kinesis_endpoint": kinesis.endpoint,
        "kinesis_region": REGION,
        "kinesis_access_key_id": "env:KINESIS_KEY",
        "kinesis_secret_access_key": "env:KINESIS_SECRET",
        "kinesis_timeout_seconds": PATIENCE_SECONDS,
        "dead_letter_path": "dead-letters",
        "summary_file": "summary.json",
        "progress": "off",
        **more,
    }
    return [f"--{name}={value}" for name, value in values.items() if value is not None]


def profile(number: int, **more: Any) -> dict[str, Any]:
    status = "exited" if number % 5 == 0 else "realized"
    return {
        "n": number,
        "person": {"name": {"firstName": f"P{number}"}},
        "identityMap": {"ecid": [{"id": f"ecid-{number}"}]},
        "segmentMembership": {"ups": {AUDIENCE: {"status": status, "lastQualificationTime": "2026-01-01T00:00:00Z"}}},
        **more,
    }


def write(*profiles: dict[str, Any] | bytes) -> None:
    lines = [each if isinstance(each, bytes) else orjson.dumps(each) for each in profiles]
    Path("profiles.jsonl").write_bytes(b"\n".join(lines))


def write_routes(stream: str, **more: Any) -> None:
    route = {"name": "profiles", "topics": ["files"], "stream": stream, **more}
    Path("routes.yaml").write_text(yaml.safe_dump({"routes": [route]}))


def summary() -> dict[str, Any]:
    return dict(orjson.loads(Path("summary.json").read_bytes()))


def test_each_profile_is_put_dropped_or_dead_lettered(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(2)
    pointer = f"/segmentMembership/ups/{AUDIENCE}/status"
    fields = {name: {"from": name} for name in ("/n", "/person/name", "/identityMap", "/segmentMembership")}
    write_routes(stream, drop={pointer: ["exited"]}, map=fields)
    write(*(profile(number, extra="not mapped") for number in range(1_000)), profile(1_001, identityMap={}), b"no JSON")
    kinesis.switch(record_rate={"InternalFailure": 0.05})
    assert main(options(kinesis, routes_file="routes.yaml", report_file="run.html")) == 0
    kept = kinesis.records(stream)
    assert sorted(orjson.loads(each.data)["n"] for each in kept) == [n for n in range(1_000) if n % 5]
    assert all(each.partition_key == f"ecid-{orjson.loads(each.data)['n']}" for each in kept)
    assert orjson.loads(kept[0].data).keys() == {"n", "person", "identityMap", "segmentMembership"}
    dead = list(read_files("dead-letters"))
    assert sorted((one.stage, one.code) for one in dead) == [("parse", "json"), ("post", "bad_key")]
    found = summary()
    assert (found["read"], found["accepted"], found["dropped"], found["unaccounted"]) == (1_002, 800, 200, 0)
    assert found["retries"]["internal"] > 0
    report = Path("run.html").read_text()
    assert "<title>Profiles to Kinesis: finished</title>" in report
    assert "records go to Kinesis" in report


def test_a_single_stream_needs_no_routes_file(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1)
    write(*(profile(number) for number in range(10)))
    arguments = options(kinesis, kinesis_stream=stream, kinesis_partition_key="/n", kinesis_order="key")
    assert main(arguments) == 0
    kept = kinesis.records(stream)
    assert [each.partition_key for each in kept] == [str(number) for number in range(10)]
    assert [orjson.loads(each.data) for each in kept] == [profile(number) for number in range(10)]


def test_routes_to_one_stream_keep_the_order_of_each_key_together(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1)
    elsewhere = kinesis.create_stream(1)
    routes = [
        {"name": "small", "topics": ["files"], "stream": stream, "when": {"/kind": ["small"]}},
        {"name": "elsewhere", "topics": ["files"], "stream": elsewhere, "when": {"/kind": ["elsewhere"]}},
        {"name": "large", "topics": ["files"], "stream": stream, "max_record_bytes": 10_000},
    ]
    Path("routes.yaml").write_text(yaml.safe_dump({"routes": routes}))
    kinds = ("small", "small", "large", "elsewhere")
    write(*(profile(number, kind=kinds[number % 4], key=f"k{number % 3}") for number in range(240)))
    found = {"kinesis_partition_key": "/key", "kinesis_order": "key"}
    kinesis.switch(record_rate={"InternalFailure": 0.05})
    assert main(options(kinesis, routes_file="routes.yaml", **found)) == 0
    for one, all_of_it in ((stream, [n for n in range(240) if n % 4 != 3]), (elsewhere, list(range(3, 240, 4)))):
        numbers = [orjson.loads(each.data)["n"] for each in kinesis.records(one)]
        assert sorted(numbers) == all_of_it
        for key in range(3):
            of_key = [number for number in numbers if number % 3 == key]
            assert of_key == sorted(of_key)


def test_receipts_say_where_records_are(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1)
    write(profile(1), profile(2))
    assert main(options(kinesis, kinesis_stream=stream, receipt_path="receipts")) == 0
    lines = [orjson.loads(line) for path in Path("receipts").iterdir() for line in path.read_bytes().splitlines()]
    places = {(each.shard_id, each.sequence_number) for each in kinesis.records(stream)}
    assert {(line["shard"], line["sequence_number"]) for line in lines} == places
    assert [line["offset"] for line in lines] == [1, 2]


def test_dead_letters_are_replayed_onto_the_stream(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1)
    write(profile(1), profile(2, identityMap={}))
    arguments = options(kinesis, kinesis_stream=stream)
    assert main(arguments) == 0
    assert len(kinesis.records(stream)) == 1
    replay = ["replay", "--pipeline=profiles_to_kinesis", *arguments, "--replay_codes=bad_key"]
    assert beam_aep([*replay, "--kinesis_partition_key=/n"]) == 0
    assert sorted(str(each.partition_key) for each in kinesis.records(stream)) == ["2", "ecid-1"]


@pytest.mark.parametrize(
    ("switch", "words"),
    [
        ({"expired_keys": ["*"]}, "AWS refuses the credentials (ExpiredTokenException): renew them"),
        ({"denied_actions": ["kinesis:PutRecords"]}, "lack the right kinesis:PutRecords"),
    ],
)
def test_credentials_that_aws_refuses_stop_the_run(
    kinesis: Kinesis, switch: dict[str, Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = kinesis.create_stream(1)
    write(profile(1))
    kinesis.switch(**switch)
    assert main(options(kinesis, kinesis_stream=stream)) == 2
    shown = capsys.readouterr()
    assert words in " ".join((shown.out + shown.err).split())
    assert "hunter2" not in shown.out + shown.err
    assert not Path("dead-letters").exists() or not list(read_files("dead-letters"))


IDENTITY = b'"identityMap":{"ecid":[{"id":"e"}]}'
AS_WRITTEN = {
    "white space": b'  { "person" : {\t"n":1 } ,  ' + IDENTITY + b" } ",
    "order of keys": b'{"z":1,"a":2,' + IDENTITY + b',"b":3}',
    "numbers": b'{"a":1.10,"b":1E2,"c":12345678901234567.123,"d":-0,"e":123456789012345678901234567890,'
    + IDENTITY
    + b"}",
    "escapes": b'{"\\u00e9":"\\u002f\\/\\ud83d\\ude00",' + IDENTITY + b"}",
    "equal keys": b'{"a":1,"a":2,' + IDENTITY + b',"person":{"a":1,"a":{}}}',
    "deep": b'{"a":' + b"[" * 400 + b"]" * 400 + b"," + IDENTITY + b"}",
}


def test_a_record_that_no_step_changes_keeps_its_bytes(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1)
    write(*AS_WRITTEN.values(), profile(5))
    write_routes(stream, drop={f"/segmentMembership/ups/{AUDIENCE}/status": ["exited"]})
    assert main(options(kinesis, routes_file="routes.yaml")) == 0
    kept = kinesis.records(stream)
    assert [each.data for each in kept] == [line.rstrip(b"\n") for line in AS_WRITTEN.values()]
    assert {each.partition_key for each in kept} == {"e"}
    assert (summary()["dropped"], summary()["unaccounted"]) == (1, 0)


def test_what_is_made_of_a_record_is_compact_and_made_of_all_that_the_record_says(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1)
    write(*AS_WRITTEN.values())
    write_routes(stream, map={"/identityMap": {"from": "/identityMap"}})
    assert main(options(kinesis, routes_file="routes.yaml")) == 0
    assert [each.data for each in kinesis.records(stream)] == [b"{" + IDENTITY + b"}"] * 3
    dead = [(one.stage, one.code, one.route) for one in read_files("dead-letters")]
    codes = ("integer_range", "duplicate_key", "too_deep")
    assert dead == [("parse", code, "profiles") for code in codes]


def test_where_nulls_are_pruned_each_record_is_read_exactly_and_written_anew(kinesis: Kinesis) -> None:
    stream = kinesis.create_stream(1)
    write(b'{"a": null, "price": 1.10, "name": "\\u00e9", ' + IDENTITY + b"}", AS_WRITTEN["equal keys"])
    assert main(options(kinesis, kinesis_stream=stream, xdm_nulls="prune")) == 0
    (kept,) = kinesis.records(stream)
    assert kept.data == '{"price":1.1,"name":"é",'.encode() + IDENTITY + b"}"
    assert [one.code for one in read_files("dead-letters")] == ["duplicate_key"]


def test_a_stream_that_is_not_there_stops_the_run(kinesis: Kinesis, capsys: pytest.CaptureFixture[str]) -> None:
    write(profile(1))
    assert main(options(kinesis, kinesis_stream="no-such-stream")) == 2
    shown = capsys.readouterr()
    assert f"no such stream no-such-stream in {REGION} (account 123456789012): check" in " ".join(shown.err.split())


def test_no_credentials_stop_the_run(
    kinesis: Kinesis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    write(profile(1))
    without = {"kinesis_access_key_id": None, "kinesis_secret_access_key": None}
    assert main(options(kinesis, kinesis_stream="s", **without)) == 2
    assert "no AWS credentials found" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "kinesis_stream: missing: give the stream to write to, or a routes_file"),
        ({"kinesis_stream": "s", "kinesis_secret_access_key": "hunter2"}, "a secret must be given by reference"),
        ({"kinesis_stream": "s", "kinesis_order": "key", "kinesis_partition_key": "random"}, "a key of its own"),
        ({"kinesis_stream": "s", "kafka_tombstones": "delete"}, "nothing can be deleted from a stream"),
        ({"kinesis_stream": "a stream"}, "is not a valid stream name or ARN"),
    ],
)
def test_options_that_cannot_work_are_refused(kinesis: Kinesis, more: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionsError) as caught:
        parse(options(kinesis, **more), lambda given: contradictions(given, KINESIS))
    assert any(words in problem for problem in caught.value.problems)
    assert "hunter2" not in str(caught.value)


def test_print_options_shows_the_endpoint_and_where_it_comes_from(
    kinesis: Kinesis, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_KINESIS", "http://elsewhere:4567")
    arguments = options(kinesis, kinesis_stream="s", kinesis_endpoint=None)
    assert main([*arguments, "--print_options"]) == 0
    shown = capsys.readouterr().out
    assert "# Kinesis: http://elsewhere:4567 (from AWS_ENDPOINT_URL_KINESIS in the environment)" in shown
    assert yaml.safe_load(shown)["kinesis_stream"] == "s"


def test_check_names_the_stream_and_the_rights_that_are_missing(
    kinesis: Kinesis, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    stream = kinesis.create_stream(3)
    write(profile(1))
    asked = ["check", "--pipeline=profiles_to_kinesis", *options(kinesis, kinesis_stream=stream)]
    assert beam_aep(asked) == 0
    shown = capsys.readouterr().out
    assert "of 1 record 1 would go to Kinesis" in shown
    assert "not checked kinesis:PutRecords" in " ".join(shown.replace("│", " ").split())
    for words in (f"stream/{stream}", "3 open shards", "PROVISIONED", "up to 1048576 bytes", "kinesis_order=none"):
        assert words in shown
    kinesis.switch(denied_actions=["kinesis:ListShards", "kinesis:DescribeStreamSummary"])
    assert beam_aep(asked) == 0
    shown = capsys.readouterr().out
    assert "no right to kinesis:ListShards" in shown
    assert "no right to kinesis:DescribeStreamSummary" in shown
    kinesis.clear_switches()
    assert beam_aep([*asked, "--kinesis_stream=no-such-stream"]) == 1


def test_the_sample_configuration_makes_a_plan() -> None:
    files = [f"--options_file={ROOT / 'configs' / name}.yaml" for name in ("base", "profiles-to-kinesis")]
    routes = f"--routes_file={ROOT / 'configs' / 'profiles-to-kinesis-routes.yaml'}"
    plan = make_plan(parse([*files, routes], lambda given: contradictions(given, KINESIS)), KINESIS)
    assert {as_stream(route.destination).stream for route in plan.routes} == {"profiles"}
    assert as_kinesis(plan.connection).access.region == "us-east-1"


@pytest.mark.parametrize("module", ["boto3", "pybase64"])
def test_without_a_module_of_the_extra_a_run_says_what_to_install(
    kinesis: Kinesis, tmp_path: Path, module: str
) -> None:
    write(profile(1))
    (tmp_path / f"{module}.py").write_text("raise ImportError\n")
    command = [sys.executable, "-m", "pipelines.profiles_to_kinesis", *options(kinesis, kinesis_stream="s")]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 2, done.stderr
    assert "pip install 'beam-aep[kinesis]'" in done.stderr
