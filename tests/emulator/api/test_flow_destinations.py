"""Destinations to Kinesis in Flow Service.

Sources: [DEST] "Connect to streaming destinations and activate data", [DEST-API] OpenAPI document of the Destinations
API, [EDIT] "Edit destinations", [UPDATE] "Update destination dataflows", [CODES] "Flow Service error messages".
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import requests

from emulator.api.flows import Flows
from emulator.api.mapping_sets import MappingSets
from emulator.state.datasets import Datasets
from emulator.state.inlets import Inlets
from emulator.state.registry import Registry
from emulator.state.store import Store
from testing.services.kinesis import Kinesis
from tests.emulator.destination import (
    ACCESS,
    SELECTORS,
    Destination,
    have_stream,
    kinesis_connection,
    spec,
    target,
)
from tests.emulator.management import FLOW_SERVICE, KINESIS, PLAIN_FLOW, PROFILE, PROFILE_STORE, Platform

AUDIENCES = f"{SELECTORS}/segmentSelectors/selectors"


@pytest.fixture
def platform(kinesis: Kinesis) -> Platform:
    have_stream(kinesis, "profiles", "other")
    return Platform(kinesis)


@pytest.fixture
def destination(platform: Platform) -> Destination:
    return Destination(platform)


def audiences(destination: Destination) -> list[str]:
    selectors = destination.shown()["transformations"][0]["params"]["segmentSelectors"]["selectors"]
    return [each["value"]["id"] for each in selectors]


def test_the_tutorial(destination: Destination) -> None:
    """[DEST] five creates and the activation, which is answered with 202 and no body."""
    ids = destination.segments("a", "b")
    answer = destination.activate(*ids, attributes=("person.lastName",))
    assert (answer.status_code, answer.content) == (202, b"")
    flow = destination.shown()
    UUID(flow["id"])
    assert re.fullmatch('"[0-9a-f-]{36}"', flow["etag"])
    assert flow["state"] == "enabled"
    assert flow["inheritedAttributes"]["properties"] == {"isDestinationFlow": True}
    (inherited,) = flow["inheritedAttributes"]["sourceConnections"]
    assert inherited["typeInfo"] == {"type": "ProfileFragments", "id": "ups"}
    selectors = flow["transformations"][0]["params"]
    (attribute,) = selectors["profileSelectors"]["selectors"]
    assert attribute == {"type": "JSON_PATH", "value": {"operator": "EXISTS", "path": "person.lastName"}}
    first, _ = selectors["segmentSelectors"]["selectors"]
    assert first["value"]["name"] == f"audience {ids[0]}"
    assert first["value"]["createTime"] == first["value"]["updateTime"]
    assert first["value"]["createTime"].isdecimal()


@pytest.mark.parametrize(("reply", "keys"), [("200", {"id", "etag"}), ("flow", {"items"})])
def test_other_replies_to_an_activation(destination: Destination, reply: str, keys: set[str]) -> None:
    """[UPDATE] 200 with id and etag; an older OpenAPI document: 200 with the flow."""
    emulator, ids = destination.platform.emulator, destination.segments("a")
    emulator.faults(activation_reply=reply)
    try:
        answer = destination.activate(*ids)
    finally:
        emulator.clear_faults()
    assert (answer.status_code, set(answer.json())) == (200, keys)
    assert audiences(destination) == ids


def test_audiences_are_removed_one_after_the_other(destination: Destination) -> None:
    """[EDIT] `value` may be sent; RFC 6902: the second of two is at 0 once the first is gone."""
    ids = destination.segments("a", "b", "c")
    destination.activate(*ids)
    value = {"type": "PLATFORM_SEGMENT", "value": {}}
    removals = [{"op": "remove", "path": f"{AUDIENCES}/{index}", "value": value} for index in (0, 1)]
    assert destination.patch(removals).status_code == 202
    assert audiences(destination) == [ids[1]]


def test_credentials_are_not_shown(destination: Destination) -> None:
    """Ours: Adobe shows no reply with them."""
    shown = destination.shown("connections", destination.base_id)
    assert shown["auth"]["params"] == {"region": "us-east-1"}
    listed = destination.platform.call("GET", f"{FLOW_SERVICE}/connections").text
    assert not any(ACCESS[name] in listed for name in ("accessKeyId", "secretKey"))


def test_credentials_and_stream_are_changed(destination: Destination) -> None:
    """[EDIT] by `PATCH` of the base connection and of the target connection."""
    new = {**ACCESS, "secretKey": "another"}
    patch = [{"op": "add", "path": "/auth/params", "value": new}]
    answer = destination.patch(patch, "connections", destination.base_id)
    assert (answer.status_code, set(answer.json())) == (200, {"id", "etag"})
    patch = [{"op": "replace", "path": "/params", "value": {"stream": "other", "region": "us-east-1"}}]
    assert destination.patch(patch, "targetConnections", destination.target_id).status_code == 200
    assert destination.shown("targetConnections", destination.target_id)["params"]["stream"] == "other"


def test_disabled_and_enabled(destination: Destination) -> None:
    """[EDIT] id and etag; [CODES] what is disabled cannot be disabled."""
    path = f"{FLOW_SERVICE}/flows/{destination.flow_id}/action"
    answer = destination.platform.call("POST", f"{path}?op=disable")
    assert answer.status_code == 200
    assert answer.json() == {"id": destination.flow_id, "etag": destination.shown()["etag"]}
    assert destination.shown()["state"] == "disabled"
    again = destination.platform.call("POST", f"{path}?op=disable")
    assert (again.status_code, again.json()["code"]) == (400, "1422-400")
    assert destination.platform.call("POST", f"{path}?op=enable").status_code == 200
    assert destination.platform.call("POST", f"{path}?op=start").json()["code"] == "1434-400"


@pytest.mark.parametrize(
    ("kind", "changes", "status", "words"),
    [
        ("connections", {"name": ""}, 400, "name is required"),
        ("connections", {"connectionSpec": {"id": KINESIS}}, 422, "connectionSpec.version is missing"),
        ("connections", {"auth": {"specName": "Access Key", "params": ACCESS}}, 400, "The auth spec 'Access Key'"),
        (
            "connections",
            {"auth": {"specName": "Aws Kinesis authentication credentials", "params": {**ACCESS, "secretKey": ""}}},
            400,
            "secretKey is required",
        ),
        ("targetConnections", {"baseConnectionId": "x"}, 400, "The requested connections resource x is not found"),
        ("targetConnections", {"params": {"stream": "s"}}, 400, "region is required"),
        ("targetConnections", {"params": {"stream": "s", "region": "r", "includeSegmentNames": 1}}, 400, "true or fal"),
        ("sourceConnections", {}, 400, "connectionSpec.id must be"),
        ("flows", {"state": "disabled"}, 400, "`State` is not allowed"),
        ("flows", {"sourceConnectionIds": []}, 400, "must list one id"),
        ("flows", {"targetConnectionIds": ["x"]}, 400, "The requested targetConnections resource x is not found"),
        ("flows", {"transformations": [{"name": "Mapping", "params": {}}]}, 400, "GeneralTransform"),
    ],
)
def test_refused(destination: Destination, kind: str, changes: dict[str, Any], status: int, words: str) -> None:
    bodies = {
        "connections": kinesis_connection(),
        "sourceConnections": target(destination.base_id),
        "targetConnections": target(destination.base_id),
        "flows": destination.flow,
    }
    answer = destination.platform.call("POST", f"{FLOW_SERVICE}/{kind}", {**bodies[kind], **changes})
    assert (answer.status_code, words in answer.json()["errorMessage"]) == (status, True), answer.text


@pytest.mark.parametrize("operation", [{"op": "remove"}, {"op": "replace", "value": "gone"}])
def test_a_patch_leaves_the_state_alone(destination: Destination, operation: dict[str, str]) -> None:
    """[EDIT] it has an action of its own, and whoever looks through the dataflows counts on it."""
    assert destination.patch([{**operation, "path": "/state"}]).status_code == 202
    assert destination.shown()["state"] == "enabled"
    answer = destination.platform.call("GET", "/connections", Accept="text/html")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("operations", "code", "words"),
    [
        ([], "1405-400", "cannot be null or empty"),
        ([{"op": "move", "path": "/name", "from": "/description"}], "1434-400", "Unsupported operation 'move'"),
        ([{"op": "remove", "path": f"{AUDIENCES}/7"}], "1455-400", 'Missing field "7"'),
        ([{"op": "add", "path": "/name"}], "1455-400", 'Missing field "value"'),
        ([{"path": "/name", "value": "x"}], "1455-400", 'Missing field "op"'),
    ],
)
def test_refused_patches(destination: Destination, operations: Any, code: str, words: str) -> None:
    answer = destination.patch(operations)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert words in answer.json()["errorMessage"]


@pytest.mark.parametrize(
    "selector",
    [
        {"type": "JSON_PATH", "value": {"id": "a"}},
        {"type": "PLATFORM_SEGMENT", "value": {"name": "a"}},
        {"type": "PLATFORM_SEGMENT"},
        "a",
    ],
)
def test_refused_selectors(destination: Destination, selector: Any) -> None:
    answer = destination.patch([{"op": "add", "path": f"{AUDIENCES}/-", "value": selector}])
    assert (answer.status_code, "segmentSelectors" in answer.json()["errorMessage"]) == (400, True)
    assert audiences(destination) == []


def test_unknown_audiences_are_refused(destination: Destination) -> None:
    """Ours."""
    answer = destination.activate("59bd2fbd-3c48-4b18-bf56-4f5c5e6967ae")
    assert (answer.status_code, "there is no segment definition 59bd" in answer.json()["errorMessage"]) == (400, True)


def test_a_connection_keeps_its_specification(destination: Destination) -> None:
    """[CODES]"""
    patch = [{"op": "replace", "path": "/connectionSpec", "value": spec(PROFILE_STORE)}]
    assert destination.patch(patch, "connections", destination.base_id).json()["code"] == "1414-400"
    patch = [{"op": "replace", "path": "/flowSpec", "value": spec(PLAIN_FLOW)}]
    assert "cannot be updated" in destination.patch(patch).json()["errorMessage"]


def test_what_is_not_there(destination: Destination) -> None:
    """[DEST-API]"""
    for kind in ("flows", "connections"):
        answer = destination.platform.call("GET", f"{FLOW_SERVICE}/{kind}/none")
        text = f"{kind} not found with id = [none]"
        assert (answer.status_code, answer.json()) == (404, {"errorMessage": text, "errorDetails": text})


def test_deleted_from_the_flow_down(destination: Destination) -> None:
    """[DEST-API] 202 without a body; [CODES] a base connection that a flow uses stays."""

    def delete(kind: str, object_id: str) -> Any:
        return destination.platform.call("DELETE", f"{FLOW_SERVICE}/{kind}/{object_id}")

    refused = delete("connections", destination.base_id)
    assert (refused.status_code, refused.json()["code"]) == (400, "1418-400")
    for kind, object_id in (
        ("flows", destination.flow_id),
        ("targetConnections", destination.target_id),
        ("sourceConnections", destination.source_id),
        ("connections", destination.base_id),
    ):
        answer = delete(kind, object_id)
        assert (answer.status_code, answer.content) == (202, b"")


def test_a_source_cannot_be_disabled(platform: Platform) -> None:
    """Ours: what a source's dataflow does when it is disabled is not imitated."""
    flow_id = platform.flow(platform.connection(), platform.dataset(platform.schema(PROFILE), profile=False))
    assert platform.call("POST", f"{FLOW_SERVICE}/flows/{flow_id}/action?op=disable").status_code == 400


class TestStreams:
    """What is asked of Kinesis when a destination is set up; what is missing is named."""

    def explore(self, destination: Destination, what: str) -> requests.Response:
        return destination.platform.call("GET", f"{FLOW_SERVICE}/connections/{destination.base_id}/{what}")

    def create(self, platform: Platform, kind: str, body: dict[str, Any]) -> str:
        answer = platform.call("POST", f"{FLOW_SERVICE}/{kind}", body)
        assert answer.status_code == 400, answer.text
        return str(answer.json()["errorMessage"])

    def test_seen_by_a_connection(self, destination: Destination) -> None:
        assert self.explore(destination, "test").json() is True
        assert {"type": "stream", "name": "profiles"} in self.explore(destination, "explore").json()

    def test_more_streams_than_kinesis_lists_at_once(self, platform: Platform, kinesis: Kinesis) -> None:
        names = [f"s{number:03}" for number in range(101)]
        have_stream(kinesis, *names, region="ap-south-2")
        auth = {**kinesis_connection()["auth"], "params": {**ACCESS, "region": "ap-south-2"}}
        base = platform.make(f"{FLOW_SERVICE}/connections", kinesis_connection(auth=auth))
        seen = platform.get(f"{FLOW_SERVICE}/connections/{base['id']}/explore")
        assert [each["name"] for each in seen] == names

    def test_a_stream_that_is_not_there(self, destination: Destination) -> None:
        words = "Kinesis has no stream nothing in region us-east-1 for these credentials"
        platform = destination.platform
        assert self.create(platform, "targetConnections", target(destination.base_id, "nothing")) == words
        elsewhere = {"params": {"stream": "profiles", "region": "eu-west-3"}}
        said = self.create(platform, "targetConnections", {**target(destination.base_id), **elsewhere})
        assert said == "Kinesis has no stream profiles in region eu-west-3 for these credentials"
        patch = [{"op": "replace", "path": "/params/stream", "value": "nothing"}]
        answer = destination.patch(patch, "targetConnections", destination.target_id)
        assert (answer.status_code, answer.json()["errorMessage"]) == (400, words)

    def test_a_right_that_is_missing(self, destination: Destination, kinesis: Kinesis) -> None:
        kinesis.switch(denied_actions=["kinesis:ListStreams"])
        said = self.create(destination.platform, "connections", kinesis_connection())
        assert "is not authorized to perform: kinesis:ListStreams" in said
        assert "in region us-east-1" in said
        assert self.explore(destination, "test").json() is False
        assert self.explore(destination, "explore").status_code == 400

    def test_credentials_that_are_not_valid(self, platform: Platform, kinesis: Kinesis) -> None:
        kinesis.local("POST", "kinesis/keys", {"access_key_id": "AKIAOTHER", "secret_access_key": "other"})
        try:
            assert "UnrecognizedClientException" in self.create(platform, "connections", kinesis_connection())
        finally:
            kinesis.local("DELETE", "kinesis/keys")


class TestForTheExport:
    """Return what the export of profiles gets, from the same state that Flow Service keeps."""

    def flows(self, state: Path) -> Flows:
        """Return the flows in the state file of an emulator that has ended."""
        store = Store(state)
        registry = Registry(store)
        return Flows(store, Inlets(store), Datasets(store, registry), MappingSets(store))

    def test_enabled_destinations(self, tmp_path: Path) -> None:
        state = tmp_path / "state.sqlite"
        with Kinesis(state=state) as emulator:
            have_stream(emulator, "one", "two", "three")
            platform = Platform(emulator)
            first = Destination(platform, "one", includeSegmentNames=True)
            ids = first.segments("a", "b")
            first.activate(*ids, attributes=("person.name", "homeAddress.city"))
            (created,) = [
                each["value"]["createTime"]
                for each in first.shown()["transformations"][0]["params"]["segmentSelectors"]["selectors"]
                if each["value"]["id"] == ids[0]
            ]
            disabled = Destination(platform, "two")
            platform.call("POST", f"{FLOW_SERVICE}/flows/{disabled.flow_id}/action?op=disable")
            other = Destination(Platform(emulator), "three")
        destinations = self.flows(state).destinations
        (found,) = destinations.enabled(platform.org_id)
        assert (found.flow_id, found.stream, found.region) == (first.flow_id, "one", "us-east-1")
        assert (found.access_key_id, found.secret_key) == (ACCESS["accessKeyId"], ACCESS["secretKey"])
        assert found.attributes == ("person.name", "homeAddress.city")
        assert (found.include_names, found.include_timestamps) == (True, False)
        assert list(found.audiences) == ids
        assert (found.audiences[ids[0]].name, found.audiences[ids[0]].created_s) == (f"audience {ids[0]}", int(created))
        (elsewhere,) = destinations.enabled(other.platform.org_id)
        assert elsewhere.stream == "three"
