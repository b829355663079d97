"""The command `beam-aep replay`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from pipelines.cli.common import PASSED_ON, WRONG, AsJson, PipelineName, app, put_json, run_options, say, say_problems
from pipelines.cli.run_help import HELP, run_help

REFUSED = 1
"""Exit code: of the dead letters that were looked at, some would be refused again."""


@app.command(context_settings=PASSED_ON)
def replay(
    context: typer.Context,
    pipeline: PipelineName = "kafka_to_aep",
    preview: Annotated[
        bool, typer.Option("--preview", help="Only say how many would pass now: nothing is sent, written or committed.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Send dead letters again after their reason is fixed."""
    from pipelines import replay_dead_letters

    if HELP & set(context.args):
        from pipelines.options.declarations import GROUPS

        typer.echo(run_help(context, "beam-aep replay", replay_dead_letters, GROUPS))
        return 0
    if preview:
        return _preview(run_options(context), pipeline, as_json)
    return replay_dead_letters.main([f"--pipeline={pipeline}", *run_options(context)], as_json=as_json)


def _preview(options: list[str], pipeline: str, as_json: bool) -> int:
    from aep.errors import UserError
    from pipelines.cli.replay.preview import preview_replay
    from pipelines.output.table import show

    try:
        found = preview_replay(options, pipeline)
    except UserError as error:
        say_problems(error)
        return WRONG
    if found is None:
        raise typer.BadParameter(f"no pipeline with dead letters is called {pipeline}", param_hint="--pipeline")
    if as_json:
        put_json(found.document)
        return REFUSED if found.refused else 0
    if found.by_reason:
        show(Console(highlight=False), found.table)
        say("the destination was not asked: what it refused before, it may refuse again")
    else:
        say("no dead letter would be replayed")
    if found.passed_over:
        say(f"not replayed with these options: {found.passed_over:,}")
    return REFUSED if found.refused else 0
