"""The mapping sets of Data Prep: `/data/foundation/mappingSets`, and the same under `/data/foundation/conversion`.

Source: "Create a streaming connection for raw data"; the second address is the one of the API reference.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from emulator.api.gateway import Call, Gateway
from emulator.api.problems import json_response
from emulator.state.errors import ApiError, bad_request
from emulator.state.mapping import read_mappings
from emulator.state.repository import Repository
from emulator.state.store import Store

BASES = ("/data/foundation/mappingSets", "/data/foundation/conversion/mappingSets")
_DECIDED = ("createdDate", "modifiedDate", "createdBy", "modifiedBy")


class MappingSets:
    def __init__(self, store: Store) -> None:
        self._repository = Repository(store, "mapping_set")

    def routes(self, gateway: Gateway) -> list[Route]:
        return [
            route
            for base in BASES
            for route in gateway.routes(
                base,
                [
                    ("GET", "", self._list),
                    ("POST", "", self._create),
                    ("GET", "/{id}", self._look_up),
                    ("GET", "/{id}/mappings", self._mappings),
                    ("PUT", "/{id}", self._replace),
                    ("DELETE", "/{id}", self._delete),
                ],
            )
        ]

    def find(self, org_id: str, mapping_id: str) -> dict[str, Any] | None:
        return self._repository.get(org_id, mapping_id)

    def _list(self, call: Call) -> Response:
        found = [each for _, each in self._repository.of(call.org_id)]
        return json_response({"data": found, "_page": {"count": len(found), "limit": len(found)}, "_links": {}})

    def _create(self, call: Call) -> Response:
        return self._keep(call, uuid.uuid4().hex, 0, int(time.time() * 1000))

    def _replace(self, call: Call) -> Response:
        old = self._found(call)
        return self._keep(call, call.path("id"), old["version"] + 1, old["createdDate"])

    def _keep(self, call: Call, mapping_id: str, version: int, created_ms: int) -> Response:
        body = call.json_object()
        try:
            read_mappings(body.get("mappings"))
        except ValueError as error:
            raise bad_request(str(error)) from error
        about = {
            "id": mapping_id,
            "version": version,
            "createdDate": created_ms,
            "modifiedDate": int(time.time() * 1000),
            "createdBy": call.client_id,
            "modifiedBy": call.client_id,
        }
        self._repository.put(call.org_id, mapping_id, {**body, **about})
        return json_response(about)

    def _look_up(self, call: Call) -> Response:
        return json_response(self._found(call))

    def _mappings(self, call: Call) -> Response:
        return json_response({"data": self._found(call)["mappings"]})

    def _delete(self, call: Call) -> Response:
        self._found(call)
        self._repository.remove(call.path("id"))
        return Response(status_code=204)

    def _found(self, call: Call) -> dict[str, Any]:
        found = self.find(call.org_id, call.path("id"))
        if found is None:
            raise ApiError(404, {"message": f"Mapping set {call.path('id')} not found", "statusCode": 404})
        return found
