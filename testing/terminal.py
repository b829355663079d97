"""A real pseudo-terminal of a given width, for what commands print on one."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

from testing.services.process import PATIENCE_SECONDS

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(
    command: Sequence[str], columns: int, cwd: Path, environment: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run a command whose standard output and error are a terminal.

    Args:
        command: The program and its arguments.
        columns: Width of the terminal.
        cwd: Working directory.
        environment: What it gets beside this process's environment.

    Returns:
        Its exit code, and all that it wrote, with colours and cursor movements.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    variables = {**inherited, "TERM": "xterm-256color", **(environment or {})}
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, cwd=cwd, env=variables
    ) as one:
        os.close(theirs)
        written = b""
        try:
            while piece := os.read(ours, 65_536):
                written += piece
        except OSError:  # Linux says so at the end of what a terminal's other side wrote
            pass
        os.close(ours)
        code = one.wait(PATIENCE_SECONDS)
    return code, written.decode().replace("\r\n", "\n")


def without_escapes(text: str) -> str:
    """Return what a terminal was sent without colours and cursor movements."""
    return _ESCAPES.sub("", text)
