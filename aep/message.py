"""Ready-made envelopes: records that are XDM messages already, with header and body."""

from __future__ import annotations

from typing import Any

from aep.streaming import Destination
from aep.xdm.rejection import Rejection, XdmError, rejection


def unwrap(message: dict[str, Any], destination: Destination) -> dict[str, Any] | Rejection:
    """The ``xdmEntity`` of a message whose envelope fits the destination, or what AEP's edge would refuse it for.

    (Streaming Ingestion API, message format: ``header`` and ``body`` are required; the schemas of header, ``xdmMeta``
    and data set must be the same; ``imsOrgId``, where given, must be the inlet's.)
    """
    header, body = message.get("header"), message.get("body")
    if not isinstance(header, dict) or not isinstance(body, dict):
        return _refuse("envelope", "", "a message needs the objects header and body")
    entity, meta = body.get("xdmEntity"), body.get("xdmMeta")
    if not isinstance(entity, dict):
        return _refuse("envelope", "/body/xdmEntity", "a message needs the object body.xdmEntity")
    in_header = _schema_ref(header)
    if not in_header[0] or in_header != _schema_ref(meta if isinstance(meta, dict) else {}):
        return _refuse("schema_ref", "/body/xdmMeta/schemaRef", "header.schemaRef and body.xdmMeta.schemaRef differ")
    if destination.schema_id and in_header != (destination.schema_id, _version(destination.content_type)):
        return _refuse("schema_ref", "/header/schemaRef", f"the route's schema is {destination.schema_id}")
    for name, expected, code in (
        ("datasetId", destination.dataset_id, "dataset"),
        ("imsOrgId", destination.org_id, "org"),
    ):
        given = header.get(name)
        if expected and given != expected and (given is not None or name == "datasetId"):
            return _refuse(code, f"/header/{name}", f"the route's {name} is {expected}")
    return entity


def _schema_ref(holder: dict[str, Any]) -> tuple[str, str]:
    """Schema id and major version; Adobe's documents write the latter as ``version=1`` and as ``version=1.0``."""
    reference = holder.get("schemaRef")
    if not isinstance(reference, dict):
        return "", ""
    return str(reference.get("id", "")), _version(str(reference.get("contentType", "")))


def _version(content_type: str) -> str:
    return content_type.partition("version=")[2].strip().partition(".")[0]


def _refuse(code: str, pointer: str, message: str) -> Rejection:
    return rejection([XdmError(code, pointer, "", message)])
