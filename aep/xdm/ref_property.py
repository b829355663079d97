"""Some fields of a component in place of all: what `meta:refProperty` beside a `$ref` asks for. Pure.

"Add specific fields to a schema": a pointer to a field, or a list of them, such as `/_experience/campaign/message/id`,
without the `properties` in between.
"""

from collections.abc import Sequence
from typing import Any

from aep.xdm.pointers import is_pointer, steps_of

_EACH = "[*]"  # "/productListItems[*]/SKU" is how Adobe writes a place in an array; it may be left out


def only_fields(component: dict[str, Any], stated: Any, reference: str) -> dict[str, Any]:
    """A resolved component with no other fields than those asked for, and what is in them.

    Args:
        component: in compatibility notation, as the pointers are.
        stated: what `meta:refProperty` says.
        reference: the `$ref` of the component, for messages.

    Raises:
        ValueError: it says something else than pointers, or one leads to no field.
    """
    paths = []
    for place in stated if isinstance(stated, list) else [stated]:
        if not isinstance(place, str) or not is_pointer(place) or not place.strip("/"):
            raise ValueError(f"expected a pointer to a field, as /person/name, or a list of them, got {place!r}")
        paths.append([step.removesuffix(_EACH) for step in steps_of(place)])
    return _only(component, paths, reference)


def _only(node: dict[str, Any], paths: Sequence[Sequence[str]], reference: str) -> dict[str, Any]:
    """A component, or an object or array in it, with what some paths lead to; an empty path takes all."""
    if not all(paths):
        return node
    if "properties" not in node and isinstance(node.get("items"), dict):
        return {**node, "items": _only(node["items"], paths, reference)}
    properties = node.get("properties", {})
    inside: dict[str, list[Sequence[str]]] = {}
    for name, *rest in paths:
        if name not in properties:
            raise ValueError(f"{reference} has no field {name!r} there")
        inside.setdefault(name, []).append(rest)
    kept = {**node, "properties": {name: _only(properties[name], rest, reference) for name, rest in inside.items()}}
    if "required" in node:
        kept["required"] = [name for name in node["required"] if name in inside]
    return kept
