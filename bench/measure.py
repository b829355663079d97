"""What a process costs: CPU and wall time, memory. Read from /proc, so on Linux only."""

from __future__ import annotations

import os
import re
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testing.services.process import ServiceError, ServiceProcess

# How often the end and the memory of a process are looked for: 10 ms are under 0.5 % of the shortest run.
_LOOK_SECONDS = 0.01
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """What something took. CPU seconds are user and system together, of all threads and ended children."""

    cpu_seconds: float
    wall_seconds: float
    peak_bytes: int = 0

    def beyond(self, start_up: Usage) -> Usage:
        """Return what was spent beyond the start; at least a millisecond, so that the tiniest run has a figure."""
        return Usage(
            max(0.001, self.cpu_seconds - start_up.cpu_seconds),
            max(0.001, self.wall_seconds - start_up.wall_seconds),
            self.peak_bytes,
        )


def total(usages: Sequence[Usage]) -> Usage:
    """Return what several took together, one after another."""
    return Usage(
        sum(one.cpu_seconds for one in usages),
        sum(one.wall_seconds for one in usages),
        max(one.peak_bytes for one in usages),
    )


class Stopwatch:
    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def usage(self) -> Usage:
        """Return what was used since it was made."""
        return Usage(time.process_time() - self._cpu, time.perf_counter() - self._wall)


def of_command(name: str, command: Sequence[str], log: Path, timeout: float) -> Usage:
    """Return what a command takes from its start to its end.

    Raises:
        ServiceError: It failed, or had not ended after `timeout` seconds; the message ends with its log.
    """
    cpu, wall = _ended_children_cpu_seconds(), time.perf_counter()
    peak = 0
    with ServiceProcess(name, command, log) as process:
        while process.running:
            peak = max(peak, _peak_bytes(process.pid))
            if time.perf_counter() - wall > timeout:
                raise ServiceError(f"{name} had not ended after {timeout:g} s\n{process.log_tail()}")
            time.sleep(_LOOK_SECONDS)
        wall = time.perf_counter() - wall
        if process.exit_code:
            raise ServiceError(f"{name} ended with exit code {process.exit_code}\n{process.log_tail()}")
    return Usage(_ended_children_cpu_seconds() - cpu, wall, peak)


def cpu_share(pid: int, seconds: float) -> float:
    """Return the share of a core that a running process uses over the given seconds."""
    cpu, wall = cpu_seconds(pid), time.perf_counter()
    time.sleep(seconds)
    return (cpu_seconds(pid) - cpu) / (time.perf_counter() - wall)


def _ended_children_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a running process and its ended children have used so far."""
    # The fields after the command's name, which may hold spaces: utime, stime, cutime, cstime are the 14th to 17th.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS_PER_SECOND


def group_members(group: int) -> list[int]:
    """Return the ids of the running processes of a process group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        if int(fields[2]) == group:
            found.append(int(stat.parent.name))
    return found


def group_cpu_seconds(group: int) -> float:
    """Return the CPU seconds that the running processes of a group, and their ended children, have used so far."""
    return sum(map(cpu_seconds, group_members(group)))


def _peak_bytes(pid: int) -> int:
    """Return the most memory that a process has had resident; 0 when it has ended.

    `ru_maxrss` would not do: a child inherits it from the process that started it.
    """
    try:
        found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found[1]) * 1024 if found else 0
