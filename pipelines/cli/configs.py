"""The command `beam-aep configs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.common import WRONG, a_folder, app, example, file_problem, say


@app.command(epilog=example("beam-aep configs my-configs"))
def configs(
    directory: Annotated[
        Path, typer.Argument(parser=a_folder, metavar="DIR", help="Target folder; created if missing.")
    ] = Path("configs"),
) -> int:
    """Copy the sample options files, routes and schemas.

    If any file exists already, nothing is copied.
    """
    from samples.files import copy_configs, shipped

    try:
        copies = copy_configs(directory)
    except OSError as error:
        say(f"error: {file_problem(error)}")
        return WRONG
    say(f"{len(copies)} files copied to {directory}; the pages that they name are in {shipped('docs')}")
    return 0
