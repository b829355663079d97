"""The command `beam-aep run`."""

from __future__ import annotations

import typer

from pipelines.cli.common import PASSED_ON, app


@app.command(context_settings=PASSED_ON)
def run(context: typer.Context) -> int:
    """Run the pipeline from Kafka to Experience Platform; takes the pipeline's options.

    beam-aep run --help shows them all.
    """
    from pipelines import kafka_to_aep

    return kafka_to_aep.main(context.args)
