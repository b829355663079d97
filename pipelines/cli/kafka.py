"""The command `beam-aep kafka`."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.common import WRONG, a_path, app, example, say

_MARK = "# Written by beam-aep kafka"
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@app.command(epilog=example("beam-aep kafka --write kafka.yaml"))
def kafka(
    write: Annotated[
        Path | None,
        typer.Option(
            parser=a_path,
            help="Options file to write the broker's address to; other commands take it with --options_file.",
            metavar="FILE",
        ),
    ] = None,
) -> int:
    """Serve a small Kafka broker for trials and tests.

    It runs until Ctrl-C or SIGTERM. It is the broker inside librdkafka, the Kafka client: no Java, no download, and no
    broker for production. Its port is librdkafka's choice, another one at each start, so let --write note it. A topic
    is created when a producer first sends to it, with 4 partitions. The broker keeps the newest 5 MB of each partition,
    in memory: nothing survives a restart. It listens on 127.0.0.1, without TLS and authentication.
    """
    try:
        if write is not None and not _may_write(write):
            say(f"error: {write}: was not written by beam-aep kafka, so it is kept: give another file")
            return WRONG
        _serve(write)
    except OSError as error:
        say(f"error: {write}: {error.strerror}")
        return WRONG
    return 0


def _may_write(path: Path) -> bool:
    """Return whether the file is not there, or of an earlier start."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").startswith(_MARK)
    except FileNotFoundError:
        return True


def _serve(write: Path | None) -> None:
    """Serve until a signal.

    Raises:
        OSError: The file cannot be written.
    """
    from emulator.kafka import running

    # Blocked before the broker starts its threads, so that a signal waits until it is asked for and interrupts nothing.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    with running() as address:
        if write is not None:
            write.write_text(
                f"{_MARK}, which overwrites it at each start: the port is another one then.\n"
                f"kafka_bootstrap_servers: {address}\n"
            )
        lines = [f"listening on {address}", "topics have 4 partitions; the newest 5 MB of each are kept, until it ends"]
        if write is not None:
            lines.append(f"wrote {write}: for other commands, --options_file={write}")
        typer.echo("\n".join(lines))
        signal.sigwait(_ENDS)
