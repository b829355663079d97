"""Destinations to Amazon Kinesis in Flow Service.

Sources: "Connect to streaming destinations and activate data" (bodies, specifications), "Edit destinations", "Amazon
Kinesis connection" (rights that are checked), "Destinations API" (422). Not published, and so ours: the names of the
options for audience names and timestamps, the texts about credentials and streams, and that credentials are not shown.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from emulator.api.flow_errors import coded, reference_not_found, refused, spec_id, text_of
from emulator.api.flow_family import Body
from emulator.api.flows import Flows
from emulator.api.gateway import Call
from emulator.api.streams import StreamAccess, check_stream, list_streams
from emulator.kinesis.service import Kinesis
from emulator.state.datasets import Datasets, enabled
from emulator.state.destinations import (
    DESTINATION_FLOW,
    KINESIS,
    PROFILE_SELECTORS,
    PROFILE_STORE,
    SEGMENT_SELECTORS,
    selected,
)
from emulator.state.errors import ApiError
from emulator.state.policies import Policies
from emulator.state.repository import Repository
from emulator.state.segments import Segments

AUTH_SPEC = "Aws Kinesis authentication credentials"
SECRETS = ("accessKeyId", "secretKey")
_SELECTOR_TYPES = {SEGMENT_SELECTORS: ("PLATFORM_SEGMENT", "id"), PROFILE_SELECTORS: ("JSON_PATH", "path")}


class KinesisDestinations:
    """What Flow Service checks and shows of connections to Kinesis and of the flows that lead there."""

    connection_specs: Mapping[str, Body] = {
        KINESIS: {"id": KINESIS, "name": "Amazon Kinesis", "version": "1.0", "authSpec": [{"name": AUTH_SPEC}]},
        PROFILE_STORE: {"id": PROFILE_STORE, "name": "Profile Service", "version": "1.0"},
    }
    flow_specs: Mapping[str, Body] = {
        DESTINATION_FLOW: {"id": DESTINATION_FLOW, "name": "All cloud storage destinations", "version": "1.0"},
    }
    deleted_status = 202
    has_actions = True

    def __init__(
        self,
        flows: Flows,
        datasets: Datasets,
        segments: Segments,
        policies: Policies,
        kinesis: Kinesis,
    ) -> None:
        self._flows = flows
        self._datasets = datasets
        self._segments = segments
        self._policies = policies
        self._kinesis = kinesis

    def check_connection(self, _: Call, body: Body, _old: Body | None) -> Body:
        """Check a base connection to the Profile store, or to Kinesis by listing its streams."""
        text_of(body, "name")
        if _versioned_spec(body) == PROFILE_STORE:
            return {key: value for key, value in body.items() if key != "auth"}  # which it has no use for
        auth = body.get("auth")
        parameters = auth.get("params") if isinstance(auth, dict) else None
        if not isinstance(auth, dict) or not isinstance(parameters, dict):
            raise refused(400, f'auth must hold specName "{AUTH_SPEC}" and params')
        if auth.get("specName") != AUTH_SPEC:
            text = f"The auth spec '{auth.get('specName')}' could not be found for the connection spec ID {KINESIS}."
            raise coded("1415-400", text)
        for name in (*SECRETS, "region"):
            text_of(parameters, name)
        list_streams(self._kinesis, _access(body, parameters["region"]))
        return body

    def check_source(self, call: Call, body: Body, _: Body | None) -> Body:
        """Check that a source connection lies over the Profile store."""
        text_of(body, "name")
        if _versioned_spec(body) != PROFILE_STORE:
            raise refused(400, f"connectionSpec.id must be {PROFILE_STORE} for the source connection of a destination")
        self._base(call, body, PROFILE_STORE)
        return body

    def check_target(self, call: Call, body: Body, _: Body | None) -> Body:
        """Check that a target connection leads to a stream that exists."""
        text_of(body, "name")
        if _versioned_spec(body) != KINESIS:
            raise refused(400, f"connectionSpec.id must be {KINESIS} for the target connection of a destination")
        base = self._base(call, body, KINESIS)
        parameters = body.get("params")
        if not isinstance(parameters, dict):
            raise refused(400, "params must hold stream and region")
        stream, region = text_of(parameters, "stream"), text_of(parameters, "region")
        for name in ("includeSegmentNames", "includeSegmentTimestamps"):
            if not isinstance(parameters.get(name, False), bool):
                raise refused(400, f"params.{name} must be true or false")
        check_stream(self._kinesis, _access(base, region), stream)
        return body

    def check_flow(self, call: Call, body: Body, old: Body | None) -> Body:
        """Check the ends and the selectors of a flow, and note when each audience was mapped."""
        text_of(body, "name")
        for key, kind, repository, spec in (
            ("sourceConnectionIds", "sourceConnections", self._flows.source_connections, PROFILE_STORE),
            ("targetConnectionIds", "targetConnections", self._flows.target_connections, KINESIS),
        ):
            _check_end(call, body.get(key), key, kind, repository, spec)
        mapped = {each["id"]: each for each in selected(old, SEGMENT_SELECTORS)} if old else {}
        checked = {
            "policy": {"enforcementRefs": []},
            **body,
            "transformations": [{"name": "GeneralTransform", "params": _checked_selectors(body, mapped)}],
        }
        for audience in selected(checked, SEGMENT_SELECTORS):
            if audience["id"] not in mapped and self._segments.find(call.org_id, audience["id"]) is None:
                raise refused(400, f"segmentSelectors: there is no segment definition {audience['id']}")
        self._check_policy(call.org_id, checked["policy"])
        return checked

    def _check_policy(self, org_id: str, policy: Any) -> None:
        """Check that the marketing actions of a flow exist, and that no policy forbids them for the profiles' data."""
        references = policy.get("enforcementRefs") if isinstance(policy, dict) else None
        if not isinstance(references, list) or not all(isinstance(each, str) for each in references):
            raise refused(400, "policy.enforcementRefs must list marketing actions")
        for reference in references:
            if not self._policies.knows(org_id, reference):
                raise refused(400, f"policy.enforcementRefs: there is no marketing action {reference}")
        profiles = [dataset_id for dataset_id, each in self._datasets.of(org_id) if enabled(each, "unifiedProfile")]
        violations = list(self._policies.violations(org_id, references, profiles))
        if violations:
            detail = "The following policies are violated: " + ", ".join(
                policy["name"] for each in violations for policy in each["violatedPolicies"]
            )
            body = {"status": 409, "title": "Violations Error", "detail": detail, "violations": violations}
            raise ApiError(409, body)

    def shown(self, _: Call, kept: Body) -> Body:
        """Return an object without its credentials; a flow says that it is of a destination."""
        parameters = kept.get("auth", {}).get("params", {})
        if "secretKey" in parameters:
            readable = {key: value for key, value in parameters.items() if key not in SECRETS}
            return {**kept, "auth": {**kept["auth"], "params": readable}}
        if "sourceConnectionIds" not in kept:
            return kept
        (source_id,) = kept["sourceConnectionIds"][:1]
        inherited = {
            "properties": {"isDestinationFlow": True},
            "sourceConnections": [{"id": source_id, "typeInfo": {"type": "ProfileFragments", "id": "ups"}}],
        }
        return {**kept, "inheritedAttributes": inherited}

    def explored(self, connection: Body) -> list[Body]:
        """Return the streams that a base connection sees; the Profile store has none."""
        if spec_id(connection, "connectionSpec") == PROFILE_STORE:
            return []
        access = _access(connection, connection["auth"]["params"]["region"])
        return [{"type": "stream", "name": name} for name in list_streams(self._kinesis, access)]

    def _base(self, call: Call, body: Body, spec: str) -> Body:
        base_id = str(body.get("baseConnectionId"))
        base = self._flows.connections.get(call.org_id, base_id)
        if base is None or base["connectionSpec"]["id"] != spec:
            raise reference_not_found("connections", base_id)
        return base


def _access(connection: Body, region: str) -> StreamAccess:
    parameters = connection["auth"]["params"]
    return StreamAccess(parameters["accessKeyId"], parameters["secretKey"], region)


def _versioned_spec(body: Body) -> str:
    found = spec_id(body, "connectionSpec")
    if not body["connectionSpec"].get("version"):
        raise refused(422, "connectionSpec.version is missing")
    return found


def _check_end(call: Call, ids: Any, key: str, kind: str, repository: Repository, spec: str) -> None:
    if not isinstance(ids, list) or len(ids) != 1:
        raise refused(400, f"{key} must list one id")
    found = repository.get(call.org_id, str(ids[0]))
    if found is None or found["connectionSpec"]["id"] != spec:
        raise reference_not_found(kind, ids[0])


def _checked_selectors(body: Body, mapped: Mapping[str, Body]) -> Body:
    """Return the parameters of a flow's one transformation; `mapped` are the audiences that it had before, by id."""
    transformations = body.get("transformations") or [{"name": "GeneralTransform", "params": {}}]
    first = transformations[0] if isinstance(transformations, list) else None
    if not isinstance(first, dict) or first.get("name") != "GeneralTransform" or len(transformations) != 1:
        raise refused(400, 'transformations must hold one, named "GeneralTransform"')
    parameters = first.get("params")
    if not isinstance(parameters, dict):
        raise refused(400, "transformations[0].params must hold segmentSelectors and profileSelectors")
    checked = {**parameters}
    for name in _SELECTOR_TYPES:
        holder = parameters.get(name, {"selectors": []})
        selectors = holder.get("selectors") if isinstance(holder, dict) else None
        if not isinstance(selectors, list):
            raise refused(400, f"{name}.selectors must be a list")
        checked[name] = {**holder, "selectors": [_checked_selector(name, each, mapped) for each in selectors]}
    return checked


def _checked_selector(name: str, selector: Any, mapped: Mapping[str, Body]) -> Body:
    kind, key = _SELECTOR_TYPES[name]
    value = selector.get("value") if isinstance(selector, dict) else None
    if not isinstance(value, dict) or selector.get("type") != kind:
        raise refused(400, f"{name}: each selector must have the type {kind} and a value")
    if not isinstance(value.get(key), str) or not value[key]:
        raise refused(400, f"{name}: value.{key} is required")
    if name == PROFILE_SELECTORS:
        return dict(selector)
    now = str(int(time.time()))
    before = mapped.get(value["id"])
    changed = before is None or any(before.get(each) != value.get(each) for each in ("name", "description"))
    times = {
        "createTime": before["createTime"] if before else now,
        "updateTime": now if changed or before is None else before["updateTime"],
    }
    return {**selector, "value": {**value, **times}}
