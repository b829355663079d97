"""The fields that a resolved schema declares."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from aep.xdm.harden import field_path
from aep.xdm.pointers import pointer


class Field(NamedTuple):
    """One field, at any depth.

    Attributes:
        pointer: Where it is in a record, as a JSON pointer with `*` for a place in an array and a key of a map.
        required: Whether the object that holds it must have it.
    """

    pointer: str
    required: bool


def fields_of(schema: dict[str, Any]) -> Iterator[Field]:
    """Return all fields of a resolved schema in compatibility notation, each before those inside it."""
    return _walk(schema, (), ())


def _walk(node: Any, path: tuple[str, ...], demanded: Sequence[tuple[str, ...]]) -> Iterator[Field]:
    """Yield the fields of a node; `demanded` has the paths in it that an enclosing object requires."""
    if not isinstance(node, dict):  # draft 6 writes "anything" as true
        return
    properties = node.get("properties", {})
    # A path has several names if the field is in namespace objects, such as `_repo`; then all of them are required.
    wanted = [*demanded, *(field_path(name, properties) or (name,) for name in node.get("required", ()))]
    for name, field in properties.items():
        of_name = [names[1:] for names in wanted if names[0] == name]
        yield Field(pointer((*path, name)), bool(of_name))
        yield from _walk(field, (*path, name), [names for names in of_name if names])
    for keyword in ("items", "additionalProperties"):
        yield from _walk(node.get(keyword), (*path, "*"), ())
