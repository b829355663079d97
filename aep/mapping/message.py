"""Ready-made envelopes: records that are XDM messages already, with header and body."""

from __future__ import annotations

from typing import Any

from aep.ingestion.envelope import Destination
from aep.xdm.rejection import Rejection, XdmError, rejection


def unwrap(message: dict[str, Any], destination: Destination) -> dict[str, Any] | Rejection:
    """Return the `xdmEntity` of a message whose envelope fits the destination, or the reason AEP would reject it.

    (Streaming Ingestion API, message format: `header` and `body` are required; the schemas of header, `xdmMeta`
    and dataset must be the same; `imsOrgId`, where given, must be the inlet's.)
    """
    header, body = message.get("header"), message.get("body")
    if not isinstance(header, dict) or not isinstance(body, dict):
        return _refuse("envelope", "", "a message needs the objects header and body")
    entity, meta = body.get("xdmEntity"), body.get("xdmMeta")
    if not isinstance(entity, dict):
        return _refuse("envelope", "/body/xdmEntity", "a message needs the object body.xdmEntity")
    in_header = _schema_ref(header)
    if not in_header[0]:
        return _refuse("schema_ref", "/header/schemaRef", "a message needs header.schemaRef with id and contentType")
    if in_header != _schema_ref(meta if isinstance(meta, dict) else {}):
        return _refuse("schema_ref", "/body/xdmMeta/schemaRef", "header.schemaRef and body.xdmMeta.schemaRef differ")
    version = _version(destination.content_type)
    if destination.schema_id and in_header != (destination.schema_id, version):
        words = f"the route's schema is {destination.schema_id}, version {version}"
        return _refuse("schema_ref", "/header/schemaRef", words)
    for name, expected, code in (
        ("datasetId", destination.dataset_id, "dataset"),
        ("imsOrgId", destination.org_id, "org"),
    ):
        given = header.get(name)
        if expected and given != expected and (given is not None or name == "datasetId"):
            return _refuse(code, f"/header/{name}", f"the route's {name} is {expected}")
    return entity


def _schema_ref(holder: dict[str, Any]) -> tuple[str, str]:
    """Return schema id and major version, both empty unless the reference has an id and a content type."""
    reference = holder.get("schemaRef")
    if not isinstance(reference, dict):
        return "", ""
    schema_id, content_type = reference.get("id"), reference.get("contentType")
    if not isinstance(schema_id, str) or not isinstance(content_type, str):
        return "", ""
    return schema_id, _version(content_type)


def _version(content_type: str) -> str:
    """Return the major version: Adobe's documents write it as `;version=1`, `; version=1.0` and `;1`."""
    return content_type.partition(";")[2].strip().removeprefix("version=").partition(".")[0]


def _refuse(code: str, pointer: str, message: str) -> Rejection:
    return rejection([XdmError(code, pointer, "", message)])
