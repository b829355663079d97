"""Subprocesses that stand in for a service: started, awaited, signalled, and never left behind."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 240
"""How long to wait for what must happen: so long that only a fault makes it go by, also on a busy machine.

The time-out of a test, in pyproject.toml, lies above it.
"""

BUSY_SECONDS = 20
"""What a busy machine may add to something quick. What is measured must take longer where it fails."""

POLL_SECONDS = 0.05
_RANDOM = random.SystemRandom()  # processes of a session must not draw the same ports
LOG_TAIL_LINES = 30


class ServiceError(Exception):
    """A service was started and did not do what was asked of it."""


class ServiceUnavailable(Exception):  # noqa: N818 - says what is the matter; nothing has failed yet
    """This machine lacks what the service needs; the message says what, and how to get it."""


def free_port() -> int:
    """Return a TCP port on 127.0.0.1 that nobody has.

    It is below those that the system gives to whoever asks for any: a service that starts on it seconds later, or once
    more after a stop, finds it free still.
    """
    return free_ports(1)


def free_ports(count: int) -> int:
    """Return the first of `count` such TCP ports in a row, for what tries one after another."""
    given_away = _first_given_away()
    least = min(10_000, given_away // 2)
    while True:
        first = _RANDOM.randrange(least, given_away - count)
        if all(map(_can_be_had, range(first, first + count))):
            return first


def _first_given_away() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except FileNotFoundError:  # not Linux, and elsewhere they are higher
        return 32_768


def _can_be_had(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_listening(port: int) -> bool:
    """Return whether something accepts connections on this port of 127.0.0.1."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def wait_for(condition: Callable[[], T], timeout: float, what: str) -> T:
    """Poll `condition` until it returns something true, and return that.

    Raises:
        ServiceError: `timeout` seconds went by; the message says `what` was awaited.
    """
    deadline = time.monotonic() + timeout
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise ServiceError(f"waited {timeout:g} s in vain for {what}; the last answer was {result!r}")
        time.sleep(POLL_SECONDS)
    return result


def resident_bytes(pid: int) -> int:
    """Return the memory that a process has resident, as Linux tells; 0 when it has ended."""
    try:
        found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found[1]) * 1024 if found else 0


class ServiceProcess:
    """One subprocess in a session of its own, with its output in a log file.

    Signals go to its whole process group. A watchdog kills the group as soon as this Python process is gone,
    whatever ended it, so that not even `kill -9` of pytest leaves a broker running.
    """

    def __init__(
        self, name: str, command: Sequence[str], log_path: Path, *, env: Mapping[str, str] | None = None
    ) -> None:
        """Start `command`; `env` is added to the environment, the log file is appended to."""
        self.name = name
        self.log_path = log_path
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
        # Its standard input closes when we die; a line on it says that the service has ended in good order.
        self._watchdog = subprocess.Popen(
            ["sh", "-c", 'read -r line || kill -KILL "-$1"', "watchdog", str(self.pid)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Process id, and id of the process group."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process has not ended yet; a paused one is running."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int:
        """Its exit code, once it has ended."""
        return self._process.wait(0)

    @property
    def resident_bytes(self) -> int:
        """The memory that it has resident, as Linux tells; 0 when it has ended."""
        return resident_bytes(self.pid)

    def log(self) -> str:
        """Return all it has printed so far."""
        return self.log_path.read_text(errors="replace")

    def signal(self, number: int) -> None:
        """Send a signal and do not wait for what follows."""
        self._signal(number)

    def wait_until_ready(self, ready: Callable[[], bool], timeout: float) -> None:
        """Return when `ready()` is true.

        Raises:
            ServiceError: It ended first, or `timeout` seconds went by; the message ends with its log.
        """
        deadline = time.monotonic() + timeout
        while self.running:
            if ready():
                return
            if time.monotonic() > deadline:
                self.kill()
                raise ServiceError(f"{self.name} was not ready after {timeout:g} s\n{self.log_tail()}")
            time.sleep(POLL_SECONDS)
        self._dismiss_watchdog()
        raise ServiceError(
            f"{self.name} ended at its start with exit code {self._process.returncode}\n{self.log_tail()}"
        )

    def log_tail(self) -> str:
        """Return the last lines of the log, headed by its path."""
        lines = self.log_path.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n".join([f"end of {self.log_path}:", *lines])

    def terminate(self, timeout: float = PATIENCE_SECONDS) -> None:
        """Ask it to end (SIGTERM) and kill it when it has not done so after `timeout` seconds."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
        self._dismiss_watchdog()

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash of the machine would."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._dismiss_watchdog()

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def __enter__(self) -> ServiceProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.terminate()

    def _signal(self, number: int) -> None:
        if self.running:
            os.killpg(self.pid, number)

    def _dismiss_watchdog(self) -> None:
        if self._watchdog.poll() is None:
            self._watchdog.communicate(b"\n")
