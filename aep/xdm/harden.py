"""Turn a resolved XDM schema into the JSON Schema that Experience Platform enforces.

Draft 4 is meant: its `integer` refuses `7.0`, and so also the float that a JSON parser makes of an integer
beyond 64 bits.
"""

from typing import Any, Literal

from aep.xdm.formats import CALENDAR_FORMATS, LIBRARY_NAMES, PATTERNS

UnknownFields = Literal["reject", "allow"]

# Keywords that draft 4 validates and that are copied as they stand.
_PLAIN_KEYWORDS = (
    "type",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
)
_COMBINATIONS = ("anyOf", "oneOf")

# Ranges of the integer types (XDM field type constraints). `long` is bounded by what a double holds exactly.
INTEGER_RANGES = {
    "byte": (-(2**7), 2**7 - 1),
    "short": (-(2**15), 2**15 - 1),
    "int": (-(2**31), 2**31 - 1),
    "long": (-(2**53), 2**53),
}


def harden(document: dict[str, Any], *, unknown_fields: UnknownFields, integer_ranges: bool) -> dict[str, Any]:
    """Make the draft-4 schema to validate with; `document` stays as it is.

    Only validating keywords are kept. `meta:enum` suggests values and is not enforced.

    Args:
        document: A resolved schema in compatibility notation.
        unknown_fields: "reject" closes every object that declares properties, as the streaming validation
            does ("extraneous key [x] is not permitted"); maps and objects without properties stay open.
        integer_ranges: Adds the range of `meta:xdmType` to integers that declare none.
    """
    return _Hardener(unknown_fields == "reject", integer_ranges).schema(document, may_close=True)


class _Hardener:
    def __init__(self, close: bool, integer_ranges: bool) -> None:
        self._close = close
        self._integer_ranges = integer_ranges

    def schema(self, source: Any, may_close: bool) -> dict[str, Any]:
        if isinstance(source, bool):  # draft 6 writes "anything" and "nothing" as true and false
            return {} if source else {"not": {}}
        target: dict[str, Any] = {key: source[key] for key in _PLAIN_KEYWORDS if key in source}
        if "const" in source:
            target["enum"] = [source["const"]]
        self._bounds(source, target)
        self._format(source, target)
        self._array(source, target, may_close)
        self._object(source, target, may_close)
        for keyword in _COMBINATIONS:
            if keyword in source:
                # A branch sees only its own properties, so closing it would refuse its siblings'.
                target[keyword] = [self.schema(branch, may_close=False) for branch in source[keyword]]
        if "not" in source:
            target["not"] = self.schema(source["not"], may_close=False)
        return target

    def _bounds(self, source: dict[str, Any], target: dict[str, Any]) -> None:
        types = source.get("type")
        if self._integer_ranges and ("integer" in types if isinstance(types, list) else types == "integer"):
            lowest, highest = INTEGER_RANGES.get(source.get("meta:xdmType", ""), (None, None))
            if lowest is not None and "exclusiveMinimum" not in source:
                target.setdefault("minimum", lowest)
            if highest is not None and "exclusiveMaximum" not in source:
                target.setdefault("maximum", highest)
        for exclusive, bound, inner in (
            ("exclusiveMinimum", "minimum", max),
            ("exclusiveMaximum", "maximum", min),
        ):
            limit = source.get(exclusive)
            if isinstance(limit, bool):
                if bound in target:  # draft 4 wants the bound beside its flag
                    target[exclusive] = limit
            elif limit is not None:
                inclusive = source.get(bound, limit)
                target[bound] = inner(limit, inclusive)
                target[exclusive] = target[bound] == limit

    def _format(self, source: dict[str, Any], target: dict[str, Any]) -> None:
        name = source.get("format")
        if name is None:
            return
        if name not in PATTERNS or name in CALENDAR_FORMATS:
            target["format"] = LIBRARY_NAMES.get(name, name)
        if name in PATTERNS:
            if "pattern" in target:
                target["allOf"] = [{"pattern": PATTERNS[name]}]
            else:
                target["pattern"] = PATTERNS[name]

    def _array(self, source: dict[str, Any], target: dict[str, Any], may_close: bool) -> None:
        items = source.get("items")
        if isinstance(items, list):
            target["items"] = [self.schema(item, may_close) for item in items]
        elif items is not None:
            target["items"] = self.schema(items, may_close)
        if "additionalItems" in source:
            target["additionalItems"] = self._open_or_schema(source["additionalItems"], may_close)

    def _object(self, source: dict[str, Any], target: dict[str, Any], may_close: bool) -> None:
        for keyword in ("properties", "patternProperties"):
            if keyword in source:
                target[keyword] = {name: self.schema(field, may_close) for name, field in source[keyword].items()}
        if "additionalProperties" in source:
            target["additionalProperties"] = self._open_or_schema(source["additionalProperties"], may_close)
        elif self._close and may_close and source.get("properties") and not _branches_declare(source):
            target["additionalProperties"] = False
        self._required(source, target)
        if "dependencies" in source:
            target["dependencies"] = {
                name: rule if isinstance(rule, list) else self.schema(rule, may_close=False)
                for name, rule in source["dependencies"].items()
            }

    def _required(self, source: dict[str, Any], target: dict[str, Any]) -> None:
        """Copy `required` in the record's names; one inside namespace objects makes these required too."""
        for wanted in source.get("required", ()):
            node = target
            for step in field_path(wanted, source.get("properties", {})) or (wanted,):
                required = node.setdefault("required", [])  # only where there is a name: draft 4 forbids an empty list
                if step not in required:
                    required.append(step)
                node = node.get("properties", {}).get(step, {})

    def _open_or_schema(self, source: Any, may_close: bool) -> Any:
        return source if isinstance(source, bool) else self.schema(source, may_close)


def _branches_declare(source: dict[str, Any]) -> bool:
    return any(
        isinstance(branch, dict) and "properties" in branch
        for keyword in _COMBINATIONS
        for branch in source.get(keyword, ())
    )


def field_path(name: str, properties: dict[str, Any]) -> tuple[str, ...] | None:
    """Find where a field of `required` is, in compatibility notation.

    The Schema Registry may answer with standard names (`@id`, `xdm:timestamp`, `repo:createDate`) although
    records use `_id`, `timestamp` and `_repo.createDate`; each field tells its standard name in
    `meta:xdmField`.

    Returns:
        One name, or several when the field sits in namespace objects such as `_repo`; None when unknown.
    """
    if name in properties:
        return (name,)
    if path := _named(name, properties):
        return path
    plain = "_" + name[1:] if name.startswith("@") else name.removeprefix("xdm:")
    return (plain,) if plain in properties else None


def _named(standard_name: str, properties: dict[str, Any]) -> tuple[str, ...] | None:
    """Find the field with this standard name: in this object first, then in its namespace objects."""
    fields = [(name, field) for name, field in properties.items() if isinstance(field, dict)]
    for name, field in fields:
        if field.get("meta:xdmField") == standard_name:
            return (name,)
    for name, field in fields:
        if field.get("meta:xedConverted") and (path := _named(standard_name, field.get("properties", {}))):
            return (name, *path)
    return None
