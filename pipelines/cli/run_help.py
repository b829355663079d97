"""The help of the commands that run a pipeline: their own options, then those of the pipeline."""

from __future__ import annotations

import re
from collections.abc import Collection
from types import ModuleType

import typer

HELP = frozenset({"-h", "--help"})

_OTHERS = """\
  -f FILE          As --options_file=FILE.
  -h, --help       Show this message and exit."""
_USAGE = re.compile(r"^python -m \S+ (\[--\S+ ?)+\n\n", re.MULTILINE)


def run_help(context: typer.Context, called: str, module: ModuleType, groups: Collection[str]) -> str:
    """Return the help.

    Args:
        context: Of the command.
        called: The command with what is needed to run this pipeline, such as `beam-aep run`.
        module: The pipeline's, whose docstring says what it does, and how it is called without the command.
        groups: Those of its options.
    """
    from pipelines.options.help import help_text

    formatter = context.make_formatter()
    context.command.format_options(context, formatter)
    own = formatter.getvalue().rstrip("\n")
    about = _USAGE.sub("", (module.__doc__ or "").strip()).replace(f"python -m {module.__name__}", called)
    usage = f"Usage: {called} [-f FILE]... [--OPTION=VALUE]..."
    return help_text(f"{usage}\n\n{about}\n\n{own}\n{_OTHERS}", groups)
