"""The benchmarks measure what they say: each run delivers all the events, and each figure follows from raw numbers."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from bench import adobe_bench, bounds, latency_bench, plain_bench
from bench.__main__ import main
from testing.services import downloads
from testing.services.pytest_support import require

EVENTS, ROUNDS = 3_000, 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["--events=0"],
        ["--rounds=0"],
        ["--idle_seconds=0"],
        ["--latency_seconds=0"],
        ["--shard_seconds=0"],
        ["--memory_seconds=0"],
        ["--events=many"],
        ["--only=kinesis"],
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2


def keep_bounds(monkeypatch: pytest.MonkeyPatch, part: str, *keys: str) -> None:
    """Leave out the bounds of figures that this test does not measure."""
    stored = bounds.read()
    kept = {**stored, part: {key: stored[part][key] for key in keys}}
    monkeypatch.setattr(bounds, "read", lambda: kept)


@contextmanager
def what_kafka_needs() -> Iterator[None]:
    downloads.java()
    downloads.kafka_jars()
    yield


@pytest.mark.kafka
@pytest.mark.usefixtures("broker_turn")
def test_what_kafka_takes_part_in_is_measured_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # One kind of run out of four.
    monkeypatch.setattr(latency_bench, "RATES", (1_000,))
    monkeypatch.delitem(latency_bench.SETTINGS, "default")
    keep_bounds(monkeypatch, "latency", "low-latency-1000-p99")
    with require(what_kafka_needs()):
        output = tmp_path / "new" / "bench.json"
        short = ["--idle_seconds=0.5", "--latency_seconds=0.5"]
        parts = ["--only", "steps", "kafka", "latency"]
        code = main([*parts, f"--events={EVENTS}", f"--rounds={ROUNDS}", *short, f"--output={output}"])
    printed, told = capsys.readouterr()
    written = orjson.loads(output.read_bytes())["parts"]

    settings = {
        "events": EVENTS,
        "rounds": ROUNDS,
        "idle_seconds": 0.5,
        "latency_seconds": 0.5,
        "shard_seconds": 20,
        "memory_seconds": 240,
        "adobe_connector": "",
        "flink": False,
    }
    assert written.keys() == {"steps", "kafka", "latency"}
    for part in written.values():
        assert part["settings"] == settings
        assert part["machine"]["packages"]["apache-beam"]
    figures = [figure for part in written.values() for figure in part["figures"]]
    assert len({figure["name"] for figure in figures}) == 9 + 3
    for figure in figures:
        assert figure["name"] in printed
        assert 0 <= figure["min"] <= figure["median"] <= figure["max"]
        assert (figure["met"] is None) == (figure["bound"] is None)
    # So few events are beyond some bounds: start-up dominates.
    missed = [figure["name"] for figure in figures if figure["met"] is False]
    assert code == bool(missed)
    assert [name for name in missed if f"beyond its bound: {name}: " not in told] == []

    # Each round has checked its own counts: a run that reads or delivers too few or too many events is an error.
    raw = {name: part["raw"] for name, part in written.items()}
    kafka = raw["kafka"]
    assert [one["events"] for one in (*raw["steps"], *kafka["rounds"])] == [EVENTS] * 2 * ROUNDS
    assert len(raw["latency"]) == ROUNDS
    for one in raw["latency"]:
        assert 0 < one["p50"] <= one["p95"] <= one["p99"]
        assert one["requests_per_second"] > 0
    for one in kafka["rounds"]:
        assert one["start_up"]["cpu_seconds"] > 0
        assert one["without_latency"]["peak_bytes"] > 50_000_000  # Python with Beam alone has more
        assert one["with_latency"]["peak_bytes"] > 50_000_000
    (per_million,) = (figure for figure in written["kafka"]["figures"] if figure["key"] == "cpu")
    assert per_million["values"] == [one["without_latency"]["cpu_seconds"] / EVENTS * 1e6 for one in kafka["rounds"]]


@pytest.mark.kafka
@pytest.mark.usefixtures("broker_turn")
def test_the_pipeline_is_measured_against_the_plain_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_bench, "KINDS", ((900, "message"),))
    keep_bounds(monkeypatch, "plain", "message-900")
    output = tmp_path / "bench.json"
    with require(what_kafka_needs()):
        code = main(["--only", "plain", f"--events={EVENTS}", "--rounds=1", f"--output={output}"])
    written = orjson.loads(output.read_bytes())["parts"]["plain"]
    (figure,), (pair,) = written["figures"], written["raw"]
    assert code == (not figure["met"])
    assert pair["events"] == EVENTS  # which both have delivered: a run that delivers others is an error
    assert pair["pipeline"]["peak_bytes"] > pair["script"]["peak_bytes"] > 20_000_000
    assert figure["values"] == [pair["pipeline"]["cpu_seconds"] / pair["script"]["cpu_seconds"]]


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.usefixtures("broker_turn")
def test_processes_growth_and_memory_are_measured(tmp_path: Path) -> None:
    output = tmp_path / "bench.json"
    parts = ["processes", "growth", "memory"]
    with require(what_kafka_needs()):
        short = [f"--events={10 * EVENTS}", "--rounds=1", "--memory_seconds=8"]
        assert main(["--only", *parts, *short, f"--output={output}"]) in (0, 1)
    written = orjson.loads(output.read_bytes())["parts"]
    processes, growth, memory = (written[part]["raw"] for part in parts)
    assert processes[0]["two"] > 0.8 * processes[0]["one"] > 0
    assert growth["many"] == 10 * growth["events"] == 100 * EVENTS
    assert min(growth["of_many"], *growth["rounds"][0].values()) > 0
    assert all(sample["megabytes"] > 50 for sample in memory["samples"])  # Python with Beam alone has more
    # AEP was away for as long as it should be, and everything arrived all the same.
    assert memory["samples"][-1]["seconds"] >= memory["away_until"] == memory["away_from"] + 4
    assert {path.name for path in tmp_path.glob("*.svg")} == {"memory.svg"}


def test_what_cannot_be_measured_is_skipped_with_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "adobe", "flink", f"--output={tmp_path / 'bench.json'}"]) == 0
    told = capsys.readouterr().err
    assert "skipped: give the class path of Adobe's connector with --adobe_connector" in told
    assert "skipped: ask for it with --flink" in told


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.usefixtures("broker_turn")
def test_another_sink_of_kafka_connect_is_measured_beside_the_pipeline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with require(what_kafka_needs()):
        jars = downloads.kafka_connect_jars()
        compiler = Path(downloads.java(compiler=True)).resolve().with_name("javac")
        sink = Path(__file__).with_name("StandInSink.java")
        subprocess.run([compiler, "-cp", f"{jars}/*", "-d", tmp_path, sink], check=True)
        monkeypatch.setattr(adobe_bench, "CONNECTOR_CLASS", "StandInSink")
        output = tmp_path / "bench.json"
        arguments = [f"--events={EVENTS}", "--rounds=1", f"--adobe_connector={tmp_path}", f"--output={output}"]
        assert main(["--only", "adobe", *arguments]) in (0, 1)
    written = orjson.loads(output.read_bytes())["parts"]["adobe"]
    assert [(one["latency_ms"], one["events"]) for one in written["raw"]] == [(0, EVENTS), (50, EVENTS)]
    for pair in written["raw"]:
        for name in ("pipeline", "sink"):
            assert min(pair[name].values()) > 0
    assert len(written["figures"]) == 6


@contextmanager
def what_flink_needs() -> Iterator[None]:
    downloads.kafka_jars()
    downloads.java(compiler=True)
    downloads.flink_jars()
    downloads.flink_job_server_jars()
    yield


@pytest.mark.kafka
@pytest.mark.flink
@pytest.mark.slow
@pytest.mark.usefixtures("broker_turn")
def test_a_flink_cluster_is_measured(tmp_path: Path) -> None:
    output = tmp_path / "bench.json"
    with require(what_flink_needs()):
        short = [f"--events={EVENTS}", "--rounds=1", "--latency_seconds=2"]
        assert main(["--only", "flink", "--flink", *short, f"--output={output}"]) in (0, 1)
    (measured,) = orjson.loads(output.read_bytes())["parts"]["flink"]["raw"]
    assert min(measured.values()) > 0
    assert measured["megabytes"] > 50  # Python with Beam alone has more
    assert measured["p95_ms"] >= 0.5 * measured["mean_ms"]


def test_kinesis_is_measured_without_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "bench.json"
    parts = ["kinesis-read", "kinesis-write", "kinesis-rates"]
    short = ["--events=2000", "--rounds=1", "--idle_seconds=0.5", "--shard_seconds=1"]
    assert main(["--only", *parts, *short, f"--output={output}"]) in (0, 1)
    printed = capsys.readouterr().out
    written = orjson.loads(output.read_bytes())["parts"]
    figures = [figure for part in parts for figure in written[part]["figures"]]
    assert len(figures) == 11
    assert all(figure["name"] in printed for figure in figures)
    read, write, rates = (written[part]["raw"] for part in parts)
    assert written.keys() == set(parts)
    assert [one["records"] for one in read["rounds"]] == [2_000]
    assert [one["records"] for one in write["rounds"]] == [1_000]
    assert (write["scale"]["few"], write["scale"]["many"]) == (100, 10_000)
    assert all(rate > 0 for rate in rates["rounds"][0].values())
    assert rates["hot_key"]["stored"] > 0
