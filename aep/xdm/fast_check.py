"""A quick yes to most records that are valid XDM, so that the rules beyond the schema cost no pass of their own.

What the rules can refuse, and where, depends on the schema and on the rules alone. So it is written as JSON Schema and
compiled together with the schema: the library looks at a record once. That schema refuses more than the rules do, where
these cannot be said in it (an identity of blanks that are not ASCII, a timestamp that is not in UTC). Its yes is final,
and its no means only that the rules themselves must decide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from itertools import product
from typing import Any

from aep.xdm.identities import MAX_IDENTITIES, MAX_IDENTITY_LENGTH, IdentityField, is_ecid_namespace
from aep.xdm.merged_schema import merged
from aep.xdm.rules import DAY_SECONDS, XdmRules
from aep.xdm.schema import compile_schema

# Not blank: something printable of ASCII. Nor one of the blocked values, which are lower-case letters, 9 at most.
_NOT_BLANK = "[!-~]"
_ID = "[!-`{-~]|[a-z].{9}"
# Half an ECID, from 1 to 2^63 - 1: all but those with more leading zeros, or next to the largest.
_HALF = "(?:[1-8][0-9]{18}|9[01][0-9]{17}|92[01][0-9]{16}|922[0-2][0-9]{15}|0[1-9][0-9]{17}|00[1-9][0-9]{16})"
_ECID = f"^{_HALF}{_HALF}$"
_ECID_NAMESPACES = ["".join(letters) for letters in product("eE", "cC", "iI", "dD")]
# Together no more identities than are allowed.
_MAX_NAMESPACES = 5
# Its first 19 characters are whole seconds of UTC, which sort like the times.
_UTC = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\\.[0-9]+)?(?:Z|[+-]00:00)$"
_SECONDS = 19


class FastCheck:
    """Says yes to records that are certainly valid; threads may share it.

    Args:
        hardened: The schema to validate with.
        is_event: Whether the age of records is checked.
        fields: The identity fields.
        wants_map: Whether `identityMap` must hold the primary identity.
        rules: What to ask of records beyond their schema.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        hardened: dict[str, Any],
        is_event: bool,
        fields: tuple[IdentityField, ...],
        wants_map: bool,
        rules: XdmRules,
        clock: Callable[[], float],
    ):
        schema = merged(hardened, _rules_schema(is_event, rules))
        for field in fields:
            schema = merged(schema, _field_schema(field))
        self._is_valid = compile_schema(schema).is_valid
        self._is_event = is_event
        self._fewest_primaries = int(wants_map)
        self._rules = rules
        self._clock = clock
        self._times = (-1, "", "")

    def __call__(self, entities: Sequence[dict[str, Any]]) -> list[bool]:
        """Return True only for records that neither their schema nor a rule refuses. Never raises.

        Together, since a call for each of them would take a tenth of the time.
        """
        try:
            valid = list(map(self._is_valid, entities))
        except (ValueError, TypeError, RecursionError):
            valid = list(map(self._is_valid_json, entities))
        if self._is_event:
            first, last = self._first_and_last()
            valid = [
                is_valid and first <= entity.get("timestamp", first)[:_SECONDS] <= last
                for is_valid, entity in zip(valid, entities, strict=True)
            ]
        fewest = self._fewest_primaries
        maps = [entity.get("identityMap", _NO_MAP) for entity in entities]
        return [
            is_valid and fewest <= [one.get("primary") for some in held.values() for one in some].count(True) <= 1
            for is_valid, held in zip(valid, maps, strict=True)
        ]

    def _is_valid_json(self, entity: dict[str, Any]) -> bool:
        try:
            return self._is_valid(entity)
        except (ValueError, TypeError, RecursionError):
            return False  # no JSON document holds it

    def _first_and_last(self) -> tuple[str, str]:
        """Return the first and the last whole second that an event may be of now."""
        now, times = int(self._clock()), self._times
        if times[0] != now:
            times = self._times = (now, *_times(now, self._rules))  # another thread may look at another second
        return times[1:]


_NO_MAP: dict[str, list[Any]] = {}


def _rules_schema(is_event: bool, rules: XdmRules) -> dict[str, Any]:
    properties: dict[str, Any] = {"_id": {"type": "string", "pattern": _NOT_BLANK}}
    if is_event:
        properties["timestamp"] = {"type": "string", "pattern": _UTC}
    identity_map: dict[str, Any] = {"type": "object", "maxProperties": _MAX_NAMESPACES}
    if rules.namespaces:
        # In the letters in which the rules have them; others are rare.
        identity_map["properties"] = {name: _identities(is_ecid_namespace(name)) for name in rules.namespaces}
        identity_map["additionalProperties"] = False
    else:
        identity_map["properties"] = {name: _identities(is_ecid=True) for name in _ECID_NAMESPACES}
        identity_map["additionalProperties"] = _identities(is_ecid=False)
    return {"type": "object", "properties": {**properties, "identityMap": identity_map}}


def _identities(is_ecid: bool) -> dict[str, Any]:
    properties = {"id": _identity(is_ecid), "primary": {"type": "boolean"}}
    item = {"type": "object", "properties": properties, "required": ["id"]}
    return {"type": "array", "items": item, "maxItems": MAX_IDENTITIES // _MAX_NAMESPACES}


def _identity(is_ecid: bool) -> dict[str, Any]:
    return {"type": "string", "pattern": _ECID if is_ecid else _ID, "maxLength": MAX_IDENTITY_LENGTH}


def _field_schema(field: IdentityField) -> dict[str, Any]:
    """Return a schema for the objects on the way to an identity field; one in an array is left to the rules."""
    schema = _identity(field.is_ecid)
    for step in reversed(field.steps):
        schema = {"type": "object", "properties": {step: schema}}
        if field.required:
            schema["required"] = [step]
    return schema


def _times(now: int, rules: XdmRules) -> tuple[str, str]:
    """Return the first and the last whole second that an event may be of during the second `now`."""
    last = _text(math.floor(now + rules.max_future_seconds))
    if rules.max_age_days is None:
        return "", last
    return _text(math.ceil(now + 1 - rules.max_age_days * DAY_SECONDS)), last


def _text(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat()[:_SECONDS]
    except (ValueError, OverflowError, OSError):  # beyond the years of four digits
        return "" if seconds < 0 else "9999-12-31T23:59:59"
