"""Decide whether a record is valid XDM, and say why it is not."""

import threading
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any

import jsonschema_rs
import orjson

from aep.xdm.fast_check import FastCheck
from aep.xdm.formats import FORMAT_OF, LIBRARY_NAMES
from aep.xdm.harden import harden
from aep.xdm.identities import check_identity_fields, check_identity_map, identity_fields
from aep.xdm.pointers import pointer
from aep.xdm.rejection import Rejection, XdmError, rejection, shorten
from aep.xdm.rules import (
    XdmRules,
    check_id,
    check_size,
    check_timestamp,
    prune_nulls,
)
from aep.xdm.schema import ResolvedSchema, compile_schema
from aep.xdm.wording import message_of

__all__ = ["Rejection", "XdmError", "XdmRules", "XdmValidator", "prune_nulls", "validator_for"]

# Root names that begin like a tenant namespace and are Adobe's own.
_ADOBE_NAMESPACES = frozenset({"_id", "_type", "_repo", "_experience"})

_FORMATS = {theirs: name for name, theirs in LIBRARY_NAMES.items()}


class XdmValidator:
    """Checks records against one schema and the rules beyond it.

    Cannot be pickled: send the `ResolvedSchema` and build it where it is used, which takes milliseconds.
    Threads may share it.

    Args:
        schema: The schema of the records.
        rules: What else to ask.
        clock: Seconds since 1970, for the age of events.

    Attributes:
        surely_fit: Says yes only to records that `check` accepts, and to most of these, in half the time.
        max_bytes: Most bytes of a record.
    """

    def __init__(self, schema: ResolvedSchema, rules: XdmRules, clock: Callable[[], float] = time.time) -> None:
        self.schema = schema
        self.rules = rules
        self._clock = clock
        self.max_bytes = rules.max_event_bytes if schema.is_event else rules.max_record_bytes
        self._namespaces = frozenset(name.lower() for name in rules.namespaces)
        self._identity_fields = identity_fields(schema.identities, rules.primary_identity)
        has_primary = any(field.required for field in self._identity_fields)
        self._wants_map = rules.identity == "required" and not has_primary
        self._tenant = schema.tenant
        self._hardened = harden(
            orjson.loads(schema.document),
            unknown_fields=rules.unknown_fields,
            integer_ranges=rules.integer_ranges,
        )
        self.surely_fit = FastCheck(
            self._hardened, schema.is_event, self._identity_fields, self._wants_map, rules, clock
        )

    def check(self, entity: dict[str, Any], size: int | None = None) -> Rejection | None:
        """Return what is wrong with a record, or None. Never raises.

        Args:
            entity: The record, the `xdmEntity` of a message.
            size: Bytes of the serialised entity; None leaves the size unchecked.
        """
        small = size is None or size <= self.max_bytes
        return None if small and all(self.surely_fit([entity])) else self.check_by_rules(entity, size)

    def check_by_rules(self, entity: dict[str, Any], size: int | None = None) -> Rejection | None:
        """Return what `check` does, for a record that `surely_fit` has not said yes to."""
        if size is not None and (too_large := check_size(size, self.max_bytes)):
            return rejection([too_large])
        try:
            valid = self._validator.is_valid(entity)
            errors = self._rule_errors(entity) if valid else self._schema_errors(entity)
        except (ValueError, TypeError, RecursionError) as error:
            # The library gives up on what no JSON document holds, and while reporting on deep nesting.
            deep = "recursion" in str(error).lower()
            errors = [XdmError("too_deep" if deep else "json", "", "", shorten(str(error)))]
        return rejection(errors) if errors else None

    @cached_property
    def _validator(self) -> jsonschema_rs.Draft4Validator:
        return compile_schema(self._hardened)

    def _schema_errors(self, entity: dict[str, Any]) -> list[XdmError]:
        errors: dict[XdmError, None] = {}  # keeps the order and drops an error found by format and by pattern
        for error in sorted(self._validator.iter_errors(entity), key=_place):
            for found in self._translate(error):
                errors[found] = None
        return list(errors) or [XdmError("schema", "", "", "the record does not match the schema")]

    def _translate(self, error: jsonschema_rs.ValidationError) -> list[XdmError]:
        """Put an error of the library in Platform's words; unknown fields make one error each."""
        code = error.kind.name
        details = error.kind.as_dict()
        place = pointer(error.instance_path)
        schema_path = list(error.schema_path)
        if code == "additionalProperties":
            return [self._unknown_field(name, place, pointer(schema_path)) for name in details.get("unexpected", ())]
        if code == "pattern" and details.get("pattern") in FORMAT_OF:
            code = "format"
            details = {"format": FORMAT_OF[details["pattern"]]}
            schema_path = [*schema_path[: -3 if schema_path[-3:-2] == ["allOf"] else -1], "format"]
        elif code == "format":
            details = {"format": _FORMATS.get(str(details.get("format")), details.get("format"))}
        return [XdmError(code, place, pointer(schema_path), message_of(code, details, error))]

    def _unknown_field(self, name: str, place: str, schema_pointer: str) -> XdmError:
        foreign = not place and name.startswith("_") and name not in _ADOBE_NAMESPACES
        if foreign and self._tenant and name != self._tenant:
            message = f"[{name}] is not the tenant namespace of this schema, [{self._tenant}]"
            return XdmError("wrong_tenant", place, schema_pointer, shorten(message))
        message = f"extraneous key [{name}] is not permitted"
        return XdmError("additionalProperties", place, schema_pointer, shorten(message))

    def _rule_errors(self, entity: dict[str, Any]) -> list[XdmError]:
        rules = self.rules
        errors: list[XdmError] = []
        if error := check_id(entity):
            errors.append(error)
        if self.schema.is_event and (
            error := check_timestamp(entity, self._clock(), rules.max_future_seconds, rules.max_age_days)
        ):
            errors.append(error)
        if self._wants_map or "identityMap" in entity:
            errors.extend(check_identity_map(entity, self._namespaces, self._wants_map))
        if self._identity_fields:
            errors.extend(check_identity_fields(entity, self._identity_fields))
        return errors


def _place(error: jsonschema_rs.ValidationError) -> tuple[list[tuple[int, str]], int, str]:
    """Order errors by their place in the record, and at one place by how basic they are."""
    path = [(step, "") if isinstance(step, int) else (-1, step) for step in error.instance_path]
    return path, {"type": 0, "required": 1}.get(error.kind.name, 2), error.kind.name


_validators: dict[tuple[str, XdmRules], XdmValidator] = {}
_lock = threading.Lock()


def validator_for(schema: ResolvedSchema, rules: XdmRules) -> XdmValidator:
    """Return this process's validator for a schema and rules, built at the first call."""
    key = (schema.sha256, rules)
    validator = _validators.get(key)
    if validator is None:
        with _lock:
            validator = _validators.get(key)
            if validator is None:
                validator = _validators[key] = XdmValidator(schema, rules)
    return validator
