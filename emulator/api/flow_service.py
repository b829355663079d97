"""The Flow Service API: `/data/foundation/flowservice`.

Sources: "Create an HTTP API streaming connection" and "Connect to streaming destinations" (bodies of all objects),
"Flow Service API", "Destinations API" and "Experience Platform troubleshooting guide" (stale etag). What belongs to
sources and to destinations alone is in `flow_sources` and `flow_destinations`. The five minutes that a new dataflow
needs are not imitated.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import orjson
from starlette.responses import Response
from starlette.routing import Route

from emulator.api.faults import FaultState
from emulator.api.filters import matching
from emulator.api.flow_errors import (
    check_operations,
    coded,
    empty_body,
    invalid_spec,
    missing_field,
    not_found,
    refused,
    stale,
    unsupported,
)
from emulator.api.flow_family import Body, Family
from emulator.api.flows import Flows
from emulator.api.gateway import Call, Gateway
from emulator.api.json_patch import PatchPathError, apply_patch
from emulator.api.problems import json_response
from emulator.state.errors import ApiError
from emulator.state.repository import Repository

BASE = "/data/foundation/flowservice"
DEFAULT_PAGE = 100
# What the service decides itself and a PATCH may not change; the state has an action of its own.
_DECIDED = ("id", "createdAt", "createdBy", "createdClient", "imsOrgId", "sandboxId", "sandboxName", "state")

Check = Callable[[Call, Body, "Body | None"], Body]  # gets what was there before, returns the body as it is to be kept


class FlowService:
    """Connections and dataflows over HTTP."""

    def __init__(self, flows: Flows, families: Sequence[Family], faults: FaultState) -> None:
        self._flows = flows
        self._families = families
        self._faults = faults

    def routes(self, gateway: Gateway) -> list[Route]:
        connection_specs: dict[str, Body] = {}
        flow_specs: dict[str, Body] = {}
        for family in self._families:
            connection_specs.update(family.connection_specs)
            flow_specs.update(family.flow_specs)
        kinds: list[tuple[str, Repository, Callable[[Family], Check]]] = [
            ("connections", self._flows.connections, lambda family: family.check_connection),
            ("sourceConnections", self._flows.source_connections, lambda family: family.check_source),
            ("targetConnections", self._flows.target_connections, lambda family: family.check_target),
            ("flows", self._flows.flows, lambda family: family.check_flow),
        ]
        endpoints: list[tuple[str, str, Callable[[Call], Response]]] = [
            ("GET", f"/{name}{path}", partial(answer, specs))
            for name, specs in (("connectionSpecs", connection_specs), ("flowSpecs", flow_specs))
            for path, answer in (("", _list_specs), ("/{id}", _look_up_spec))
        ]
        for name, repository, check in kinds:
            endpoints += [
                ("GET", f"/{name}", partial(self._list, name, repository)),
                ("POST", f"/{name}", partial(self._create, name, repository, check)),
                ("GET", f"/{name}/{{id}}", partial(self._look_up, name, repository)),
                ("PATCH", f"/{name}/{{id}}", partial(self._patch, name, repository, check)),
                ("DELETE", f"/{name}/{{id}}", partial(self._delete, name, repository)),
            ]
        endpoints += [
            ("GET", "/connections/{id}/test", self._test),
            ("GET", "/connections/{id}/explore", self._explore),
            ("POST", "/flows/{id}/action", self._act),
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
            raise refused(400, str(error)) from error
        following = skipped + limit
        links = {}
        if following < len(found):
            next_token = _continuation(limit, following, properties)
            links = {"next": {"href": f"/{name}?continuationToken={next_token}"}}
        return json_response({"items": found[skipped:following], "_links": links})

    def _create(self, name: str, repository: Repository, check: Callable[[Family], Check], call: Call) -> Response:
        body = call.json_object()
        if not body:
            raise empty_body()
        if name == "flows" and "state" in body:
            raise coded("1410-400", "`State` is not allowed in the create flow request.")
        body = check(self._family(body))(call, body, None)
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

    def _look_up(self, name: str, repository: Repository, call: Call) -> Response:
        """Return one object; Flow Service wraps it in a list."""
        return json_response({"items": [self._shown(call, self._found(name, repository, call))]})

    def _patch(self, name: str, repository: Repository, check: Callable[[Family], Check], call: Call) -> Response:
        old = self._found(name, repository, call)
        supplied = call.request.headers.get("if-match")
        if supplied is None:
            text = "The header 'If-Match' is missing in the request. Please provide the header and try again."
            raise coded("1403-400", text, "Header is missing")
        if supplied != old["etag"]:
            raise stale(supplied, old["etag"])
        operations = call.json()
        check_operations(operations)
        try:
            changed = apply_patch(old, operations)
        except PatchPathError as error:
            raise missing_field(error.path.rpartition("/")[2]) from error
        except ValueError as error:
            raise refused(400, str(error)) from error
        if changed.get("connectionSpec") != old.get("connectionSpec"):
            raise coded("1414-400", "The connection spec of a connection cannot be updated.")
        if changed.get("flowSpec") != old.get("flowSpec"):
            raise refused(400, "The flow spec of a flow cannot be updated.")
        changed.update({key: old[key] for key in _DECIDED})
        changed.update({"updatedAt": int(time.time() * 1000), "updatedBy": call.client_id})
        family = self._family(old)
        answer = self._keep(repository, call, check(family)(call, changed, old))
        if repository is self._flows.flows and family.has_actions:
            return self._activated(call, answer)
        return json_response(answer)

    def _activated(self, call: Call, answer: Body) -> Response:
        """Return the reply to a changed dataflow of a destination, for which Adobe documents three forms."""
        match self._faults.effective().activation_reply:
            case "202":
                return Response(status_code=202)
            case "200":
                return json_response(answer)
            case "flow":
                return self._look_up("flows", self._flows.flows, call)

    def _delete(self, name: str, repository: Repository, call: Call) -> Response:
        found = self._found(name, repository, call)
        if repository is self._flows.connections:
            if self._flows.flow_over(call.org_id, found["id"]):
                text = (
                    f"The base connection with the ID {found['id']} cannot be deleted because the base connection is "
                    "being used in one or more flows. Please ensure that corresponding flows are deleted before "
                    "deleting a base connection."
                )
                raise coded("1418-400", text)
            self._flows.close(found)
        repository.remove(found["id"])
        return Response(status_code=self._family(found).deleted_status)

    def _test(self, call: Call) -> Response:
        found = self._found("connections", self._flows.connections, call)
        try:
            self._family(found).explored(found)
        except ApiError:
            return json_response(False)
        return json_response(True)

    def _explore(self, call: Call) -> Response:
        found = self._found("connections", self._flows.connections, call)
        return json_response(self._family(found).explored(found))

    def _act(self, call: Call) -> Response:
        """Enable or disable a dataflow ("Edit destinations")."""
        found = self._found("flows", self._flows.flows, call)
        action = call.query.get("op", "")
        if action not in ("enable", "disable"):
            raise unsupported(action)
        if not self._family(found).has_actions:
            raise refused(400, "only dataflows of destinations can be enabled and disabled here")
        if found["state"] == f"{action}d":
            text = f"The action {action} cannot be applied on the current state {found['state']}. "
            raise coded("1422-400", text + "Please update the action and try again.")
        now = {"state": f"{action}d", "updatedAt": int(time.time() * 1000), "updatedBy": call.client_id}
        return json_response(self._keep(self._flows.flows, call, {**found, **now}))

    def _keep(self, repository: Repository, call: Call, kept: Body) -> Body:
        etag = f'"{uuid.uuid4()}"'
        kept = {**kept, "version": etag, "etag": etag}
        repository.put(call.org_id, kept["id"], kept)
        if repository is self._flows.connections:
            self._flows.open(call.org_id, kept)
        return {"id": kept["id"], "etag": etag}

    def _found(self, name: str, repository: Repository, call: Call) -> Body:
        found = repository.get(call.org_id, call.path("id"))
        if found is None:
            raise not_found(name, call.path("id"))
        return found

    def _shown(self, call: Call, kept: Body) -> Body:
        return self._family(kept).shown(call, kept)

    def _family(self, body: Body) -> Family:
        for name in ("flowSpec", "connectionSpec"):
            spec = body.get(name)
            found = str(spec.get("id")) if isinstance(spec, dict) else None
            for family in self._families:
                if found in (family.flow_specs if name == "flowSpec" else family.connection_specs):
                    return family
        raise invalid_spec()


def _list_specs(specs: Mapping[str, Body], _: Call) -> Response:
    return json_response({"items": list(specs.values())})


def _look_up_spec(specs: Mapping[str, Body], call: Call) -> Response:
    found = specs.get(call.path("id"))
    if found is None:
        raise refused(404, f"specification {call.path('id')} not found")
    return json_response({"items": [found]})


def _continuation(limit: int, skipped: int, properties: list[str]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([limit, skipped, properties])).decode().rstrip("=")


def _continued(token: str) -> tuple[int, int, list[str]]:
    """Return what a token says: how many objects a page has, how many come before this one, which filters there are."""
    try:
        limit, skipped, properties = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(limit), int(skipped), [str(each) for each in properties]
    except (ValueError, TypeError) as error:
        raise refused(400, f"continuationToken {token!r} is not valid") from error
