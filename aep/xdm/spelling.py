"""Recognise records that are XDM in another spelling than Experience Platform takes, to say what to change."""

from collections.abc import Iterator, Mapping
from typing import Any

MAX_HINTS = 3  # of one record

# Names as Adobe's published schemas and examples have them (github.com/adobe/xdm), and as Platform takes them
# ("compatibility mode", Schema composition).
_XDM, _JSON_LD = "xdm:", {"@id": "_id", "@type": "_type"}


def is_message(record: Mapping[str, Any]) -> bool:
    """Return whether a record is a whole message, an envelope with an entity inside."""
    body = record.get("body")
    return isinstance(record.get("header"), dict) and isinstance(body, dict) and "xdmEntity" in body


def spelling_hints(record: Mapping[str, Any], tenant: str | None) -> list[str]:
    """Return what to write instead of names that Platform does not take; at most three.

    Args:
        record: An entity that was refused.
        tenant: The tenant namespace of its schema, such as `_acme`.
    """
    hints: dict[str, None] = {}
    bare = tenant[1:] if tenant else None
    if bare and bare in record:
        hints[f"the tenant namespace has an underscore: write {tenant}, not {bare}"] = None
    for name in _names(record):
        better = name.removeprefix(_XDM) if name.startswith(_XDM) else _JSON_LD.get(name)
        if better:
            hints[f"{name} is the spelling of Adobe's published examples: Platform takes {better}"] = None
        if len(hints) >= MAX_HINTS:
            break
    return list(hints)


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield name
            yield from _names(member)
    elif isinstance(value, list):
        for item in value:
            yield from _names(item)
