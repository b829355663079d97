"""Profile access: `/data/core/ups/access/entities`.

Sources: "Ingest streaming record data" and "Ingest streaming time-series data" (lookups), "Entities endpoint"
(parameters, POST, pages), and the OpenAPI document of Profile (errors). Of events it says that their retrieval is
deprecated; it is served. An unknown profile is a 404 on GET and empty on POST. The next page of events begins at
`start` by the guide and at `offsets` by the client aepp: links have both, and both are read. "Too many related
identities" is never answered, since no graph here has more than 50.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from emulator.api.gateway import Call, Gateway
from emulator.api.numbers import is_whole_number
from emulator.api.problems import json_response
from emulator.state.errors import ApiError
from emulator.state.identities import Named, named, pick
from emulator.state.ingestion import Ingestion
from emulator.state.profile_store import Event, Profile, ProfileStore
from emulator.state.segments import default_merge_policy
from emulator.state.store import Store

BASE = "/data/core/ups/access/entities"
PROFILE = "_xdm.context.profile"
EVENT = "_xdm.context.experienceevent"
DEFAULT_LIMIT = 1000


class Asked(NamedTuple):
    """What a lookup asks for, whichever way it was written. Times are epoch milliseconds, the end is excluded."""

    fields: Sequence[str]
    limit: int
    descending: bool
    start_time: int
    end_time: int
    start: str | None


class ProfileAccess:
    """Lookups in the Profile store over HTTP."""

    def __init__(
        self,
        profiles: ProfileStore,
        store: Store,
        ingestion: Ingestion,
        forget: Callable[[str, Sequence[Named]], None],
    ) -> None:
        self._profiles = profiles
        self._forget = forget
        self._store = store
        self._ingestion = ingestion

    def routes(self, gateway: Gateway) -> list[Route]:
        return gateway.routes(BASE, [("GET", "", self._get), ("POST", "", self._post), ("DELETE", "", self._delete)])

    async def _get(self, call: Call) -> Response:
        await self._ingestion.caught_up()
        query = call.query
        asked = _asked({**query, "fields": [each for each in query.get("fields", "").split(",") if each]})
        schema = _schema(query.get("schema.name"))
        identity = self._identity_of(call, query, related=schema == EVENT)
        linked = self._profiles.linked(call.org_id, identity)
        if schema == EVENT:
            found = self._events(call.org_id, linked, asked)
            kept = {key: value for key, value in query.items() if key not in ("start", "offsets")}
            return json_response(_page(found, identity, asked, lambda start: _next_href(kept, start)))
        profile = self._profiles.profile(call.org_id, linked)
        if profile is None:
            raise ApiError(404, {"statusCode": "404"})
        return json_response({identity.xid: _shown(call.org_id, identity, profile, asked.fields)})

    async def _post(self, call: Call) -> Response:
        await self._ingestion.caught_up()
        body = call.json_object()
        asked = _asked(body)
        name = body.get("schema")
        schema = _schema(name.get("name") if isinstance(name, dict) else None)
        identities = body.get("identities")
        if not isinstance(identities, list) or not all(isinstance(each, dict) for each in identities):
            raise _refused(400, "identities must be a list")
        answer = {}
        for each in identities:
            identity = self._identity_of(call, _flat(each), related=schema == EVENT)
            linked = self._profiles.linked(call.org_id, identity)
            if schema == EVENT:
                found = self._events(call.org_id, linked, asked)
                answer[identity.xid] = _page(found, identity, asked, lambda _: "", body)
            else:
                profile = self._profiles.profile(call.org_id, linked)
                answer[identity.xid] = _shown(call.org_id, identity, profile, asked.fields)
        return json_response(answer)

    async def _delete(self, call: Call) -> Response:
        await self._ingestion.caught_up()
        linked = self._profiles.linked(call.org_id, self._identity_of(call, call.query, related=False))
        with self._store.transaction():
            self._forget(call.org_id, linked)
        return Response(status_code=202)

    def _identity_of(self, call: Call, parameters: Mapping[str, Any], *, related: bool) -> Named:
        """Return the identity of a lookup; for events either spelling, `relatedEntityId` before `entityId`."""
        value, namespace = parameters.get("entityId"), parameters.get("entityIdNS")
        if related:
            value = parameters.get("relatedEntityId") or value
            namespace = parameters.get("relatedEntityIdNS") or namespace
        if not isinstance(value, str) or not value:
            raise _refused(400, "entityId is required")
        if namespace is None:  # then it is a native id
            return self._profiles.identity(call.org_id, value) or named("", value)
        return named(str(namespace), value)

    def _events(self, org_id: str, linked: Sequence[Named], asked: Asked) -> list[Event]:
        found = [
            event
            for event in self._profiles.events(org_id, linked)
            if asked.start_time <= event.timestamp_ms < asked.end_time
        ]
        return found[::-1] if asked.descending else found


def _asked(parameters: Mapping[str, Any]) -> Asked:
    order = str(parameters.get("orderby") or "+timestamp").strip()
    if order.lstrip("+-") != "timestamp":
        raise _refused(400, "orderby must be +timestamp or -timestamp")
    fields = parameters.get("fields") or []
    if not isinstance(fields, list):
        raise _refused(400, "fields must be a list")
    return Asked(
        fields=[str(each) for each in fields],
        limit=_number(parameters, "limit", DEFAULT_LIMIT) or DEFAULT_LIMIT,
        descending=order.startswith("-"),
        start_time=_number(parameters, "startTime", -(2**63)),
        end_time=_number(parameters, "endTime", 2**63),
        start=parameters.get("start") or parameters.get("offsets"),
    )


def _number(parameters: Mapping[str, Any], name: str, default: int) -> int:
    value = parameters.get(name)
    if value is None or value == "":
        return default
    if not is_whole_number(str(value)):
        raise _refused(400, f"{name} must be a whole number")
    return int(value)


def _schema(name: object) -> str:
    if name not in (PROFILE, EVENT):
        raise _refused(400, f"schema.name must be {PROFILE} or {EVENT}")
    return str(name)


def _flat(identity: dict[str, Any]) -> dict[str, Any]:
    """Return an identity of a POST with the codes of its namespaces in the form of the query."""
    return {key: value.get("code") if isinstance(value, dict) else value for key, value in identity.items()}


def _shown(org_id: str, identity: Named, profile: Profile | None, fields: Sequence[str]) -> dict[str, Any]:
    about = {"entityId": identity.xid, "mergePolicy": {"id": default_merge_policy(org_id)}}
    if profile is None:
        nothing = {"sources": [""], "tags": [""], "identityGraph": [identity.xid], "entity": {}}
        return {**about, **nothing, "lastModifiedAt": _iso(0)}
    return {
        **about,
        "sources": profile.sources,
        "tags": profile.tags,
        "identityGraph": [each.xid for each in profile.identities],
        "entity": pick(profile.entity, fields) if fields else profile.entity,
        "lastModifiedAt": _iso(profile.modified_ms),
    }


def _page(
    found: Sequence[Event], identity: Named, asked: Asked, href: Any, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return a page of events; `start` of the next one is the `_id` of its first event."""
    first = next((number for number, event in enumerate(found) if event.id == asked.start), 0)
    cut = found[first : first + asked.limit]
    rest = found[first + asked.limit :]
    following: dict[str, Any] = {"href": href(rest[0].id) if rest else ""}
    if body is not None and rest:
        following["payload"] = {**body, "start": rest[0].id}
    return {
        "_page": {
            "orderby": "-timestamp" if asked.descending else "timestamp",
            "start": cut[0].id if cut else "",
            "count": len(cut),
            "next": rest[0].id if rest else "",
        },
        "children": [
            {
                "relatedEntityId": event.owner.xid,
                "entityId": event.id,
                "timestamp": event.timestamp_ms,
                "entity": pick(event.entity, asked.fields) if asked.fields else event.entity,
                "lastModifiedAt": _iso(event.modified_ms),
            }
            for event in cut
        ],
        "_links": {"next": following},
    }


def _next_href(query: Mapping[str, str], start: str) -> str:
    return f"/entities?{urlencode({'start': start, 'offsets': start, **query})}"


def _iso(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms // 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _refused(status: int, text: str) -> ApiError:
    return ApiError(status, {"message": text, "statusCode": str(status)})
