"""A program as in a container: the first process of its own, on a root file system that is read-only."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from testing.services.process import ServiceProcess

SCRATCH = "/mnt"
"""The folder that can be written to, as /tmp in a pod; empty at the start."""

_ENTER = f"mount -t tmpfs tmpfs {SCRATCH} && mount -o remount,bind,ro / && cd {SCRATCH} && exec"
_NO_RIGHTS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
_UNSHARE = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", f'{_ENTER} "$@"', "sh", *_NO_RIGHTS]


def contained(command: Sequence[str]) -> list[str]:
    """Return the command that runs another so; skip the test where the kernel does not let us."""
    tried = subprocess.run([*_UNSHARE, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"this machine gives us no namespaces of our own: {tried.stderr.strip()}")
    return [*_UNSHARE, *command]


def first_process(service: ServiceProcess) -> int:
    """Return the id, in our own namespace, of the program inside; 0 while there is none."""
    try:
        children = Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split()
    except FileNotFoundError:  # it has ended
        return 0
    return int(children[0]) if children else 0
