"""Upserts: records that change or delete a profile, through a dataflow with a mapping.

(Streaming upserts, Data Prep: a message has `header` with `operations` and `body` with the raw attributes;
"all rows that use upserts must have a header". `operations.data` is `create`, `merge` or `delete`;
`operations.identity` may only be `create`, and then needs `identityDatasetId`.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from aep.formats.json import ParsedObject, ParseFailure, parse_object
from aep.ingestion.envelope import Destination
from aep.xdm.rejection import Rejection, XdmError, rejection

DATA_OPERATIONS = ("create", "merge", "delete")
OPERATION_KEYS = ("data", "identity", "identityDatasetId")
DELETE = {"data": "delete"}


def operations_fault(operations: Mapping[str, Any]) -> str | None:
    """Return what is wrong with `header.operations`, or None."""
    for key in operations:
        if key not in OPERATION_KEYS:
            return f"operations has an unknown key {key}: expected {', '.join(OPERATION_KEYS)}"
    data = operations.get("data", "create")
    if data not in DATA_OPERATIONS:
        return f"operations.data must be one of {', '.join(DATA_OPERATIONS)}"
    identity = operations.get("identity")
    if identity not in (None, "create"):
        return "operations.identity must be create: identities are neither updated nor removed"
    if identity == "create" and not operations.get("identityDatasetId"):
        return "operations.identity needs operations.identityDatasetId"
    return None


def check_operations(message: Mapping[str, Any]) -> Rejection | None:
    """Return what is wrong with a raw record that has `header.operations`, or None."""
    fault = operations_fault(operations_of(message) or {})
    if fault is None and not isinstance(message.get("body"), dict):
        fault = "a record with header.operations needs the object body"
    return rejection([XdmError("operations", "/header/operations", "", fault)]) if fault else None


def operations_of(message: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the record's `header.operations`; None when it has none, so that it is not an upsert."""
    header = message.get("header")
    operations = header.get("operations") if isinstance(header, dict) else None
    return operations if isinstance(operations, dict) else None


class UpsertEnvelope:
    """The parts around the raw attributes of an upsert with these operations; the same for all records."""

    def __init__(self, destination: Destination, operations: Mapping[str, str]):
        header: dict[str, Any] = {
            name: value
            for name, value in (
                ("flowId", destination.flow_id),
                ("imsOrgId", destination.org_id),
                ("datasetId", destination.dataset_id),
            )
            if value
        }
        header["operations"] = dict(operations)
        self._header = header
        self._prefix = b'{"header":%s,"body":' % orjson.dumps(header)

    def wrap(self, attributes: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        """Return the message of a record, parsed and as JSON."""
        return {"header": self._header, "body": attributes}, self._prefix + body + b"}"


def attributes_to_delete(key: bytes | None, key_field: str | None) -> ParsedObject | ParseFailure:
    """Return the attributes that a delete needs, from the key of a tombstone: they must hold the primary identity.

    Args:
        key: The record's key: the identity as text, or a JSON object of attributes.
        key_field: The attribute that a key of text becomes; None for keys that are JSON objects.
    """
    if not key:
        return ParseFailure("tombstone", "the record has neither a value nor a key that identifies what to delete")
    if key_field is None:
        parsed = parse_object(key)
        if isinstance(parsed, ParseFailure):
            return ParseFailure("tombstone", f"the key does not identify what to delete: {parsed.message}")
        return parsed
    try:
        attributes = {key_field: key.decode()}
    except UnicodeDecodeError:
        return ParseFailure("tombstone", "the key does not identify what to delete: it is not UTF-8 text")
    return ParsedObject(attributes, orjson.dumps(attributes))
