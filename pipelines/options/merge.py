"""Merging options: options files from left to right, then the command line, into checked Settings."""

import json
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from pipelines.options.beam import BeamOption, check_beam_value, known_beam_options
from pipelines.options.declarations import GROUPS
from pipelines.options.group import OptionGroup
from pipelines.options.help import RUN_GROUPS, help_text
from pipelines.options.problems import Finding
from pipelines.options.settings import Settings
from pipelines.options.table import OPTIONS, TEXT_BY_KEYS, Option, explain
from pipelines.options.yaml_files import OptionsError, all_near, read_entries, read_text, scalar, unknown

__all__ = ["OptionsError", "Settings", "parse"]

COMMAND_LINE = "command line"
_SHORT = {"-f": "--options_file"}
_BRING_OTHERS = {"options_file", "routes_file"}
"""Options whose files say what other options may leave out."""


Check = Callable[[Settings], Iterable[Finding]]


def parse(argv: Sequence[str], check: Check, about: str = "", groups: Collection[str] = RUN_GROUPS) -> Settings:
    """Read the options of a run from its arguments and the options files they name.

    Beam's own options, and those of Flink's Java side, may stand among ours. `--help` prints the help and
    exits, as argparse does.

    Args:
        argv: The arguments, without the program's name.
        check: Finds what is missing or contradictory, for a pipeline `contradictions` of `options.checks`.
        about: What the help says first, of whose options these are.
        groups: Groups of options that the help shows.

    Raises:
        OptionsError: With all problems found, one a line, each with its place.
    """
    if "--help" in argv or "-h" in argv:
        sys.stdout.write(help_text(about, groups))
        raise SystemExit(0)
    merge = _Merge()
    given = _read_command_line(argv, merge)
    paths = given.get("options_file")
    for path in paths if isinstance(paths, list) else []:  # anything else is refused with its type, below
        _read_file(str(path), merge)
    for name, value in given.items():
        merge.put(name, value, COMMAND_LINE)
    return merge.settings(check)


def known_options() -> list[str]:
    """Return the names of all options that a run takes: ours and Beam's."""
    return [*OPTIONS, *known_beam_options()]


class _Merge:
    """Values given so far, the later over the earlier, and the problems found."""

    def __init__(self) -> None:
        self.known_beam = known_beam_options()
        self.known = [*OPTIONS, *self.known_beam]
        self.problems: list[str] = []
        self.incomplete = False  # something could not be read: what is missing may have been meant by it
        self.empty_files: list[str] = []
        self._own: dict[str, Any] = {}
        self._beam: dict[str, tuple[str, Any]] = {}  # by dest: two flags that set the same replace each other
        self._origins: dict[str, str] = {}
        self._doubtful: set[str] = set()  # names with a problem already: nothing more is said of them

    def unknown(self, name: str, origin: str) -> None:
        self.problems.append(f"{origin}: {unknown('option', name, self.known)}")
        meant = all_near(name, self.known)
        self.doubt(meant)
        self.incomplete |= not meant

    def doubt(self, names: Collection[str]) -> None:
        """Say nothing of what is missing that these options may have given."""
        self._doubtful.update(names)
        self.incomplete |= not _BRING_OTHERS.isdisjoint(names)

    def is_text(self, name: str) -> bool:
        """Return whether an option takes text, or text by keys, where a number would not be as it was written."""
        if option := OPTIONS.get(name):
            return option.type == TEXT_BY_KEYS
        return name in self.known_beam and self.known_beam[name].kind in ("value", "list")

    def put(self, name: str, value: Any, origin: str, entry_origins: Mapping[str, str] | None = None) -> None:
        """Take a value over an earlier one; mappings merge key by key, each entry with an origin of its own."""
        if option := OPTIONS.get(name):
            if option.kind == "list" and isinstance(value, str):
                value = _from_text(option, value)
            if isinstance(value, dict):
                self._origins |= {f"{name}[{key}]": (entry_origins or {}).get(key, origin) for key in value}
            if option.kind == "mapping" and isinstance(value, dict):
                value = _add(self._own.get(name, {}), value)
            self._own[name] = value
            self._origins[name] = origin
        elif beam := self.known_beam.get(name):
            if value is not None and (problem := check_beam_value(beam, value)):
                self.problems.append(f"{origin}: {name}: {problem}")
                self._doubtful.add(name)
                return
            if beam.kind == "list" and value is not None and not isinstance(value, list):
                value = [value]
            self._beam[beam.dest] = (name, value)
            self._origins[name] = origin
        else:
            self.unknown(name, origin)

    def settings(self, check: Check) -> Settings:
        """Check each value, then all together."""
        groups: dict[str, Any] = {
            group: self._group(model, {o.field: o for o in OPTIONS.values() if o.group == group})
            for group, (_, model) in GROUPS.items()
        }
        settings = Settings(**groups, beam=dict(self._beam.values()), origins=self._origins)
        for names, text in check(settings):
            if not self.incomplete and self._doubtful.isdisjoint(names):
                self.problems.append(text)
        if self.problems:
            empty = (f"{path}: this options file is empty" for path in self.empty_files)
            raise OptionsError([*empty, *self.problems], as_json=settings.general.log_format == "json")
        return settings

    def _group(self, model: type[OptionGroup], options: Mapping[str, Option]) -> OptionGroup:
        values = {field: self._own[o.name] for field, o in options.items() if o.name in self._own}
        try:
            return model(**values)
        except ValidationError as errors:
            for error in errors.errors(include_url=False):
                option = options[str(error["loc"][0])]
                for entry, text in explain(error, option.type, secret=option.secret):
                    origin = self._origins.get(f"{option.name}[{entry}]") or self._origins[option.name]
                    self.problems.append(f"{origin}: {option.name}: {text}")
                self._doubtful.add(option.name)
                values.pop(option.field, None)
            return model(**values)


def _read_file(path: str, merge: _Merge) -> None:
    problems: list[str] = []
    entries = []
    try:
        entries = read_entries(read_text(path, "options file"), path, problems)
    except OptionsError as error:
        problems = error.problems
    if not entries and not problems:
        merge.empty_files.append(path)
    merge.problems += problems
    merge.incomplete |= bool(problems and not entries)
    for entry in entries:
        if entry.key == "options_file":
            merge.problems.append(f"{path}:{entry.line}: options_file: only the command line can name options files")
            merge.doubt([entry.key])
        else:
            value = entry.written if merge.is_text(entry.key) else entry.value
            origins = {key: f"{path}:{line}" for key, line in entry.lines.items()}
            merge.put(entry.key, value, f"{path}:{entry.line}", origins)


def _add(earlier: Any, value: Any) -> Any:
    """Concatenate lists, merge mappings; otherwise the later value wins, and is refused later if it does not fit."""
    if isinstance(earlier, list) and isinstance(value, list):
        return earlier + value
    if isinstance(earlier, dict) and isinstance(value, dict):
        return {**earlier, **value}
    return earlier if isinstance(value, list | dict) else value


class _Argument(NamedTuple):
    """An argument as written: `--name`, `--name=text` or `--name text`."""

    name: str
    text: str | None


def _read_command_line(argv: Sequence[str], merge: _Merge) -> dict[str, Any]:
    """Turn arguments into values by name; what repeats adds up if it is a list or mapping, else the last wins."""
    values: dict[str, Any] = {}
    for name, text in _split(argv, merge):
        if option := OPTIONS.get(name):
            value = True if text is None else _from_text(option, text)
            values[name] = _add(values[name], value) if name in values else value
        elif beam := merge.known_beam.get(name):
            values[name] = [*values.get(name, []), text] if beam.kind == "list" else _beam_value(beam, text)
        else:
            values[name.removeprefix("no_")] = False
    return values


def _split(argv: Sequence[str], merge: _Merge) -> list[_Argument]:
    """Split arguments into names and texts. Texts of unknown ones are not shown: they may be secrets.

    Names may have `-` for `_`, and `-f` is short for `--options_file`.
    """
    arguments: list[_Argument] = []
    rest = list(argv)
    while rest:
        argument = _SHORT.get(rest[0], rest[0])
        del rest[0]
        written, equals, text = argument.removeprefix("--").partition("=")
        name = written.replace("-", "_")
        if not argument.startswith("--") or not name:
            before = arguments[-1].name if arguments else ""
            merge.problems.append(f"{COMMAND_LINE}: {_unexpected(argument, before, len(rest) + 1 == len(argv))}")
            merge.incomplete = True
            continue
        switch = _is_switch(name, merge)
        negated = switch and name.startswith("no_") and name not in merge.known
        if not equals and not switch and rest and not rest[0].startswith("--"):
            text, equals = rest.pop(0), "="
        if not switch and name not in merge.known:
            merge.unknown(written, COMMAND_LINE)
        elif not equals and not switch:
            merge.problems.append(f"{COMMAND_LINE}: {name}: needs a value: --{name}=VALUE")
            merge.doubt([name])
        elif name == "options_file" and equals and not text.strip():
            merge.problems.append(f"{COMMAND_LINE}: options_file: is empty (an unset variable?): give a file")
            merge.incomplete = True
        elif negated and equals:
            merge.problems.append(f"{COMMAND_LINE}: {name}: takes no value; write --{name.removeprefix('no_')}={text}")
        else:
            arguments.append(_Argument(name, text if equals else None))
    return arguments


def _unexpected(argument: str, before: str, is_first: bool) -> str:
    """Say what to write instead of an argument that is not an option. It may be a part of a secret with a blank."""
    if argument[:1] == "-" and len(argument) > 1:
        return f"{argument[:2]}: unknown option; options are written --name=value"
    if argument.endswith((".yaml", ".yml")):
        return f"unexpected argument {argument}: options files are given with -f {argument}"
    word = f" {argument or repr('')}" if is_first else ""
    after = f" after --{before}" if before else ""
    return f"unexpected argument{word}{after}: options are written --name=value"


def _is_switch(name: str, merge: _Merge) -> bool:
    """Return whether an option may be given without a value: --x, and --no_x for ours."""
    if beam := merge.known_beam.get(name):
        return beam.kind in ("flag", "off_flag")
    option = OPTIONS.get(name) or OPTIONS.get(name.removeprefix("no_"))
    return option is not None and option.kind == "bool"


def _from_text(option: Option, text: str) -> Any:
    """Turn text into what YAML would have given; text that does not fit stays, to be refused with its type."""
    if option.nullable and text == "null":
        return None
    if option.kind in ("bool", "int", "float"):
        return scalar(text)
    if option.kind == "list":
        if text.startswith("["):
            return _json(text)
        items = [item.strip() for item in re.split(r",(?![^{]*\})", text)] if text else []
        return [scalar(item) for item in items] if option.type == "list of int" else items
    if option.kind == "mapping":
        if text.startswith("{"):
            return _json(text, numbers=str)
        key, equals, value = text.partition("=")
        return {key: value} if equals else text
    return text


def _json(text: str, numbers: Callable[[str], Any] | None = None) -> Any:
    """Read JSON; what is no JSON stays.

    Args:
        text: As it was given.
        numbers: Reads its numbers; None for numbers.
    """
    try:
        return json.loads(text, parse_float=numbers, parse_int=numbers)
    except (ValueError, RecursionError):
        return text


def _beam_value(option: BeamOption, text: str | None) -> Any:
    if text is None:
        return True
    return scalar(text) if option.kind in ("flag", "off_flag", "number") else text
