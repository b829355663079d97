"""The components of XDM schemas as files: a checkout of Adobe's adobe/xdm, and the user's own.

Each file `NAME.schema.json` holds one class, field group, data type or behaviour in standard notation. What it is
shows in what it says (adobe/xdm; "Basics of schema composition"): a field group names the classes it is for in
`meta:intendedToExtend`, and a class is made of a behaviour.
"""

import codecs
import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from aep.xdm.pointers import pointer
from aep.xdm.schema import SchemaError

SUFFIX = ".schema.json"
_MAX_DEPTH = 100


@dataclass(frozen=True)
class Component:
    """One component.

    Attributes:
        path: Its file.
        document: Its JSON, in standard notation.
    """

    path: str
    document: dict[str, Any]

    @property
    def id(self) -> str:
        """Its `$id`."""
        return str(self.document.get("$id", ""))

    @property
    def name(self) -> str:
        """The name of its file, without `.schema.json`."""
        return Path(self.path).name.removesuffix(SUFFIX)

    @property
    def title(self) -> str:
        """Its name for users."""
        return str(self.document.get("title") or self.name)

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The `$id`s of the classes that a field group is for, none for all classes; None: it is not a field group."""
        stated = self.document.get("meta:intendedToExtend")
        return tuple(str(each) for each in stated) if isinstance(stated, list) else None


class Components:
    """Components by their `$id`, and by the name of their file."""

    def __init__(self, components: Iterable[Component]) -> None:
        """Take them in.

        Raises:
            SchemaError: Two different ones have the same `$id`.
        """
        self._by_id: dict[str, Component] = {}
        self._by_name: dict[str, list[Component]] = {}
        for each in components:
            other = self._by_id.setdefault(each.id, each)
            if other is each:
                self._by_name.setdefault(each.name, []).append(each)
            elif other.document != each.document:
                raise SchemaError(
                    f"{each.path}: its $id {each.id} is that of {other.path} too, which says something else "
                    "(of adobe/xdm, give the folder `components` only)"
                )

    def including(self, more: Iterable[Component]) -> "Components":
        """Return these and some more.

        Raises:
            SchemaError: Two different ones have the same `$id`.
        """
        return Components([*self._by_id.values(), *more])

    def get(self, component_id: str) -> Component | None:
        """Return the component of this `$id`."""
        return self._by_id.get(component_id)

    def find(self, name: str, is_meant: Callable[[Component], bool]) -> Component:
        """Return the component of this `$id`, or of this file name with or without `.schema.json`.

        Args:
            name: `$id` or file name.
            is_meant: Tells which is the right one when several have the file name.

        Raises:
            SchemaError: There is none, or several have the name.
        """
        if name in self._by_id:
            return self._by_id[name]
        found = self._by_name.get(name.removesuffix(SUFFIX), [])
        meant = [each for each in found if is_meant(each)] if len(found) > 1 else found
        if len(meant) == 1:
            return meant[0]
        if found:
            raise SchemaError(f"{name!r} may be any of {', '.join(each.id for each in meant or found)}: give the $id")
        near = difflib.get_close_matches(name, [*self._by_name, *self._by_id], n=3, cutoff=0.5)
        hint = f"; is it {' or '.join(near)}?" if near else ""
        raise SchemaError(f"no component has {name!r} as its $id or file name{hint}")


def read_components(folders: Sequence[str]) -> Components:
    """Read all `*.schema.json` of some folders and the folders in them.

    Raises:
        SchemaError: A folder is not there or has none, or a file is not a component.
    """
    found: list[Component] = []
    for folder in folders:
        if not Path(folder).is_dir():
            raise SchemaError(f"{folder}: no such folder; give the `components` folder of a checkout of adobe/xdm")
        paths = sorted(Path(folder).rglob(f"*{SUFFIX}"))
        if not paths:
            raise SchemaError(f"{folder}: no *{SUFFIX} in it; give the `components` folder of a checkout of adobe/xdm")
        found += [read_component(str(path)) for path in paths]
    for each in found:
        if not each.id:
            raise SchemaError(f'{each.path}: the component has no "$id"')
    return Components(found)


def read_component(path: str) -> Component:
    """Read one file.

    Raises:
        SchemaError: It cannot be read, or has not the shape of a component.
    """
    document = read_object(path)
    check_component(document, path)
    return Component(path, document)


def read_object(path: str) -> dict[str, Any]:
    """Read a file that holds a JSON object.

    Raises:
        SchemaError: It cannot be read, or does not.
    """
    try:
        document = orjson.loads(Path(path).read_bytes().removeprefix(codecs.BOM_UTF8))
    except OSError as error:
        raise SchemaError(f"{path}: {error.strerror or error}") from error
    except orjson.JSONDecodeError as error:
        raise SchemaError(f"{path}: not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from error
    if not isinstance(document, dict):
        raise SchemaError(f"{path}: expected a JSON object, got a {type(document).__name__}")
    return document


def check_component(document: dict[str, Any], path: str) -> None:
    """See that a document of a file has the shape that can be composed.

    Raises:
        SchemaError: It has not.
    """
    if fault := _fault(document, ()):
        raise SchemaError(f"{path}, {fault}")


_KINDS: tuple[tuple[str, type, str], ...] = (
    ("$ref", str, "a string"),
    ("properties", dict, "an object"),
    ("definitions", dict, "an object"),
    ("allOf", list, "an array"),
    ("required", list, "an array"),
    ("type", str, "a string"),
)


def _fault(node: Any, path: tuple[str | int, ...]) -> str | None:
    """Return what keeps a subschema from being composed: its place, and what should be there."""
    if not isinstance(node, dict):
        return f"#{pointer(path)}: expected a schema, got a {type(node).__name__}"
    if len(path) > _MAX_DEPTH:
        return f"#{pointer(path[:10])}/...: nested too deeply"
    for keyword, kind, words in _KINDS:
        if keyword in node and not isinstance(node[keyword], kind):
            return f"#{pointer(path)}/{keyword}: expected {words}, got a {type(node[keyword]).__name__}"
    if not all(isinstance(name, str) for name in node.get("required", ())):
        return f"#{pointer(path)}/required: expected a list of field names"
    steps: list[tuple[str, Any]] = [("allOf", index) for index in range(len(node.get("allOf", ())))]
    steps += [(keyword, name) for keyword in ("properties", "definitions") for name in node.get(keyword, {})]
    faults = (_fault(node[keyword][step], (*path, keyword, step)) for keyword, step in steps)
    nested = [keyword for keyword in ("items", "additionalProperties") if isinstance(node.get(keyword), dict)]
    more = (_fault(node[keyword], (*path, keyword)) for keyword in nested)
    return next(filter(None, chain(faults, more)), None)
