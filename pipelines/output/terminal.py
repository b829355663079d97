"""What a terminal can show."""

from __future__ import annotations

from rich.console import Console


def is_terminal(console: Console) -> bool:
    """Return whether a console is a terminal on which a line can change in place.

    rich also takes a pipe for one where FORCE_COLOR is set, as CI systems do, and would fill a log with the same line
    ten times a second; on a terminal that can only print (TERM=dumb) it would show nothing.
    """
    return console.is_interactive and console.file.isatty()


def spinner(console: Console) -> str:
    """Return the name of a spinner whose characters the console has."""
    return "dots" if console.encoding.startswith("utf") else "line"
