"""Destinations to Kinesis in the emulator's Flow Service, step by step as Adobe's tutorial makes them."""

from __future__ import annotations

import contextlib
from typing import Any

import requests

from testing.services.kinesis import REGION, Kinesis
from tests.emulator.management import DESTINATION_FLOW, FLOW_SERVICE, KINESIS, PROFILE_STORE, Platform

SELECTORS = "/transformations/0/params"
ACCESS = {"accessKeyId": "AKIAEXAMPLE", "secretKey": "wJalrXUtnFEMI", "region": "us-east-1"}


def spec(spec_id: str) -> dict[str, str]:
    return {"id": spec_id, "version": "1.0"}


def kinesis_connection(**changes: Any) -> dict[str, Any]:
    auth = {"specName": "Aws Kinesis authentication credentials", "params": ACCESS}
    return {"name": "stream", "connectionSpec": spec(KINESIS), "auth": auth, **changes}


def target(base_id: str, stream: str = "profiles", **parameters: Any) -> dict[str, Any]:
    return {
        "name": "stream",
        "baseConnectionId": base_id,
        "connectionSpec": spec(KINESIS),
        "data": {"format": "json"},
        "params": {"stream": stream, "region": "us-east-1", **parameters},
    }


def have_stream(kinesis: Kinesis, *names: str, region: str = REGION) -> None:
    """Create streams, unless another test has."""
    client = kinesis.client(region=region)
    for name in names:
        with contextlib.suppress(client.exceptions.ResourceInUseException):
            client.create_stream(StreamName=name, ShardCount=1)


class Destination:
    """A destination of an organisation, by five creates; without audiences."""

    def __init__(self, platform: Platform, stream: str = "profiles", **parameters: Any) -> None:
        self.platform = platform
        store = self._make("connections", {"name": "profiles", "connectionSpec": spec(PROFILE_STORE)})
        source = {"name": "profiles", "connectionSpec": spec(PROFILE_STORE), "baseConnectionId": store, "params": {}}
        self.source_id = self._make("sourceConnections", source)
        self.base_id = self._make("connections", kinesis_connection())
        self.target_id = self._make("targetConnections", target(self.base_id, stream, **parameters))
        none: dict[str, Any] = {"profileSelectors": {"selectors": []}, "segmentSelectors": {"selectors": []}}
        self.flow = {
            "name": "profiles to a stream",
            "flowSpec": spec(DESTINATION_FLOW),
            "sourceConnectionIds": [self.source_id],
            "targetConnectionIds": [self.target_id],
            "transformations": [{"name": "GeneralTransform", "params": none}],
        }
        self.flow_id = self._make("flows", self.flow)

    def _make(self, kind: str, body: dict[str, Any]) -> str:
        return str(self.platform.make(f"{FLOW_SERVICE}/{kind}", body)["id"])

    def shown(self, kind: str = "flows", object_id: str = "") -> dict[str, Any]:
        (item,) = self.platform.get(f"{FLOW_SERVICE}/{kind}/{object_id or self.flow_id}")["items"]
        return dict(item)

    def patch(self, operations: Any, kind: str = "flows", object_id: str = "") -> requests.Response:
        object_id = object_id or self.flow_id
        etag = self.shown(kind, object_id)["etag"]
        return self.platform.call("PATCH", f"{FLOW_SERVICE}/{kind}/{object_id}", operations, If_Match=etag)

    def segments(self, *names: str) -> list[str]:
        """Create segment definitions; return their ids."""
        return [self._segment(name) for name in names]

    def _segment(self, name: str) -> str:
        body = {
            "name": name,
            "expression": {"type": "PQL", "format": "pql/text", "value": 'homeAddress.country = "US"'},
            "schema": {"name": "_xdm.context.profile"},
        }
        answer = self.platform.call("POST", "/data/core/ups/segment/definitions", body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def activate(self, *audiences: str, attributes: tuple[str, ...] = ()) -> requests.Response:
        """Map audiences by their ids, and attributes by their paths."""
        operations = [
            {
                "op": "add",
                "path": f"{SELECTORS}/segmentSelectors/selectors/-",
                "value": {"type": "PLATFORM_SEGMENT", "value": {"id": each, "name": f"audience {each}"}},
            }
            for each in audiences
        ]
        operations += [
            {
                "op": "add",
                "path": f"{SELECTORS}/profileSelectors/selectors/-",
                "value": {"type": "JSON_PATH", "value": {"operator": "EXISTS", "path": each}},
            }
            for each in attributes
        ]
        return self.patch(operations)
