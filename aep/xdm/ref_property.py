"""`meta:refProperty` next to a `$ref`: take only some fields of a component. Pure functions.

Its value is a pointer to a field, or a list of pointers, without `properties` in between, such as
`/_experience/campaign/message/id` ("Add specific fields to a schema").
"""

from collections.abc import Sequence
from typing import Any

from aep.xdm.pointers import is_pointer, pointer, steps_of

_EACH = "[*]"  # Adobe writes "/productListItems[*]/SKU" for a field inside an array; the mark is optional here


def only_fields(component: dict[str, Any], stated: Any, reference: str) -> dict[str, Any]:
    """Keep only the selected fields of a resolved component, with everything inside them.

    Args:
        component: In compatibility notation, as the pointers are.
        stated: The value of `meta:refProperty`.
        reference: The `$ref` of the component, for messages.

    Raises:
        ValueError: Not a pointer or a list of pointers, or a pointer to a missing field.
    """
    paths = []
    for place in stated if isinstance(stated, list) else [stated]:
        if not isinstance(place, str) or not is_pointer(place) or not place.strip("/"):
            raise ValueError(f"expected a pointer to a field, such as /person/name, or a list of them, got {place!r}")
        paths.append([step.removesuffix(_EACH) for step in steps_of(place)])
    return _only(component, paths, reference, ())


def _only(node: dict[str, Any], paths: Sequence[Sequence[str]], reference: str, at: tuple[str, ...]) -> dict[str, Any]:
    """Keep only some paths of the node at a place in the component; an empty path keeps the whole node."""
    if not all(paths):
        return node
    if "properties" not in node and isinstance(node.get("items"), dict):
        return {**node, "items": _only(node["items"], paths, reference, at)}
    properties = node.get("properties", {})
    inside: dict[str, list[Sequence[str]]] = {}
    for name, *rest in paths:
        if name not in properties:
            raise ValueError(f"{reference} has no field {pointer((*at, name))}")
        inside.setdefault(name, []).append(rest)
    fields = {name: _only(properties[name], rest, reference, (*at, name)) for name, rest in inside.items()}
    kept = {**node, "properties": fields}
    if "required" in node:
        kept["required"] = [name for name in node["required"] if name in inside]
    return kept
