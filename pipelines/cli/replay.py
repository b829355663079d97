"""The command `beam-aep replay`."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.common import PASSED_ON, AsJson, app, run_options
from pipelines.cli.run_help import HELP, run_help


@app.command(context_settings=PASSED_ON)
def replay(
    context: typer.Context,
    pipeline: Annotated[
        str, typer.Option(help="The pipeline that wrote them: the name of its module in pipelines.", metavar="NAME")
    ] = "kafka_to_aep",
    as_json: AsJson = False,
) -> int:
    """Send dead letters again after their reason is fixed; takes the pipeline's options."""
    from pipelines import replay_dead_letters

    if HELP & set(context.args):
        from pipelines.options.declarations import GROUPS

        typer.echo(run_help(context, "beam-aep replay", replay_dead_letters, GROUPS))
        return 0
    return replay_dead_letters.main([f"--pipeline={pipeline}", *run_options(context)], as_json=as_json)
