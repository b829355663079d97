"""The text of `--help`, made from the declarations of the options; its beginning is the docstring of a pipeline."""

import re
import shutil
import sys
import textwrap
from collections.abc import Collection

from pipelines.options.declarations import GROUPS
from pipelines.options.table import OPTIONS, Option
from pipelines.options.yaml_files import dump

_WIDTH = 100
"""Characters of a line where the help goes elsewhere than to a terminal, and most of them there."""

_LEAST_WIDTH = 40

_HEAD = """\
How options are given:
  On the command line as --name=value, in an options file (YAML) as
  `name: value`: the names are the same. Files merge from left to right, and the
  command line wins. A value replaces an earlier one; mappings merge key by key.
  Paths are relative to the working directory, in files too.
  switches   --x, --x=true, --x=false, --no_x
  lists      --x=a,b or --x=a --x=b or --x='["a", "b"]'; commas inside {} do not
             split
  mappings   --x=key=value, repeated, or --x='{"key": "value"}'
  null       --x=null, where the type says `or null`: as if it were not given
  secrets    only by reference: env:NAME, file:PATH,
             gcp-secret:projects/P/secrets/S/versions/V, or of a regional secret
             gcp-secret:projects/P/locations/L/secrets/S/versions/V
"""

_TAIL = """
Beam's own options (--runner, --streaming, --flink_master, ...; see Beam's
documentation), and those of Flink's Java side (--checkpointing_interval, ...),
are accepted by their names, here and in options files.
"""

_COMMAND = re.compile(r" *(beam-aep |python -m |--)")


RUN_GROUPS = tuple(group for group in GROUPS if group != "replay")
"""The options of a run; a replay has its own besides."""


def help_text(about: str, groups: Collection[str] = RUN_GROUPS) -> str:
    """Return options by group: name, type, default, unit and what each does.

    Args:
        about: What comes first: what the pipeline does, and how it is called.
        groups: Names of the groups.
    """
    width = _width()
    parts = [f"{about.strip()}\n\n", _HEAD]
    for group, (_, model) in GROUPS.items():
        if group not in groups:
            continue
        parts.append(f"\n{model.__doc__}\n")
        parts += [_option_help(option, width) for option in OPTIONS.values() if option.group == group]
    return "\n".join(_fitted(line, width) for line in f"{''.join(parts)}{_TAIL}".split("\n"))


def _width() -> int:
    if not sys.stdout.isatty():
        return _WIDTH
    return min(_WIDTH, max(_LEAST_WIDTH, shutil.get_terminal_size().columns))


def _option_help(option: Option, width: int) -> str:
    default = option.default
    shown = default if isinstance(default, str) else dump(list(default) if isinstance(default, tuple) else default)
    unit = f", in {option.unit}" if option.unit and option.kind != "list" else ""
    facts = f"--{option.name}  ({option.type}{unit}; default {shown})"
    if len(facts) > width - 2:  # a line may end between two values
        facts = facts.replace("|", " | ")
    return f"{_wrapped(facts, width, 2)}\n{_wrapped(option.help, width, 6)}\n"


def _fitted(line: str, width: int) -> str:
    """Wrap a line that is too long; one of a command so that it can still be pasted into a shell."""
    indent = len(line) - len(line.lstrip())
    if len(line) <= width:
        return line
    if not _COMMAND.match(line):
        return _wrapped(line.strip(), width, indent, indent)
    words = line.strip().removesuffix("\\")
    lines = _wrapped(words, width - 2, indent, break_words=False).split("\n")
    return " \\\n".join(lines) + (" \\" if line.endswith("\\") else "")


def _wrapped(text: str, width: int, indent: int, following: int = 6, *, break_words: bool = True) -> str:
    return textwrap.fill(
        text,
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * following,
        break_long_words=break_words,
        break_on_hyphens=False,
    )
