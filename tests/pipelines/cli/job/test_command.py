"""`beam-aep job` with answers of a real Flink 1.19, recorded and cut."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from rich.cells import cell_len

from pipelines.cli.main import main
from testing.services.process import free_port
from testing.terminal import on_terminal, without_escapes
from tests.pipelines.cli.job.recorded_flink import FAILED, RESTORED, RUNNING, SAVEPOINT, STOPPED, RecordedFlink

ROOT = Path(__file__).parents[4]
UNAVAILABLE = (503, {"errors": ["Service temporarily unavailable"]})
REFUSED = (400, {"errors": ["org.apache.flink.runtime.rest.handler.RestHandlerException: no\n\tat a.b(C.java:1)"]})


@pytest.fixture
def flink(monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordedFlink]:
    monkeypatch.setattr("pipelines.flink.status._MEASURE_SECONDS", 0.0)
    monkeypatch.setattr("pipelines.flink.stop._POLL_SECONDS", 0.01)
    monkeypatch.setattr("pipelines.flink.rest._ASK_AGAIN_SECONDS", 0.01)
    recorded = RecordedFlink()
    with recorded.server:
        yield recorded


@pytest.fixture
def options(flink: RecordedFlink, tmp_path: Path) -> str:
    """The options file of the job."""
    path = tmp_path / "options.yaml"
    inlet = {"aep_inlet_url": "https://dcs.adobedc.net/collection/i", "aep_dataset_id": "d"}
    schema = str(ROOT / "configs" / "schemas" / "loyalty-event.schema.json")
    kafka = {"kafka_bootstrap_servers": "kafka:9092", "kafka_topics": ["events"], "dead_letter_path": "dead"}
    cluster = {"runner": "FlinkRunner", "flink_master": flink.server.url, "job_name": "loyalty"}
    path.write_text(yaml.safe_dump({**inlet, **kafka, **cluster, "xdm_schema_file": schema}))
    return str(path)


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def job(options: str, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run a command of `beam-aep job`; return the exit code, and what it wrote to both outputs."""

    def run(name: str, *arguments: str) -> tuple[int, str, str]:
        code = main(["job", name, options, *arguments])
        return (code, *capfd.readouterr())

    return run


def test_a_job_that_runs(job: Command) -> None:
    code, out, _ = job("status")
    assert code == 0
    shown = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in out.splitlines() if re.match(r"\S.*\s{2}", line))
    assert shown["job"] == f"loyalty ({RUNNING})"
    assert shown["state"] == "RUNNING for 15 s, since 2026-11-29 08:59:05 UTC"
    assert shown["tasks"] == "7 RUNNING"
    assert shown["restarts"] == "2"
    assert shown["back-pressure"] == "ok; the busiest task is busy 86% of the time"
    assert shown["checkpoint"] == "7 s ago, took 4.8 s, 85.0 kB"
    assert "file:/data/flink/checkpoints/e65e93a8d0d10fe14c4ba6ee194b88c3/chk-1" in out
    assert "last failure" not in out
    assert re.search(f"Other jobs of this name\n.*{STOPPED} .* FINISHED ", out, re.DOTALL)


def test_one_that_has_failed(job: Command, flink: RecordedFlink) -> None:
    flink.jobs = [STOPPED, FAILED]
    code, out, _ = job("status")
    assert code == 1
    assert "state         FAILED for 56 s" in out
    assert "tasks         6 CANCELED, 1 FAILED" in out
    assert "checkpoint    none completed" in out
    assert "last failure  56 s ago: Flink found too few free slots in time: lower parallelism" in out


def test_one_that_was_stopped_with_a_savepoint_and_one_that_was_started_from_it(
    job: Command, flink: RecordedFlink
) -> None:
    flink.jobs = [STOPPED, RESTORED]
    code, out, _ = job("status", "--job", STOPPED[:4])
    assert code == 1
    assert "checkpoint  6 min 15 s ago, took 4.1 s, 939.9 kB, no longer there" in out
    assert f"savepoint   6 min 10 s ago, took 6.6 s, 855.8 kB\n            {SAVEPOINT}" in out
    code, out, _ = job("status")
    assert f"started from  {SAVEPOINT}" in out


def test_none_of_the_name_and_several_of_it(job: Command, flink: RecordedFlink) -> None:
    code, out, err = job("status", "--job_name=other")
    assert (code, out) == (1, "")
    assert err.startswith("the cluster knows no job called other (job_name), only loyalty; a cluster forgets")
    overview = flink.answers["/jobs/overview"]["jobs"]
    overview.append({**overview[0], "jid": "0" * 32})
    flink.jobs.append("0" * 32)
    code, out, err = job("status")
    assert code == 2
    assert err == "error: 2 jobs called loyalty have not ended: choose one with --job ID\n"
    assert out.count(" RUNNING ") == 2
    code, out, _ = job("status", "--json")
    assert (code, orjson.loads(out)["job"], len(orjson.loads(out)["jobs"])) == (2, None, 3)


def test_it_fits_a_terminal_of_80_columns(options: str, flink: RecordedFlink) -> None:
    flink.jobs = [STOPPED, RESTORED]
    code, written = on_terminal([sys.executable, "-m", "pipelines.cli", "job", "status", options], 80, ROOT)
    lines = without_escapes(written).splitlines()
    assert code == 1
    assert [line for line in lines if cell_len(line) > 80 and " " in line.strip() and "http" not in line] == []
    assert any(STOPPED in line for line in lines)


@pytest.mark.parametrize(
    ("master", "words"),
    [
        (None, "flink_master: missing"),
        ("[local]", "expected HOST:PORT of the job manager's REST API, got [local]"),
        ("127.0.0.1:PORT", "cannot be reached at http://127.0.0.1:"),
    ],
)
def test_a_cluster_that_cannot_be_asked(job: Command, tmp_path: Path, master: str | None, words: str) -> None:
    master = master and master.replace("PORT", str(free_port()))
    (tmp_path / "more.yaml").write_text(yaml.safe_dump({"flink_master": master}))
    for command in (["status"], ["stop"], ["restart", "--preview"]):
        code, out, err = job(command[0], str(tmp_path / "more.yaml"), *command[1:])
        assert (code, out) == (2, "")
        assert words in err


def test_a_stop_with_a_savepoint_prints_its_path_alone(job: Command, flink: RecordedFlink) -> None:
    code, out, err = job("stop", "--savepoint", "--to=s3://bucket/savepoints")
    assert (code, out) == (0, "file:/data/savepoints/savepoint-e65e93-5602997a205b\n")
    assert "job restart goes on from this savepoint" in err
    assert flink.called == [
        (f"POST /jobs/{RUNNING}/stop", {"drain": False, "targetDirectory": "s3://bucket/savepoints"})
    ]


@pytest.mark.parametrize("folder", ["s3://bucket/savepoints", str(ROOT)])
def test_a_folder_behind_savepoint_is_not_taken_for_an_options_file(job: Command, folder: str) -> None:
    code, out, err = job("stop", "--savepoint", folder)
    assert (code, out) == (2, "")
    assert f"{folder} is not an options file; a savepoint's folder is given with --to" in err


def test_a_cluster_s_own_place_for_savepoints_is_enough(job: Command, flink: RecordedFlink) -> None:
    code, out, err = job("stop", "--savepoint")
    assert (code, out, flink.called) == (2, "", [])
    assert err.startswith("error: the cluster has no place for savepoints: give one with --to")
    flink.answers["/jobmanager/config"].append({"key": "state.savepoints.dir", "value": "s3://b"})
    assert job("stop", "--savepoint")[0] == 0
    assert flink.called == [(f"POST /jobs/{RUNNING}/stop", {"drain": False})]


def test_a_savepoint_that_fails_leaves_the_job_running(job: Command, flink: RecordedFlink) -> None:
    (path,) = [path for path in flink.answers if "/savepoints/" in path]
    trace = "java.util.concurrent.CompletionException: a\n\tat b\nCaused by: java.io.IOException: No space left\n"
    failure = {"class": "java.util.concurrent.CompletionException", "stack-trace": trace}
    flink.answers[path] = {"status": {"id": "COMPLETED"}, "operation": {"failure-cause": failure}}
    code, out, err = job("stop", "--savepoint", "--to=s3://b")
    assert (code, out) == (2, "")
    assert "error: the savepoint failed, and the job goes on: IOException: No space left\n" in err
    flink.answers[f"POST /jobs/{RUNNING}/stop"] = REFUSED
    flink.called.clear()
    _, _, err = job("stop", "--savepoint", "--to=s3://b")
    assert f"answers 400 to POST /jobs/{RUNNING}/stop: org.apache.flink" in err
    assert "\tat" not in err


def test_a_job_that_fails_after_its_savepoint_leaves_the_savepoint_to_start_from(
    job: Command, flink: RecordedFlink
) -> None:
    (path,) = [path for path in flink.answers if "/savepoints/" in path]
    name = "org.apache.flink.runtime.scheduler.stopwithsavepoint.StopWithSavepointStoppingException"
    trace = (
        f"java.util.concurrent.CompletionException: {name}\n\tat a.b(C.java:1)\nCaused by: {name}: A savepoint has "
        f"been created at: s3://b/savepoint-1, but the corresponding job {RUNNING} failed during stopping. The "
        "savepoint is consistent, but might have uncommitted transactions.\n\tat a.b(C.java:1)\n"
    )
    flink.answers[path] = {"status": {"id": "COMPLETED"}, "operation": {"failure-cause": {"stack-trace": trace}}}
    code, out, err = job("stop", "--savepoint", "--to=s3://b")
    assert (code, out) == (2, "")
    assert "a savepoint was written to s3://b/savepoint-1, but the job failed while it was stopping" in err
    assert err.endswith("beam-aep job restart --from s3://b/savepoint-1\n")


def test_a_cluster_that_does_not_answer_for_a_while_is_asked_again(
    job: Command, flink: RecordedFlink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.cli.job.stopping._LINE_EVERY_SECONDS", 0.0)
    (path,) = [path for path in flink.answers if "/savepoints/" in path]
    flink.hiccups = {path: [UNAVAILABLE, None], "/jobs/overview": [UNAVAILABLE, None]}
    code, out, err = job("stop", "--savepoint", "--to=s3://b")
    assert (code, out) == (0, "file:/data/savepoints/savepoint-e65e93-5602997a205b\n")
    assert flink.hiccups == {path: [], "/jobs/overview": []}
    assert re.search(r"^waiting for the savepoint: \d", err, re.MULTILINE)
    assert re.search(r"^waiting for the job to end: \d", err, re.MULTILINE)


def test_one_that_does_not_come_back_may_stop_the_job_all_the_same(
    job: Command, flink: RecordedFlink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.flink.stop._PATIENCE_SECONDS", 0.0)
    (path,) = [path for path in flink.answers if "/savepoints/" in path]
    flink.after_calls[path] = UNAVAILABLE
    code, out, err = job("stop", "--savepoint", "--to=s3://b")
    assert (code, out) == (2, "")
    assert err.endswith("what the cluster was asked for may go on: see beam-aep job status\n")


@pytest.mark.parametrize("call", [("/stop", "--savepoint", "--to=s3://b"), ("?mode=cancel",)])
@pytest.mark.parametrize("answer", [None, (504, "Gateway Timeout"), (500, {"errors": ["Async rpc timeout"]})])
def test_a_call_whose_answer_is_lost_may_have_been_taken(
    job: Command, flink: RecordedFlink, call: tuple[str, ...], answer: Any
) -> None:
    path, *arguments = call
    method = "POST" if arguments else "PATCH"
    flink.answers[f"{method} /jobs/{RUNNING}{path}"] = answer
    code, out, err = job("stop", *arguments)
    assert (code, out) == (2, "")
    assert err.endswith("; Flink may do what it was asked for all the same: see beam-aep job status\n")


@pytest.mark.parametrize("call", [("/stop", "--savepoint", "--to=s3://b"), ("?mode=cancel",)])
def test_a_redirect_is_not_followed(job: Command, flink: RecordedFlink, call: tuple[str, ...]) -> None:
    path, *arguments = call
    method = "POST" if arguments else "PATCH"
    elsewhere = f"{flink.server.url.replace('//', '//user:secret@')}/flink"
    flink.answers[f"{method} /jobs/{RUNNING}{path}"] = (302, "", f"{elsewhere}?token=secret#secret")
    flink.answers["/flink?token=secret"] = flink.answers[f"/jobs/{RUNNING}"]
    code, out, err = job("stop", *arguments)
    assert (code, out) == (2, "")
    assert f"answers 302 to {method} /jobs/{RUNNING}{path}, a redirect to {flink.server.url}/flink, and" in err
    assert "secret" not in err


def test_the_path_of_a_savepoint_is_printed_even_if_the_cluster_cannot_be_asked_any_more(
    job: Command, flink: RecordedFlink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.flink.stop._PATIENCE_SECONDS", 0.0)
    flink.after_calls["/jobs/overview"] = UNAVAILABLE
    code, out, err = job("stop", "--savepoint", "--to=s3://b")
    assert (code, out) == (2, "file:/data/savepoints/savepoint-e65e93-5602997a205b\n")
    assert "Service temporarily unavailable" in err


def test_a_job_that_the_cluster_forgets_as_it_ends_is_not_waited_for(job: Command, flink: RecordedFlink) -> None:
    flink.after_calls["/jobs/overview"] = {"jobs": []}
    assert job("stop", "--savepoint", "--to=s3://b")[0] == 0


def test_a_cancelled_job_that_the_cluster_forgets_is_cancelled(job: Command, flink: RecordedFlink) -> None:
    flink.after_calls[f"/jobs/{RUNNING}/checkpoints"] = (404, {"errors": ["Job not found"]})
    code, _, err = job("stop")
    assert code == 0
    assert "was accepted since its last checkpoint began (2026-11-29 08:59:13" in err


def test_a_cancelled_job_says_what_is_sent_again(job: Command, flink: RecordedFlink) -> None:
    code, out, err = job("stop")
    assert (code, out) == (0, "")
    assert (
        "goes on at the committed offsets. What was accepted since its last checkpoint began (2026-11-29 08:59:13"
        in err
    )
    assert job("stop")[0] == 1  # it has ended


def test_an_address_that_is_not_flinks_is_said_to_be_none(job: Command, flink: RecordedFlink) -> None:
    flink.answers["/jobs/overview"] = {"jobs": [{"jid": RUNNING}]}
    code, _, err = job("status")
    assert code == 2
    assert f"{flink.server.url} answers 200, but not as Flink's REST API does" in err


def test_a_job_whose_positions_would_be_lost_is_not_cancelled(job: Command, flink: RecordedFlink) -> None:
    flink.answers[f"/jobs/{RUNNING}/checkpoints/config"]["externalization"]["delete_on_cancellation"] = True
    code, _, err = job("stop", "--batch_mode=state")
    assert (code, flink.called) == (2, [])
    assert "stop it with --savepoint" in err
    flink.answers[f"/jobs/{RUNNING}/checkpoints/config"]["externalization"]["delete_on_cancellation"] = False
    code, _, err = job("stop", "--batch_mode=state")
    assert code == 0
    assert f"goes on from file:/data/flink/checkpoints/{RUNNING}/chk-1" in err


def test_a_checkpoint_that_is_gone_since_there_is_a_newer_one_is_not_where_a_job_goes_on(
    job: Command, flink: RecordedFlink
) -> None:
    path = f"/jobs/{RUNNING}/checkpoints"
    newer = deepcopy(flink.answers[path])
    newer["latest"]["completed"]["external_path"] = "file:/data/chk-9"
    replaced = flink.answers[path]
    replaced["latest"]["completed"]["discarded"] = True
    flink.hiccups[path] = [replaced]
    flink.after_calls[path] = newer
    code, _, err = job("stop", "--batch_mode=state")
    assert code == 0, err
    assert "goes on from file:/data/chk-9" in err


@pytest.mark.parametrize(
    ("jobs", "arguments", "says"),
    [
        ([STOPPED], [], f"would start from {SAVEPOINT}: job {STOPPED} was stopped with it at 2026-11-29 09:14:10 UTC"),
        ([STOPPED], ["--from=committed"], "would start at the committed offsets of group beam-aep: as --from says"),
        ([STOPPED, FAILED], [], f"would start at the committed offsets of group beam-aep: job {FAILED} failed"),
        ([STOPPED, FAILED], ["--job", STOPPED], f"would start from {SAVEPOINT}"),
        ([STOPPED, RESTORED], ["--batch_mode=state"], f"would start from {SAVEPOINT}: job {RESTORED} failed before"),
        ([], [], "would start at the committed offsets of group beam-aep: the cluster knows no job of this name"),
        ([], ["--batch_mode=state", "--from=s3://b/chk-1"], "would start from s3://b/chk-1: as --from says"),
    ],
)
def test_where_a_restart_begins(
    job: Command, flink: RecordedFlink, jobs: list[str], arguments: list[str], says: str
) -> None:
    flink.jobs = jobs
    code, out, err = job("restart", "--preview", *arguments)
    assert (code, out) == (0, "")
    assert err.startswith(says)


@pytest.mark.parametrize(
    ("jobs", "arguments", "says"),
    [
        ([RUNNING, STOPPED], [], f"job {RUNNING} (loyalty) is RUNNING: stop it first"),
        ([RUNNING, STOPPED], ["--job", STOPPED], "is RUNNING: stop it first"),
        ([RUNNING, STOPPED], ["--from=committed"], "is RUNNING: stop it first"),
        ([RUNNING], ["--job_name=other", "--job", RUNNING[:6]], f"job {RUNNING} (loyalty) is RUNNING: stop it first"),
        ([FAILED], ["--batch_mode=state"], "no checkpoint of it is known"),
        ([FAILED], ["--batch_mode=state", "--from=committed"], "commits no offsets"),
        ([], ["--savepoint_path=s3://b/a"], "savepoint_path (command line): remove it"),
        ([], ["--job=abc"], "no job with the id abc"),
        ([], ["--kafka_topics=[]"], "kafka_topics"),
    ],
)
def test_a_restart_that_would_repeat_or_lose_is_refused(
    job: Command, flink: RecordedFlink, jobs: list[str], arguments: list[str], says: str
) -> None:
    flink.jobs = jobs
    code, out, err = job("restart", *arguments)
    assert (code, out) == (2, "")
    assert says in err
