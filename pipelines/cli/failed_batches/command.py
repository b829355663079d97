"""The command `beam-aep failed-batches`: what AEP refused after it had received it, as dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from aep.counted import counted
from pipelines.cli.common import (
    AND_OPTIONS,
    AND_OPTIONS_METAVAR,
    WRONG,
    AsJson,
    app,
    example,
    file_problem,
    put_json,
    run_options,
    say,
    say_problems,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.options.problems import Finding
    from pipelines.options.settings import Settings


@app.command(
    "failed-batches",
    context_settings=AND_OPTIONS,
    options_metavar=AND_OPTIONS_METAVAR,
    epilog=example("beam-aep failed-batches --to dead-letters -f base.yaml --routes_file=routes.yaml"),
)
def failed_batches(
    context: typer.Context,
    to: Annotated[str, typer.Option(help="Folder for the dead letters, as dead_letter_path of a run.", metavar="DIR")],
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            help="Dataset whose failed batches to pull; may be repeated. Default: those of all routes.",
            metavar="ID",
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Created at this time or later: ISO 8601 with its offset.", metavar="TIME")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Created before this time: ISO 8601 with its offset.", metavar="TIME")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Pull the records that AEP rejected after accepting them.

    They become dead letters for `replay`.

    Also takes the options of the run that sent them (beam-aep run --help), such as --options_file and --routes_file,
    and credentials for Platform's APIs. Each batch is pulled once: the folder `pulled` remembers them. A record comes
    back as it was posted, without its place in Kafka: its topic is that of the route to the dataset, its partition -1,
    its offset made from the batch's time and the line. If the route maps or has conditions, the topic is
    failed-batches.ROUTE, whose records a replay posts unchanged; a route of your own for that topic may map them.
    """
    from aep.errors import UserError
    from aep.platform.catalog import Catalog
    from aep.platform.data_access import DataAccess
    from pipelines.cli.failed_batches.pull import FailedBatches
    from pipelines.destinations.aep.kind import AEP
    from pipelines.options.merge import parse
    from pipelines.options.platform_access import platform_client
    from pipelines.options.secret_checks import secrets_named
    from pipelines.options.types import check_time, seconds_of
    from pipelines.output.table import show
    from pipelines.runtime.plan import make_routes
    from transforms.aep.inlet import as_inlet
    from transforms.sinks.files import FileSink

    for name, time in (("--since", since), ("--until", until)):
        try:
            if time is not None:
                check_time(time)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint=name) from None
    try:
        settings = parse([*run_options(context), f"--dead_letter_path={to}"], _missing)
        client = platform_client(settings)
        routes = make_routes(settings, AEP)
        pull = FailedBatches(Catalog(client), DataAccess(client), routes, settings.xdm.rules(), dataset or (), to)
        FileSink(to, "--to").check(local=True)
        with secrets_named(settings):
            account = pull.pull(seconds_of(since), seconds_of(until))
    except UserError as error:
        say_problems(error)
        return WRONG
    except OSError as error:
        say(f"error: {file_problem(error)}")
        return WRONG
    if as_json:
        put_json(account.document())
    elif account.records:
        show(Console(highlight=False), account.table())
    before = f"; {account.known:,} were pulled before" if account.known else ""
    if account.batches:
        say(f"failed batches: {account.batches:,}, with {counted(account.records, 'record')}, now in {to}{before}")
    else:
        say(f"no new failed batch of {', '.join(pull.datasets)}{before}")
    for batch_id in account.gone:
        say(f"warning: the records of batch {batch_id} are no longer there")
    for batch_id in account.unwritten:
        say(f"warning: not pulled: AEP lists no files of batch {batch_id} yet: run this again later")
    for words in (*account.too_large, *account.unread):
        say(f"warning: not pulled: {words}")
    if not dataset:
        for route in routes:
            if not as_inlet(route.destination).dataset_id:
                say(f"warning: route {route.name} names no dataset (dataset_id), so its failed batches cannot be found")
    return WRONG if account.too_large or account.unread else 0


_READ_FROM = ("kafka_bootstrap_servers", "kafka_file_pattern")  # nothing is read from there, or written to


def _missing(settings: Settings) -> Iterator[Finding]:
    """Yield what a pipeline needs but for its source, and what Platform's APIs need."""
    from pipelines.destinations.aep.kind import AEP
    from pipelines.options.checks import contradictions
    from pipelines.options.platform_access import missing_access

    findings = dict.fromkeys([*contradictions(settings, AEP), *missing_access(settings)])
    yield from (finding for finding in findings if finding.names[0] not in _READ_FROM)
