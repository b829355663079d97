"""The command `beam-aep`: run a pipeline, look after dead letters, make sample data, emulate Experience Platform.

Each command imports what it needs: Beam takes a second to load, and the emulator is an extra.
"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import typer
from rich.console import Console
from rich.progress import track

from pipelines.cli import lookup as lookup_cli
from pipelines.cli import send as send_cli
from pipelines.cli.check import command as check_cli
from pipelines.cli.common import WRONG, KafkaConfigOption, cluster_of, say
from pipelines.cli.dead_letters import command as dead_letters_cli
from pipelines.cli.failed_batches import command as failed_batches_cli
from pipelines.cli.import_connector import command as import_connector_cli
from pipelines.cli.provision import command as provision_cli
from pipelines.cli.schema import command as schema_cli
from samples.broken import BROKEN_KINDS
from samples.loyalty import EVENTS_TOPIC, MIN_EVENT_BYTES, PROFILES_TOPIC, Kind
from samples.loyalty import generate as make_samples

_TOPIC_PREFIX = "loyalty-"

app = typer.Typer(
    name="beam-aep",
    help="Carries events from Kafka into Adobe Experience Platform.",
    epilog="Run beam-aep COMMAND --help for the options of a command.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(dead_letters_cli.app)
app.add_typer(schema_cli.app)

# The pipelines and the emulator read their arguments themselves, --help among them.
_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

# These take the options of a run beside their own.
_AND_OPTIONS = {"allow_extra_args": True, "ignore_unknown_options": True}
app.command("check", context_settings=_AND_OPTIONS)(check_cli.check)
app.command("failed-batches", context_settings=_AND_OPTIONS)(failed_batches_cli.failed_batches)
app.command("provision", context_settings=_AND_OPTIONS)(provision_cli.provision)
app.command("send", context_settings=_AND_OPTIONS)(send_cli.send)
app.command("lookup", context_settings=_AND_OPTIONS)(lookup_cli.lookup)
app.command("import-connector")(import_connector_cli.import_connector)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code: 2 for what a person has to mend."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = app(args=arguments or ["--help"], prog_name="beam-aep", standalone_mode=False)
    except typer.TyperException as error:
        say(f"error: {error.format_message()}")
        return error.exit_code
    return int(code or 0)


@app.command(context_settings=_PASSED_ON)
def run(context: typer.Context) -> int:
    """Run the pipeline from Kafka to Experience Platform; takes the pipeline's options.

    beam-aep run --help shows them all.
    """
    from pipelines import kafka_to_aep

    return kafka_to_aep.main(context.args)


@app.command(context_settings=_PASSED_ON)
def replay(context: typer.Context) -> int:
    """Send dead letters again that were refused for what is mended now; takes the pipeline's options.

    The options files of the run that wrote them, and --replay_codes, --replay_since, ...: beam-aep replay --help.
    """
    from pipelines import replay_dead_letters

    return replay_dead_letters.main(context.args)


@app.command(context_settings=_PASSED_ON)
def emulate(context: typer.Context) -> int:
    """Serve a local Experience Platform for trials and tests; takes the emulator's options.

    beam-aep emulate --help shows them all.
    """
    try:
        from emulator.__main__ import main as emulator
    except ModuleNotFoundError as error:
        say(f"error: the emulator needs {error.name}, which is not installed: pip install 'beam-aep[emulator]'")
        return WRONG
    return emulator(context.args)


@app.command()
def configs(
    directory: Annotated[Path, typer.Argument(help="Where to; made if it is missing.")] = Path("configs"),
) -> int:
    """Copy the sample options files, routes and schemas that come with the package.

    Files that exist already are left alone: nothing is copied then.
    """
    from samples.files import copy_configs

    try:
        copies = copy_configs(directory)
    except OSError as error:
        say(f"error: {error}")
        return WRONG
    say(f"{len(copies)} files copied to {directory}")
    return 0


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"beam-aep {version('beam-aep')}")
        raise typer.Exit


@app.callback()
def _before_any_command(
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass


def _list_broken_kinds(names: list[str] | None) -> list[str] | None:
    if "list" in (names or ()):
        for kind in BROKEN_KINDS.values():
            where = "events" if not kind.profiles else "profiles" if not kind.events else "both"
            typer.echo(f"{kind.name:<20}{where:<10}found by {kind.stage:<10}code {kind.code}")
        raise typer.Exit
    return names


@app.command()
def generate(
    count: Annotated[int, typer.Argument(min=0, help="How many records.")],
    seed: Annotated[int, typer.Option(help="Another seed makes other records; the same seed, the same.")] = 7,
    kind: Annotated[Kind, typer.Option(help="mixed: every fifth record is a profile.")] = "mixed",
    broken_share: Annotated[float, typer.Option(help="Share of records broken on purpose, from 0 to 1.")] = 0.0,
    broken_kind: Annotated[
        list[str] | None,
        typer.Option(
            help="How to break them; may be repeated. Default: every way that there is. "
            f"`--broken-kind list` lists them. Known: {', '.join(BROKEN_KINDS)}.",
            callback=_list_broken_kinds,
            is_eager=True,
            metavar="NAME",
        ),
    ] = None,
    event_bytes: Annotated[
        int | None, typer.Option(help=f"Exact size of each good event, from {MIN_EVENT_BYTES}. Default: 1 to 2 kB.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="File for lines of JSON; compressed if it ends in .gz. Default: the standard output."),
    ] = None,
    bootstrap_servers: Annotated[
        str | None, typer.Option(help="Send to Kafka instead: brokers as HOST:PORT[,HOST:PORT...].")
    ] = None,
    kafka_config: KafkaConfigOption = None,
    topic_prefix: Annotated[
        str, typer.Option(help="Topics to send to are this and `profiles` or `events`; they must exist.")
    ] = _TOPIC_PREFIX,
) -> int:
    """Make records of a loyalty programme, good ones and broken ones, as the sample schemas have them.

    They go to the standard output or a file, a line of JSON each, or to Kafka, with their number in the header
    `sequence`. What reads a file takes its lines for one topic: use --kind for it.
    """
    from aep.errors import UserError
    from pipelines.cli.generate import Tally, send, write_lines

    if broken_kind and not broken_share:
        raise typer.BadParameter("--broken-kind does nothing without --broken-share")
    if bootstrap_servers is None and (kafka_config or topic_prefix != _TOPIC_PREFIX):
        raise typer.BadParameter("--kafka-config and --topic-prefix need --bootstrap-servers")
    if bootstrap_servers is not None and output is not None:
        raise typer.BadParameter("give --output or --bootstrap-servers, not both")
    try:
        samples = make_samples(
            count,
            seed=seed,
            kind=kind,
            broken_share=broken_share,
            broken_kinds=broken_kind,
            event_bytes=event_bytes,
        )
        cluster = None if bootstrap_servers is None else cluster_of(bootstrap_servers, kafka_config or [])
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    tally = Tally()
    shown = track(samples, "making records", count, console=console, transient=True, disable=not console.is_terminal)
    try:
        if cluster is not None:
            place = f"Kafka at {cluster.bootstrap_servers}"
            topics = {PROFILES_TOPIC: f"{topic_prefix}profiles", EVENTS_TOPIC: f"{topic_prefix}events"}
            send(tally.count(shown), cluster, topics)
        else:
            place = str(output or "standard output")
            with _lines(output) as file:
                write_lines(tally.count(shown), file)
    except UserError as error:
        say(f"error: {error}")
        return WRONG
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # whoever reads has enough, as `head` does
            raise
        say(f"error: {place}: {error.strerror}")
        return WRONG
    say(f"{count:,} records to {place}: {tally}")
    return 0


def _lines(output: Path | None) -> AbstractContextManager[BinaryIO]:
    if output is None:
        return nullcontext(sys.stdout.buffer)
    file = gzip.open if output.suffix == ".gz" else open
    return cast("AbstractContextManager[BinaryIO]", file(output, "wb"))
