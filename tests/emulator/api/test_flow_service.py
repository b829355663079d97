"""Flow Service: connections, dataflows, mapping sets.

Sources: [HTTP] "Create an HTTP API streaming connection", [SWF] OpenAPI document of Flow Service, [LAND-TRB]
"Experience Platform troubleshooting guide", [DEST] "Connect to streaming destinations", [DEST-API] OpenAPI document of
the Destinations API, [UPS] "Send partial row updates".
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import pytest

from testing.services.emulator import Emulator
from tests.emulator.conftest import Client
from tests.emulator.management import (
    DATA_LAKE,
    DESTINATION_FLOW,
    FLOW_SERVICE,
    HTTP_STREAMING,
    KINESIS,
    PLAIN_FLOW,
    PROFILE,
    PROFILE_STORE,
    TRANSFORMING_FLOW,
    Platform,
)

MAPPINGS = "/data/foundation/mappingSets"
PERSON: dict[str, Any] = {
    "name": "Johnson Smith",
    "location": {"city": "Seattle"},
    "gender": "Male",
    "birthday": {"year": 1984, "month": 6, "day": 9},
}


def make_mapping(platform: Platform, *pairs: tuple[str, str], base: str = MAPPINGS) -> str:
    body = {
        "version": 0,
        "xdmSchema": "https://ns.adobe.com/x/schemas/y",
        "xdmVersion": "1.0",
        "mappings": [
            {"sourceAttribute": source, "destinationXdmPath": destination, "identity": False, "version": 0}
            for source, destination in pairs
        ],
    }
    answer = platform.call("POST", base, body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


class TestConnections:
    BODY: ClassVar[dict[str, Any]] = {
        "name": "Streaming Connection for XDM",
        "description": "for events",
        "connectionSpec": {"id": HTTP_STREAMING, "version": "1.0"},
        "auth": {
            "specName": "Streaming Connection",
            "params": {"sourceId": "src", "dataType": "xdm", "name": "conn", "authenticationRequired": True},
        },
    }

    def test_created(self, platform: Platform) -> None:
        """[HTTP] [SWF] 201 with id, etag in escaped quotes, and a Location."""
        answer = platform.call("POST", f"{FLOW_SERVICE}/connections", self.BODY)
        assert answer.status_code == 201
        assert list(answer.json()) == ["id", "etag"]
        connection_id = answer.json()["id"]
        UUID(connection_id)
        assert re.fullmatch('"[0-9a-f-]{36}"', answer.json()["etag"])
        assert answer.headers["location"].endswith(f"{FLOW_SERVICE}/connections/{connection_id}")

    def test_looked_up(self, platform: Platform) -> None:
        """[HTTP] one connection comes in a list, with its inlet."""
        created = platform.make(f"{FLOW_SERVICE}/connections", self.BODY)
        (item,) = platform.get(f"{FLOW_SERVICE}/connections/{created['id']}")["items"]
        inlet_id = item["auth"]["params"]["inletId"]
        assert re.fullmatch("[0-9a-f]{64}", inlet_id)
        assert item["auth"]["params"] == {
            **self.BODY["auth"]["params"],
            "inletId": inlet_id,
            "inletUrl": f"{platform.emulator.url}/collection/{inlet_id}",
        }
        assert (item["state"], item["imsOrgId"], item["etag"]) == ("enabled", platform.org_id, created["etag"])
        assert item["connectionSpec"] == self.BODY["connectionSpec"]
        assert item in platform.get(f"{FLOW_SERVICE}/connections")["items"]

    def test_source_id_defaults_to_the_name(self, platform: Platform) -> None:
        """[HTTP] and authenticationRequired to false."""
        connection_id = platform.connection()
        (item,) = platform.get(f"{FLOW_SERVICE}/connections/{connection_id}")["items"]
        assert item["auth"]["params"]["sourceId"] == "events"
        assert item["auth"]["params"]["authenticationRequired"] is False

    def test_authentication_required(self, platform: Platform, client: Client) -> None:
        """[HTTP] 401 with the documented body."""
        url = platform.inlet_url(platform.connection(authenticationRequired=True))
        answer = client.post(url, {})
        assert answer.status_code == 401
        assert answer.json()["report"]["message"].endswith("Ims service token is empty")
        assert client.post(url, {}, Authorization=platform.headers["Authorization"]).status_code == 400

    @pytest.mark.parametrize(
        "changes",
        [
            {"name": None},
            {"auth": None},
            {"auth": {"specName": "Basic", "params": {}}},
            {"auth": {"specName": "Streaming Connection", "params": {"dataType": "csv"}}},
            {"auth": {"specName": "Streaming Connection", "params": {"authenticationRequired": "yes"}}},
        ],
    )
    def test_refused(self, platform: Platform, changes: dict[str, Any]) -> None:
        """Our texts; Adobe documents the member `errorMessage` only."""
        answer = platform.call("POST", f"{FLOW_SERVICE}/connections", {**self.BODY, **changes})
        assert (answer.status_code, list(answer.json())) == (400, ["errorMessage"])

    @pytest.mark.parametrize("spec", [None, {"id": "00000000-0000-0000-0000-000000000000"}, {"version": "1.0"}])
    def test_no_such_specification(self, platform: Platform, spec: Any) -> None:
        """[DEST-API] the body of a 400."""
        answer = platform.call("POST", f"{FLOW_SERVICE}/connections", {**self.BODY, "connectionSpec": spec})
        assert (answer.status_code, answer.json()) == (400, {"message": "Please provide a valid spec id"})

    def test_changed(self, platform: Platform, client: Client) -> None:
        """[SWF] PATCH with the current etag; operations in capitals; the inlet follows and stays the same."""
        connection_id = platform.connection()
        url = platform.inlet_url(connection_id)
        path = f"{FLOW_SERVICE}/connections/{connection_id}"
        (before,) = platform.get(path)["items"]
        patch = [{"op": "REPLACE", "path": "/auth/params/authenticationRequired", "value": True}]
        answer = platform.call("PATCH", path, patch, If_Match=before["etag"])
        assert (answer.status_code, answer.json()["id"]) == (200, connection_id)
        assert answer.json()["etag"] != before["etag"]
        assert platform.inlet_url(connection_id) == url
        assert client.post(url, {}).status_code == 401

    def test_stale_etag(self, platform: Platform) -> None:
        """[LAND-TRB] the text of a stale etag; [DEST-API] it has its quotes, and without them it is another."""
        path = f"{FLOW_SERVICE}/connections/{platform.connection()}"
        (item,) = platform.get(path)["items"]
        patch = [{"op": "replace", "path": "/name", "value": "new"}]
        answer = platform.call("PATCH", path, patch, If_Match='"old"')
        assert answer.status_code == 412
        text = f'Supplied version=["old"] does not match the current version on entity=[{item["etag"]}]'
        assert answer.json() == {"errorMessage": text, "errorDetails": text}
        assert platform.call("PATCH", path, patch, If_Match=item["etag"].strip('"')).status_code == 412
        answer = platform.call("PATCH", path, patch)
        assert (answer.status_code, answer.json()["code"]) == (400, "1403-400")
        assert platform.get(path)["items"] == [item]

    def test_deleted(self, platform: Platform, client: Client) -> None:
        """[SWF] 204; then the inlet is gone too."""
        connection_id = platform.connection()
        url = platform.inlet_url(connection_id)
        answer = platform.call("DELETE", f"{FLOW_SERVICE}/connections/{connection_id}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert platform.call("GET", f"{FLOW_SERVICE}/connections/{connection_id}").status_code == 404
        assert client.post(url, {}).status_code == 404

    def test_client_cannot_choose_an_inlet(self, platform: Platform) -> None:
        """Two connections never share an inlet."""
        first = platform.inlet_url(platform.connection())
        second = platform.connection(inletId=first.rpartition("/")[2])
        assert platform.inlet_url(second) != first

    def test_pages(self, platform: Platform) -> None:
        """[SWF] limit; the link to the next page keeps it, and the filters, and aepp adds its own parameters again."""
        ids = [platform.connection(sourceId="web" if number else "app") for number in range(6)]
        path = f"{FLOW_SERVICE}/connections?limit=2&property=auth.params.sourceId==web"
        found, following = [], path
        while following:
            page = platform.get(following)
            assert len(page["items"]) <= 2
            found += [each["id"] for each in page["items"]]
            link = page["_links"].get("next", {}).get("href")
            assert link is None or link.startswith("/connections?continuationToken=")
            following = link and f"{FLOW_SERVICE}{link}&limit=2"
        assert found == ids[1:]
        assert len(platform.get(f"{FLOW_SERVICE}/connections")["items"]) == 6

    @pytest.mark.parametrize("query", ["continuationToken=x", "continuationToken=W10", "property=name~("])
    def test_wrong_query(self, platform: Platform, query: str) -> None:
        answer = platform.call("GET", f"{FLOW_SERVICE}/connections?{query}")
        assert (answer.status_code, query.partition("=")[0] in answer.json()["errorMessage"]) == (400, True)

    def test_connection_specs(self, platform: Platform) -> None:
        """[HTTP] [HTTP-OLD] the two specs of a streaming dataflow, [DEST] and the two of a destination."""
        specs = {each["id"]: each for each in platform.get(f"{FLOW_SERVICE}/connectionSpecs")["items"]}
        assert set(specs) == {HTTP_STREAMING, DATA_LAKE, KINESIS, PROFILE_STORE}
        assert specs[HTTP_STREAMING]["providerId"] == "521eee4d-8cbe-4906-bb48-fb6bd4450033"
        assert platform.get(f"{FLOW_SERVICE}/connectionSpecs/{DATA_LAKE}") == {"items": [specs[DATA_LAKE]]}
        assert platform.call("GET", f"{FLOW_SERVICE}/connectionSpecs/x").status_code == 404


class TestDataflows:
    def test_the_xdm_tutorial(self, platform: Platform, client: Client) -> None:
        """[HTTP] base, source and target connection, dataflow, then messages with `header.flowId`."""
        schema_id = platform.schema(PROFILE)
        dataset_id = platform.dataset(schema_id, profile=False)
        connection_id = platform.connection()
        flow_id = platform.flow(connection_id, dataset_id)
        (flow,) = platform.get(f"{FLOW_SERVICE}/flows/{flow_id}")["items"]
        url = platform.inlet_url(connection_id)
        assert (flow["state"], flow["options"]["inletUrl"]) == ("enabled", url)
        message = platform.message(schema_id, dataset_id, {"personID": "p"})
        message["header"]["flowId"] = flow_id
        assert client.post(url, message, x_adobe_flow_id=flow_id).status_code == 200
        assert platform.records(dataset_id) == [{"personID": "p"}]

    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            ("sourceConnections", {"name": "s", "baseConnectionId": "x", "connectionSpec": {"id": HTTP_STREAMING}}),
            ("sourceConnections", {"name": "s", "connectionSpec": {"id": DATA_LAKE}}),
            ("targetConnections", {"name": "t", "params": {"dataSetId": "x"}, "connectionSpec": {"id": DATA_LAKE}}),
            ("targetConnections", {"name": "t", "connectionSpec": {"id": HTTP_STREAMING}}),
            ("flows", {"name": "f", "flowSpec": {"id": "x"}, "sourceConnectionIds": ["x"]}),
            ("flows", {"name": "f", "flowSpec": {"id": "x"}, "sourceConnectionIds": []}),
        ],
    )
    def test_refused(self, platform: Platform, kind: str, body: dict[str, Any]) -> None:
        """Our choice: what names something that does not exist is a 400."""
        assert platform.call("POST", f"{FLOW_SERVICE}/{kind}", body).status_code == 400

    def test_flow_specs(self, platform: Platform) -> None:
        """[HTTP] the specifications with and without a transformation, [DEST-API] and that of destinations."""
        specs = {each["id"] for each in platform.get(f"{FLOW_SERVICE}/flowSpecs")["items"]}
        assert specs == {PLAIN_FLOW, TRANSFORMING_FLOW, DESTINATION_FLOW}
        (one,) = platform.get(f"{FLOW_SERVICE}/flowSpecs/{PLAIN_FLOW}")["items"]
        assert one["id"] == PLAIN_FLOW
        assert platform.call("GET", f"{FLOW_SERVICE}/flowSpecs/none").status_code == 404

    def test_transforming_flow_needs_a_mapping(self, platform: Platform) -> None:
        """[HTTP] the transformation is named Mapping and names a mapping set."""
        flow_id = platform.flow(platform.connection(), platform.dataset(platform.schema(PROFILE), profile=False))
        (flow,) = platform.get(f"{FLOW_SERVICE}/flows/{flow_id}")["items"]
        body = {key: flow[key] for key in ("name", "sourceConnectionIds", "targetConnectionIds")}
        body["flowSpec"] = {"id": TRANSFORMING_FLOW, "version": "1.0"}
        for transformations in (None, [], [{"name": "Mapping", "params": {"mappingId": "x"}}]):
            answer = platform.call("POST", f"{FLOW_SERVICE}/flows", {**body, "transformations": transformations})
            assert answer.status_code == 400

    def test_state_survives_a_restart(self, tmp_path: Path, client: Client) -> None:
        with Emulator(state=tmp_path / "state.db") as emulator:
            platform = Platform(emulator)
            schema_id = platform.schema(PROFILE)
            dataset_id = platform.dataset(schema_id, profile=False)
            connection_id = platform.connection(dataType="raw")
            flow_id = platform.flow(connection_id, dataset_id, make_mapping(platform, ("name", "personID")))
            before = [
                platform.get(f"{FLOW_SERVICE}/{kind}")
                for kind in ("connections", "sourceConnections", "targetConnections", "flows")
            ]
            emulator.stop()
            emulator.start()
            after = [
                platform.get(f"{FLOW_SERVICE}/{kind}")
                for kind in ("connections", "sourceConnections", "targetConnections", "flows")
            ]
            assert after == before
            url = platform.inlet_url(connection_id)
            assert client.post(url, PERSON, x_adobe_flow_id=flow_id).status_code == 200
            assert platform.records(dataset_id) == [{"personID": "Johnson Smith"}]


class TestMappingSets:
    @pytest.mark.parametrize("base", [MAPPINGS, "/data/foundation/conversion/mappingSets"])
    def test_created(self, platform: Platform, base: str) -> None:
        """[HTTP] the answer; [AEPP] the second address."""
        mapping_id = make_mapping(platform, ("firstName", "person.name.firstName"), base=base)
        assert re.fullmatch("[0-9a-f]{32}", mapping_id)
        found = platform.get(f"{base}/{mapping_id}")
        assert found["mappings"][0]["destinationXdmPath"] == "person.name.firstName"
        assert (found["id"], found["version"]) == (mapping_id, 0)
        assert [each["id"] for each in platform.get(base)["data"]] == [mapping_id]

    @pytest.mark.parametrize(
        "mappings",
        [
            None,
            [{"sourceAttribute": "a"}],
            [{"sourceType": "EXPRESSION", "source": "concat(a,b)", "destination": "c"}],
            [{"sourceAttribute": "upsert_array_append(a)", "destinationXdmPath": "b"}],
        ],
    )
    def test_refused(self, platform: Platform, mappings: object) -> None:
        """Functions are not supported here, and say so instead of being passed over."""
        answer = platform.call("POST", MAPPINGS, {"mappings": mappings})
        assert (answer.status_code, "detail" in answer.json()) == (400, True)

    def test_unknown(self, platform: Platform) -> None:
        assert platform.call("GET", f"{MAPPINGS}/x").status_code == 404


class TestRawMessages:
    @pytest.fixture
    def schema_id(self, platform: Platform) -> str:
        return platform.schema(PROFILE, "https://ns.adobe.com/xdm/context/profile-person-details")

    @pytest.fixture
    def dataset_id(self, platform: Platform, schema_id: str) -> str:
        return platform.dataset(schema_id, profile=False)

    @pytest.fixture
    def connection_id(self, platform: Platform) -> str:
        return platform.connection(dataType="raw")

    def test_mapped(self, platform: Platform, client: Client, connection_id: str, dataset_id: str) -> None:
        """[HTTP] the raw message goes through the mapping set of its flow; the flow in header or query."""
        mapping_id = make_mapping(
            platform, ("name", "person.name.fullName"), ("$.birthday.year", "person.birthYear"), ("none", "personID")
        )
        flow_id = platform.flow(connection_id, dataset_id, mapping_id)
        url = platform.inlet_url(connection_id)
        assert client.post(url, PERSON, x_adobe_flow_id=flow_id).status_code == 200
        assert client.post(f"{url}?x-adobe-flow-id={flow_id}", {"name": "B"}).status_code == 200
        assert platform.records(dataset_id) == [
            {"person": {"name": {"fullName": "Johnson Smith"}, "birthYear": 1984}},
            {"person": {"name": {"fullName": "B"}}},
        ]

    def test_unknown_flow(self, platform: Platform, client: Client, connection_id: str, dataset_id: str) -> None:
        """Our choice: the flow of another connection, or none, is a 400."""
        other = platform.flow(platform.connection(dataType="raw"), dataset_id)
        url = platform.inlet_url(connection_id)
        for flow_id in (other, "x", ""):
            assert client.post(url, PERSON, x_adobe_flow_id=flow_id).status_code == 400

    def test_mapped_entity_is_validated(
        self, platform: Platform, client: Client, connection_id: str, dataset_id: str
    ) -> None:
        """[VAL] what the mapping makes is validated like any entity; the failed batch has the raw message."""
        flow_id = platform.flow(connection_id, dataset_id, make_mapping(platform, ("birthday", "person.birthYear")))
        client.post(platform.inlet_url(connection_id), PERSON, x_adobe_flow_id=flow_id)
        (failed,) = platform.failures(dataset_id)
        (error,) = failed.pop("_errors")["_streamingValidation"]
        assert failed == PERSON
        assert error["code"] == "DCVS-1104-400"
        assert platform.records(dataset_id) == []

    def test_destinations_that_exclude_each_other(
        self, platform: Platform, client: Client, connection_id: str, dataset_id: str
    ) -> None:
        mapping_id = make_mapping(platform, ("name", "person"), ("gender", "person.gender"))
        flow_id = platform.flow(connection_id, dataset_id, mapping_id)
        client.post(platform.inlet_url(connection_id), PERSON, x_adobe_flow_id=flow_id)
        (failed,) = platform.failures(dataset_id)
        assert "person.gender leads through" in failed["_errors"]["_streamingValidation"][0]["message"]

    @pytest.mark.parametrize(
        ("operations", "reason"),
        [
            ({"data": "upsert"}, "unknown operation 'upsert'"),
            ({"data": ["merge"]}, "unknown operation ['merge']"),
            ("merge", "operations in the header must be an object"),
        ],
    )
    def test_unknown_operation(
        self,
        platform: Platform,
        client: Client,
        connection_id: str,
        dataset_id: str,
        operations: Any,
        reason: str,
    ) -> None:
        """[UPS] operations are create, merge and delete."""
        flow_id = platform.flow(connection_id, dataset_id, make_mapping(platform, ("name", "personID")))
        message = {"header": {"operations": operations}, "body": PERSON}
        client.post(platform.inlet_url(connection_id), message, x_adobe_flow_id=flow_id)
        (failed,) = platform.failures(dataset_id)
        assert reason in failed["_errors"]["_streamingValidation"][0]["message"]
