"""Messages in the words of Experience Platform's streaming validation, so that the two can be compared.

"expected type: String, found: Long" and "extraneous key [x] is not permitted" are from the Streaming
validation guide; the others are kept in the same manner. What an enum allows is ours.
"""

from collections.abc import Sequence
from typing import Any

import jsonschema_rs

from aep.xdm.rejection import shorten

_MAX_QUOTED = 40
_MAX_VALUES = 5  # shown of an enum

_TYPE_NAMES = {
    "string": "String",
    "integer": "Integer",
    "number": "Number",
    "boolean": "Boolean",
    "object": "JSONObject",
    "array": "JSONArray",
    "null": "Null",
}
_FOUND_NAMES: dict[type, str] = {
    str: "String",
    bool: "Boolean",
    int: "Long",
    float: "Double",
    dict: "JSONObject",
    list: "JSONArray",
    type(None): "Null",
}


def message_of(code: str, details: dict[str, Any], error: jsonschema_rs.ValidationError) -> str:
    """Say in one line what is wrong; quotes at most 40 characters of the value."""
    value = error.instance
    limit = details.get("limit")
    if code == "type":
        expected = " or ".join(sorted(_TYPE_NAMES.get(name, name) for name in details.get("types", ())))
        found = _FOUND_NAMES.get(type(value), type(value).__name__)
        text = f"expected type: {expected}, found: {found}"
    elif code == "required":
        text = f"required key [{details.get('property')}] not found"
    elif code == "enum":
        text = f"{_quote(value)} is not a valid enum value: expected {_one_of(details.get('options', ()))}"
    elif code == "format":
        text = f"[{_quote(value)}] is not a valid {details.get('format')}"
    elif code == "pattern":
        text = f"string [{_quote(value)}] does not match pattern {details.get('pattern')}"
    elif code in ("minLength", "maxLength"):
        text = f"expected {code}: {limit}, actual: {_length(value)}"
    elif code == "minItems":
        text = f"expected minimum item count: {limit}, found: {_length(value)}"
    elif code == "maxItems":
        text = f"expected maximum item count: {limit}, found: {_length(value)}"
    elif code == "minProperties":
        text = f"expected minimum property count: {limit}, found: {_length(value)}"
    elif code == "maxProperties":
        text = f"expected maximum property count: {limit}, found: {_length(value)}"
    elif code == "minimum":
        text = f"{_quote(value)} is not greater or equal to {limit}"
    elif code == "maximum":
        text = f"{_quote(value)} is not less or equal to {limit}"
    else:
        text = error.message
    return shorten(text)


def _one_of(values: Sequence[Any]) -> str:
    shown = ", ".join(_quote(each) for each in values[:_MAX_VALUES])
    more = len(values) - _MAX_VALUES
    return f"{'one of ' if len(values) > 1 else ''}{shown}{f' or {more} more' if more > 0 else ''}"


def _length(value: Any) -> int:
    return len(value)


def _quote(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return shorten(str(value), _MAX_QUOTED)
