"""Identities: the identity descriptors of a schema, and the rules of Identity Service for values. Pure functions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from aep.xdm.pointers import follow, is_pointer, pointer, steps_of
from aep.xdm.rejection import XdmError

IDENTITY = "xdm:descriptorIdentity"
FILE_FORM = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
"""JSON options of schema files: indented, so that version control shows useful differences."""

# Identity Service guardrails.
MAX_IDENTITIES = 20
MAX_IDENTITY_LENGTH = 1024
ECID_LENGTH = 38
# Identity Service guardrails, "Identity value validation": exactly these, in lower case.
BLOCKED_VALUES = frozenset({"null", "anonymous", "invalid"})

# An ECID is two positive 64-bit integers, each padded to 19 digits (Adobe knowledge base, error UPLIB-101003-400).
# Strings of the same length compare like the numbers.
_HALF = ECID_LENGTH // 2
_LARGEST_HALF = str(2**63 - 1)
_ZERO = "0" * _HALF
# Descriptors may give the numeric id of a namespace (Privacy Service API guide, appendix); only ECID has its own rules.
_ECID_ID = "4"
_SORT_KEYS = ("@type", "xdm:sourceProperty", "@id")


class Identity(NamedTuple):
    """An identity field of a schema, from its descriptor.

    Attributes:
        pointer: JSON pointer of the field.
        namespace: Code or id of its namespace.
        primary: Whether it is the primary identity.
    """

    pointer: str
    namespace: str
    primary: bool


def identities(schema: Mapping[str, Any]) -> list[Identity]:
    """Read the identities in `meta:descriptors`, as `xed-full-desc` returns them; the primary one comes first.

    Descriptors of fields that the schema does not have (removed later, or inside arrays) are left out: no record could
    satisfy them.
    """
    descriptors = schema.get("meta:descriptors")
    found = [
        Identity(str(each["xdm:sourceProperty"]), _namespace(each), bool(each.get("xdm:isPrimary")))
        for each in (descriptors if isinstance(descriptors, list) else ())
        if isinstance(each, dict) and each.get("@type") == IDENTITY and each.get("xdm:sourceProperty")
    ]
    there = [each for each in found if _leads(schema, steps_of(each.pointer))]
    return sorted(there, key=lambda each: not each.primary)


def descriptor_fault(schema: Mapping[str, Any]) -> str | None:
    """Say what is wrong with `meta:descriptors` that were not written by a registry; None where nothing is."""
    descriptors = schema.get("meta:descriptors")
    if descriptors is not None and not isinstance(descriptors, list):
        return "meta:descriptors must be a list, as the Schema Registry returns it for xed-full-desc"
    for each in descriptors or ():
        if isinstance(each, dict) and each.get("@type") == IDENTITY:
            place = each.get("xdm:sourceProperty")
            if not (isinstance(place, str) and place and is_pointer(place)):
                expected = "xdm:sourceProperty must be a JSON pointer, such as /_acme/memberId"
                return f"meta:descriptors: {expected}, not {place!r}"
    return None


def _leads(node: Any, steps: Sequence[str]) -> bool:
    """Return whether a path exists in a schema; an object that declares no fields accepts any."""
    for step in steps:
        fields = node.get("properties") if isinstance(node, Mapping) else None
        if not isinstance(fields, Mapping):
            return isinstance(node, Mapping) and node.get("type", "object") == "object"
        node = fields.get(step)
    return node is not None


def _namespace(descriptor: Mapping[str, Any]) -> str:
    namespace = str(descriptor.get("xdm:namespace", ""))
    return "ECID" if descriptor.get("xdm:property") == "xdm:id" and namespace == _ECID_ID else namespace


def identity_descriptor(schema_id: str, place: str, namespace: str, primary: bool) -> dict[str, Any]:
    """Return the descriptor that makes a field of a schema an identity (Descriptors endpoint).

    Args:
        schema_id: `$id`.
        place: JSON pointer of the field, such as `/workEmail/address`.
        namespace: Its code, such as `Email`.
        primary: Whether it is the primary identity; a schema has at most one.
    """
    return {
        "@type": IDENTITY,
        "xdm:sourceSchema": schema_id,
        "xdm:sourceVersion": 1,
        "xdm:sourceProperty": place,
        "xdm:namespace": namespace,
        "xdm:property": "xdm:code",
        "xdm:isPrimary": primary,
    }


def with_descriptors(schema: Mapping[str, Any], descriptors: Iterable[Mapping[str, Any]]) -> bytes:
    """Serialise a resolved schema with its descriptors, as `xed-full-desc` returns them, in a stable order."""
    ordered = sorted(descriptors, key=lambda each: [str(each.get(name, "")) for name in _SORT_KEYS])
    return orjson.dumps({**schema, "meta:descriptors": ordered}, option=FILE_FORM)


class IdentityField(NamedTuple):
    """An identity field, precompiled for checking many records.

    Attributes:
        pointer: JSON pointer of the field.
        steps: The names and indices that lead to it.
        is_ecid: Whether its values are ECIDs.
        required: Whether it must be filled in; true for the primary identity.
    """

    pointer: str
    steps: tuple[str, ...]
    is_ecid: bool
    required: bool


def identity_fields(described: Sequence[Identity], primary: Sequence[str]) -> tuple[IdentityField, ...]:
    """Compile the identity fields of a schema.

    Args:
        described: The identities of the schema.
        primary: JSON pointers that replace the schema's primary identity; empty keeps it.
    """
    named = [Identity(place, "", True) for place in primary]
    fields = {
        each.pointer: each for each in [*named, *described]
    }  # the descriptor of the same field knows its namespace
    wanted = set(primary) or {each.pointer for each in described if each.primary}
    return tuple(
        IdentityField(place, tuple(steps_of(place)), is_ecid_namespace(each.namespace), place in wanted)
        for place, each in fields.items()
    )


def check_identity_fields(entity: dict[str, Any], fields: Sequence[IdentityField]) -> list[XdmError]:
    """Check identity fields: values that Identity Service blocks or skips, and a missing primary identity.

    A field marked as primary identity becomes mandatory ("Ingest streaming record data"); the others are optional.
    """
    errors: list[XdmError] = []
    for field in fields:
        value = follow(entity, field.steps)
        if field.required and not _is_filled(value):
            message = "the primary identity is missing or empty"
            errors.append(XdmError("primary_identity_missing", field.pointer, "", message))
        elif isinstance(value, str) and (fault := _value_fault(value, field.is_ecid)):
            errors.append(XdmError(fault[0], field.pointer, "", fault[1]))
    return errors


def check_identity_map(entity: dict[str, Any], namespaces: frozenset[str], wanted: bool) -> list[XdmError]:
    """Check `identityMap` for identities that Identity Service blocks or skips, or that Profile refuses.

    Args:
        entity: The record. `identityMap` may hold anything if the schema does not declare it.
        namespaces: The allowed ones in lower case; empty allows all.
        wanted: Whether the record must have an identity, of which one is primary (Schema composition).
    """
    errors: list[XdmError] = []
    count = primaries = filled = filled_primaries = 0
    identity_map = entity.get("identityMap")
    for namespace, items in identity_map.items() if isinstance(identity_map, dict) else ():
        if not isinstance(namespace, str) or not isinstance(items, list):
            continue
        if namespaces and namespace.lower() not in namespaces:
            message = "this identity namespace is not allowed"
            errors.append(XdmError("unknown_namespace", pointer(["identityMap", namespace]), "", message))
        is_ecid = is_ecid_namespace(namespace)
        for index, item in enumerate(items):
            if not isinstance(item, dict):
                continue
            count += 1
            value, primary = item.get("id"), item.get("primary") is True
            primaries += primary
            if fault := _value_fault(value, is_ecid):
                errors.append(XdmError(fault[0], pointer(["identityMap", namespace, index, "id"]), "", fault[1]))
            if _is_filled(value):
                filled += 1
                filled_primaries += primary
    if count > MAX_IDENTITIES:
        message = f"{count} identities, at most {MAX_IDENTITIES} are allowed"
        errors.append(XdmError("too_many_identities", "/identityMap", "", message))
    if primaries > 1:
        message = f"{primaries} identities are marked as primary, exactly one must be"
        errors.append(XdmError("many_primary", "/identityMap", "", message))
    if wanted and not filled:
        errors.append(XdmError("no_identity", "", "", "the record has no identity; identityMap must hold one"))
    elif wanted and not filled_primaries:
        message = "no identity of identityMap is marked as primary"
        errors.append(XdmError("primary_identity_missing", "/identityMap", "", message))
    return errors


def is_ecid_namespace(namespace: str) -> bool:
    """Return whether identities of the namespace are ECIDs."""
    return namespace.lower() == "ecid"


def _value_fault(value: Any, is_ecid: bool) -> tuple[str, str] | None:
    """Return code and message if a value is not accepted as an identity."""
    if not isinstance(value, str) or not value.strip():
        return "empty_identity", "the identity has no id"
    if is_ecid:
        return None if _is_ecid(value) else ("ecid", _ECID_MESSAGE)
    if value in BLOCKED_VALUES:
        return "blocked_identity", f'Identity Service blocks identities with the value "{value}"'
    if len(value) > MAX_IDENTITY_LENGTH:
        return "identity_too_long", f"{len(value):,} characters, at most {MAX_IDENTITY_LENGTH:,} are allowed"
    return None


_ECID_MESSAGE = f"not a valid ECID: expected {ECID_LENGTH} digits, two {_HALF}-digit numbers from 1 to {_LARGEST_HALF}"


def _is_ecid(value: str) -> bool:
    return (
        len(value) == ECID_LENGTH
        and value.isascii()
        and value.isdigit()
        and _ZERO < value[:_HALF] <= _LARGEST_HALF
        and _ZERO < value[_HALF:] <= _LARGEST_HALF
    )


def _is_filled(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value.strip())
    return isinstance(value, int) and not isinstance(value, bool)
