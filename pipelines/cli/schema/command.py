"""The commands `beam-aep schema build`, `check` and `show`: XDM schemas as files, without a Schema Registry."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import quote

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from aep.xdm.harden import UnknownFields
from aep.xdm.rules import Identity as WantedIdentity
from aep.xdm.rules import Nulls
from pipelines.cli.common import WRONG, AsJson, a_path, app, example, options_of, plain, put_json, say, say_problems

if TYPE_CHECKING:
    from aep.xdm.identities import Identity
    from aep.xdm.schema import ResolvedSchema
    from pipelines.cli.event_lines import EventCheck
    from pipelines.cli.schema.report import Tally

commands = typer.Typer(
    name="schema",
    help="Compose XDM schemas, and check events against them.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
app.add_typer(commands)

Form = Literal["text", "json", "adobe"]
SchemaFile = Annotated[
    Path,
    typer.Argument(
        parser=a_path, metavar="SCHEMA_FILE", help="A resolved schema, from `schema build` or the registry."
    ),
]

_SOME_INVALID = 1  # exit code
_TENANT = re.compile(r"_?([A-Za-z0-9]+)")
_SHOW_EVERY = 1_000  # lines
_AS_OPTION = "As the option xdm_{} of a pipeline, with the same default."
_IDS_LOOKED_AT = 100_000  # different events, of which the hashes are kept: 30 MB


@commands.command(
    epilog=example("beam-aep schema build --components xdm/components --class experienceevent --output my.schema.json")
)
def build(
    components: Annotated[
        list[Path],
        typer.Option(
            parser=a_path,
            help="The folder `components` of a checkout of adobe/xdm; may be repeated, for folders with your own.",
            metavar="DIR",
        ),
    ],
    class_: Annotated[
        str,
        typer.Option(
            "--class", help="profile, experienceevent, or the $id or file name of another class.", metavar="CLASS"
        ),
    ],
    output: Annotated[Path, typer.Option(parser=a_path, help="File to write the schema to.", metavar="FILE")],
    field_groups: Annotated[
        list[str] | None,
        typer.Option("--field-group", help="$id or file name; may be repeated.", metavar="ID_OR_NAME"),
    ] = None,
    tenant: Annotated[
        str | None, typer.Option(help="Your tenant id: `acme` for fields under `_acme`.", metavar="ID")
    ] = None,
    tenant_fields: Annotated[
        list[Path] | None,
        typer.Option(
            parser=a_path,
            help="JSON with fields of your own: by name, by name in standard objects around the field of your tenant "
            "(person.name._acme), or as a field group of the registry; may be repeated.",
            metavar="FILE",
        ),
    ] = None,
    schema_id: Annotated[
        str | None,
        typer.Option("--id", help="The $id that the schema has in the registry; messages must name it.", metavar="ID"),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Its title. Default: the name of the file.", metavar="TEXT")] = None,
    primary_identity: Annotated[
        str | None,
        typer.Option(
            help=(
                "The primary identity field and its namespace code, such as /_acme/memberId=CRMID. Records must "
                "have it."
            ),
            metavar="POINTER=NAMESPACE",
        ),
    ] = None,
    identity: Annotated[
        list[str] | None,
        typer.Option(
            help=(
                "Another identity field and its namespace code, such as /personalEmail/address=Email; may be repeated."
            ),
            metavar="POINTER=NAMESPACE",
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Compose a schema from Adobe's components and your own fields, as the registry would.

    The file is what --xdm_schema_file and `schema check` take. The same components make the same file.
    """
    from aep.errors import UserError
    from aep.xdm.build import Recipe, build_schema, find_class, find_field_group
    from aep.xdm.components import read_components
    from aep.xdm.own_fields import read_own_fields
    from pipelines.cli.schema.report import schema_document

    tenant_id = _tenant_id(tenant)
    if tenant_fields and not tenant_id:
        raise typer.BadParameter("--tenant-fields needs --tenant")
    if schema_id is not None and not re.fullmatch(r"https?://\S+", schema_id):
        raise typer.BadParameter("--id is a URI, such as https://ns.adobe.com/acme/schemas/1234")
    described = [_identity(text, primary=True) for text in (primary_identity,) if text is not None]
    described += [_identity(text, primary=False) for text in identity or ()]
    name = output.name.removesuffix(".json").removesuffix(".schema")
    try:
        found = read_components([str(folder) for folder in components])
        class_found = find_class(found, class_)
        groups = [find_field_group(found, each, class_found) for each in dict.fromkeys(field_groups or ())]
        own = [read_own_fields(str(path), tenant_id) for path in tenant_fields or ()]
        recipe = Recipe(
            schema_id or f"https://ns.adobe.com/{tenant_id or 'tenant'}/schemas/{quote(name, safe='')}",
            title or name,
            class_found,
            groups,
            f"_{tenant_id}" if tenant_id else None,
            own,
            described,
        )
        built = build_schema(recipe, found, str(output))
        output.write_bytes(built.schema.document)
    except UserError as error:
        say_problems(error)
        return WRONG
    except OSError as error:
        say(f"error: {output}: {error.strerror}")
        return WRONG
    if as_json:
        sources = {"class_file": class_found.path, "field_groups": [each.path for each in groups]}
        written = {"output": str(output), "bytes": len(built.schema.document)}
        put_json({**schema_document(built.schema), **sources, "own_fields": [each.path for each in own], **written})
    else:
        rows = [("class", class_found.path), *(("field group", each.path) for each in groups)]
        rows += [("own fields", each.path) for each in own]
        _tell(built.schema, [*rows, ("written to", f"{output} ({len(built.schema.document):,} bytes)")])
    for warning in built.warnings:
        say(f"warning: {warning}")
    if schema_id is None:
        say(f"warning: the $id {recipe.schema_id} is made up: give --id, or --xdm_schema_id to the pipeline")
    return 0


@commands.command(epilog=example("beam-aep schema show my.schema.json"))
def show(schema_file: SchemaFile, as_json: AsJson = False) -> int:
    """Show what a schema is: its id, version, digest, class, tenant, fields."""
    from aep.errors import UserError
    from pipelines.cli.schema.report import schema_document

    try:
        schema = _load(schema_file, None)
        if as_json:
            put_json(schema_document(schema))
        else:
            _tell(schema)
    except UserError as error:
        say_problems(error)
        return WRONG
    return 0


@commands.command(epilog=example("beam-aep schema check my.schema.json --events events.jsonl"))
def check(
    schema_file: SchemaFile,
    events: Annotated[
        Path | None,
        typer.Option(
            parser=a_path,
            help="Lines of JSON, pretty-printed JSON or an array; decompressed if it ends in .gz, .bz2, .xz, .zst. "
            "Default: standard input.",
            metavar="FILE",
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Also report each invalid line.")] = False,
    adobe: Annotated[
        bool, typer.Option("--adobe", help="Report them as in Adobe's failed batches: a line of JSON each.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Report everything as lines of JSON, the counts last.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Most lines to report; the others are only counted.", metavar="N")
    ] = None,
    sha256: Annotated[
        str | None,
        typer.Option(
            help="Refuse a schema file with a digest other than this; `schema show` prints it.", metavar="DIGEST"
        ),
    ] = None,
    unknown_fields: Annotated[UnknownFields | None, typer.Option(help=_AS_OPTION.format("unknown_fields"))] = None,
    nulls: Annotated[Nulls | None, typer.Option(help=_AS_OPTION.format("nulls"))] = None,
    identity: Annotated[WantedIdentity | None, typer.Option(help=_AS_OPTION.format("identity"))] = None,
    primary_identity: Annotated[
        list[str] | None,
        typer.Option(help=_AS_OPTION.format("primary_identity") + " May be repeated.", metavar="POINTER"),
    ] = None,
) -> int:
    """Check events against a schema, as the pipeline checks them: a line of JSON each, pretty-printed, or in an array.

    A line with several violations counts for the first. Messages may quote the event. Exit code: 0 when all
    are valid, 1 when some are not, 2 when they cannot be checked. With --adobe the counts go to the standard error.
    """
    from aep.errors import UserError
    from aep.ingestion.envelope import Destination
    from aep.mapping.repeated_ids import sample_of
    from pipelines.cli.event_hints import SHAPES
    from pipelines.cli.event_lines import EventCheck
    from pipelines.cli.schema.report import Tally
    from pipelines.options.xdm import XdmOptions
    from pipelines.output.table import show as show_table

    if limit is not None and not (every or adobe):
        raise typer.BadParameter("--limit does nothing without --all or --adobe")
    asked = {
        "--unknown-fields": ("unknown_fields", unknown_fields),
        "--nulls": ("nulls", nulls),
        "--identity": ("identity", identity),
        "--primary-identity": ("primary_identity", primary_identity),
    }
    rules = options_of(XdmOptions, asked).rules()
    form: Form | None = "adobe" if adobe else "json" if every and as_json else "text" if every else None
    try:
        schema = _load(schema_file, sha256)
        tally = Tally(sample_of(Destination("", "entity"), schema, _IDS_LOOKED_AT))
        checking = EventCheck(schema, rules)
        _check(events, checking, form, limit, tally)
    except UserError as error:
        say_problems(error)
        return WRONG
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # whoever reads has enough, as `head` does
            raise
        say(f"error: {events or 'standard input'}: {error.strerror}")
        return WRONG
    if SHAPES[checking.shape]:
        say(f"note: {events or 'standard input'} is {SHAPES[checking.shape]}")
    for hint in checking.hints:
        say(f"hint: {plain(hint)}")
    if as_json:
        put_json(tally.as_json(schema))
    else:
        console = Console(stderr=adobe, highlight=False)
        if tally.invalid:
            show_table(console, tally.table())
        else:
            console.print(tally.headline)
        if warning := tally.repeated_ids.warning:
            console.print(f"warning: {warning}", markup=False, soft_wrap=True)
    return _SOME_INVALID if tally.invalid else 0


def _check(path: Path | None, checking: EventCheck, form: Form | None, limit: int | None, tally: Tally) -> None:
    """Check and count all events, reporting the first invalid ones in a form; shows on a terminal how far it is."""
    from pipelines.cli.event_lines import open_lines
    from pipelines.cli.schema.report import as_adobe, as_json, as_text
    from pipelines.output.terminal import is_terminal

    console = Console(stderr=True, highlight=False)
    columns = BarColumn(), TextColumn("{task.fields[lines]:,} lines")
    # Reports show by themselves how far it is, and a bar would break them up.
    shown = is_terminal(console) and form is None
    with (
        open_lines(path) as source,
        Progress(*columns, console=console, transient=True, disable=not shown, redirect_stdout=False) as progress,
    ):
        task = progress.add_task("", total=source.size, lines=0)
        for line in checking.lines(source.lines):
            tally.add(line)
            if tally.lines % _SHOW_EVERY == 0:
                done = source.file.tell() if source.file else 0
                progress.update(task, completed=done, lines=tally.lines)
            if line.refusal is None or form is None or (limit is not None and tally.invalid > limit):
                continue
            if form == "text":
                typer.echo(as_text(line.number, line.refusal))
            else:
                put_json((as_adobe if form == "adobe" else as_json)(line.number, line.refusal))


def _load(path: Path, sha256: str | None) -> ResolvedSchema:
    """Return the schema of a file.

    Raises:
        SchemaError: It cannot be used, or is not the one of this digest.
    """
    from aep.xdm.schema import FileSchemaSource, SchemaError

    schema = FileSchemaSource(str(path)).load()
    if sha256 is not None and schema.sha256 != sha256.lower():
        raise SchemaError(f"{path}: its SHA-256 is {schema.sha256}, not {sha256}: it is another file, or has changed")
    return schema


def _identity(text: str, *, primary: bool) -> Identity:
    """Parse an identity option.

    Raises:
        typer.BadParameter: It is malformed.
    """
    from aep.xdm.identities import Identity
    from aep.xdm.pointers import is_pointer

    place, _, namespace = text.rpartition("=")
    if place == "" or not is_pointer(place) or not namespace.strip():
        name = "--primary-identity" if primary else "--identity"
        raise typer.BadParameter(
            f"{name} {text!r}: expected a JSON pointer and a namespace, such as /_acme/memberId=CRMID"
        )
    return Identity(place, namespace, primary)


def _tenant_id(tenant: str | None) -> str:
    """Return the tenant id without `_`; "" for none.

    Raises:
        typer.BadParameter: It cannot be one.
    """
    if tenant is None:
        return ""
    found = _TENANT.fullmatch(tenant)
    if found is None:
        raise typer.BadParameter(f"--tenant {tenant!r} is not a tenant id: letters and digits, such as acme")
    return found[1]


def _tell(schema: ResolvedSchema, made_of: Sequence[tuple[str, str]] = ()) -> None:
    from pipelines.cli.schema.report import schema_rows
    from pipelines.output.table import show_fields

    rows = [*schema_rows(schema), *made_of]
    show_fields(Console(highlight=False), [(name, plain(value)) for name, value in rows])
