"""The Flow Service API: `/data/foundation/flowservice`.

Sources: "Create an HTTP API streaming connection" (bodies of all objects), "Flow Service API" and "Experience
Platform troubleshooting guide" (stale etag). Adobe publishes no other error bodies; ours have the same member. The
five minutes that a new dataflow needs are not imitated. The names of flow specifications are ours.
"""

from __future__ import annotations

import base64
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import orjson
from starlette.responses import Response
from starlette.routing import Route

from emulator.api.filters import matching
from emulator.api.flows import DATA_LAKE, HTTP_STREAMING, PLAIN_FLOW, TRANSFORMING_FLOW, Flows
from emulator.api.gateway import Call, Gateway
from emulator.api.json_patch import apply_patch
from emulator.api.mapping_sets import MappingSets
from emulator.api.problems import json_response
from emulator.state.datasets import Datasets
from emulator.state.errors import ApiError
from emulator.state.repository import Repository

BASE = "/data/foundation/flowservice"
Body = dict[str, Any]

CONNECTION_SPECS: dict[str, Body] = {
    HTTP_STREAMING: {
        "id": HTTP_STREAMING,
        "name": "Streaming Connection",
        "providerId": "521eee4d-8cbe-4906-bb48-fb6bd4450033",
        "version": "1.0",
        "authSpec": [{"name": "Streaming Connection"}],
    },
    DATA_LAKE: {"id": DATA_LAKE, "name": "datalake", "version": "1.0"},
}
FLOW_SPECS: dict[str, Body] = {
    PLAIN_FLOW: {"id": PLAIN_FLOW, "name": "Stream data without transformation", "version": "1.0"},
    TRANSFORMING_FLOW: {"id": TRANSFORMING_FLOW, "name": "Stream data with transformation", "version": "1.0"},
}
DEFAULT_PAGE = 100
# What the service decides itself and a PATCH may not change.
_DECIDED = ("id", "createdAt", "createdBy", "createdClient", "imsOrgId", "sandboxId", "sandboxName")

Check = Callable[[Call, Body, "Body | None"], Body]  # gets what was there before, returns the body as it is to be kept


class FlowService:
    """Connections and dataflows over HTTP."""

    def __init__(self, flows: Flows, datasets: Datasets, mapping_sets: MappingSets) -> None:
        self._flows = flows
        self._datasets = datasets
        self._mapping_sets = mapping_sets

    def routes(self, gateway: Gateway) -> list[Route]:
        """Return all endpoints."""
        kinds: list[tuple[str, Repository, Check]] = [
            ("connections", self._flows.connections, self._check_connection),
            ("sourceConnections", self._flows.source_connections, self._check_source),
            ("targetConnections", self._flows.target_connections, self._check_target),
            ("flows", self._flows.flows, self._check_flow),
        ]
        endpoints: list[tuple[str, str, Callable[[Call], Response]]] = [
            ("GET", f"/{name}{path}", partial(answer, specs))
            for name, specs in (("connectionSpecs", CONNECTION_SPECS), ("flowSpecs", FLOW_SPECS))
            for path, answer in (("", _list_specs), ("/{id}", _look_up_spec))
        ]
        for name, repository, check in kinds:
            endpoints += [
                ("GET", f"/{name}", partial(self._list, name, repository)),
                ("POST", f"/{name}", partial(self._create, name, repository, check)),
                ("GET", f"/{name}/{{id}}", partial(self._look_up, repository)),
                ("PATCH", f"/{name}/{{id}}", partial(self._patch, repository, check)),
                ("DELETE", f"/{name}/{{id}}", partial(self._delete, repository)),
            ]
        return gateway.routes(BASE, endpoints)

    def _list(self, name: str, repository: Repository, call: Call) -> Response:
        """Return a page; the link to the next one holds a token that knows the filters and the limit as well."""
        token = call.query.get("continuationToken")
        limit, skipped = call.whole_number("limit", DEFAULT_PAGE) or DEFAULT_PAGE, 0
        properties = [each for each in call.request.query_params.getlist("property") if each]
        if token:
            limit, skipped, properties = _continued(token)
        try:
            found = matching([self._shown(call, each) for _, each in repository.of(call.org_id)], properties)
        except ValueError as error:
            raise _refused(400, str(error)) from error
        following = skipped + limit
        links = {}
        if following < len(found):
            next_token = _continuation(limit, following, properties)
            links = {"next": {"href": f"/{name}?continuationToken={next_token}"}}
        return json_response({"items": found[skipped:following], "_links": links})

    def _create(self, name: str, repository: Repository, check: Check, call: Call) -> Response:
        body = check(call, call.json_object(), None)
        object_id, now = str(uuid.uuid4()), int(time.time() * 1000)
        created = {
            "id": object_id,
            "createdAt": now,
            "updatedAt": now,
            "createdBy": call.client_id,
            "updatedBy": call.client_id,
            "createdClient": call.client_id,
            "updatedClient": call.client_id,
            "sandboxId": call.sandbox,
            "sandboxName": call.sandbox,
            "imsOrgId": call.org_id,
            **body,
            "state": "enabled",
        }
        answer = self._keep(repository, call, created)
        return json_response(answer, 201, {"location": f"{call.base_url}{BASE}/{name}/{object_id}"})

    def _look_up(self, repository: Repository, call: Call) -> Response:
        """Return one object; Flow Service wraps it in a list."""
        return json_response({"items": [self._shown(call, self._found(repository, call))]})

    def _patch(self, repository: Repository, check: Check, call: Call) -> Response:
        old = self._found(repository, call)
        supplied = call.request.headers.get("if-match")
        if supplied is None:
            raise _refused(400, "The header If-Match is required")
        if supplied.strip('"') != old["etag"].strip('"'):
            text = f"Supplied version=[{supplied}] does not match the current version on entity=[{old['etag']}]"
            raise _refused(412, text)
        try:
            changed = apply_patch(old, call.json())
        except ValueError as error:
            raise _refused(400, str(error)) from error
        changed.update({key: old[key] for key in _DECIDED})
        changed.update({"updatedAt": int(time.time() * 1000), "updatedBy": call.client_id})
        return json_response(self._keep(repository, call, check(call, changed, old)))

    def _delete(self, repository: Repository, call: Call) -> Response:
        found = self._found(repository, call)
        repository.remove(found["id"])
        if repository is self._flows.connections:
            self._flows.close(found)
        return Response(status_code=204)

    def _keep(self, repository: Repository, call: Call, kept: dict[str, Any]) -> dict[str, Any]:
        etag = f'"{uuid.uuid4()}"'
        kept = {**kept, "version": etag, "etag": etag}
        repository.put(call.org_id, kept["id"], kept)
        if repository is self._flows.connections:
            self._flows.open(call.org_id, kept)
        return {"id": kept["id"], "etag": etag}

    def _found(self, repository: Repository, call: Call) -> dict[str, Any]:
        found = repository.get(call.org_id, call.path("id"))
        if found is None:
            raise _refused(404, f"entity {call.path('id')} not found")
        return found

    def _shown(self, call: Call, kept: dict[str, Any]) -> dict[str, Any]:
        """Return an object with the addresses that it has on this server."""
        parameters = kept.get("auth", {}).get("params", {})
        if "inletId" in parameters:
            address = {"inletUrl": inlet_url(call, parameters["inletId"])}
            return {**kept, "auth": {**kept["auth"], "params": {**parameters, **address}}}
        if "sourceConnectionIds" in kept:
            inlet_ids = self._flows.inlet_ids(call.org_id, kept)
            kept = {**kept, "inheritedAttributes": {"properties": {"isSourceFlow": True}}}  # aepp filters by it
            if inlet_ids:
                return {**kept, "options": {**kept.get("options", {}), "inletUrl": inlet_url(call, inlet_ids[0])}}
        return kept

    def _check_connection(self, call: Call, body: Body, old: Body | None) -> Body:
        """Return a base connection to the HTTP API gets an inlet; `sourceId` is its name unless given."""
        if _spec_id(body, "connectionSpec") != HTTP_STREAMING:
            raise _refused(400, f"connectionSpec.id must be {HTTP_STREAMING} for a connection here")
        name = _text(body, "name")
        auth = body.get("auth")
        parameters = auth.get("params") if isinstance(auth, dict) else None
        if not isinstance(auth, dict) or not isinstance(parameters, dict):
            raise _refused(400, 'auth must hold specName "Streaming Connection" and params')
        if auth.get("specName") != "Streaming Connection":
            raise _refused(400, 'auth.specName must be "Streaming Connection"')
        if parameters.get("dataType", "xdm") not in ("xdm", "raw"):
            raise _refused(400, "auth.params.dataType must be xdm or raw")
        if not isinstance(parameters.get("authenticationRequired", False), bool):
            raise _refused(400, "auth.params.authenticationRequired must be true or false")
        filled = {
            "sourceId": name,
            "name": name,
            "dataType": "xdm",
            "authenticationRequired": False,
            **{key: value for key, value in parameters.items() if key != "inletUrl"},
            "inletId": old["auth"]["params"]["inletId"] if old else secrets.token_hex(32),
        }
        return {**body, "auth": {**auth, "params": filled}}

    def _check_source(self, call: Call, body: Body, _: Body | None) -> Body:
        _text(body, "name")
        if _spec_id(body, "connectionSpec") != HTTP_STREAMING:
            raise _refused(400, f"connectionSpec.id must be {HTTP_STREAMING} for a source connection here")
        if self._flows.connections.get(call.org_id, str(body.get("baseConnectionId"))) is None:
            raise _refused(400, f"baseConnectionId {body.get('baseConnectionId')!r} does not exist")
        return body

    def _check_target(self, call: Call, body: Body, _: Body | None) -> Body:
        _text(body, "name")
        if _spec_id(body, "connectionSpec") != DATA_LAKE:
            raise _refused(400, f"connectionSpec.id must be {DATA_LAKE} for a target connection here")
        parameters = body.get("params")
        dataset_id = parameters.get("dataSetId") if isinstance(parameters, dict) else None
        if self._datasets.find(call.org_id, str(dataset_id)) is None:
            raise _refused(400, f"params.dataSetId {dataset_id!r} does not exist")
        return body

    def _check_flow(self, call: Call, body: Body, _: Body | None) -> Body:
        _text(body, "name")
        spec_id = _spec_id(body, "flowSpec")
        for key, repository in (
            ("sourceConnectionIds", self._flows.source_connections),
            ("targetConnectionIds", self._flows.target_connections),
        ):
            ids = body.get(key)
            if not isinstance(ids, list) or not ids:
                raise _refused(400, f"{key} must list ids")
            for each in ids:
                if repository.get(call.org_id, str(each)) is None:
                    raise _refused(400, f"{key}: {each!r} does not exist")
        if spec_id == TRANSFORMING_FLOW:
            self._check_mapping(call, body)
        return body

    def _check_mapping(self, call: Call, body: dict[str, Any]) -> None:
        transformations = body.get("transformations")
        first = transformations[0] if isinstance(transformations, list) and transformations else None
        parameters = first.get("params") if isinstance(first, dict) and first.get("name") == "Mapping" else None
        if not isinstance(parameters, dict):
            raise _refused(400, 'a flow with a transformation needs one named "Mapping" with params')
        if self._mapping_sets.find(call.org_id, str(parameters.get("mappingId"))) is None:
            raise _refused(400, f"mappingId {parameters.get('mappingId')!r} does not exist")


def _list_specs(specs: Mapping[str, Body], _: Call) -> Response:
    return json_response({"items": list(specs.values())})


def _look_up_spec(specs: Mapping[str, Body], call: Call) -> Response:
    found = specs.get(call.path("id"))
    if found is None:
        raise _refused(404, f"specification {call.path('id')} not found")
    return json_response({"items": [found]})


def _continuation(limit: int, skipped: int, properties: list[str]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([limit, skipped, properties])).decode().rstrip("=")


def _continued(token: str) -> tuple[int, int, list[str]]:
    """Return what a token says: how many objects a page has, how many come before this one, which filters there are."""
    try:
        limit, skipped, properties = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(limit), int(skipped), [str(each) for each in properties]
    except (ValueError, TypeError) as error:
        raise _refused(400, f"continuationToken {token!r} is not valid") from error


def inlet_url(call: Call, inlet_id: str) -> str:
    """Return the address to send messages for an inlet to."""
    return f"{call.base_url}/collection/{inlet_id}"


def _spec_id(body: dict[str, Any], name: str) -> str:
    spec = body.get(name)
    if not isinstance(spec, dict) or not isinstance(spec.get("id"), str):
        raise _refused(400, f"{name}.id is required")
    return str(spec["id"])


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise _refused(400, f"{name} is required")
    return value


def _refused(status: int, message: str) -> ApiError:
    return ApiError(status, {"errorMessage": message})
