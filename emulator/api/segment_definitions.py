"""The segment definitions of the Segmentation Service: `/data/core/ups/segment/definitions`.

Sources: "Segment definitions endpoint", "Streaming segmentation", and the OpenAPI document of the Segmentation Service
(statuses: 200 for each success, 400, 404, 422). Rules are in a part of PQL, see `emulator.segments.parser`. The
format `pql/json`, `bulk-get` and `conversion` are not served. Pages are counted from 1, as the client aepp does; the
OpenAPI document shows 0 in an example, which is the first one too. An audience that a dataflow activates cannot be
deleted; the status and the text of that refusal are those of `/audiences`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from emulator.api.gateway import Call, Gateway
from emulator.api.problems import json_response
from emulator.state.destinations import Destinations
from emulator.state.memberships import MembershipStore
from emulator.state.segments import EVALUATIONS, Segments, refused

BASE = "/data/core/ups/segment/definitions"
DEFAULT_LIMIT = 100
_SORTABLE = ("name", "creationTime", "updateTime", "id")


class SegmentDefinitions:
    """Segment definitions over HTTP."""

    def __init__(self, segments: Segments, destinations: Destinations, memberships: MembershipStore) -> None:
        self._segments = segments
        self._destinations = destinations
        self._memberships = memberships

    def routes(self, gateway: Gateway) -> list[Route]:
        endpoints: list[tuple[str, str, Callable[[Call], Response]]] = [
            ("GET", "", self._list),
            ("POST", "", self._create),
            ("GET", "/{id}", lambda call: json_response(self._found(call))),
            ("PATCH", "/{id}", self._patch),
            ("DELETE", "/{id}", self._delete),
        ]
        return gateway.routes(BASE, endpoints)

    def _list(self, call: Call) -> Response:
        wanted = _wanted_ways(call.query).items()
        found = [
            each
            for each in self._segments.definitions(call.org_id)
            if all(each["evaluationInfo"][name]["enabled"] is enabled for name, enabled in wanted)
        ]
        field, descending = _order(call.query.get("sort") or "creationTime:desc")
        found.sort(key=lambda each: each[field], reverse=descending)
        limit = call.whole_number("limit", DEFAULT_LIMIT) or DEFAULT_LIMIT
        start = call.whole_number("start", limit * max(call.whole_number("page", 1) - 1, 0))
        shown = found[start : start + limit]
        page = {
            "totalCount": len(found),
            "totalPages": -(-len(found) // limit),
            "sortField": field,
            "sort": "desc" if descending else "asc",
            "pageSize": len(shown),
            "limit": limit,
        }
        return json_response({"segments": shown, "page": page, "link": {}})

    def _create(self, call: Call) -> Response:
        return self._answer(call, self._segments.create(call.org_id, call.sandbox, call.json_object()))

    def _patch(self, call: Call) -> Response:
        old = self._found(call)
        changed = self._segments.change(call.org_id, old, call.json_object())
        if changed["expression"] != old["expression"]:
            self._memberships.forget_events(old["id"])
        return self._answer(call, changed)

    def _delete(self, call: Call) -> Response:
        segment_id = self._found(call)["id"]
        if self._destinations.activates(call.org_id, segment_id):
            raise refused(400, "The audience cannot be deleted: a destination activates it.")
        self._segments.delete(call.org_id, segment_id)
        self._memberships.forget_segment(segment_id)
        return Response(status_code=200)

    def _answer(self, call: Call, definition: Mapping[str, Any]) -> Response:
        return json_response(definition, headers={"X-Location": f"{call.base_url}{BASE}/{definition['id']}"})

    def _found(self, call: Call) -> dict[str, Any]:
        found = self._segments.find(call.org_id, call.path("id"))
        if found is None:
            raise refused(404, f"The segment definition {call.path('id')} was not found")
        return found


def _wanted_ways(query: Mapping[str, str]) -> dict[str, bool]:
    """Return which ways of evaluation must be enabled, or must not."""
    wanted = {}
    for name in EVALUATIONS:
        text = query.get(f"evaluationInfo.{name}.enabled", "").lower()
        if text not in ("", "true", "false"):
            raise refused(400, f"evaluationInfo.{name}.enabled must be true or false")
        if text:
            wanted[name] = text == "true"
    return wanted


def _order(sort: str) -> tuple[str, bool]:
    field, _, direction = sort.partition(":")
    if field not in _SORTABLE or direction not in ("", "asc", "desc"):
        raise refused(400, f"sort must be one of {', '.join(_SORTABLE)}, with :asc or :desc")
    return field, direction == "desc"
