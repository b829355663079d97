"""Fields under the names of compatibility notation, and what several components demand of one object."""

import re
from typing import Any

from aep.xdm.pointers import pointer
from aep.xdm.schema import SchemaError

_INT = (-(2**31), 2**31 - 1)
_DASH = re.compile(r"-+(.)")


class CompositionError(SchemaError):
    """A schema that cannot be resolved. `component` is the `$id` of the document with the fault."""

    def __init__(self, message: str, component: str) -> None:
        super().__init__(message)
        self.component = component


def compatible_name(name: str) -> tuple[str, ...]:
    """Return the path that a field has in compatibility notation: one name, or several when it is put into objects.

    A name that is not in standard notation stays as it is. In others only the last step is put into camel case, as in
    the live registry: `_channels.directMail`, but `_experience.decisioning.content-references.contentReferencesMap`.
    """
    if name.startswith("@"):
        return ("_" + name[1:],)
    plain = name
    for prefix in ("https://", "http://", "ns.adobe.com/xdm/", "ns.adobe.com/", "xdm:"):
        plain = plain.removeprefix(prefix)
    if plain == name and ":" not in name:
        return (name,)
    steps = [step for step in re.split("[/:]", plain) if step]
    if not steps:
        return (name,)
    *outer, last = steps
    last = _DASH.sub(lambda match: match[1].upper(), last)
    return ("_" + outer[0], *outer[1:], last) if outer else (last,)


def xdm_type(field: dict[str, Any]) -> str:
    """Return the `meta:xdmType` of a field that states none but has a `type` ("XDM field type constraints")."""
    kind = str(field["type"])
    if kind == "string" and field.get("format") in ("date", "date-time"):
        return str(field["format"])
    if kind == "integer":
        bounds = [field.get(bound) for bound in ("minimum", "maximum")]
        fits = all(_INT[0] <= bound <= _INT[1] for bound in bounds if isinstance(bound, int | float))
        return "int" if fits else "long"
    if kind == "object" and isinstance(field.get("additionalProperties"), dict) and "properties" not in field:
        return "map"
    return kind


def put(target: dict[str, Any], name: str, field: dict[str, Any], component: str) -> None:
    """Add a field under its compatible name, in the objects that this name asks for."""
    path = compatible_name(name)
    for step in path[:-1]:
        target = _namespace_object(target, step)
    if path != (name,):
        field = {"meta:xdmField": name, **field}
    properties = target.setdefault("properties", {})
    if path[-1] in properties:
        merge(properties[path[-1]], field, component, path)
    else:
        properties[path[-1]] = field


def require(target: dict[str, Any], name: str) -> None:
    """Require a field by its compatible name; another branch may declare it, and is merged with this one later."""
    *outer, last = compatible_name(name)
    for step in outer:
        _require_one(target, step)
        target = _namespace_object(target, step)
    _require_one(target, last)


def _require_one(target: dict[str, Any], name: str) -> None:
    required = target.setdefault("required", [])
    if name not in required:
        required.append(name)


def _namespace_object(target: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the object in `target` that holds the fields of a namespace; create it if needed."""
    made = {"type": "object", "meta:xdmType": "object", "meta:xedConverted": True, "properties": {}}
    found: dict[str, Any] = target.setdefault("properties", {}).setdefault(name, made)
    return found


def merge(target: dict[str, Any], source: dict[str, Any], component: str, path: tuple[str | int, ...] = ()) -> None:
    """Let `target` demand what `source`, out of a component, demands as well; texts of the later one win."""
    if "type" in target and "type" in source and target["type"] != source["type"]:
        mine, other = target["type"], source["type"]
        raise CompositionError(
            f"{component}{pointer(path)}: the type {other!r} contradicts the earlier type {mine!r}", component
        )
    for key, value in source.items():
        if key == "properties":
            fields = target.setdefault("properties", {})
            for name, field in value.items():
                if name in fields:
                    merge(fields[name], field, component, (*path, name))
                else:
                    fields[name] = field
        elif key == "required":
            target["required"] = list(dict.fromkeys([*target.get("required", ()), *value]))
        elif key in ("items", "additionalProperties") and isinstance(value, dict) and isinstance(target.get(key), dict):
            merge(target[key], value, component, (*path, "*"))
        else:
            target[key] = value
