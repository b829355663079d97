"""What the commands of `beam-aep` share."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
import typer.core

from samples.files import shipped

if TYPE_CHECKING:
    from aep.errors import UserError
    from pipelines.options.group import OptionGroup
    from pipelines.runtime.job import Job, Run
    from transforms.kafka.client import KafkaCluster

_Group = TypeVar("_Group", bound="OptionGroup")


def example(*lines: str) -> str:
    """Return the end of a command's help: how it is called, as it stands."""
    return "\n".join(("\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)))


def _with_dashes(name: str) -> str:
    """Take `--broken_share` for `--broken-share`: options of a run have `_`, those of commands `-`."""
    return name.replace("_", "-")


class _Sorted(typer.core.TyperGroup):
    """Lists its commands in the order of the alphabet, whether or not they have commands of their own."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx))


app = typer.Typer(
    name="beam-aep",
    cls=_Sorted,
    help="Carries events from Kafka into Adobe Experience Platform.",
    epilog="\b\n"  # no line is broken
    "Run beam-aep COMMAND --help for the options of a command.\n"
    f"Documentation: {shipped('docs')}",
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": _with_dashes,
        "max_content_width": 110,
    },
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
"""All commands: each registers itself, when `main` imports it."""

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""For a command whose arguments something else reads, --help among them."""

AND_OPTIONS = {"allow_extra_args": True, "ignore_unknown_options": True}
"""For a command that takes the options of a run besides its own."""

AND_OPTIONS_METAVAR = "[OPTIONS] [--OPTION_OF_A_RUN=VALUE]..."
"""Usage of such a command."""

WRONG = 2
"""Exit code: the user has to fix something."""

INTERRUPTED = 130
"""Exit code: as of a process that SIGINT ends, 128 + 2."""

WHOLE_RECORD = "(the whole record)"
"""Shown to users in place of an empty pointer."""

KafkaConfigOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Property of librdkafka as KEY=VALUE; may be repeated. Secrets by reference: env:NAME, file:PATH.",
        metavar="KEY=VALUE",
    ),
]


COMMANDS_PAGE = "commands.md, in the folder that beam-aep --help names,"
"""The page about the commands, as their help has it: a path does not fit into its columns."""

BROKERS = "HOST:PORT[,HOST:PORT...]"
"""How brokers are written, in the help of options that take them."""

PipelineName = Annotated[
    str, typer.Option("--pipeline", help="The pipeline, by the name of its module in pipelines.", metavar="NAME")
]

AsJson = Annotated[bool, typer.Option("--json", help=f"Print one JSON document instead; {COMMANDS_PAGE} has its form.")]


def put_json(document: Mapping[str, object]) -> None:
    """Print a document on one line, for programs."""
    import orjson

    typer.echo(orjson.dumps(document).decode())


def a_text(text: str) -> str:
    """Read the argument of an option that must not be empty, as an unset variable is."""
    if not text.strip():
        raise typer.BadParameter("is empty (an unset variable?)")
    return text


def a_path(text: str) -> Path:
    """Read the argument of an option that names a file or a folder. Path("") would be the working directory."""
    return Path(a_path_as_text(text))


def a_folder(text: str) -> Path:
    """Read the argument of an option that names a folder, which need not exist yet."""
    if (path := a_path(text)).is_file():
        raise typer.BadParameter(f"{text} is a file, not a folder")
    return path


def a_path_as_text(text: str) -> str:
    """Read such an argument where it may also be something else than a path, such as `-`."""
    if not text:
        raise typer.BadParameter("expected a path, got an empty text")
    return text


def say(text: str) -> None:
    """One line to the standard error, so that it never mixes with what a command puts out."""
    typer.echo(text, err=True)


def file_problem(error: OSError) -> str:
    """Return what is wrong with a file, without the error's number."""
    return f"{error.filename}: {error.strerror}" if error.strerror else str(error)


def say_problems(error: UserError) -> None:
    for problem in error.problems:
        say(f"error: {problem}")


def words_and_options(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part a command's words, such as names of files, from the options of a run among its arguments.

    A word after `--name` or `-f` is the value of that option; `-` is a word.
    """
    words: list[str] = []
    options: list[str] = []
    for argument in arguments:
        after_name = bool(options) and _is_option(options[-1]) and "=" not in options[-1]
        (options if _is_option(argument) or after_name else words).append(argument)
    return words, options


def _is_option(argument: str) -> bool:
    return argument.startswith("-") and argument != "-"


def plain(text: str) -> str:
    """Return the text with its control characters escaped: a record must not control the user's terminal."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def without_indices(pointer: str) -> str:
    """Return the field that a JSON pointer is to, with `*` for its places in lists; "" for the whole record."""
    return re.sub(r"/\d+(?=/|$)", "/*", pointer)


def options_of(model: type[_Group], arguments: Mapping[str, tuple[str, Any]]) -> _Group:
    """Make a group of a pipeline's options of arguments of a command, with the same checks and defaults.

    Args:
        model: The group.
        arguments: For each argument, by its name, the option's field and the value; None or empty where it is not
            given.

    Raises:
        typer.BadParameter: A value that cannot be right.
    """
    from pydantic import ValidationError

    names = {field: name for name, (field, _) in arguments.items()}
    values = {field: tuple(value) if isinstance(value, list) else value for field, value in arguments.values() if value}
    try:
        return model(**values)
    except ValidationError as errors:
        from pipelines.options.table import describe_type, explain  # loads Beam

        error = errors.errors(include_url=False)[0]
        field = str(error["loc"][0])
        _, text = explain(error, describe_type(model.model_fields[field].annotation)[1])[0]
        raise typer.BadParameter(f"{names[field]}: {text}") from None


def run_of(pipeline: str) -> Run[Any]:
    """Return what runs the pipeline that a command was given.

    Raises:
        typer.BadParameter: There is no such pipeline.
    """
    from pipelines.jobs import find_run, names  # loads Beam

    if (found := find_run(pipeline)) is None:
        raise typer.BadParameter(f"expected one of {', '.join(names())}", param_hint="--pipeline")
    return found


def job_of(pipeline: str) -> Job:
    """Return the job of the pipeline that a command was given, for what only a pipeline with routes has.

    Raises:
        typer.BadParameter: There is no such pipeline.
    """
    from pipelines.jobs import find_job, jobs  # loads Beam

    if (found := find_job(pipeline)) is None:
        raise typer.BadParameter(f"expected one of {', '.join(jobs())}", param_hint="--pipeline")
    return found


def run_options(context: typer.Context) -> list[str]:
    """Return the arguments of a command that are options of a run.

    Raises:
        typer.BadParameter: One is unknown, and looks like an option of the command.
    """
    from pipelines.runtime.logs import set_up_logging

    if misspelt := misspelt_option(context, context.args):
        raise typer.BadParameter(misspelt)
    set_up_logging("text", logging.WARNING)  # until the run's own options are read, where there is a run
    return context.args


def written_options(context: typer.Context) -> dict[str, str]:
    """Return the options of a command as they are written, by their names as files would have them."""
    names = [name for each in context.command.get_params(context) for name in each.opts if name.startswith("--")]
    return {name.removeprefix("--").replace("-", "_"): name for name in [*names, "--help"]}


def misspelt_option(context: typer.Context, arguments: Sequence[str]) -> str | None:
    """Return what to say of the first unknown option that looks like one of the command's own; None for none."""
    from pipelines.options.merge import known_options  # loads Beam
    from pipelines.options.yaml_files import nearest

    own = written_options(context)
    known = {*own, *known_options()}
    for argument in arguments:
        name = argument.partition("=")[0].removeprefix("--").replace("-", "_")
        if argument.startswith("--") and name not in known and (guess := nearest(name, known)) in own:
            return f"no such option: {argument.partition('=')[0]}, did you mean {own[str(guess)]}?"
    return None


def cluster_of(bootstrap_servers: str, config: Sequence[str]) -> KafkaCluster:
    """Return the brokers that were given.

    Raises:
        ValueError: An address or a property that cannot be right, or a secret given in plain.
    """
    from pipelines.options.kafka_types import check_bootstrap_servers, check_kafka_config
    from transforms.kafka.client import KafkaCluster

    properties = {}
    for entry in config:
        name, equals, value = entry.partition("=")
        if not equals or not name:
            raise ValueError("--kafka-config takes KEY=VALUE (what was given is not shown)")
        properties[name] = value
    return KafkaCluster(check_bootstrap_servers(bootstrap_servers), check_kafka_config(properties))


def cluster_of_files(options_files: Sequence[str]) -> KafkaCluster:
    """Return the brokers that options files of a run name.

    Raises:
        OptionsError: The files cannot be right, or name no brokers.
    """
    from pipelines.options.merge import parse
    from pipelines.options.problems import Finding
    from pipelines.options.settings import Settings
    from pipelines.runtime.kafka_cluster import kafka_cluster

    def brokers_missing(settings: Settings) -> Iterator[Finding]:
        if settings.kafka.bootstrap_servers is None:
            name = "kafka_bootstrap_servers"
            yield Finding((name,), f"{name}: missing: give the brokers, as HOST:PORT[,HOST:PORT...]")

    cluster = kafka_cluster(parse([f"--options_file={path}" for path in options_files], brokers_missing))
    assert cluster is not None  # what is missing has been refused
    return cluster


def reached(cluster: KafkaCluster) -> KafkaCluster:
    """Return brokers that answer, as a command sends to them: a topic that does not exist shows after some seconds.

    Raises:
        KafkaSetupError: No broker answers.
    """
    from dataclasses import replace

    from transforms.kafka.client import admin_client, list_partitions

    list_partitions(cluster, admin_client(cluster), [])
    # librdkafka's own 30 s are for clusters that take as long to create a topic
    return replace(cluster, config={"topic.metadata.propagation.max.ms": "5000", **cluster.config})
