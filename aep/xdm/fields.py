"""The fields that a resolved schema declares."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from aep.xdm.harden import field_path
from aep.xdm.pointers import pointer


class Field(NamedTuple):
    """One field, at any depth.

    Attributes:
        pointer: where it is in a record, as a JSON pointer with `*` for a place in an array and a key of a map.
        required: whether the object that holds it must have it.
    """

    pointer: str
    required: bool


def fields_of(schema: dict[str, Any]) -> Iterator[Field]:
    """All fields of a resolved schema in compatibility notation, each before those inside it."""
    return _walk(schema, (), ())


def _walk(node: Any, path: tuple[str, ...], also_required: Sequence[str]) -> Iterator[Field]:
    if not isinstance(node, dict):  # draft 6 writes "anything" as true
        return
    properties = node.get("properties", {})
    # A path is two names long when the field is in a namespace object, `_repo` for one; then both are required.
    wanted = [field_path(name, properties) or (name,) for name in node.get("required", ())]
    required = {*also_required, *(names[0] for names in wanted)}
    for name, field in properties.items():
        inside = [names[1] for names in wanted if names[0] == name and len(names) > 1]
        yield Field(pointer((*path, name)), name in required)
        yield from _walk(field, (*path, name), inside)
    for keyword in ("items", "additionalProperties"):
        yield from _walk(node.get(keyword), (*path, "*"), ())
