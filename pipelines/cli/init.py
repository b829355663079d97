"""The command `beam-aep init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.common import WRONG, a_folder, app, example, file_problem, say


@app.command(epilog=example("beam-aep init my-project"))
def init(
    directory: Annotated[
        Path, typer.Argument(parser=a_folder, metavar="DIR", help="Target folder; created if missing.")
    ],
) -> int:
    """Write a project to start from.

    It has options, a provision file, routes, schemas, tests, and a README with the commands. It runs at once
    against the local AEP of `beam-aep emulate`. If any of its files exists already, nothing is written.
    """
    from samples.files import copy_project

    try:
        copies = copy_project(directory)
    except OSError as error:
        say(f"error: {file_problem(error)}")
        return WRONG
    say(f"{len(copies)} files written to {directory}; {directory / 'README.md'} has the commands to run it")
    return 0
