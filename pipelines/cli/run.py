"""The command `beam-aep run`."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.common import PASSED_ON, AsJson, app, run_options


@app.command(context_settings=PASSED_ON)
def run(
    context: typer.Context,
    pipeline: Annotated[
        str, typer.Option(help="The pipeline to run: the name of its module in pipelines.", metavar="NAME")
    ] = "kafka_to_aep",
    as_json: AsJson = False,
) -> int:
    """Run a pipeline, by default the one from Kafka to Experience Platform; takes the pipeline's options.

    beam-aep run --help shows them all. --pipeline NAME names another one, such as kinesis_to_kafka.
    """
    from pipelines.jobs import find_run, names
    from pipelines.runtime.run import execute

    if (found := find_run(pipeline)) is None:
        raise typer.BadParameter(f"expected one of {', '.join(names())}", param_hint="--pipeline")
    return execute(run_options(context), found, as_json=as_json)
