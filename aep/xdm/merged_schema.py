"""Merge two draft-4 schemas into one for what fits both, so that a validator looks at each part of a record once."""

from __future__ import annotations

from typing import Any

# How an object's members are divided between them depends on the other of a schema, so they are merged together.
_MEMBERS = frozenset({"properties", "additionalProperties"})
_MERGED = _MEMBERS | {"required", "items"}


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that takes what both take, as `{"allOf": [one, other]}` does, which it is where they clash."""
    both = one.keys() & other.keys()
    clash = any(one[key] != other[key] for key in both - _MERGED)
    named = any("patternProperties" in each for each in (one, other))
    if clash or (named and all(_MEMBERS & each.keys() for each in (one, other))):
        return {"allOf": [one, other]}
    schema = {**one, **other}
    if "required" in both:
        schema["required"] = list(dict.fromkeys([*one["required"], *other["required"]]))
    if "items" in both:
        if not all(isinstance(each["items"], dict) for each in (one, other)):
            return {"allOf": [one, other]}
        schema["items"] = merged(one["items"], other["items"])
    if _MEMBERS & one.keys() and _MEMBERS & other.keys():
        _merge_members(one, other, schema)
    return schema


def _merge_members(one: dict[str, Any], other: dict[str, Any], schema: dict[str, Any]) -> None:
    rest = _both(_member(one, None), _member(other, None))
    names = {**one.get("properties", {}), **other.get("properties", {})}
    members = {name: _both(_member(one, name), _member(other, name)) for name in names}
    # What one of them forbids by name is forbidden like all others: draft 4 has no schema that is false.
    schema["properties"] = {name: member for name, member in members.items() if member is not False}
    schema["additionalProperties"] = rest


def _member(schema: dict[str, Any], name: str | None) -> dict[str, Any] | bool:
    """Return the schema of a member; of one that has no name of its own for None."""
    found = schema.get("properties", {}).get(name)
    return schema.get("additionalProperties", True) if found is None else found


def _both(one: dict[str, Any] | bool, other: dict[str, Any] | bool) -> dict[str, Any] | bool:
    if one is False or other is False:
        return False
    if one is True or other is True:
        return other if one is True else one
    return merged(one, other)
