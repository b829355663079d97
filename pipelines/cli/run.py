"""The command `beam-aep run`."""

from __future__ import annotations

import sys

import typer

from pipelines.cli.common import PASSED_ON, AsJson, PipelineName, app, run_of, run_options
from pipelines.cli.run_help import HELP, run_help


@app.command(context_settings=PASSED_ON)
def run(
    context: typer.Context,
    pipeline: PipelineName = "kafka_to_aep",
    as_json: AsJson = False,
) -> int:
    """Run a pipeline, by default from Kafka to AEP."""
    from pipelines.runtime.run import execute

    found = run_of(pipeline)
    if HELP & set(context.args):
        called = "beam-aep run" if pipeline == "kafka_to_aep" else f"beam-aep run --pipeline {pipeline}"
        typer.echo(run_help(context, called, sys.modules[found.build.__module__], found.groups))
        return 0
    return execute(run_options(context), found, as_json=as_json)
