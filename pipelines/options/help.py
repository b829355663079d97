"""The text of `--help`, made from the declarations of the options; its beginning is the docstring of a pipeline."""

import textwrap
from collections.abc import Collection

from pipelines.options.declarations import GROUPS
from pipelines.options.table import OPTIONS, Option
from pipelines.options.yaml_files import dump

_WIDTH = 100

_HEAD = """\
How options are given:
  On the command line as --name=value, in an options file (YAML) as `name: value`: the names are the same.
  Files merge from left to right, and the command line wins. A value replaces an earlier one; mappings merge
  key by key. Paths are relative to the working directory, in files too.
  switches   --x, --x=true, --x=false, --no_x
  lists      --x=a,b or --x=a --x=b or --x='["a", "b"]'; commas inside {} do not split
  mappings   --x=key=value, repeated, or --x='{"key": "value"}'
  null       --x=null, where the type says `or null`: as if the option were not given
  secrets    only by reference: env:NAME, file:PATH, gcp-secret:projects/P/secrets/S/versions/V, or of a regional secret
             gcp-secret:projects/P/locations/L/secrets/S/versions/V
"""

_TAIL = """
Beam's own options (--runner, --streaming, --flink_master, ...; see Beam's documentation), and those of
Flink's Java side (--checkpointing_interval, ...), are accepted by their names, here and in options files.
"""


RUN_GROUPS = tuple(group for group in GROUPS if group != "replay")
"""The options of a run; a replay has its own besides."""


def help_text(about: str, groups: Collection[str] = RUN_GROUPS) -> str:
    """Return options by group: name, type, default, unit and what each does.

    Args:
        about: What comes first: what the pipeline does, and how it is called.
        groups: Names of the groups.
    """
    parts = [f"{about.strip()}\n\n", _HEAD]
    for group, (_, model) in GROUPS.items():
        if group not in groups:
            continue
        parts.append(f"\n{model.__doc__}\n")
        parts += [_option_help(option) for option in OPTIONS.values() if option.group == group]
    return "".join(parts) + _TAIL


def _option_help(option: Option) -> str:
    default = option.default
    shown = default if isinstance(default, str) else dump(list(default) if isinstance(default, tuple) else default)
    unit = f", in {option.unit}" if option.unit and option.kind != "list" else ""
    facts = f"--{option.name}  ({option.type}{unit}; default {shown})"
    if len(facts) > _WIDTH:  # a line may end between two values
        facts = facts.replace("|", " | ")
    return f"{_indented(facts, 2)}\n{_indented(option.help, 6)}\n"


def _indented(text: str, columns: int) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent=" " * columns, subsequent_indent=" " * 6)
