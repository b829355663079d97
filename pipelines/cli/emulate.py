"""The command `beam-aep emulate`."""

from __future__ import annotations

import typer

from pipelines.cli.common import PASSED_ON, app


@app.command(context_settings=PASSED_ON)
def emulate(context: typer.Context) -> int:
    """Serve a local Experience Platform for trials and tests.

    beam-aep emulate --help shows its options.
    """
    from emulator.__main__ import main as emulator

    return emulator(context.args, "beam-aep emulate")
