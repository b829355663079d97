"""The command `beam-aep produce`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from aep.counted import counted
from pipelines.cli.common import (
    WRONG,
    a_path,
    a_text,
    app,
    cluster_of_files,
    example,
    file_problem,
    reached,
    say,
    say_problems,
)

if TYPE_CHECKING:
    from transforms.records.record import Message


@app.command(epilog=example("beam-aep produce --topic orders -f kafka.yaml orders.jsonl"))
def produce(
    topic: Annotated[str, typer.Option(parser=a_text, help="Topic to send to.", metavar="NAME")],
    options_file: Annotated[
        list[str],
        typer.Option(
            "--options_file",
            "-f",
            help="Options file of a run, for its kafka_bootstrap_servers and kafka_config; may be repeated.",
            metavar="FILE",
        ),
    ],
    file: Annotated[
        Path | None,
        typer.Argument(
            parser=a_path, metavar="FILE", help="File of records, one a line. Default, and -: the standard input."
        ),
    ] = None,
) -> int:
    """Send the lines of a file to a Kafka topic.

    For trials: each line is a record, sent as it is, without a key. Empty lines are left out. A file is decompressed if
    it ends in .gz, .bz2, .xz, .zst or .deflate. On `beam-aep kafka` the topic is created by its first record; other
    brokers may need it to exist.
    """
    from aep.errors import UserError
    from pipelines.cli.event_lines import open_lines
    from transforms.kafka.send import send_all

    sent = 0

    def records(lines: BinaryIO) -> Iterator[Message]:
        nonlocal sent
        for line in lines:
            if value := line.rstrip(b"\r\n"):
                sent += 1
                yield None, value, ()

    try:
        cluster = reached(cluster_of_files(options_file))
        with open_lines(None if file == Path("-") else file) as source:
            send_all(cluster, topic, records(source.lines))
    except UserError as error:
        say_problems(error)
        return WRONG
    except OSError as error:
        say(f"error: {file_problem(error)}")
        return WRONG
    say(f"{counted(sent, 'record')} to topic {topic} on {cluster.bootstrap_servers}")
    return 0
