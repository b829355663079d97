"""The command `beam-aep import-connector`: from Adobe's Kafka Connect sink to an options file."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from pipelines.cli.common import BROKERS, WRONG, AsJson, a_path, app, example, put_json, say
from pipelines.output.layout import Column
from pipelines.output.table import Table, show

if TYPE_CHECKING:
    from pipelines.cli.import_connector.draft import Note
    from pipelines.cli.import_connector.importing import Imported

_STYLES = {"to do": "bold", "changed": "yellow", "dropped": "dim", "better": "green"}


@app.command(
    "import-connector",
    epilog=example("beam-aep import-connector sink.properties --worker connect.properties --output my-sink"),
)
def import_connector(
    file: Annotated[
        Path,
        typer.Argument(
            parser=a_path,
            metavar="FILE",
            help="The connector's .properties, or the JSON of Connect's REST API.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(parser=a_path, help="Folder to write to. Default: the connector's name.", metavar="DIR"),
    ] = None,
    worker: Annotated[
        Path | None,
        typer.Option(
            parser=a_path,
            help="The configuration of Connect's workers, which has the brokers and may have converters and "
            "consumer.*.",
            metavar="FILE",
        ),
    ] = None,
    bootstrap_servers: Annotated[str | None, typer.Option(help="Its brokers.", metavar=BROKERS)] = None,
    name: Annotated[
        str | None, typer.Option(help="The connector's name, if the file has none.", metavar="NAME")
    ] = None,
    new_group: Annotated[
        str | None,
        typer.Option(
            help="Use this consumer group, and leave the connector's, connect-NAME, with its offsets alone.",
            metavar="GROUP",
        ),
    ] = None,
    schema_file: Annotated[
        Path | None,
        typer.Option(parser=a_path, help="Check messages by this schema: the option xdm_schema_file.", metavar="FILE"),
    ] = None,
    schema_id: Annotated[
        str | None,
        typer.Option(
            help="Check messages by the schema with this $id, and its identity descriptors, from the registry at each "
            "run: the option xdm_schema_id.",
            metavar="ID",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
    as_json: AsJson = False,
) -> int:
    """Convert the configuration of Adobe's Kafka Connect sink.

    It writes an options file, and reports what changes.

    Secrets are not copied: options refer to environment variables, which it lists. Nothing is started or stopped, and
    Kafka is not contacted. Exit code 2: the configuration cannot be converted; all reasons are listed.
    """
    from pipelines.cli.import_connector import importing as connectors
    from pipelines.cli.import_connector.files import files_of
    from pipelines.cli.import_connector.properties import ConnectorFileError, read_connector

    try:
        properties = read_connector(str(file))
        of_worker = read_connector(str(worker)) if worker else {}
        wanted_name = properties.get("name", "").strip() or name or ""
        folder = output or Path(re.sub(r"[^\w.-]+", "-", wanted_name).strip("-.") or "connector")
        overrides = connectors.Overrides(
            name=name,
            bootstrap_servers=bootstrap_servers,
            new_group=new_group,
            schema_file=str(schema_file) if schema_file else None,
            schema_id=schema_id,
            dead_letter_path=f"{folder}/dead-letters",
        )
        imported = connectors.import_connector(properties, of_worker, overrides)
    except ConnectorFileError as error:
        say(f"error: {error}")
        return WRONG
    except connectors.ImportProblemError as error:
        for problem in error.problems:
            say(f"error: {file}: {problem}")
        return WRONG
    files = files_of(imported, str(folder), file.name)
    if not _write(files, folder, force):
        return WRONG
    if as_json:
        put_json(_document(imported, folder, files))
        return 0
    console = Console(highlight=False)
    show(console, _table(imported.notes, f"From the connector {imported.name} to {', '.join(files)} in {folder}"))
    _tell_next(imported, folder)
    return 0


def _write(files: Mapping[str, str], folder: Path, force: bool) -> bool:
    """Write the files, all or none; say why not."""
    there = [name for name in files if (folder / name).exists()]
    if there and not force:
        say(f"error: {folder}: {', '.join(there)} would be overwritten: use --force, or another --output")
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        say(f"error: {error.filename or folder}: {error.strerror}")
        return False
    return True


def _table(notes: Sequence[Note], title: str) -> Table:
    table = Table(title, (Column("change"), Column("property", "text"), Column("what of it", "text")))
    for note in notes:
        table.add(Text(note.level, _STYLES[note.level]), note.about, note.text)
        table.section()
    return table


def _tell_next(imported: Imported, folder: Path) -> None:
    if imported.variables:
        typer.echo("Set before a run:")
        for name, meaning in imported.variables.items():
            typer.echo(f"  {name}: {meaning}")
    typer.echo("Look at the options, then run without --print_options:")
    typer.echo(f"  {shlex.join([*_command(imported, folder), '--print_options'])}")


def _command(imported: Imported, folder: Path) -> list[str]:
    given = [f"--{option}={value}" for option, value in imported.missing.items()]
    return ["beam-aep", "run", "--options_file", str(folder / "options.yaml"), *given]


def _document(imported: Imported, folder: Path, files: Mapping[str, str]) -> dict[str, object]:
    return {
        "connector": imported.name,
        "folder": str(folder),
        "files": list(files),
        "notes": [{"change": note.level, "property": note.about, "text": note.text} for note in imported.notes],
        "variables": imported.variables,
        "command": _command(imported, folder),
    }
