"""The Schema Registry API: `/data/foundation/schemaregistry`.

Sources: "Schema Registry API" guide and its OpenAPI document; "Unions endpoint". `fieldgroups` is the newer name
of `mixins`; both lead to the same resources, whose `meta:resourceType` stays `mixins`.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from emulator.api.faults import FaultState
from emulator.api.gateway import Call, Gateway
from emulator.api.json_patch import apply_patch
from emulator.api.problems import json_response
from emulator.api.registry_views import (
    DESCRIPTOR_LIST_TYPES,
    DESCRIPTOR_TYPES,
    LIST_TYPES,
    LOOKUP_TYPES,
    MediaType,
    check_version,
    in_list,
    media_type,
    not_found,
    page,
    shown,
)
from emulator.state.errors import bad_request
from emulator.state.registry import Registry, tenant_of
from emulator.state.standard_xdm import alternate_id

BASE = "/data/foundation/schemaregistry"
_TYPES = {
    "schemas": "schemas",
    "classes": "classes",
    "fieldgroups": "mixins",
    "mixins": "mixins",
    "datatypes": "datatypes",
    "behaviors": "behaviors",
}


class SchemaRegistry:
    """The HTTP side of the registry."""

    def __init__(self, registry: Registry, faults: FaultState) -> None:
        self._registry = registry
        self._faults = faults
        self._unseen: dict[str, int] = {}  # look-ups to come that do not find it, by $id

    def routes(self, gateway: Gateway) -> list[Route]:
        """Return all endpoints. Those of unions and descriptors come first, so that they are not taken
        for resources.
        """
        return gateway.routes(
            BASE,
            [
                ("GET", "/stats", self._stats),
                ("GET", "/tenant/unions", self._list_unions),
                ("GET", "/tenant/unions/{id:path}", self._look_up_union),
                ("GET", "/tenant/descriptors", self._list_descriptors),
                ("POST", "/tenant/descriptors", self._create_descriptor),
                ("GET", "/tenant/descriptors/{id}", self._look_up_descriptor),
                ("PUT", "/tenant/descriptors/{id}", self._replace_descriptor),
                ("DELETE", "/tenant/descriptors/{id}", self._delete_descriptor),
                ("GET", "/{container}/{kind}", self._list),
                ("POST", "/tenant/{kind}", self._create),
                ("GET", "/{container}/{kind}/{id:path}", self._look_up),
                ("PUT", "/tenant/{kind}/{id:path}", self._replace),
                ("PATCH", "/tenant/{kind}/{id:path}", self._patch),
                ("DELETE", "/tenant/{kind}/{id:path}", self._delete),
            ],
        )

    def _stats(self, call: Call) -> Response:
        registry, org_id = self._registry, call.org_id
        kinds = {"schemas": "schemas", "mixins": "mixins", "datatypes": "datatypes", "classes": "classes"}
        own = {kind: registry.resources(org_id, "tenant", name) for kind, name in kinds.items()}
        recent = sorted(
            (each for found in own.values() for each in found),
            key=lambda each: each["meta:registryMetadata"]["repo:createDate"],
            reverse=True,
        )[:10]
        shown_recently = [
            {
                **{key: each[key] for key in ("title", "$id", "meta:altId", "version", "meta:resourceType")},
                "meta:created": each["meta:registryMetadata"]["repo:createDate"],
            }
            for each in recent
        ]
        return json_response(
            {
                "imsOrg": org_id,
                "tenantId": tenant_of(org_id),
                "counts": {**{kind: len(found) for kind, found in own.items()}, "unions": len(self._unions(org_id))},
                "recentlyCreatedResources": shown_recently,
            }
        )

    def _list(self, call: Call) -> Response:
        wanted = media_type(call.request.headers.get("accept", ""), LIST_TYPES, "XDM-1006-400")
        found = self._registry.resources(call.org_id, self._container(call), self._type(call))
        return self._listed(call, wanted, found)

    def _listed(self, call: Call, wanted: MediaType, found: list[dict[str, Any]]) -> Response:
        cut, about, links = page(found, call.query, call.request.url.path, "$id")
        return json_response({"results": [in_list(each, wanted) for each in cut], "_page": about, "_links": links})

    def _create(self, call: Call) -> Response:
        created = self._registry.create(call.org_id, call.client_id, self._type(call), call.json_object())
        if unseen := self._faults.effective().unseen_lookups:
            self._unseen[created["$id"]] = unseen
        return json_response(created, 201)

    def _look_up(self, call: Call) -> Response:
        wanted = media_type(call.request.headers.get("accept", ""), LOOKUP_TYPES, "XDM-1007-400")
        resource = self._found(call)
        if unseen := self._unseen.pop(resource["$id"], 0):
            if unseen > 1:
                self._unseen[resource["$id"]] = unseen - 1
            raise not_found(call.path("id"))
        # aepp looks up standard components in the tenant container as well
        if self._container(call) == "global" and resource["meta:containerId"] != "global":
            raise not_found(call.path("id"))
        check_version(wanted, resource)
        return json_response(self._shown(call, resource, wanted))

    def _shown(self, call: Call, resource: dict[str, Any], wanted: MediaType) -> dict[str, Any]:
        registry = self._registry
        return shown(
            resource,
            wanted,
            lambda: registry.resolved(call.org_id, resource),
            lambda: registry.descriptors(call.org_id, resource["$id"]),
        )

    def _replace(self, call: Call) -> Response:
        old = self._own(call)
        return json_response(self._registry.change(call.org_id, old, call.json_object()))

    def _patch(self, call: Call) -> Response:
        old = self._own(call)
        try:
            new = apply_patch(old, call.json())
        except ValueError as error:
            raise bad_request(str(error)) from error
        return json_response(self._registry.change(call.org_id, old, new))

    def _delete(self, call: Call) -> Response:
        self._registry.delete(call.org_id, self._own(call))
        return Response(status_code=204)

    def _found(self, call: Call) -> dict[str, Any]:
        found = self._registry.find(call.org_id, call.path("id"))
        if found is None or found["meta:resourceType"] != self._type(call):
            raise not_found(call.path("id"))
        return found

    def _own(self, call: Call) -> dict[str, Any]:
        found = self._found(call)
        if found["meta:containerId"] == "global":
            raise not_found(call.path("id"))
        return found

    def _type(self, call: Call) -> str:
        kind = call.path("kind")
        if kind not in _TYPES:
            raise not_found(kind)
        return _TYPES[kind]

    def _container(self, call: Call) -> str:
        container = call.path("container")
        if container not in ("global", "tenant"):
            raise not_found(container)
        return container

    def _unions(self, org_id: str) -> dict[str, dict[str, Any]]:
        """Return the union of each class that has schemas with the `union` tag: all their fields in one schema."""
        members: dict[str, list[dict[str, Any]]] = {}
        for schema in self._registry.resources(org_id, "tenant", "schemas"):
            if "union" in schema.get("meta:immutableTags", ()):
                members.setdefault(schema["meta:class"], []).append(schema)
        unions = {}
        for class_id, schemas in members.items():
            union_id = f"{class_id}__union"
            references = {each["$ref"]: each for schema in schemas for each in schema["allOf"] if "$ref" in each}
            unions[union_id] = {
                "$id": union_id,
                "meta:altId": alternate_id(union_id),
                "meta:resourceType": "unions",
                "version": "1",
                "title": f"Union of {class_id.rsplit('/', 1)[1]}",
                "type": "object",
                "allOf": list(references.values()),
                "meta:class": class_id,
                "meta:containerId": "tenant",
                "meta:extends": [schema["$id"] for schema in schemas],
                "imsOrg": org_id,
            }
        return unions

    def _list_unions(self, call: Call) -> Response:
        wanted = media_type(call.request.headers.get("accept", ""), LIST_TYPES, "XDM-1006-400")
        return self._listed(call, wanted, list(self._unions(call.org_id).values()))

    def _look_up_union(self, call: Call) -> Response:
        wanted = media_type(call.request.headers.get("accept", ""), LOOKUP_TYPES, "XDM-1007-400")
        name = call.path("id")
        unions = self._unions(call.org_id).values()
        union = next((each for each in unions if name in (each["$id"], each["meta:altId"])), None)
        if union is None:
            raise not_found(name)
        check_version(wanted, union)
        return json_response(self._shown(call, union, wanted))

    def _list_descriptors(self, call: Call) -> Response:
        """Return all descriptors, grouped by type; only `xdm-v2` answers in pages."""
        wanted = media_type(call.request.headers.get("accept", ""), DESCRIPTOR_LIST_TYPES, "XDM-1008-400")
        found, about, links = page(self._registry.descriptors(call.org_id), call.query, call.request.url.path, "@id")
        if wanted.name == "xdm-v2":
            return json_response({"results": found, "_page": about, "_links": links})
        grouped: dict[str, list[object]] = {}
        for each in found:
            forms = {"xdm": each, "xdm-id": each["@id"], "xdm-link": f"/tenant/descriptors/{each['@id']}"}
            grouped.setdefault(each["@type"], []).append(forms[wanted.name])
        return json_response(grouped)

    def _create_descriptor(self, call: Call) -> Response:
        return json_response(self._registry.describe(call.org_id, call.json_object()), 201)

    def _look_up_descriptor(self, call: Call) -> Response:
        media_type(call.request.headers.get("accept", ""), DESCRIPTOR_TYPES, "XDM-1009-400")
        return json_response(self._descriptor(call))

    def _replace_descriptor(self, call: Call) -> Response:
        old = self._descriptor(call)
        replaced = self._registry.describe(call.org_id, call.json_object(), old["@id"])
        return json_response({"@id": replaced["@id"]}, 201)

    def _delete_descriptor(self, call: Call) -> Response:
        self._registry.remove_descriptor(self._descriptor(call)["@id"])
        return Response(status_code=204)

    def _descriptor(self, call: Call) -> dict[str, Any]:
        found = self._registry.descriptor(call.org_id, call.path("id"))
        if found is None:
            raise not_found(call.path("id"))
        return found
