"""Whom a record is about: the identity descriptors of a schema, and the values that Identity Service takes. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from aep.xdm.pointers import follow, pointer, steps_of
from aep.xdm.rejection import XdmError

IDENTITY = "xdm:descriptorIdentity"
FILE_FORM = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
"""How a schema is written to a file, for people and version control."""

# Identity Service guardrails: 20 identities per record, an ECID of 38 digits, other values up to 1,024 characters.
MAX_IDENTITIES = 20
MAX_IDENTITY_LENGTH = 1024
ECID_LENGTH = 38
# "Identity values cannot be ..." (Identity Service guardrails, identity value validation), in these letters.
BLOCKED_VALUES = frozenset({"null", "anonymous", "invalid"})

# An ECID is two positive 64-bit integers of 19 digits each (Adobe's knowledge base, error UPLIB-101003-400). Digits of
# the same number compare as text does.
_HALF = ECID_LENGTH // 2
_LARGEST_HALF = str(2**63 - 1)
_ZERO = "0" * _HALF
# The id of a namespace may stand for its code (Privacy Service API guide, appendix); only ECID has rules of its own.
_ECID_ID = "4"
_TELLING = ("@type", "xdm:sourceProperty", "@id")  # what tells one descriptor from another


class Identity(NamedTuple):
    """An identity of a schema, as its descriptor tells.

    Attributes:
        pointer: JSON pointer of the field.
        namespace: code or id of its namespace.
        primary: whether it says whom a record is about.
    """

    pointer: str
    namespace: str
    primary: bool


def identities(schema: Mapping[str, Any]) -> list[Identity]:
    """The identities in `meta:descriptors`, as `xed-full-desc` returns them; the primary one first.

    One of a field that the schema does not have, since it was taken out again or stands in an array, is left out: no
    record could have it.
    """
    descriptors = schema.get("meta:descriptors")
    found = [
        Identity(str(each["xdm:sourceProperty"]), _namespace(each), bool(each.get("xdm:isPrimary")))
        for each in (descriptors if isinstance(descriptors, list) else ())
        if isinstance(each, dict) and each.get("@type") == IDENTITY and each.get("xdm:sourceProperty")
    ]
    there = [each for each in found if _leads(schema, steps_of(each.pointer))]
    return sorted(there, key=lambda each: not each.primary)


def _leads(node: Any, steps: Sequence[str]) -> bool:
    """Whether names lead to a field, through objects; one that declares no fields may have any."""
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
    """The descriptor that makes a field of a schema an identity (Descriptors endpoint).

    Args:
        schema_id: `$id`.
        place: JSON pointer of the field, such as `/workEmail/address`.
        namespace: its code, such as `Email`.
        primary: whether it says whom a record is about; a schema has one such identity at most.
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
    """A resolved schema as a file, with descriptors as `xed-full-desc` returns them, in an order that stays."""
    ordered = sorted(descriptors, key=lambda each: [str(each.get(name, "")) for name in _TELLING])
    return orjson.dumps({**schema, "meta:descriptors": ordered}, option=FILE_FORM)


class IdentityField(NamedTuple):
    """A field whose value is an identity, made ready for many records.

    Attributes:
        pointer: JSON pointer of the field.
        steps: the names and indices that lead to it.
        is_ecid: whether its value is an ECID.
        required: whether it must be filled in, as the primary identity must.
    """

    pointer: str
    steps: tuple[str, ...]
    is_ecid: bool
    required: bool


def identity_fields(described: Sequence[Identity], primary: Sequence[str]) -> tuple[IdentityField, ...]:
    """The fields to look at in each record.

    Args:
        described: the identities of the schema.
        primary: JSON pointers of the primary identity, in place of the schema's; empty leaves it to the schema.
    """
    named = [Identity(place, "", True) for place in primary]
    fields = {each.pointer: each for each in [*named, *described]}  # a descriptor knows the namespace
    wanted = set(primary) or {each.pointer for each in described if each.primary}
    return tuple(
        IdentityField(place, tuple(steps_of(place)), _is_ecid_namespace(each.namespace), place in wanted)
        for place, each in fields.items()
    )


def check_identity_fields(entity: dict[str, Any], fields: Sequence[IdentityField]) -> list[XdmError]:
    """Find fields of identity descriptors with values that Identity Service blocks or skips.

    A field marked as primary identity becomes mandatory (Streaming record data tutorial); others may be left out.
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
    """Find identities of `identityMap` that Identity Service would block or skip (its guardrails) or Profile refuse.

    Args:
        entity: the record; a schema without `identityMap` lets anything stand in its place.
        namespaces: the allowed ones in lower case; empty allows all.
        wanted: whether the record must have an identity, of which one is primary (Schema composition).
    """
    errors: list[XdmError] = []
    count = primaries = filled = filled_primaries = 0
    identity_map = entity.get("identityMap")
    for namespace, items in identity_map.items() if isinstance(identity_map, dict) else ():
        if not isinstance(namespace, str) or not isinstance(items, list):
            continue
        if namespaces and namespace.lower() not in namespaces:
            message = "this identity namespace is not among those allowed"
            errors.append(XdmError("unknown_namespace", pointer(["identityMap", namespace]), "", message))
        is_ecid = _is_ecid_namespace(namespace)
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
        message = f"{primaries} identities are marked as primary, exactly one may be"
        errors.append(XdmError("many_primary", "/identityMap", "", message))
    if wanted and not filled:
        errors.append(XdmError("no_identity", "", "", "the record has no identity; identityMap must hold one"))
    elif wanted and not filled_primaries:
        message = "no identity of identityMap is marked as primary"
        errors.append(XdmError("primary_identity_missing", "/identityMap", "", message))
    return errors


def _is_ecid_namespace(namespace: str) -> bool:
    return namespace.lower() == "ecid"


def _value_fault(value: Any, is_ecid: bool) -> tuple[str, str] | None:
    """Code and message of what keeps a value from being an identity."""
    if not isinstance(value, str) or not value.strip():
        return "empty_identity", "the identity has no id"
    if is_ecid:
        return None if _is_ecid(value) else ("ecid", _ECID_MESSAGE)
    if value in BLOCKED_VALUES:
        return "blocked_identity", f'Identity Service blocks identities with the value "{value}"'
    if len(value) > MAX_IDENTITY_LENGTH:
        return "identity_too_long", f"{len(value):,} characters, at most {MAX_IDENTITY_LENGTH:,} are allowed"
    return None


_ECID_MESSAGE = f"an ECID is {ECID_LENGTH} digits, two numbers of {_HALF} from 1 to {_LARGEST_HALF}; this one is not"


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
