"""The command `beam-aep generate`: what it takes, and where the records go."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, cast

import typer
from rich.console import Console
from rich.progress import track

from aep.counted import counted
from pipelines.cli.common import (
    BROKERS,
    COMMANDS_PAGE,
    WRONG,
    KafkaConfigOption,
    a_path,
    app,
    cluster_of,
    cluster_of_files,
    example,
    put_json,
    say,
    say_problems,
)
from pipelines.output.layout import Column
from pipelines.output.table import Table, show
from pipelines.output.terminal import is_terminal
from samples.broken import BROKEN_KINDS
from samples.loyalty import EVENTS_TOPIC, MIN_EVENT_BYTES, PROFILES_TOPIC, Kind
from samples.loyalty import generate as make_samples

if TYPE_CHECKING:
    from transforms.kafka.client import KafkaCluster

_TOPIC_PREFIX = "loyalty-"


@app.command(
    epilog=example(
        "beam-aep generate 1000 --kind events --broken-share 0.02 --output events.jsonl",
        "beam-aep generate 1000 --bootstrap-servers localhost:9092",
    )
)
def generate(
    count: Annotated[
        int | None, typer.Argument(min=0, help="How many records.", metavar="COUNT", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same records.", metavar="N")] = 7,
    kind: Annotated[Kind, typer.Option(help="mixed: every fifth record is a profile.")] = "mixed",
    broken_share: Annotated[
        float, typer.Option(help="Share of records broken on purpose, from 0 to 1.", metavar="SHARE")
    ] = 0.0,
    broken_kind: Annotated[
        list[str] | None,
        typer.Option(
            help="How to break them; may be repeated. Default: every way. "
            f"`--broken-kind list` lists them. Known: {', '.join(BROKEN_KINDS)}.",
            metavar="NAME",
        ),
    ] = None,
    event_bytes: Annotated[
        int | None,
        typer.Option(
            help=f"Exact size of each good event, from {MIN_EVENT_BYTES}. Default: 1 to 2 kB.", metavar="BYTES"
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            parser=a_path,
            help="File for lines of JSON; compressed if it ends in .gz. Default: the standard output.",
            metavar="FILE",
        ),
    ] = None,
    bootstrap_servers: Annotated[
        str | None, typer.Option(help="Send to Kafka instead: its brokers.", metavar=BROKERS)
    ] = None,
    kafka_config: KafkaConfigOption = None,
    options_file: Annotated[
        list[str] | None,
        typer.Option(
            "--options_file",
            "-f",
            help="Send to Kafka instead: options file of a run, for its kafka_bootstrap_servers and kafka_config; may "
            "be repeated.",
            metavar="FILE",
        ),
    ] = None,
    topic_prefix: Annotated[
        str,
        typer.Option(help="Prefix of the topics: PREFIXprofiles and PREFIXevents, which must exist.", metavar="PREFIX"),
    ] = _TOPIC_PREFIX,
    as_json: Annotated[
        bool,
        typer.Option("--json", help=f"With `--broken-kind list`: as one JSON document; {COMMANDS_PAGE} has its form."),
    ] = False,
) -> int:
    """Make sample records of a loyalty programme.

    They match the sample schemas, except those that are broken on purpose.

    They go to the standard output or a file, a line of JSON each, or to Kafka, with their number in the header
    `sequence`. The lines of a file are read as records of one topic, so use --kind for a file.
    """
    from aep.errors import UserError
    from pipelines.cli.generate.records import Tally, send, write_lines

    if "list" in (broken_kind or ()):
        _list_broken_kinds(as_json)
        return 0
    if as_json:
        raise typer.BadParameter("--json goes with `--broken-kind list`")
    if count is None:
        raise typer.BadParameter("COUNT is missing: how many records to make")
    if broken_kind and not broken_share:
        raise typer.BadParameter("--broken-kind does nothing without --broken-share")
    if bootstrap_servers is None and kafka_config:
        raise typer.BadParameter("--kafka-config needs --bootstrap-servers")
    if bootstrap_servers is None and not options_file and topic_prefix != _TOPIC_PREFIX:
        raise typer.BadParameter("--topic-prefix needs --bootstrap-servers or --options-file")
    if sum(map(bool, (output, bootstrap_servers, options_file))) > 1:
        raise typer.BadParameter("give only one of --output, --bootstrap-servers and --options-file")
    try:
        samples = make_samples(
            count,
            seed=seed,
            kind=kind,
            broken_share=broken_share,
            broken_kinds=broken_kind,
            event_bytes=event_bytes,
        )
        cluster = _cluster(bootstrap_servers, kafka_config or [], options_file or [])
    except UserError as error:
        say_problems(error)
        return WRONG
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    tally = Tally()
    shown = track(samples, "making records", count, console=console, transient=True, disable=not is_terminal(console))
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
        say_problems(error)
        return WRONG
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # whoever reads has enough, as `head` does
            raise
        say(f"error: {place}: {error.strerror}")
        return WRONG
    say(f"{counted(count, 'record')} to {place}: {tally}")
    return 0


def _cluster(bootstrap_servers: str | None, config: Sequence[str], options_files: Sequence[str]) -> KafkaCluster | None:
    """Return the brokers that the arguments name, by themselves or by options files; None if there are none.

    Raises:
        ValueError: An address or a property that cannot be right.
        OptionsError: The same of options files, or they name no brokers.
    """
    if bootstrap_servers is not None:
        return cluster_of(bootstrap_servers, config)
    return cluster_of_files(options_files) if options_files else None


def _list_broken_kinds(as_json: bool) -> None:
    rows = [
        {
            "name": kind.name,
            "records": "events" if not kind.profiles else "profiles" if not kind.events else "both",
            "stage": kind.stage,
            "code": kind.code,
        }
        for kind in BROKEN_KINDS.values()
    ]
    if as_json:
        put_json({"broken_kinds": rows})
        return
    table = Table("", [Column(name) for name in ("name", "records", "stage", "code")], lines=False)
    for row in rows:
        table.add(*row.values())
    show(Console(highlight=False), table)


def _lines(output: Path | None) -> AbstractContextManager[BinaryIO]:
    if output is None:
        return nullcontext(sys.stdout.buffer)
    file = gzip.open if output.suffix == ".gz" else open
    return cast("AbstractContextManager[BinaryIO]", file(output, "wb"))
