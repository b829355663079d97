"""docs/configuration.md, made from the declarations: `python -m pipelines.page > docs/configuration.md`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from pipelines.jobs import jobs
from pipelines.options.declarations import GROUPS
from pipelines.options.route_keys import RouteKey, RouteKeys, describe_keys
from pipelines.options.table import OPTIONS, Option
from pipelines.options.yaml_files import dump

_INTRODUCTION = """\
<!-- Made from pipelines/options/ by `make docs`; a test compares the two. Change the declarations, not this page. -->

# Configuration

Every option, with its default. `beam-aep run --help` shows the same, and `--print_options` prints the merged options of
a run, with the file and line of each. The [keys of a route](#keys-of-a-route) are at the end.

## How options are given

On the command line as `--name=value`, in an options file (YAML) as `name: value`; the names are the same. Files given
with `--options_file` merge from left to right, and the command line wins. A value replaces an earlier one; mappings
merge key by key. Paths are relative to the working directory, in files too.

| type | on the command line |
| --- | --- |
| bool | `--x`, `--x=true`, `--x=false`, `--no_x` |
| list | `--x=a,b`, or `--x=a --x=b`, or `--x='["a", "b"]'`; commas inside `{}` do not split |
| mapping | `--x=key=value`, repeated, or `--x='{"key": "value"}'` |
| ... or null | `--x=null`: as if the option were not given |
| reference to a secret | `env:NAME`, `file:PATH`, or `gcp-secret:projects/P/secrets/S/versions/V` (a regional secret: \
`gcp-secret:projects/P/locations/L/secrets/S/versions/V`); the secret itself is refused |

Beam's own options (`--runner`, `--streaming`, `--flink_master`, ...), and those of Flink's Java side
(`--checkpointing_interval`, ...), are accepted by their names, here and in options files.
"""

_ROUTES = """
## Keys of a route

A file given with `routes_file` has one key, `routes`, with a list of routes. If a route omits a key whose
default is an option, it takes that option's value; mappings such as `headers` are added to the option's, key by key.
Options that belong to a single route (`aep_inlet_url`, ...) are refused together with a routes file. Every route has
these keys, and those of the kind of destination that its pipeline sends to:

"""


def page() -> str:
    parts = [_INTRODUCTION]
    for group, (_, model) in GROUPS.items():
        title, _, text = " ".join((model.__doc__ or "").split()).partition(": ")
        parts.append(f"\n## {title}\n\n{text[:1].upper()}{text[1:]}\n\n")
        options = [option for option in OPTIONS.values() if option.group == group]
        parts.append(_table("option", (_option(option) for option in options)))
    parts += [_ROUTES, _keys(describe_keys(RouteKeys))]
    for name, kind in {job.destination.name: job.destination for job in jobs().values()}.items():
        own = {key: known for key, known in describe_keys(kind.keys).items() if key not in RouteKeys.model_fields}
        parts += [f"\n### Keys of a route to {name}\n\n", _keys(own)]
    return "".join(parts)


def _keys(keys: Mapping[str, RouteKey]) -> str:
    return _table("key", (_key(key) for key in keys.values()))


def _table(first: str, rows: Iterable[tuple[str, ...]]) -> str:
    head = [(first, "type", "default", "what it does"), ("---",) * 4]
    return "".join(f"| {' | '.join(row)} |\n" for row in [*head, *rows])


def _option(option: Option) -> tuple[str, ...]:
    unit = f", in {option.unit}" if option.unit and option.kind != "list" else ""
    return f"`{option.name}`", _type(option.type) + unit, _default(option.default), _text(option.help)


def _key(key: RouteKey) -> tuple[str, ...]:
    default = "required" if key.needed else f"option `{key.option}`" if key.shared else _default(key.default)
    return f"`{key.name}`", _type(key.type), default, _text(key.help)


def _type(words: str) -> str:
    """Say a type in a table, where `|` would end the cell."""
    many = "list of " if words.startswith("list of ") else ""
    choices = words.removeprefix(many).removesuffix(" or null").split("|")
    if len(choices) == 1:
        return words
    return many + ", ".join(f"`{choice}`" for choice in choices) + (", or null" if words.endswith(" or null") else "")


def _default(value: Any) -> str:
    if value is None or value == () or value == {}:
        return "null" if value is None else "empty"
    return f"`{value if isinstance(value, str) else dump(list(value) if isinstance(value, tuple) else value)}`"


def _text(help_: str) -> str:
    """Return the help, with the names of options, places in braces and addresses as code."""
    names = "|".join(sorted((name for name in OPTIONS if "_" in name), key=len, reverse=True))
    code = re.compile(rf"\b(?:{names})\b(?:=[a-z_]+)?|\{{[^}}]*\}}|https?://[A-Z][^\s,.)]*|\^(?= )|__(?=\.)")
    return code.sub(lambda found: f"`{found[0]}`", help_).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
