"""The command `beam-aep`: run a pipeline, look after dead letters, make sample data, emulate Experience Platform.

A file in this folder is a command, `lookup.py`, or a folder with a file `command.py`, `import_connector/command.py`. It
registers itself with the `app` of `common`, and imports what it needs when it runs: Beam takes a second to load, and
the emulator is an extra.
"""

from __future__ import annotations

import errno
import pkgutil
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Annotated

import typer

from pipelines import cli
from pipelines.cli.common import app, say
from pipelines.cli.usage_errors import explained
from pipelines.output.standard_output import put_out

__all__ = ["app", "main"]

_FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the disk says that the output goes to; of files, the commands say so themselves."""

_NO_COMMANDS = ("__main__", "main", "common", "event_hints", "event_lines", "run_help", "usage_errors")
"""Modules of this folder that are no commands but what commands share."""


def _register_commands() -> None:
    for found in pkgutil.iter_modules(cli.__path__):
        module = f"{cli.__name__}.{found.name}"
        if not found.ispkg and found.name not in _NO_COMMANDS:
            import_module(module)
        elif found.ispkg and find_spec(f"{module}.command"):
            import_module(f"{module}.command")


_register_commands()


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"beam-aep {version('beam-aep')}")
        raise typer.Exit


@app.callback()
def _before_any_command(
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code: 2 for what the user has to fix."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = app(args=arguments or ["--help"], prog_name="beam-aep", standalone_mode=False)
    except typer.TyperException as error:
        words = explained(error, arguments)
        say(words if words.startswith("Usage: ") else f"error: {words}")  # the help of a group without a command
        return error.exit_code
    except OSError as error:
        if error.errno not in _FULL or error.filename is not None:
            raise
        put_out("")  # tries what is left, and then lets it go
        say(f"error: the output cannot be written: {error.strerror}")
        return 1
    return int(code or 0)
