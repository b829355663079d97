"""What records for AEP look like that are not in the form that was asked for, and what to change."""

from __future__ import annotations

from typing import Any

from aep.xdm.spelling import is_message, spelling_hints
from transforms.aep.inlet import as_inlet
from transforms.records.route import Route


def hints(entity: dict[str, Any], route: Route) -> list[str]:
    """Return what may be wrong with a record, given as it was parsed, that its route refused by its schema."""
    payload = as_inlet(route.destination).payload
    if payload == "entity" and is_message(entity):
        return ["this is a whole message (header and body.xdmEntity): give its route `payload: message` (xdm_payload)"]
    if payload == "message" and not is_message(entity):
        return [
            "this is not a whole message (header and body.xdmEntity): give its route `payload: entity` (xdm_payload)"
        ]
    inner = entity["body"]["xdmEntity"] if payload == "message" else entity
    return spelling_hints(inner, route.schema.tenant if route.schema else None) if isinstance(inner, dict) else []
