"""The checks that the collection service makes on one message before it accepts it. Pure functions.

Sources: "Streaming Ingestion API" (required fields), "Sending multiple messages in a single HTTP request" (texts,
`imsOrgId` may be absent), "Retrieving failed batches" (missing xdmEntity). Adobe publishes no text for a wrong
`datasetId`, nor for a missing `body`: those two are ours, made after their neighbours.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

from emulator.state.inlets import Inlet

_CONTENT_TYPE = re.compile(r"application/vnd\.adobe\.xed(-[a-z]+)*\+json\s*(;\s*(version=)?(?P<major>\d+)(\.\d+)*)?\s*")


class Envelope(NamedTuple):
    """What a message that passed the checks carries."""

    entity: dict[str, Any]
    dataset_id: str | None
    flow_id: str | None


class Refusal(NamedTuple):
    """Why a message did not pass: the text of its 400, and the `cause` in the reply to a single message."""

    message: str
    cause: dict[str, Any] | None = None


def refusal(inlet: Inlet, text: str, cause: dict[str, Any] | None = None) -> Refusal:
    """Make a refusal that begins as Adobe's do, with the inlet and its organisation."""
    return Refusal(f"inletId: [{inlet.id}] imsOrgId: [{inlet.org_id}] {text}", cause)


@lru_cache(maxsize=1024)
def schema_major(content_type: str) -> str | None:
    """Return the major version that a `contentType` asks for, "" if it asks for none, None if it is not an XDM type.

    Lenient, since Adobe's own examples differ: with and without a blank, a minor version, `version=`, `-notext`.
    """
    match = _CONTENT_TYPE.fullmatch(content_type)
    return (match["major"] or "") if match else None


def check_xdm(message: object, inlet: Inlet) -> Envelope | Refusal:
    header = message.get("header") if isinstance(message, dict) else None
    if not isinstance(header, dict):
        return Refusal("The 'header' field is mandatory. Provide a valid 'header' value and try again.")
    assert isinstance(message, dict)
    body = message.get("body")
    if not isinstance(body, dict):
        return Refusal("The 'body' field is mandatory. Provide a valid 'body' value and try again.")
    if header.get("imsOrgId", inlet.org_id) != inlet.org_id:
        return refusal(inlet, "Message has an absent or wrong ims org in the header")

    meta = body.get("xdmMeta")
    in_header = _schema_ref(header)
    if in_header is None or in_header != _schema_ref(meta if isinstance(meta, dict) else {}):
        return refusal(inlet, "Message has unknown xdm format")
    dataset = inlet.datasets.get(str(header.get("datasetId")))
    if dataset is None:
        return refusal(inlet, "Message has an absent or wrong dataset in the header")
    schema_id, major = in_header
    if dataset.schema is not None and not dataset.schema.answers_to(schema_id, major):
        return refusal(inlet, "Message has unknown xdm format")
    entity = body.get("xdmEntity")
    if not isinstance(entity, dict):
        return refusal(inlet, "Payload body is missing xdmEntity")
    flow_id = header.get("flowId")
    return Envelope(entity, dataset.id, flow_id if isinstance(flow_id, str) else None)


def check_raw(message: object, inlet: Inlet, flow_id: str | None, dataset_id: str | None) -> Envelope | Refusal:
    """Check a raw message: a JSON object, whose dataflow is named by the request ("HTTP API connection").

    That a missing flow or a wrong dataset is a 400 of each message is our choice.
    """
    if not flow_id:
        return refusal(inlet, "Raw message without x-adobe-flow-id")
    if inlet.flows is not None:
        target = inlet.flows(flow_id)
        if target is None:
            return refusal(inlet, "Raw message with an unknown x-adobe-flow-id")
        dataset_id = target.dataset_id
    elif dataset_id is None:
        dataset_id = next(iter(inlet.datasets), None)
    elif dataset_id not in inlet.datasets:
        return refusal(inlet, "Message has an absent or wrong dataset in the header")
    if not isinstance(message, dict):
        return refusal(inlet, "Message is invalid")
    return Envelope(message, dataset_id, flow_id)


def _schema_ref(holder: dict[str, Any]) -> tuple[str, str] | None:
    """Return the id and major version that a `schemaRef` names, or None if it is missing or malformed."""
    ref = holder.get("schemaRef")
    if not isinstance(ref, dict):
        return None
    schema_id, content_type = ref.get("id"), ref.get("contentType")
    if not isinstance(schema_id, str) or not schema_id or not isinstance(content_type, str):
        return None
    major = schema_major(content_type)
    return None if major is None else (schema_id, major)
