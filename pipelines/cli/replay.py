"""The command `beam-aep replay`."""

from __future__ import annotations

import typer

from pipelines.cli.common import PASSED_ON, AsJson, app


@app.command(context_settings=PASSED_ON)
def replay(context: typer.Context, as_json: AsJson = False) -> int:
    """Send dead letters again after their reason is fixed; takes the pipeline's options.

    The options files of the run that wrote them, and --replay_codes, --replay_since, ...: beam-aep replay --help.
    --pipeline NAME is the pipeline that wrote them, kafka_to_aep where it is left out.
    """
    from pipelines import replay_dead_letters

    return replay_dead_letters.main(context.args, as_json=as_json)
