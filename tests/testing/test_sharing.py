"""Processes share a service: one starts it, all have its address, and it ends after the last of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from testing.services.process import PATIENCE_SECONDS, wait_for
from testing.services.sharing import SharedServices

ROOT = Path(__file__).parents[2]
USER = """
import pathlib, sys
from testing.services.sharing import SharedServices
from tests.testing.test_sharing import service
services = SharedServices(pathlib.Path(sys.argv[1]))
print(services.address("service", lambda: service(pathlib.Path(sys.argv[1]), sys.argv[2])), flush=True)
sys.stdin.read()
with pathlib.Path(sys.argv[1], "log").open("a") as file:
    file.write(f"{sys.argv[2]} is done\\n")
services.close()
"""


@contextmanager
def service(folder: Path, name: str) -> Iterator[str]:
    """Write down its starts and end."""
    log = folder / "log"
    with log.open("a") as file:
        file.write(f"{name} starts\n")
    yield name
    with log.open("a") as file:
        file.write(f"{name} ends\n")


class User:
    """A process that uses the service until it is asked to end."""

    def __init__(self, folder: Path, name: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", USER, str(folder), name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        self.address = self._process.stdout.readline().strip()

    def end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None


def test_the_first_starts_it_and_stops_it_after_the_last(tmp_path: Path) -> None:
    log = tmp_path / "log"
    first, second = User(tmp_path, "first"), User(tmp_path, "second")
    assert (first.address, second.address) == ("first", "first")
    first.end()
    wait_for(lambda: "first is done" in log.read_text(), PATIENCE_SECONDS, "the first to be done")
    second.end()
    wait_for(lambda: first.ended and second.ended, PATIENCE_SECONDS, "both to end")
    third = User(tmp_path, "third")
    assert third.address == "third"
    third.end()
    wait_for(lambda: third.ended, PATIENCE_SECONDS, "the third to end")
    assert log.read_text().splitlines() == [
        *("first starts", "first is done", "second is done", "first ends"),
        *("third starts", "third is done", "third ends"),
    ]


def test_a_service_that_could_not_start_is_started_by_the_next(tmp_path: Path) -> None:
    services = SharedServices(tmp_path)

    @contextmanager
    def broken() -> Iterator[str]:
        raise OSError("no disk")
        yield

    for _ in range(2):
        with pytest.raises(OSError, match="no disk"):
            services.address("service", broken)
    assert services.address("service", lambda: service(tmp_path, "a")) == "a"
    assert services.address("service", broken) == "a"
    services.close()
    assert (tmp_path / "log").read_text() == "a starts\na ends\n"


def test_blocks_of_one_name_are_entered_one_at_a_time(tmp_path: Path) -> None:
    code = """
import pathlib, sys
from testing.services.sharing import SharedServices
with SharedServices(pathlib.Path(sys.argv[1])).one_at_a_time("broker"):
    print("in", flush=True)
    sys.stdin.read()
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    with SharedServices(tmp_path).one_at_a_time("broker"):
        other = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert other.stdin
        other.stdin.close()  # it would end at once
        with SharedServices(tmp_path).one_at_a_time("another name"):
            assert other.poll() is None
    assert other.stdout
    assert other.stdout.read() == "in\n"
    assert other.wait() == 0


def test_the_wait_for_a_turn_does_not_count_for_the_time_out_of_a_test(tmp_path: Path) -> None:
    code = """
import pathlib, signal, sys
from testing.services.sharing import SharedServices
services = SharedServices(pathlib.Path(sys.argv[1]))
signal.setitimer(signal.ITIMER_REAL, 2)
with services.one_at_a_time("broker"):
    assert 0 < signal.setitimer(signal.ITIMER_REAL, 0)[0] <= 2
"""
    with SharedServices(tmp_path).one_at_a_time("broker"):
        other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT)
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(4)
    assert other.wait(PATIENCE_SECONDS) == 0
