"""Failed messages in the forms that failed batches show them in. Pure functions.

Source of the shape: "Retrieving failed batches". Adobe does not publish the DCVS codes; those of patterns, types and
missing fields were seen in failed batches by others, the one of formats is from their notes, and what has no known
code gets DCVS-1101, whose text names no kind of error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from emulator.state.inlets import Inlet
from emulator.state.schemas import Schema
from emulator.state.store import PendingMessage

_CODES = {
    "pattern": ("DCVS-1103-400", " due to the pattern mismatch error"),
    "type": ("DCVS-1104-400", " due to the data type error"),
    "format": ("DCVS-1105-400", " due to the format error"),
    "required": ("DCVS-1106-400", " because a required property is missing"),
}
_OTHER = ("DCVS-1101-400", "")
_MISSING = frozenset(["required", "primary_identity_missing"])


def violations(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if not report["causingExceptions"]:
        yield report
    for each in report["causingExceptions"]:
        yield from violations(each)


def dcvs_errors(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the violations of a report as (code, text)."""
    found = []
    for each in violations(report):
        code, cause = _CODES.get(each.get("keyword", ""), _OTHER)
        text = f"The message cannot be validated{cause}: {each['pointerToViolation']}: {each['message']}."
        found.append((code, text))
    return found


def without_required(report: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a report without the fields that are missing, which a partial update may leave out."""
    if report is None:
        return None
    left = [each for each in violations(report) if each.get("keyword") not in _MISSING]
    if not left:
        return None
    return left[0] if len(left) == 1 else {**report, "causingExceptions": left}


def failed_record(
    sent: dict[str, Any], report: dict[str, Any], message: PendingMessage, inlet: Inlet, schema: Schema | None
) -> bytes:
    """Return a line of a failed batch: the message as it was sent, as far as it was kept, with its errors."""
    errors = [{"code": code, "message": text} for code, text in dcvs_errors(report)]
    body: dict[str, Any] = sent
    if inlet.data_type == "xdm":
        reference = None
        if schema is not None:
            content_type = f"application/vnd.adobe.xed-full+json;version={schema.major}"
            reference = {"schemaRef": {"id": schema.id, "contentType": content_type}}
        header = {
            **(reference or {}),
            "imsOrgId": inlet.org_id,
            "datasetId": message.dataset_id,
            **({"flowId": message.flow_id} if message.flow_id else {}),
            "createdAt": message.received_ms,
            "xactionId": message.xaction_id,
        }
        entity = orjson.Fragment(message.entity)  # `sent` may be as deep as can be written without an envelope
        body = {"header": header, "body": {"xdmMeta": reference or {}, "xdmEntity": entity}}
    return orjson.dumps({**body, "_errors": {"_streamingValidation": errors}})
