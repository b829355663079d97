"""Options as YAML: reading it with the place of every key, and writing values so that they read back the same.

Scalars are those of YAML 1.2: only `true` and `false` are booleans, so `off` stays a word, and times stay
text. Integers may have underscores (950_000).
"""

import difflib
import re
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from aep.errors import UserError
from pipelines.options.yaml_words import in_plain_words

_INT = re.compile(r"[-+]?(0|[1-9](_?[0-9]){0,99})$")  # Python refuses to read thousands of digits
_FLOAT = re.compile(r"[-+]?([0-9](_?[0-9])*\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?$")
_BOOL = re.compile(r"(true|false)$")
_NULL = re.compile(r"(null|~|)$")
_RESOLVERS = [
    ("bool", _BOOL, "tf"),
    ("int", _INT, "-+0123456789"),
    ("float", _FLOAT, "-+.0123456789"),
    ("null", _NULL, ["n", "~", ""]),
]


class OptionsError(UserError):
    """Options that can't be used: `problems` holds all that was found, each with its place.

    Args:
        problems: One a line.
        as_json: Whether the options ask for a log of JSON, as far as they could be read.
    """

    def __init__(self, problems: Iterable[str], *, as_json: bool = False) -> None:
        self._problems = list(problems)
        self.as_json = as_json
        super().__init__("\n".join(self._problems))

    @property
    def problems(self) -> list[str]:
        return self._problems

    def __reduce__(self) -> tuple[Any, ...]:
        return OptionsError, (self._problems,)


class Entry(NamedTuple):
    """A key of a YAML mapping, its value, and the line (from 1) of the key.

    `lines` has the lines of the value's own keys, where it is a mapping. `written` is the value where text is meant:
    its own numbers, and those of a list's items or of a mapping's values, are as they are written (1.20 and not 1.2),
    without underscores.
    """

    key: str
    value: Any
    line: int
    lines: dict[str, int]
    written: Any


class OptionsLoader(yaml.SafeLoader):
    """Builds plain values only, with the scalars of YAML 1.2 and without `<<`."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - the class attribute PyYAML looks at

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Refuse explicit tags: nothing here needs them, and their constructors fail in many ways."""
        value = node.value if isinstance(node, yaml.ScalarNode) else None
        implicit = self.resolve(type(node), value, (True, False))  # type: ignore[no-untyped-call]
        if node.tag not in ("tag:yaml.org,2002:str", implicit):
            raise yaml.constructor.ConstructorError(None, None, "a tag (!) is not accepted here", node.start_mark)
        if node in self.recursive_objects:
            raise yaml.constructor.ConstructorError(None, None, "contains itself, by an alias (*)", node.start_mark)
        return super().construct_object(node, deep=deep)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Refuse a duplicate key, where PyYAML would keep the last one silently."""
        mapping: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            key = _key(key_node)
            if key in mapping:
                raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key}", key_node.start_mark)
            mapping[key] = self.construct_object(value_node, deep=True)
        return mapping


class _Dumper(yaml.SafeDumper):
    """Quotes what either PyYAML or OptionsLoader would not read as text."""


for _tag, _pattern, _first in _RESOLVERS:
    OptionsLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, list(_first))
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, list(_first))


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if text.isprintable() else '"'  # line breaks only survive on one line inside double quotes
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def load(text: str) -> Any:
    """Read a value written as YAML. Raises yaml.YAMLError."""
    return yaml.load(text, Loader=OptionsLoader)  # noqa: S506 - OptionsLoader is a SafeLoader


def dump(value: Any) -> str:
    """Write a value as YAML on one line, to follow `key: `."""
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, allow_unicode=True, width=float("inf"))
    return text.removesuffix("...\n").strip()


def scalar(text: str) -> Any:
    """Read a number, `true`, `false` or `null`; any other text stays as it is."""
    if _INT.match(text) or _FLOAT.match(text) or _BOOL.match(text) or text == "null":
        return load(text)
    return text


def read_text(path: str, what: str) -> str:
    """Read a file as UTF-8 text. Raises OptionsError with the reason and what the file is."""
    if not path:  # which would be the working directory
        raise OptionsError([f"the name of the {what} is empty (an unset variable?)"])
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise OptionsError([f"{path}: can't read this {what}: {error.strerror or error}"]) from None
    except UnicodeDecodeError as error:
        raise OptionsError([f"{path}: this {what} is not UTF-8 text (byte {error.start})"]) from None
    except ValueError as error:  # a NUL in the path
        raise OptionsError([f"{path!r}: can't read this {what}: {error}"]) from None


@contextmanager
def read_document(text: str, path: str, problems: list[str]) -> Iterator[tuple[OptionsLoader, yaml.MappingNode | None]]:
    """Read a document that is a mapping: its loader and its node, None where there is nothing to be read.

    What is wrong with it is added to `problems`.
    """
    with read_node(text, path, problems) as (loader, node):
        if isinstance(node, yaml.MappingNode):
            yield loader, node
        else:
            if node is not None:
                problems.append(f"{path}:{_line(node)}: must be a mapping of names to values")
            yield loader, None


@contextmanager
def read_node(text: str, path: str, problems: list[str]) -> Iterator[tuple[OptionsLoader, yaml.Node | None]]:
    """Read a document, whatever it is: its loader and its node, None where there is nothing to be read.

    What is wrong with it is added to `problems`.
    """
    loader, node = OptionsLoader(""), None  # replaced unless the text has a control character
    try:
        loader = OptionsLoader(text)
        node = loader.get_single_node()
    except (yaml.YAMLError, RecursionError) as error:
        before = text[: getattr(error, "position", 0)]  # known of a control character, which has no line
        problems.append(_place_of(error, path, before.count("\n") + 1, text))
    try:
        yield loader, node
    finally:
        loader.dispose()


def read_entries(text: str, path: str, problems: list[str]) -> list[Entry]:
    """Read a document that is a mapping; what is wrong with it is added to `problems`.

    Returns:
        The entries that could be read, in their order. A duplicate key is a problem and keeps its
        first value.
    """
    with read_document(text, path, problems) as (loader, node):
        return entries_of(loader, node, path, problems) if node is not None else []


def entries_of(loader: OptionsLoader, node: yaml.MappingNode, path: str, problems: list[str]) -> list[Entry]:
    """Read the entries of a mapping one by one, so that one that is wrong leaves the others readable."""
    entries: list[Entry] = []
    lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = _line(key_node)
        try:
            key = _key(key_node)
            if key in lines:
                problems.append(f"{path}:{line}: {key}: duplicate key, first on line {lines[key]}")
                continue
            lines[key] = line
            value = loader.construct_object(value_node, deep=True)
            entries.append(Entry(key, value, line, lines_within(value_node), _as_written(value_node, value)))
        except yaml.YAMLError as error:
            problems.append(_place_of(error, path, line))
    return entries


def lines_within(node: yaml.Node) -> dict[str, int]:
    """Return the lines of a mapping's keys, or of a list's items by their index from 0."""
    if isinstance(node, yaml.MappingNode):
        return {_key(key): _line(key) for key, _ in node.value}
    if isinstance(node, yaml.SequenceNode):
        return {str(index): _line(item) for index, item in enumerate(node.value)}
    return {}


def _as_written(node: yaml.Node, value: Any) -> Any:
    """Return the value of a node, see `Entry.written`."""
    if isinstance(node, yaml.MappingNode):
        return {_key(key): _number_as_written(item, value[_key(key)]) for key, item in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_number_as_written(item, each) for item, each in zip(node.value, value, strict=True)]
    return _number_as_written(node, value)


def _number_as_written(node: yaml.Node, value: Any) -> Any:
    if isinstance(value, float):
        return str(node.value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Find the known name that looks most like `name`."""
    return next(iter(all_near(name, known)), None)


def all_near(name: str, known: Iterable[str]) -> list[str]:
    """Find the known names that look like `name`, the most alike first."""
    names = list(known)
    return difflib.get_close_matches(name.lower().replace("-", "_").replace(".", "_"), names, n=max(len(names), 1))


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Say that a name is unknown, and which known one was probably meant."""
    guess = nearest(name, known)
    return f"{name}: unknown {what}" + (f", did you mean {guess}?" if guess else "")


def describe(value: Any, *, secret: bool = False) -> str:
    """Return names a value's type, and shows the value unless it may be secret."""
    names = {bool: "bool", int: "int", float: "float", str: "str", dict: "mapping", type(None): "null"}
    name = names.get(type(value), "list" if isinstance(value, list | tuple) else type(value).__name__)
    if secret or value is None or isinstance(value, dict):
        return name
    shown = dump(list(value) if isinstance(value, tuple) else value)
    return f"{name} {shown if len(shown) <= 60 else shown[:57] + '...'}"


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.tag != "tag:yaml.org,2002:str":
        raise yaml.constructor.ConstructorError(None, None, "a key must be a name", node.start_mark)
    return str(node.value)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _place_of(error: Exception, path: str, line: int, text: str = "") -> str:
    """Say where and why YAML can't be read, without the text around it, which may be secret."""
    if isinstance(error, yaml.MarkedYAMLError):
        place, reason = in_plain_words(error, text)
        line = place or line
    else:
        reason = getattr(error, "reason", "nested too deeply")
    return f"{path}:{line}: not valid YAML: {reason}"
