"""A run as a process: what it does when it cannot tell what it has to tell, and when it is interrupted."""

from __future__ import annotations

import bz2
import gzip
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
import zstandard

from aep.mapping.transform import TransformError
from pipelines.runtime.preflight import PreflightError, preflight
from pipelines.runtime.signals import awaited
from testing.fakes.http_server import Exchange, HttpServer
from testing.services.process import PATIENCE_SECONDS, free_port, wait_for
from tests.pipelines.runtime.test_processes import COMPLETE
from tests.pipelines.to_aep import make_plan, parse

ROOT = Path(__file__).parents[3]


def arguments(folder: Path, **more: object) -> list[str]:
    """Return options of a run that reads lines that are no JSON, so that nothing is posted."""
    events = folder / "events.jsonl"
    events.write_bytes(b"no json\n" * 3)
    options = {
        "kafka_source": "file",
        "kafka_file_pattern": events,
        "xdm_payload": "raw",
        "aep_inlet_url": f"http://127.0.0.1:{free_port()}/collection/{'0' * 64}",
        "dead_letter_path": folder / "dead-letters",
        **more,
    }
    return [f"--{name}={value}" for name, value in options.items()]


def python(*command: str, stderr: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.mark.parametrize("options", [["--log_format=text"], ["--log_format=json"], ["--progress=on"]])
def test_it_ends_well_and_writes_its_summary_though_nobody_reads_what_it_says(
    tmp_path: Path, options: list[str]
) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    summary = tmp_path / "summary.json"
    done = python("-m", "pipelines.kafka_to_aep", *arguments(tmp_path, summary_file=summary), *options, stderr=writes)
    os.close(writes)
    assert done.returncode == 0
    account = orjson.loads(summary.read_bytes())
    assert (account["read"], account["dead_lettered"], account["unaccounted"]) == (3, {"json": 3}, 0)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("none/summary.json", "No such file or directory"),
        ("events.jsonl/summary.json", "Not a directory"),
        (".", "Is a directory"),
    ],
)
def test_a_summary_that_cannot_be_written_is_refused_before_anything_is_read(
    tmp_path: Path, path: str, reason: str
) -> None:
    plan = make_plan(parse(arguments(tmp_path, summary_file=tmp_path / path)))
    with pytest.raises(PreflightError, match=f"{tmp_path / path}: {reason}; check summary_file"):
        preflight(plan)


@pytest.mark.parametrize(
    ("name", "compress"),
    [("a.jsonl.gz", gzip.compress), ("a.jsonl.bz2", bz2.compress), ("a.jsonl.zst", zstandard.compress)],
)
def test_a_compressed_file_that_was_cut_off_stops_the_run_and_is_not_called_finished(
    tmp_path: Path, name: str, compress: Callable[[bytes], bytes]
) -> None:
    options = [*arguments(tmp_path, kafka_file_pattern=tmp_path / name, summary_file=tmp_path / "summary.json")]
    packed = compress(b"no json\n" * 300)
    command = [sys.executable, "-m", "pipelines.kafka_to_aep", *options]
    for content, code, outcome in ((packed, 0, "finished"), (packed[:-2], 2, "failed")):
        (tmp_path / name).write_bytes(content)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, orjson.loads((tmp_path / "summary.json").read_bytes())["outcome"]) == (code, outcome)
    assert f"{tmp_path / name} is cut off" in done.stderr
    # What is said of Kafka's offsets would not be true of files.
    assert "The next run reads the files from their beginning" in done.stderr
    assert "committed" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_transform_that_cannot_be_imported_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    plan = make_plan(parse(arguments(tmp_path, map_transform="acme_not_there:enrich")))
    with pytest.raises(TransformError, match="transform acme_not_there:enrich cannot be imported"):
        preflight(plan)
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.kafka_to_aep", *arguments(tmp_path, map_transform="acme_not_there:enrich")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 2
    assert "error: transform acme_not_there:enrich cannot be imported: ModuleNotFoundError" in done.stderr
    assert "Traceback" not in done.stderr


def test_for_workers_elsewhere_it_is_only_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    plan = make_plan(parse(arguments(tmp_path, map_transform="acme_not_there:enrich")))
    preflight(replace(plan, local=False))
    assert "on this machine, the transform acme_not_there:enrich cannot be imported" in caplog.text


def test_without_a_temporary_folder_tmpdir_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)  # found before
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/dev/null/tmp"])
    plan = make_plan(parse(arguments(tmp_path)))
    with pytest.raises(PreflightError, match=r"No usable temporary directory .*Beam needs .*set TMPDIR"):
        preflight(plan)


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    plan = make_plan(parse(arguments(tmp_path, report_file=tmp_path / "none" / "run.html")))
    with pytest.raises(PreflightError, match=r"the report cannot be written to .*: .*; check report_file"):
        preflight(plan)
    same = {"summary_file": tmp_path / "x", "report_file": f"{tmp_path}/./x"}
    with pytest.raises(PreflightError, match=r"summary_file and report_file are both .*/x: give each"):
        preflight(make_plan(parse(arguments(tmp_path, **same))))


def test_a_run_that_stops_before_it_reads_has_a_summary_too(tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    summary.write_text("that of an earlier run, which went well")
    options = arguments(tmp_path, summary_file=summary, kafka_file_pattern=tmp_path / "none*.jsonl")
    done = python("-m", "pipelines.kafka_to_aep", *options, stderr=subprocess.PIPE)
    assert done.returncode == 2
    account = orjson.loads(summary.read_bytes())
    assert (account["outcome"], account["read"], account["unaccounted"]) == ("failed", 0, 0)


def test_a_summary_of_before_stays_until_there_is_a_new_one(tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    summary.write_text("the last one")
    preflight(make_plan(parse(arguments(tmp_path, summary_file=summary))))
    assert summary.read_text() == "the last one"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["dead-letters", "events.jsonl", "summary.json"]


def test_a_summary_that_cannot_be_written_any_more_is_told_and_shows_no_traceback(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    code = """
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from dataclasses import replace
from pipelines.kafka_to_aep import JOB, kafka_to_aep
from pipelines.runtime.run import run

def build(pipeline, plan):
    Path(plan.settings.general.summary_file).parent.rmdir()
    kafka_to_aep(pipeline, plan)

sys.exit(run(sys.argv[1:], replace(JOB, build=build)))
"""
    done = python("-c", code, *arguments(tmp_path, summary_file=folder / "s.json"), stderr=subprocess.PIPE)
    assert done.returncode == 0
    assert f"error: the summary cannot be written to {folder / 's.json'}: No such file" in done.stderr
    assert "Traceback" not in done.stderr


def test_interrupted_while_it_starts_it_ends_without_a_traceback(tmp_path: Path) -> None:
    code = """
import signal, sys
from dataclasses import replace
from pipelines.kafka_to_aep import JOB
from pipelines.runtime.run import run

sys.exit(run(sys.argv[1:], replace(JOB, plan=lambda *_: signal.raise_signal(signal.SIGINT))))
"""
    done = python("-c", code, *arguments(tmp_path), stderr=subprocess.PIPE)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr.splitlines()[-1] == "stopped before anything was read"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_before_anything_is_read_ends_it_once_the_account_is_written(
    number: signal.Signals, tmp_path: Path
) -> None:
    code = f"""
import signal, sys
from dataclasses import replace
from pipelines.kafka_to_aep import JOB
from pipelines.runtime.run import run

sys.exit(run(sys.argv[1:], replace(JOB, plan=lambda *_: signal.raise_signal({int(number)}))))
"""
    files = {name: str(tmp_path / name) for name in ("summary_file", "report_file")}
    done = python("-c", code, *arguments(tmp_path, **files), stderr=subprocess.PIPE)
    assert done.returncode == -number
    assert done.stderr.splitlines()[-1] == "stopped before anything was read"
    assert orjson.loads((tmp_path / "summary_file").read_bytes())["outcome"] == "stopped"
    assert "stopped before anything was read" in (tmp_path / "report_file").read_text()


def lines_of(log: str) -> list[tuple[str, str]]:
    """Return severity and message of each line of a log of JSON."""
    return [(line["severity"], line["message"]) for line in map(orjson.loads, log.splitlines())]


def test_a_log_of_json_says_error_of_a_run_that_is_stopped_while_aep_is_down(tmp_path: Path) -> None:
    options = arguments(tmp_path, log_format="json", shutdown_seconds=1)
    (tmp_path / "events.jsonl").write_bytes(b'{"_id":"1"}\n')
    command = [sys.executable, "-m", "pipelines.kafka_to_aep", *options]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as run:
        try:
            assert run.stderr is not None
            while "trying again" not in (line := run.stderr.readline()):
                assert line, "the run ended before AEP was missed"
            run.send_signal(signal.SIGTERM)
            _, log = run.communicate(timeout=PATIENCE_SECONDS)
        finally:
            run.kill()
    assert run.returncode == 1
    account, reason = lines_of(log)[-2:]
    assert account == ("ERROR", "Kafka to AEP: failed")
    assert reason[0] == "ERROR"
    assert reason[1].startswith("stopped while AEP could not be reached (last: ")


@pytest.mark.parametrize("given", ["argument", "options file"])
def test_a_log_of_json_has_the_problems_of_options(tmp_path: Path, given: str) -> None:
    options = arguments(tmp_path, batch_max_messages=0)
    if given == "argument":
        options += ["--log_format=json"]
    else:
        (tmp_path / "options.yaml").write_text("log_format: json\nnothing_of_the_kind: 1\n")
        options += [f"--options_file={tmp_path}/options.yaml"]
    done = python("-m", "pipelines.kafka_to_aep", *options, stderr=subprocess.PIPE)
    assert done.returncode == 2
    severities, messages = zip(*lines_of(done.stderr), strict=True)
    assert set(severities) == {"ERROR"}
    assert len(messages) == (1 if given == "argument" else 2)  # a line for each problem
    assert messages[-1].startswith("command line: batch_max_messages: ")


def test_what_a_run_that_is_to_end_waits_for_is_said() -> None:
    assert awaited(0, []) == ""
    assert awaited(1, []) == "1 request without an answer yet"
    down = "connection to aep:443: Connection refused"
    assert awaited(2, ["AEP answers 503", down, down]) == (
        f"2 requests without an answer yet; 2 batches to be sent again, {down}"
    )


@contextmanager
def first_of_its_namespace(*command: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that is PID 1, as in a container, and its PID outside."""
    if subprocess.run(["unshare", "--pid", "--fork", "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("no right to make a PID namespace (unshare)")
    started = ["unshare", "--pid", "--fork", "--kill-child", sys.executable, *command]
    with subprocess.Popen(started, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as outside:
        children = Path(f"/proc/{outside.pid}/task/{outside.pid}/children")
        try:
            wait_for(lambda: bool(children.read_text()), PATIENCE_SECONDS, "the process to be started")
            yield outside, int(children.read_text())
        finally:
            outside.kill()


def test_as_pid_1_sigterm_ends_it_before_beam_is_loaded() -> None:
    code = """
import sys, time
import pipelines
assert "apache_beam" not in sys.modules
print("ready", flush=True)
time.sleep(600)
"""
    with first_of_its_namespace("-c", code) as (outside, pid):
        assert outside.stdout is not None
        assert outside.stdout.readline() == "ready\n"
        os.kill(pid, signal.SIGTERM)
        assert outside.wait(PATIENCE_SECONDS) == 128 + signal.SIGTERM


@pytest.mark.parametrize("start", [["-m", "pipelines.kafka_to_aep"], ["-m", "pipelines.cli", "run"]])
def test_as_pid_1_sigterm_ends_it_while_it_starts(tmp_path: Path, start: list[str]) -> None:
    def hang(exchange: Exchange) -> None:
        exchange.pause(PATIENCE_SECONDS)

    with HttpServer(hang) as hangs:
        options = arguments(
            tmp_path,
            xdm_payload="entity",
            xdm_schema_id="https://ns.adobe.com/acme/schemas/1",
            aep_platform_url=hangs.url,
            aep_org_id="ACME@AdobeOrg",
            aep_dataset_id="d",
            aep_client_id="id",
            aep_token="env:PATH",
        )
        with first_of_its_namespace(*start, *options) as (outside, pid):
            wait_for(lambda: bool(hangs.requests), PATIENCE_SECONDS, "the registry to be asked")
            os.kill(pid, signal.SIGTERM)
            assert outside.wait(PATIENCE_SECONDS) == 128 + signal.SIGTERM


def test_a_run_under_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    code = """
import signal, sys
from dataclasses import replace
from pipelines.kafka_to_aep import JOB, kafka_to_aep
from pipelines.runtime.run import run

def build(pipeline, plan):
    kafka_to_aep(pipeline, plan)
    run_it = pipeline.run
    pipeline.run = lambda: signal.raise_signal(signal.SIGHUP) or run_it()

signal.signal(signal.SIGHUP, signal.SIG_IGN)
sys.exit(run(sys.argv[1:], replace(JOB, build=build)))
"""
    summary = tmp_path / "summary.json"
    done = python("-c", code, *arguments(tmp_path, summary_file=summary), stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr
    assert orjson.loads(summary.read_bytes())["outcome"] == "finished"


def test_dead_letters_that_cannot_be_written_are_no_traceback_and_stay_unaccounted_for(tmp_path: Path) -> None:
    folder = tmp_path / "dead-letters"
    code = """
import sys
import tempfile
from pathlib import Path
from dataclasses import replace
from pipelines.kafka_to_aep import JOB, kafka_to_aep
from pipelines.runtime.run import run

def build(pipeline, plan):
    Path(plan.dead_letters[0].folder).rmdir()
    Path(plan.dead_letters[0].folder).write_text("a file where the folder was")
    kafka_to_aep(pipeline, plan)

sys.exit(run(sys.argv[1:], replace(JOB, build=build)))
"""
    summary = tmp_path / "summary.json"
    done = python("-c", code, *arguments(tmp_path, summary_file=summary), stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert f"error: {folder} cannot be written to: " in done.stderr
    assert "Traceback" not in done.stderr
    account = orjson.loads(summary.read_bytes())
    assert (account["outcome"], account["read"], account["dead_lettered"], account["unaccounted"]) == (
        *("failed", 3, {}, 3),
    )


INTERRUPTED_LATE = """
import signal, sys
from dataclasses import replace
from pipelines.kafka_to_aep import JOB
from pipelines.runtime import account, run

write = account.write_results

def interrupted(report):
    account.write_results = write
    signal.raise_signal(signal.SIGINT)
    return write(report)

account.write_results = interrupted
"""

OF_PROCESSES = """
sys.orig_argv = [sys.executable, "-c", '''
import os
import orjson
from pipelines.runtime.processes.messages import ENVIRONMENT, Report, Start

socket = Start(**orjson.loads(os.environ[ENVIRONMENT])).socket
os.write(socket, Report(grown={"read": 5, "accepted": 5}, polled=1.0, outcome="finished").line())
''']
job = replace(run.as_run(JOB), preflight=lambda _: None, share_start=lambda _: 2)
sys.exit(run.execute(sys.argv[1:], job))
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_ctrl_c_while_the_account_is_written_leaves_it_as_it_is(tmp_path: Path, processes: int) -> None:
    summary = tmp_path / "summary.json"
    if processes == 1:
        code = f"{INTERRUPTED_LATE}sys.exit(run.run(sys.argv[1:], JOB))"
        options = arguments(tmp_path)
    else:
        code = INTERRUPTED_LATE + OF_PROCESSES
        options = [*COMPLETE, f"--processes={processes}"]
    done = python("-c", code, *options, f"--summary_file={summary}", stderr=subprocess.PIPE)
    assert "before anything was read" not in done.stderr
    account = orjson.loads(summary.read_bytes())
    assert (account["outcome"], account["read"]) == ("finished", 10 if processes == 2 else 3)
    assert done.returncode == 0, done.stderr
