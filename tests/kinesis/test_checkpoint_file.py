"""The file of a local run's checkpoint."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinesis.checkpoint_file import CheckpointError, CheckpointFile
from kinesis.positions import BEGINNING, END, Change, Checkpoint, ShardState, after, at_time, from_json
from testing.services.process import PATIENCE_SECONDS

STATES = st.builds(
    ShardState,
    position=st.one_of(
        st.just(BEGINNING), st.just(END), st.builds(at_time, st.integers(0)), st.builds(after, st.text())
    ),
    parents=st.lists(st.text(), max_size=2).map(tuple),
    root=st.text(),
    read_to=st.integers(0, 2**53),
)
CHECKPOINT = Checkpoint("profiles", 1, {"shardId-000000000000": ShardState(after("49" * 28), ("shardId-x",), "r", 7)})


@given(st.builds(Checkpoint, st.text(), st.integers(0, 2**53), st.dictionaries(st.text(), STATES)))
def test_a_checkpoint_comes_back_from_its_json(checkpoint: Checkpoint) -> None:
    assert from_json(checkpoint.to_json()) == checkpoint


def test_a_step_sets_and_forgets_shards() -> None:
    changed = CHECKPOINT.apply(Change({"new": ShardState()}, frozenset(CHECKPOINT.shards), 5))
    assert changed == Checkpoint("profiles", 5, {"new": ShardState()})
    assert changed.apply(Change({})) == changed


def test_what_was_written_is_read_by_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "made" / "for it" / "kinesis.json"
    file = CheckpointFile(str(path), "profiles")
    assert file.open() is None
    file.write(CHECKPOINT)
    file.close()
    assert CheckpointFile(str(path), "profiles").open() == CHECKPOINT


def test_a_symbolic_link_stays_one_and_what_it_leads_to_keeps_its_mode(tmp_path: Path) -> None:
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_bytes(Checkpoint("profiles", 0, {}).to_json())
    target.chmod(0o600)
    link.symlink_to(target.name)
    file = CheckpointFile(str(link), "profiles")
    file.open()
    file.write(CHECKPOINT)
    file.close()
    assert link.is_symlink()
    assert from_json(target.read_bytes()) == CHECKPOINT
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_second_process_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    path = str(tmp_path / "kinesis.json")
    hold = (
        "import sys, time; from kinesis.checkpoint_file import CheckpointFile; f = CheckpointFile(sys.argv[1], 's'); "
        "f.open(); print('open', flush=True); time.sleep(3600)"
    )
    first = subprocess.Popen([sys.executable, "-c", hold, path], stdout=subprocess.PIPE)
    assert first.stdout is not None
    try:
        assert first.stdout.readline() == b"open\n"
        with pytest.raises(
            CheckpointError, match=r"kinesis\.json: another process reads stream s with this checkpoint"
        ):
            CheckpointFile(path, "s").open()
    finally:
        first.kill()
        first.wait(PATIENCE_SECONDS)
    assert CheckpointFile(path, "s").open() is None


def test_a_checkpoint_of_another_stream_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kinesis.json"
    path.write_bytes(CHECKPOINT.to_json())
    with pytest.raises(
        CheckpointError, match="a checkpoint of stream profiles, not of orders; give kinesis_checkpoint"
    ):
        CheckpointFile(str(path), "orders").open()
    CheckpointFile(str(path), "profiles").open()  # the refusal has let it go


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (CHECKPOINT.to_json()[:-40], "not a whole checkpoint"),
        (b"", "not a whole checkpoint"),
        (b"[]", "not an object with the fields of a checkpoint"),
        (b"{}", "'shards' is missing"),
        (CHECKPOINT.to_json().replace(b"AFTER_SEQUENCE_NUMBER", b"LATEST"), "position: 'LATEST' is not one of"),
        (
            CHECKPOINT.to_json()
            .replace(b"AFTER_SEQUENCE_NUMBER", b"AT_TIMESTAMP")
            .replace(b'"value": "', b'"value": "T'),
            "value: expected milliseconds since 1970",
        ),
        (CHECKPOINT.to_json().replace(b'"read_to": 7', b'"read_to": "7"'), "read_to: expected int"),
        (CHECKPOINT.to_json().replace(b'"shardId-x"', b"1"), "parents: expected a list of strings"),
    ],
)
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "kinesis.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=why) as raised:
        CheckpointFile(str(path), "profiles").open()
    assert "put a copy of it back, or delete it to begin at kinesis_start" in str(raised.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(CheckpointError, match="cannot be written: Permission denied; check kinesis_checkpoint"):
        CheckpointFile(str(tmp_path / "kinesis.json"), "profiles").open()


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"cannot be written: .+; check kinesis_checkpoint"):
        CheckpointFile(str(tmp_path / "file" / "kinesis.json"), "profiles").open()


def _write_beyond_the_limit(path: str) -> None:
    """A limit on the size of files refuses a write as a full disk does, in the middle."""
    file = CheckpointFile(path, "profiles")
    file.open()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    file.write(Checkpoint("profiles", 2))
    with pytest.raises(CheckpointError, match="cannot be written: File too large; check kinesis_checkpoint"):
        file.write(CHECKPOINT)


def test_a_full_disk_leaves_the_last_checkpoint_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "kinesis.json"
    path.write_bytes(CHECKPOINT.to_json())
    writer = multiprocessing.get_context("spawn").Process(target=_write_beyond_the_limit, args=(str(path),))
    writer.start()
    writer.join(PATIENCE_SECONDS)
    assert writer.exitcode == 0
    assert CheckpointFile(str(path), "profiles").open() == Checkpoint("profiles", 2)
    assert {one.name for one in tmp_path.iterdir()} == {"kinesis.json", "kinesis.json.lock"}


def _write_for_ever(path: str) -> None:
    file = CheckpointFile(path, "profiles")
    file.open()
    while True:
        file.write(CHECKPOINT)


def test_a_process_that_is_killed_as_it_writes_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "kinesis.json"
    context = multiprocessing.get_context("spawn")
    for _ in range(3):
        writer = context.Process(target=_write_for_ever, args=(str(path),))
        writer.start()
        while not path.exists():
            writer.join(0.01)
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join(PATIENCE_SECONDS)
        assert CheckpointFile(str(path), "profiles").open() == CHECKPOINT
