from __future__ import annotations

import os
import resource
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.output.whole_file import check_can_be_written, write_whole

WRITE = """
import sys
from pipelines.output.whole_file import check_can_be_written, write_whole
path, stream = sys.argv[1], getattr(sys, sys.argv[2])
print("before", file=stream)
check_can_be_written(path)
write_whole(path, b"content\\n")
print("after", file=stream)
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def check_and_write(path: Path, content: bytes) -> None:
    check_can_be_written(path)
    write_whole(path, content)


def test_a_symbolic_link_stays_one_and_its_file_is_written(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    target, link = tmp_path / "runs" / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to("runs/target")
    check_and_write(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert sorted(one.name for one in tmp_path.rglob("*")) == ["link", "runs", "target"]


def test_a_symbolic_link_to_nothing_yet_makes_what_it_leads_to(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("target")
    check_and_write(link, b"new")
    assert link.is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


@pytest.mark.parametrize("kept", [0o600, 0o640, 0o666])
def test_the_mode_of_a_file_stays(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(kept)
    check_and_write(path, b"new")
    assert (path.read_bytes(), mode(path)) == (b"new", kept)


def test_a_new_file_has_the_mode_of_any_other(tmp_path: Path) -> None:
    check_and_write(tmp_path / "file", b"new")
    (tmp_path / "other").touch()
    assert mode(tmp_path / "file") == mode(tmp_path / "other")


def test_a_named_pipe_stays_one_and_its_reader_gets_the_content_alone(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with ThreadPoolExecutor(1) as threads:
        read = threads.submit(path.read_bytes)
        check_and_write(path, b"new")
        assert read.result() == b"new"
    assert path.is_fifo()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_the_standard_output_or_error_goes_to_keeps_what_was_printed(tmp_path: Path, stream: str) -> None:
    out, path = tmp_path / "out", tmp_path / "as in dev"
    path.symlink_to(f"/proc/self/fd/{1 if stream == 'stdout' else 2}")
    with out.open("wb") as file:
        command = [sys.executable, "-c", WRITE, str(path), stream]
        subprocess.run(command, check=True, stdout=file, stderr=file)
    assert out.read_text() == "before\ncontent\nafter\n"


def test_a_pipeline_of_a_shell_gets_the_content(tmp_path: Path) -> None:
    path = tmp_path / "as in dev"
    path.symlink_to("/proc/self/fd/1")  # which resolves to /proc/.../pipe:[...] then, the path of no file
    command = [sys.executable, "-c", WRITE, str(path), "stdout"]
    assert subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout == b"before\ncontent\nafter\n"


def test_a_folder_is_refused_before_and_after(tmp_path: Path) -> None:
    for refused in (check_can_be_written, lambda path: write_whole(path, b"new")):
        with pytest.raises(IsADirectoryError):
            refused(tmp_path)


def test_several_who_write_at_once_leave_the_whole_of_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [letter * 100_000 for letter in (b"a", b"b", b"c")]
    with ThreadPoolExecutor(len(contents)) as threads:
        rounds = [threads.submit(check_and_write, path, content) for content in contents * 100]
        while not all(one.done() for one in rounds):
            assert not path.exists() or path.read_bytes() in contents
        for one in rounds:
            one.result()
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_mounted_by_itself_is_written(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.write_text("something longer than what is written to it")
    inside.touch()
    mount = f"mount --bind {outside} {inside}"
    alone = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if shutil.which("unshare") is None or subprocess.run([*alone, mount], check=False).returncode:
        pytest.skip("this machine lets nobody mount")
    write = f"{mount} && {sys.executable} -c '{WRITE}' {inside} stderr"
    subprocess.run([*alone, write], check=True)
    assert outside.read_bytes() == b"content\n"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["inside", "outside"]


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with files_of_at_most(10), pytest.raises(OSError, match="too large"):
        write_whole(path, b"x" * 100)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
