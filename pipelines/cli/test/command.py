"""The command `beam-aep test`: whether records become what files of cases say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from aep.counted import counted
from pipelines.cli.common import (
    AND_OPTIONS,
    AND_OPTIONS_METAVAR,
    WRONG,
    AsJson,
    PipelineName,
    a_path_as_text,
    app,
    job_of,
    plain,
    put_json,
    run_options,
    say,
    say_problems,
    words_and_options,
)

if TYPE_CHECKING:
    from pipelines.cli.test.run import Result

FAILED = 1
"""Exit code: a case failed."""


@app.command("test", context_settings=AND_OPTIONS, options_metavar=f"FILE.yaml... {AND_OPTIONS_METAVAR}")
def run_cases(
    context: typer.Context,
    junit: Annotated[
        str | None,
        typer.Option(
            parser=a_path_as_text, help="Also write the results to this file, in the XML of JUnit.", metavar="FILE"
        ),
    ] = None,
    as_json: AsJson = False,
    pipeline: PipelineName = "kafka_to_aep",
) -> int:
    """Test a configuration with sample records, offline.

    beam-aep test FILE.yaml... --options_file=my-events.yaml

    Each file has cases: a record, and what is to be sent of it, the code of its refusal, or that it is dropped; see
    configuration-tests.md, in the folder that beam-aep --help names. Takes the options of the run too, as --name=value.
    Exit code: 0 when all cases pass, 1 when one fails, 2 when a file or the configuration is not valid.
    """
    from aep.errors import UserError
    from pipelines.cli.test.case import all_cases
    from pipelines.cli.test.junit import write_junit
    from pipelines.cli.test.run import Runner
    from pipelines.options.checks import preparing_findings
    from pipelines.options.merge import parse

    kind = job_of(pipeline).destination
    files, options = words_and_options(run_options(context))
    if not files:
        raise typer.BadParameter("give a file of cases: beam-aep test FILE.yaml")
    try:
        cases = all_cases(files)
        settings = parse(options, lambda given: preparing_findings(given, kind))
        results = Runner(settings, kind).run(cases)
        if junit is not None:
            write_junit(junit, results)
    except UserError as error:
        say_problems(error)
        return WRONG
    except OSError as error:
        say(f"error: {junit} cannot be written: {error.strerror}")
        return WRONG
    failed = sum(bool(each.problem) for each in results)
    passed = len(results) - failed
    if as_json:
        put_json({"tests": [each.as_row for each in results], "passed": passed, "failed": failed})
    else:
        _show(results)
    say(f"{passed:,} of {counted(len(results), 'test')} passed, {failed:,} failed")
    return FAILED if failed else 0


def _show(results: Sequence[Result]) -> None:
    styles = {"-": "red", "+": "green", "?": "dim", " ": ""}
    console = Console(highlight=False, soft_wrap=True)
    for each in results:
        name = plain(each.case.keys.name)
        if not each.problem:
            console.print(Text.assemble(("ok    ", "green"), name))
            continue
        place = f"  ({each.case.file}:{each.case.line})"
        console.print(Text.assemble(("FAIL  ", "red"), (name, "bold"), (place, "dim")))
        console.print(Text(f"      {plain(each.problem)}", "red"))
        for mark, line in each.lines:
            console.print(Text(f"      {mark.replace('?', ' ')} {plain(line)}", styles[mark]))
