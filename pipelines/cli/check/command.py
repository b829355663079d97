"""The command `beam-aep check`: would a run with these options work?"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from pipelines.cli.common import (
    AND_OPTIONS,
    AND_OPTIONS_METAVAR,
    WRONG,
    AsJson,
    PipelineName,
    app,
    example,
    plain,
    put_json,
    run_of,
    run_options,
    say,
    say_problems,
)


@app.command(
    "check",
    context_settings=AND_OPTIONS,
    options_metavar=AND_OPTIONS_METAVAR,
    epilog=example("beam-aep check -f base.yaml -f my-events.yaml"),
)
def check(
    context: typer.Context,
    sample: Annotated[
        int,
        typer.Option(
            min=0,
            help="How many of the newest records of each topic, first lines of each file, or oldest records of a "
            "stream to check.",
            metavar="N",
        ),
    ] = 200,
    pipeline: PipelineName = "kafka_to_aep",
    offline: Annotated[
        bool, typer.Option("--offline", help="Use no network: options, routes, schemas, mappings, secrets and files.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if anything was not checked, not only if anything is wrong.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Check whether a run would work. Nothing is posted.

    The options, what they refer to, and some records are checked; nothing is committed.

    Also takes the options of the run (beam-aep run --help), such as --options_file and --routes_file. Records of each
    topic are parsed, mapped and checked as in a run; no consumer group is joined. For a pipeline to AEP, with
    credentials for Platform's APIs, the routes are compared with the inlets, datasets and schemas there. Exit code: 0
    ready, 1 not ready, 2 undetermined.
    """
    from pipelines.cli.check.checks import check_run
    from pipelines.cli.check.report import Findings, check_table, dead_letter_table, document, exit_code, verdict
    from pipelines.jobs import find_job
    from pipelines.options.checks import contradictions
    from pipelines.options.merge import parse
    from pipelines.options.yaml_files import OptionsError
    from pipelines.output.table import show

    job, run = find_job(pipeline), run_of(pipeline)
    try:
        if job is not None:
            kind = job.destination
            settings = parse(run_options(context), lambda given: contradictions(given, kind))
            found = check_run(settings, kind, sample, offline=offline)
        else:
            settings = parse(run_options(context), run.findings)
            found = Findings([*(run.offline_checks(settings) if offline else run.checks(settings, sample))])
    except OptionsError as error:
        say_problems(error)
        return WRONG
    if as_json:
        put_json(document(pipeline, found, strict=strict))
    else:
        console = Console(highlight=False)
        show(console, check_table(pipeline, found.checks))
        if found.letters:
            show(console, dead_letter_table(found.letters, found.records))
    for hint in found.hints:
        say(f"hint: {plain(hint)}")
    say(verdict(found.checks, strict=strict))
    return exit_code(found.checks, strict=strict)
