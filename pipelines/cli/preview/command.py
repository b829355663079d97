"""The command `beam-aep preview`: what a run would make of some records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

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
    put_json,
    run_options,
    say,
    say_problems,
)

if TYPE_CHECKING:
    from pipelines.cli.preview.previews import Preview, Request
    from pipelines.options.destination import DestinationKind
    from pipelines.options.settings import Settings
    from transforms.records.chunk import Chunk
    from transforms.records.route import Route

REFUSED = 1
"""Exit code: a record would be refused."""

# Steps that wait for a service, as a run does without end, wait so long here.
_PATIENCE_SECONDS = 15.0


@app.command("preview", context_settings=AND_OPTIONS, options_metavar=AND_OPTIONS_METAVAR)
def preview(
    context: typer.Context,
    file: Annotated[
        str | None,
        typer.Option(
            parser=a_path_as_text,
            help="File of records, as for kafka_source=file; - is the standard input.",
            metavar="FILE",
        ),
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Read this many of the newest records of each topic.", metavar="N")
    ] = None,
    topic: Annotated[
        str | None, typer.Option(help="Topic of the records, where routes name several.", metavar="NAME")
    ] = None,
    route: Annotated[str | None, typer.Option(help="Route from whose topic the records are.", metavar="NAME")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most records of a file to show.", metavar="N")] = 10,
    as_json: AsJson = False,
    pipeline: PipelineName = "kafka_to_aep",
) -> int:
    """Show records before and after, and their requests.

    Records are parsed, routed, mapped, transformed and validated as in a run.

    beam-aep preview --file events.jsonl --options_file=my-events.yaml

    Nothing is sent, committed or written. A file needs no network, unless a schema is in a registry. Also takes the
    options of the run. Exit code: 0 when all would be sent or dropped, 1 when one would be refused, 2 when they cannot
    be read.
    """
    from aep.errors import UserError

    kind = job_of(pipeline).destination
    options = run_options(context)
    if (file is None) == (sample is None):
        raise typer.BadParameter("give either --file FILE or --sample N")
    try:
        if file is not None:
            previews, requests = _of_file(options, kind, file, topic, route, limit)
        else:
            previews, requests = _of_topics(options, kind, sample or 0, topic, route)
    except UserError as error:
        say_problems(error)
        return WRONG
    except OSError as error:
        say(f"error: {file}: {error.strerror}")
        return WRONG
    return _show(previews, requests, kind, as_json)


def _of_file(
    arguments: list[str],
    kind: DestinationKind[Any],
    file: str,
    topic: str | None,
    route: str | None,
    limit: int,
) -> tuple[list[Preview], list[Request]]:
    """Look at the records of a file, as if they had been read from a topic."""
    from pipelines.cli.preview.choose import choose, that_read_json
    from pipelines.cli.preview.records import is_text, read_file
    from pipelines.options.checks import preparing_findings
    from pipelines.options.merge import parse
    from pipelines.runtime.plan import make_routes
    from transforms.read_files import partition_of

    settings = parse(arguments, lambda given: preparing_findings(given, kind))
    routes = make_routes(settings, kind)
    chosen, candidates = choose(routes, topic, route)
    partition = partition_of(file) if settings.kafka.source == "file" else 0
    chunk = read_file(file, chosen, partition, limit, candidates)
    if is_text(chunk):
        candidates = that_read_json(candidates)
    return _prepare(settings, kind, [(chunk, candidates)])


def _of_topics(
    arguments: list[str], kind: DestinationKind[Any], number: int, topic: str | None, route: str | None
) -> tuple[list[Preview], list[Request]]:
    """Look at the newest records of topics."""
    from pipelines.cli.preview.records import read_topics
    from pipelines.options.checks import contradictions
    from pipelines.options.merge import parse
    from pipelines.runtime.plan import make_routes

    settings = parse(arguments, lambda given: contradictions(given, kind))
    routes = make_routes(settings, kind)
    chunks = read_topics(settings, routes, topic, route, number)
    return _prepare(settings, kind, [(chunk, routes.of_topic(chunk.topic)) for chunk in chunks])


def _prepare(
    settings: Settings, kind: DestinationKind[Any], chunks: list[tuple[Chunk, tuple[Route, ...]]]
) -> tuple[list[Preview], list[Request]]:
    from pipelines.cli.preview.previews import follow, requests_of
    from transforms.batch import BatchLimits
    from transforms.records.prepare import Preparation
    from transforms.worker import process

    batch, rules, tombstones = settings.batch, settings.xdm.rules(), settings.kafka.tombstones
    process.request_stop(_PATIENCE_SECONDS)
    try:
        previews = [
            one for chunk, candidates in chunks for one in follow(chunk, Preparation(candidates, rules, tombstones))
        ]
    finally:
        process.start_run()
    limits = BatchLimits(batch.max_messages, batch.max_bytes, batch.max_seconds)
    return previews, requests_of(previews, kind, limits, kind.connection(settings).shards)


def _show(previews: list[Preview], requests: list[Request], kind: DestinationKind[Any], as_json: bool) -> int:
    from transforms.records.outcome import Dropped, Refusal

    refused = sum(isinstance(one.followed.outcome, Refusal) for one in previews)
    dropped = sum(isinstance(one.followed.outcome, Dropped) for one in previews)
    if as_json:
        put_json({"records": [one.as_row for one in previews], "requests": [one.as_row for one in requests]})
    else:
        from pipelines.cli.preview.show import show_preview, show_request

        console = Console(highlight=False, soft_wrap=True)
        for one in previews:
            show_preview(console, one)
        for number, request in enumerate(requests, start=1):
            show_request(console, number, request, kind)
    sent = len(previews) - refused - dropped
    say(f"of {counted(len(previews), 'record')} {sent:,} would be sent, {refused:,} refused, {dropped:,} dropped")
    return REFUSED if refused else 0
