"""The older API for streaming connections: `/data/core/edge/inlet`.

Source: "Getting started with streaming ingestion" of 2019, whose names the Postman collection for ISVs uses. It
does not print the status of a creation: 200 here.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timezone
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from emulator.api.flow_sources import inlet_url
from emulator.api.flows import Flows
from emulator.api.gateway import Call, Gateway
from emulator.api.problems import json_response
from emulator.state.errors import bad_request

BASE = "/data/core/edge/inlet"


class InletApi:
    """Inlets over HTTP."""

    def __init__(self, flows: Flows) -> None:
        self._flows = flows

    def routes(self, gateway: Gateway) -> list[Route]:
        return gateway.routes(
            BASE, [("GET", "", self._list), ("POST", "", self._create), ("GET", "/{id}", self._look_up)]
        )

    def _list(self, call: Call) -> Response:
        found = [_shown(call, each) for _, each in self._flows.older_inlets.of(call.org_id)]
        return json_response({"items": found, "total": len(found)})

    def _create(self, call: Call) -> Response:
        body = call.json_object()
        for name in ("name", "sourceId"):
            if not isinstance(body.get(name), str) or not body[name]:
                raise bad_request(f"{name} is required")
        if body.get("dataType", "xdm") != "xdm":
            raise bad_request("dataType must be xdm")
        if not isinstance(body.get("authenticationRequired", False), bool):
            raise bad_request("authenticationRequired must be true or false")
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        created = {
            "inletId": secrets.token_hex(32),
            "imsOrg": call.org_id,
            "sourceId": body["sourceId"],
            "dataType": "xdm",
            "name": body["name"],
            "description": body.get("description", ""),
            "createdAt": now,
            "createdBy": call.client_id,
            "authenticationRequired": body.get("authenticationRequired", False),
            "modifiedAt": now,
            "modifiedBy": call.client_id,
            "validationRequired": True,
        }
        self._flows.older_inlets.put(call.org_id, created["inletId"], created)
        self._flows.open_inlet(call.org_id, created)
        return json_response(_shown(call, created))

    def _look_up(self, call: Call) -> Response:
        found = self._flows.older_inlets.get(call.org_id, call.path("id"))
        if found is None:
            raise bad_request(f"inlet {call.path('id')} does not exist")
        return json_response(_shown(call, found))


def _shown(call: Call, inlet: dict[str, Any]) -> dict[str, Any]:
    return {**inlet, "inletUrl": inlet_url(call, inlet["inletId"])}
