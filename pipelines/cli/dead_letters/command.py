"""The commands `beam-aep dead-letters show` and `stats`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from aep.counted import counted
from pipelines.cli.common import (
    BROKERS,
    WRONG,
    AsJson,
    KafkaConfigOption,
    a_path_as_text,
    app,
    cluster_of,
    example,
    options_of,
    put_json,
    say,
    say_problems,
)

if TYPE_CHECKING:
    from transforms.records.dead_letter import DeadLetter

commands = typer.Typer(
    name="dead-letters",
    help="Show which records were refused, why, and how often.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
app.add_typer(commands)

Place = Annotated[
    str,
    typer.Option(
        "--from",
        parser=a_path_as_text,
        help=("A folder, files such as FOLDER/2026*.jsonl, or topic:NAME with --bootstrap-servers."),
        metavar="PLACE",
    ),
]
Codes = Annotated[list[str] | None, typer.Option("--code", help="Only these codes; may be repeated.", metavar="CODE")]
Stages = Annotated[
    list[str] | None, typer.Option("--stage", help="Only these stages; may be repeated.", metavar="STAGE")
]
RouteNames = Annotated[
    list[str] | None, typer.Option("--route", help="Only these routes; may be repeated.", metavar="NAME")
]
Since = Annotated[
    str | None, typer.Option(help="Dead-lettered at this time or later: ISO 8601 with its offset.", metavar="TIME")
]
Until = Annotated[
    str | None, typer.Option(help="Dead-lettered before this time: ISO 8601 with its offset.", metavar="TIME")
]
BootstrapServers = Annotated[str | None, typer.Option(help="Brokers of the topic.", metavar=BROKERS)]
Values = Annotated[
    bool,
    typer.Option(
        "--values",
        help="Also show what may be personal data: messages, which may quote a record, keys, headers, values.",
    ),
]

_FOLDER = "dead-letters"


@commands.command(epilog=example("beam-aep dead-letters show --from dead-letters --code type --limit 3"))
def show(
    place: Place = _FOLDER,
    code: Codes = None,
    stage: Stages = None,
    route: RouteNames = None,
    since: Since = None,
    until: Until = None,
    bootstrap_servers: BootstrapServers = None,
    kafka_config: KafkaConfigOption = None,
    values: Values = False,
    limit: Annotated[int, typer.Option(min=1, help="Most to show.", metavar="N")] = 10,
    as_json: AsJson = False,
) -> int:
    """Show dead letters one by one, in the order they were written."""
    from pipelines.cli.dead_letters.tables import letter_document, letter_fields, place_of
    from pipelines.output.table import show_fields

    letters = _read(place, code, stage, route, since, until, bootstrap_servers, kafka_config)
    found = list(islice(letters, limit + 1))
    if as_json:
        shown = [letter_document(one, values) for one in found[:limit]]
        put_json({"dead_letters": shown, "more": len(found) > limit})
        return 0
    console = _console()
    for one in found[:limit]:
        show_fields(console, letter_fields(one, values), place_of(one))
        console.print()
    if found and not values:
        say("messages, keys, headers and values are hidden, since they may be personal data: --values shows them")
    if not found:
        say(f"no matching dead letters in {place}")
    elif len(found) > limit:
        say(f"there are more: see --limit, and beam-aep dead-letters stats --from {place}")
    return 0


@commands.command(epilog=example("beam-aep dead-letters stats --from dead-letters"))
def stats(
    place: Place = _FOLDER,
    code: Codes = None,
    stage: Stages = None,
    route: RouteNames = None,
    since: Since = None,
    until: Until = None,
    bootstrap_servers: BootstrapServers = None,
    kafka_config: KafkaConfigOption = None,
    values: Values = False,
    as_json: AsJson = False,
) -> int:
    """Count dead letters by code, by field, and by route and schema, with an example of each."""
    from pipelines.cli.dead_letters.tables import Stats
    from pipelines.output.table import show as show_table

    counted = Stats(_read(place, code, stage, route, since, until, bootstrap_servers, kafka_config))
    if as_json:
        put_json(counted.document(values))
        return 0
    for table in counted.tables(values):
        show_table(_console(), table)
    if not counted.total:
        say(f"no matching dead letters in {place}")
    return 0


def _read(
    place: str,
    codes: list[str] | None,
    stages: list[str] | None,
    routes: list[str] | None,
    since: str | None,
    until: str | None,
    bootstrap_servers: str | None,
    kafka_config: list[str] | None,
) -> Iterator[DeadLetter]:
    """Yield the dead letters that are meant, as they are read.

    Raises:
        typer.BadParameter: A value that cannot be right.
        typer.Exit: They cannot be read; why is said.
    """
    from aep.errors import UserError
    from pipelines.options.declarations import ReplayOptions
    from pipelines.runtime.logs import set_up_logging
    from pipelines.runtime.replay_plan import check_topic_is_there, find_files
    from transforms.read_dead_letter_topic import read_topic
    from transforms.sinks.places import topic_of

    chosen = {
        "--from": ("source", place),
        "--code": ("codes", codes),
        "--stage": ("stages", stages),
        "--route": ("routes", routes),
        "--since": ("since", since),
        "--until": ("until", until),
    }
    set_up_logging("text", logging.WARNING)
    selection = options_of(ReplayOptions, chosen).selection()
    try:
        cluster = cluster_of(bootstrap_servers, kafka_config or []) if bootstrap_servers else None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    topic = topic_of(place)
    if (topic is None) != (cluster is None):
        raise typer.BadParameter("--from topic:NAME and --bootstrap-servers need each other")
    try:
        if cluster is not None and topic is not None:
            check_topic_is_there(cluster, topic, "--from")
            yield from filter(selection.takes, read_topic(cluster, topic))
        else:
            for path in find_files(place, "--from"):
                yield from filter(selection.takes, _letters_of(path))
    except UserError as error:
        say_problems(error)
        raise typer.Exit(WRONG) from None


def _letters_of(path: str) -> Iterator[DeadLetter]:
    """Yield the dead letters of a file, without what a copy that was cut off has left of one, with a warning.

    Raises:
        ConfigurationError: The file has none but damaged ones.
    """
    from aep.errors import ConfigurationError
    from transforms.sinks.files import read_file

    damaged: list[str] = []
    any_is_whole = False
    for one in read_file(path, damaged.append):
        any_is_whole = True
        yield one
    if damaged and not any_is_whole:
        raise ConfigurationError(damaged[0])
    if damaged:
        more = f" and {counted(len(damaged) - 1, 'more line')} of the file" if len(damaged) > 1 else ""
        say(f"warning: left out: {damaged[0]}{more}")


def _console() -> Console:
    return Console(highlight=False)
