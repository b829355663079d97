"""The command: start, state over restarts, clean end, clear errors."""

from __future__ import annotations

import resource
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from testing.services.emulator import CLIENT_ID, CLIENT_SECRET, Emulator
from testing.services.process import PATIENCE_SECONDS
from tests.emulator.conftest import SCHEMA, Client, make_message


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "emulator", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)


def test_help() -> None:
    helped = run("--help")
    assert helped.returncode == 0
    assert all(
        word in helped.stdout
        for word in ("--state", "--kinesis-port", "--inlets", "--count-only", "/__local", CLIENT_SECRET)
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_clean_end(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "emulator"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("listening on http://127.0.0.1:")
        assert process.stdout.readline() == "open it in a browser to see what arrives\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        ("[", "--inlets"),
        ("{}", "expected a JSON list"),
        ('[{"name": "x", "validatoin": "off"}]', "inlet 0: validatoin"),
        ('[{}, {"dataset_id": "d", "schema": {}}]', "inlet 1: "),
    ],
)
def test_wrong_inlets_file(tmp_path: Path, content: str, hint: str) -> None:
    (tmp_path / "inlets.json").write_text(content)
    failed = run("--inlets", str(tmp_path / "inlets.json"))
    assert failed.returncode == 2
    assert hint in failed.stderr
    assert "Traceback" not in failed.stderr


def test_wrong_state_file(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("this is not a database, it is only text, and quite long")
    failed = run("--state", str(tmp_path / "state"))
    assert (failed.returncode, "state file" in failed.stderr) == (2, True)
    failed = run("--state", str(tmp_path / "nowhere" / "state"))
    assert (failed.returncode, "name a writable file" in failed.stderr) == (2, True)
    assert "Traceback" not in failed.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ("UPDATE definitions SET json = '{' WHERE kind = 'inlet'", "JSONDecodeError"),
        ("UPDATE definitions SET json = '{\"new\": 1}' WHERE kind = 'inlet'", "InletRequest"),
        ("UPDATE definitions SET json = '{\"new\": 1}' WHERE kind = 'faults'", "Faults"),
        ("UPDATE definitions SET json = '{\"new\": 1}' WHERE kind = 'counts'", "'new'"),
        ("ALTER TABLE definitions RENAME COLUMN json TO text", "no such column: json"),
    ],
    ids=["not JSON", "another inlet", "another fault", "another count", "another table"],
)
def test_a_state_file_of_another_version(tmp_path: Path, change: str, hint: str) -> None:
    state = tmp_path / "state.db"
    with Emulator(state=state) as emulator:
        emulator.create_inlet()
        emulator.faults(seed=1)
        emulator.stats()  # counts the inlet, for the counts to be kept
    with closing(sqlite3.connect(state)) as database, database:
        database.execute(change)
    failed = run("--state", str(state))
    assert failed.returncode == 2
    assert failed.stderr.startswith(f"error: state file {state}: ")
    assert hint in failed.stderr
    assert "use another file here" in failed.stderr
    assert failed.stderr.count("\n") == 1


def test_the_state_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """It holds the access keys of destinations, in SQLite's files beside it too."""
    (tmp_path / "older.db").touch()
    (tmp_path / "older.db").chmod(0o640)
    with Emulator(state=tmp_path / "new.db") as emulator:
        emulator.create_inlet()
        modes = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.glob("new.db*")}
    assert modes == {"new.db": 0o600, "new.db-wal": 0o600}
    with Emulator(state=tmp_path / "older.db"):
        assert (tmp_path / "older.db").stat().st_mode & 0o777 == 0o640


def test_port_in_use(emulator: Emulator) -> None:
    for option in ("--port", "--kinesis-port"):
        failed = run(option, emulator.url.rpartition(":")[2])
        assert (failed.returncode, f"the port is in use; give another {option}, or 0" in failed.stderr) == (2, True)


@pytest.mark.parametrize("option", ["--client", "--kinesis-key"])
def test_a_key_without_its_secret(option: str) -> None:
    failed = run(option, "ID")
    assert (failed.returncode, f"{option}: give ID:SECRET" in failed.stderr) == (2, True)


@pytest.mark.parametrize("port", ["99999", "-1"])
def test_no_such_port(port: str) -> None:
    failed = run("--port", port)
    words = f"error: cannot listen on 127.0.0.1:{port}: a port is a number from 0 to 65535; see --port\n"
    assert (failed.returncode, failed.stderr) == (2, words)
    assert "Traceback" not in failed.stderr


def test_inlets_file_gives_the_same_inlets_at_each_start() -> None:
    with Emulator(inlets=[{"name": "one"}, {"id": "f" * 64, "name": "two"}]) as emulator:
        first = emulator.local("GET", "inlets")
        emulator.stop()
        emulator.start()
        assert emulator.local("GET", "inlets") == first
    assert [inlet["name"] for inlet in first["inlets"]] == ["one", "two"]
    assert first["inlets"][1]["inletId"] == "f" * 64


def test_further_client_by_option(client: Client) -> None:
    with Emulator(arguments=["--client", "me:my:secret"]) as emulator:
        form = {"grant_type": "client_credentials", "client_id": "me", "client_secret": "my:secret", "scope": "openid"}
        assert (
            client.session.post(f"{emulator.url}/ims/token/v3", data=form, timeout=PATIENCE_SECONDS).status_code == 200
        )


@pytest.mark.parametrize("ended", ["stop", "kill"])
def test_state_survives(tmp_path: Path, client: Client, ended: str) -> None:
    with Emulator(state=tmp_path / "state.db") as emulator:
        inlet = emulator.create_inlet(schema=SCHEMA, authentication_required=True)
        form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        answer = client.session.post(
            f"{emulator.url}/ims/token/v3", data={**form, "scope": "openid"}, timeout=PATIENCE_SECONDS
        )
        bearer = f"Bearer {answer.json()['access_token']}"
        entities: list[Any] = ["a", "b", {"_id": 5, "timestamp": "2026-01-02T03:04:05Z"}]
        client.batch(inlet, [make_message(inlet, entity) for entity in entities], Authorization=bearer)
        emulator.faults(dialect="statusCode")
        failed = emulator.failed(inlet["inletId"])
        before = emulator.stats()
        messages = emulator.messages(inlet["inletId"])

        emulator.stop() if ended == "stop" else emulator.kill()
        emulator.start()

        assert emulator.stats()["inlets"] == before["inlets"]
        assert emulator.messages(inlet["inletId"]) == messages
        assert len(messages) == 3
        assert emulator.failed(inlet["inletId"]) == failed
        assert len(failed) == 1
        assert emulator.local("GET", "faults") == {"dialect": "statusCode"}
        assert client.batch(inlet, [make_message(inlet, "a")], Authorization=bearer).status_code == 207
        assert emulator.ids(inlet["inletId"]) == {"a": 2, "b": 1, "5": 1}


def test_validation_goes_on_after_a_kill(tmp_path: Path, client: Client) -> None:
    with Emulator(state=tmp_path / "state.db") as emulator:
        inlet = emulator.create_inlet(schema=SCHEMA)
        bad = {"_id": "x", "wrong": True}
        body = orjson.dumps({"messages": [make_message(inlet, bad)] * 2500})
        assert client.post(inlet["inletUrl"].replace("/collection/", "/collection/batch/"), body).status_code == 207
        emulator.kill()
        emulator.start()
        assert len(emulator.failed(inlet["inletId"])) == 2500


def test_a_disk_that_was_full(tmp_path: Path, client: Client) -> None:
    """What cannot be stored is answered with 503 and not counted; later all goes on."""
    with Emulator(state=tmp_path / "state.db") as emulator:
        inlet = emulator.create_inlet(schema=SCHEMA)
        pid, (_, hard) = emulator.process.pid, resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (2_000_000, hard))  # of each file that the process writes
        statuses = Counter(
            client.batch(inlet, [make_message(inlet, f"{number}-{each}") for each in range(100)]).status_code
            for number in range(60)
        )
        assert set(statuses) == {207, 503}
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
        assert client.batch(inlet, [make_message(inlet, {"_id": "bad"})]).status_code == 207
        assert len(emulator.failed(inlet["inletId"])) == 1
        stats = emulator.inlet_stats(inlet["inletId"])
        accepted = statuses[207] * 100 + 1
        assert (stats["accepted"], stats["unique_ids"], stats["duplicates"]) == (accepted, accepted, 0)
        assert stats["requests"] == stats["statuses"]["207"] == statuses[207] + 1
        log = emulator.process.log_path.read_text()
        assert "cannot be stored, and is answered with 503" in log
        assert "Traceback" not in log


def test_one_state_file_for_one_emulator(tmp_path: Path) -> None:
    with Emulator(state=tmp_path / "state.db"):
        failed = run("--state", str(tmp_path / "state.db"))
    assert failed.returncode == 2
    assert f"state file {tmp_path}/state.db: " in failed.stderr
    assert "another emulator has it open: stop that one" in failed.stderr
    assert "remove" not in failed.stderr
