"""Pages with commands that a user types one after another, followed to their end."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from testing.services.process import PATIENCE_SECONDS, ServiceProcess, free_port

_SERVERS = ("beam-aep emulate", "beam-aep kafka")
"""What a page gives a terminal of its own."""
_AEP_PORT = "8080"  # as pages and projects have it


def blocks(page: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def commands(page: str) -> list[str]:
    """Return the lines of a page's shell blocks."""
    return [line for block in blocks(page, "sh") for line in block.splitlines()]


class Walk:
    """A shell that goes through commands, in a folder, with servers in other terminals, while its `with` block lasts.

    The port of the local AEP is replaced by a free one, in commands and in the files that commands are given.

    Args:
        folder: Where to begin.
        programs: Folder of the `beam-aep` that is meant.
    """

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self.port = str(free_port())
        # The folder of the Python that runs this test has a `beam-aep` too, and must not serve in its place.
        self._environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
        self._servers = ExitStack()
        self._logs = folder

    def __enter__(self) -> Walk:
        return self

    def __exit__(self, *_: object) -> None:
        self._servers.close()

    def here(self, text: str) -> str:
        """Return the text with the port of this walk."""
        return text.replace(_AEP_PORT, self.port)

    def follow(self, lines: Sequence[str], shows: Mapping[str, str]) -> None:
        """Run commands; each must succeed, and of those with a part of `shows` in them its words must be seen."""
        seen = set()
        for line in lines:
            said = self.run(line)
            for part, words in shows.items():
                if part in line:
                    seen.add(part)
                    assert words in said, f"{line}\n{said}"
        assert seen == set(shows)

    def run(self, line: str) -> str:
        """Run one command and return what it prints, if it is not a server."""
        word, _, rest = line.partition(" ")
        if word == "cd":
            self.folder = self.folder / rest
            return ""
        if word == "export":
            name, _, value = rest.partition("=")
            self._environment[name] = value
            return ""
        if line.startswith(_SERVERS):
            self.start(line, "listening on")
            return ""
        done = subprocess.run(
            self.here(line),
            cwd=self.folder,
            env=self._environment,
            shell=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"{line}\n{said}"
        if line.startswith("beam-aep init "):
            self._replace_port(self.folder / line.split()[-1])
        return said

    def start(self, line: str, ready: str) -> ServiceProcess:
        """Run a command in a terminal of its own; return when it has said that it is ready."""
        log = self._logs / f"terminal-{len(list(self._logs.glob('terminal-*')))}.log"
        command = ["sh", "-c", f"cd {self.folder} && exec env {self.here(line)}"]
        process = self._servers.enter_context(ServiceProcess(line, command, log, env=self._environment))
        process.wait_until_ready(lambda: ready in process.log(), PATIENCE_SECONDS)
        return process

    def _replace_port(self, project: Path) -> None:
        for path in project.glob("*.yaml"):
            path.write_text(self.here(path.read_text()))
