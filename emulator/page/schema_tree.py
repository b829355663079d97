"""The fields of a schema as a tree: type, whether required, identity, and what values may be. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emulator.page.markup import Html, badge, code, element, markup

MAX_DEPTH = 40
MAX_VALUES = 12  # of an enumeration
_LIMITS = {
    "pattern": "pattern",
    "minimum": "at least",
    "maximum": "at most",
    "minLength": "shortest",
    "maxLength": "longest",
    "minItems": "fewest items",
    "maxItems": "most items",
}

Path = tuple[str, ...]
Identities = Mapping[Path, str]  # what to say of the identity at a path


def fields(document: Mapping[str, Any], identities: Identities) -> Html:
    """Return the fields of a resolved schema, those with an identity or a required field in them unfolded."""
    return _fields(document, identities, ())


def count(document: Any, depth: int = 0) -> int:
    """Return the number of fields in a resolved schema, objects and what is in them each counted."""
    if depth > MAX_DEPTH:
        return 0
    return sum(1 + count(field, depth + 1) for field in _below(document).values())


def _fields(node: Any, identities: Identities, path: Path) -> Html:
    required = _content(node).get("required", ())
    items = [
        element("li", _field(name, field, identities, (*path, name), required=name in required))
        for name, field in sorted(_below(node).items(), key=lambda each: (each[0] not in required, each[0]))
    ]
    return element("ul", *items, class_="tree")


def _field(name: str, field: Any, identities: Identities, path: Path, *, required: bool) -> Html:
    identity = identities.get(path)
    line = markup(
        code(name),
        " ",
        element("span", type_of(field), class_="type"),
        markup(" ", badge("required", "note")) if required else None,
        markup(" ", badge(identity, "good")) if identity else None,
    )
    about = [element("div", text, class_="help") for text in _about(field)]
    if not _below(field):
        return markup(line, *about)
    if len(path) >= MAX_DEPTH:
        return markup(line, *about, element("div", "… nested deeper than shown here", class_="help"))
    opened = "required" in _content(field) or any(each[: len(path)] == path for each in identities)
    return element("details", element("summary", line), *about, _fields(field, identities, path), open=opened)


def type_of(field: Any) -> str:
    """Return the type of a field in XDM's words: `string`, `date-time`, `array of object`, `map of string`."""
    if not isinstance(field, dict):
        return "any"
    values = field.get("additionalProperties")
    if field.get("meta:xdmType") == "map" or (isinstance(values, dict) and not field.get("properties")):
        return f"map of {type_of(values)}"
    kind = field.get("type", "any")
    if kind == "array":
        return f"array of {type_of(field.get('items'))}"
    if isinstance(kind, list):
        return " or ".join(str(each) for each in kind)
    return str(field.get("meta:xdmType") or field.get("format") or kind)


def _about(field: Any) -> Sequence[str]:
    if not isinstance(field, dict):
        return ()
    found = [str(field["title"])] if field.get("title") else []
    values = field.get("enum")
    if isinstance(values, list):
        more = f", … {len(values) - MAX_VALUES} more" if len(values) > MAX_VALUES else ""
        found.append("one of " + ", ".join(str(each) for each in values[:MAX_VALUES]) + more)
    limits = [f"{word} {field[key]}" for key, word in _LIMITS.items() if key in field]
    return [*found, *([", ".join(limits)] if limits else [])]


def _content(node: Any) -> dict[str, Any]:
    """Return the object that holds the fields: the node itself, the items of an array, or the values of a map."""
    for _ in range(MAX_DEPTH):
        if not isinstance(node, dict):
            break
        if node.get("properties"):
            return node
        node = node.get("items") or node.get("additionalProperties")
    return {}


def _below(node: Any) -> Mapping[str, Any]:
    fields = _content(node).get("properties")
    return fields if isinstance(fields, dict) else {}
