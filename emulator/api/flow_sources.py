"""Streaming sources in Flow Service: from an inlet into a dataset.

Source: "Create an HTTP API streaming connection" (bodies of all objects). Adobe publishes no texts for what is refused
here. The names of flow specifications are ours.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from emulator.api.flow_errors import refused, spec_id, text_of
from emulator.api.flow_family import Body
from emulator.api.flows import DATA_LAKE, HTTP_STREAMING, PLAIN_FLOW, TRANSFORMING_FLOW, Flows
from emulator.api.gateway import Call
from emulator.api.mapping_sets import MappingSets
from emulator.state.datasets import Datasets
from emulator.state.repository import Repository


class StreamingSources:
    """What Flow Service checks and shows of connections to the HTTP API and of their flows."""

    connection_specs: Mapping[str, Body] = {
        HTTP_STREAMING: {
            "id": HTTP_STREAMING,
            "name": "Streaming Connection",
            "providerId": "521eee4d-8cbe-4906-bb48-fb6bd4450033",
            "version": "1.0",
            "authSpec": [{"name": "Streaming Connection"}],
        },
        DATA_LAKE: {"id": DATA_LAKE, "name": "datalake", "version": "1.0"},
    }
    flow_specs: Mapping[str, Body] = {
        PLAIN_FLOW: {"id": PLAIN_FLOW, "name": "Stream data without transformation", "version": "1.0"},
        TRANSFORMING_FLOW: {"id": TRANSFORMING_FLOW, "name": "Stream data with transformation", "version": "1.0"},
    }
    deleted_status = 204
    has_actions = False

    def __init__(self, flows: Flows, datasets: Datasets, mapping_sets: MappingSets) -> None:
        self._flows = flows
        self._datasets = datasets
        self._mapping_sets = mapping_sets

    def check_connection(self, _: Call, body: Body, old: Body | None) -> Body:
        """Give a base connection to the HTTP API its inlet; `sourceId` is its name unless given."""
        if spec_id(body, "connectionSpec") != HTTP_STREAMING:
            raise refused(400, f"connectionSpec.id must be {HTTP_STREAMING} for a connection here")
        name = text_of(body, "name")
        auth = body.get("auth")
        parameters = auth.get("params") if isinstance(auth, dict) else None
        if not isinstance(auth, dict) or not isinstance(parameters, dict):
            raise refused(400, 'auth must hold specName "Streaming Connection" and params')
        if auth.get("specName") != "Streaming Connection":
            raise refused(400, 'auth.specName must be "Streaming Connection"')
        if parameters.get("dataType", "xdm") not in ("xdm", "raw"):
            raise refused(400, "auth.params.dataType must be xdm or raw")
        if not isinstance(parameters.get("authenticationRequired", False), bool):
            raise refused(400, "auth.params.authenticationRequired must be true or false")
        filled = {
            "sourceId": name,
            "name": name,
            "dataType": "xdm",
            "authenticationRequired": False,
            **{key: value for key, value in parameters.items() if key != "inletUrl"},
            "inletId": old["auth"]["params"]["inletId"] if old else secrets.token_hex(32),
        }
        return {**body, "auth": {**auth, "params": filled}}

    def check_source(self, call: Call, body: Body, _: Body | None) -> Body:
        """Check that a source connection lies over a base connection."""
        text_of(body, "name")
        if spec_id(body, "connectionSpec") != HTTP_STREAMING:
            raise refused(400, f"connectionSpec.id must be {HTTP_STREAMING} for a source connection here")
        if self._flows.connections.get(call.org_id, str(body.get("baseConnectionId"))) is None:
            raise refused(400, f"baseConnectionId {body.get('baseConnectionId')!r} does not exist")
        return body

    def check_target(self, call: Call, body: Body, _: Body | None) -> Body:
        """Check that a target connection leads to a dataset."""
        text_of(body, "name")
        if spec_id(body, "connectionSpec") != DATA_LAKE:
            raise refused(400, f"connectionSpec.id must be {DATA_LAKE} for a target connection here")
        parameters = body.get("params")
        dataset_id = parameters.get("dataSetId") if isinstance(parameters, dict) else None
        if self._datasets.find(call.org_id, str(dataset_id)) is None:
            raise refused(400, f"params.dataSetId {dataset_id!r} does not exist")
        return body

    def check_flow(self, call: Call, body: Body, _: Body | None) -> Body:
        """Check that a flow has both ends, and a mapping set if it transforms."""
        text_of(body, "name")
        for key, repository in (
            ("sourceConnectionIds", self._flows.source_connections),
            ("targetConnectionIds", self._flows.target_connections),
        ):
            _check_ids(call, body, key, repository)
        if not isinstance(body.get("options", {}), dict):
            raise refused(400, "options must be an object")
        if spec_id(body, "flowSpec") == TRANSFORMING_FLOW:
            self._check_mapping(call, body)
        return body

    def shown(self, call: Call, kept: Body) -> Body:
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

    def explored(self, _: Body) -> list[Body]:
        """Return what a base connection sees: an inlet sees nothing."""
        return []

    def _check_mapping(self, call: Call, body: Body) -> None:
        transformations = body.get("transformations")
        first = transformations[0] if isinstance(transformations, list) and transformations else None
        parameters = first.get("params") if isinstance(first, dict) and first.get("name") == "Mapping" else None
        if not isinstance(parameters, dict):
            raise refused(400, 'a flow with a transformation needs one named "Mapping" with params')
        if self._mapping_sets.find(call.org_id, str(parameters.get("mappingId"))) is None:
            raise refused(400, f"mappingId {parameters.get('mappingId')!r} does not exist")


def _check_ids(call: Call, body: Body, key: str, repository: Repository) -> None:
    ids = body.get(key)
    if not isinstance(ids, list) or not ids:
        raise refused(400, f"{key} must list ids")
    for each in ids:
        if repository.get(call.org_id, str(each)) is None:
            raise refused(400, f"{key}: {each!r} does not exist")


def inlet_url(call: Call, inlet_id: str) -> str:
    """Return the address to send messages for an inlet to."""
    return f"{call.base_url}/collection/{inlet_id}"
