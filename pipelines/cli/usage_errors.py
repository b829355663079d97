"""What is wrong with a command line, in the words of our other errors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import typer

from pipelines.cli.common import misspelt_option, written_options

_OF_PYDANTIC = re.compile(r"(?:Value error, )?(?:Input should be (.*?)(?:, unable to parse .*)?$)?")
_EXTRA = re.compile(r"Got unexpected extra argument\(s\) \((.*)\)$", re.DOTALL)


def explained(error: typer.TyperException, arguments: Sequence[str]) -> str:
    """Return what to say of an error.

    Args:
        error: As typer raises it. Its classes are not public, so it is known by what it has.
        arguments: The command line. Of an option that is missing because it is misspelt, that is said.
    """
    said: Any = error
    context = getattr(said, "ctx", None)
    if hasattr(said, "possibilities") and context is not None:
        return _unknown_option(said.option_name, context)
    if hasattr(said, "param_type") and context is not None:
        return misspelt_option(context, arguments) or _missing(context)
    if hasattr(said, "param_hint"):
        return _wrong_value(said)
    message = error.format_message().removesuffix(".")
    if (extra := _EXTRA.match(message)) and context is not None:
        return f"unexpected argument: {extra[1] or repr('')}{_see(context)}"
    return message


def _unknown_option(name: str, context: typer.Context) -> str:
    from pipelines.options.yaml_files import nearest

    written = written_options(context)
    guess = nearest(name.lstrip("-"), written)
    return f"no such option: {name}" + (f", did you mean {written[guess]}?" if guess else _see(context))


def _missing(context: typer.Context) -> str:
    """Name all that is missing: typer reads what is given before it looks for the rest, and stops at the first."""
    missing = [_name_of(each) for each in context.command.params if each.required and each.name not in context.params]
    return f"missing: {', '.join(missing)}{_see(context)}"


def _wrong_value(error: Any) -> str:
    words = _OF_PYDANTIC.sub(lambda found: f"must be {found[1]}" if found[1] else "", error.message, count=1)
    words = words.removesuffix(".")
    name = error.param_hint or (_name_of(error.param) if error.param else "")
    return f"{name}: {words}" if name else words


def _name_of(parameter: Any) -> str:
    if parameter.param_type_name == "option":
        return max(parameter.opts, key=len)
    return str(parameter.get_error_hint()).strip("'")


def _see(context: typer.Context) -> str:
    return f"; see {context.command_path} --help"
