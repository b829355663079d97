from __future__ import annotations

from typing import Any

import orjson
import pytest

from aep.errors import ConflictError, InvalidRequestError, NotFoundError, PlatformError
from aep.http.transport import Request
from aep.platform.flow_service import (
    FlowService,
    MappingSet,
    Stored,
    data_lake_target,
    inlet_of,
    mapping,
    streaming_connection,
    streaming_flow,
    streaming_source,
)
from aep.platform.inlets import Inlet, InletApi, read_inlet
from testing.fakes.http_server import HttpServer
from tests.aep.management import CONTENT_TYPE, Organisation, Script, answer, scripted

ETAG = '"f50185ed-0000-0200-0000-637e8fad0000"'
RENAME = [{"op": "replace", "path": "/name", "value": "Renamed"}]


class TestEntities:
    def test_one_comes_as_a_list(self) -> None:
        with HttpServer(Script(answer({"items": [{"id": "c1", "etag": ETAG}]}))) as server:
            assert FlowService(scripted(server)).connections.look_up("c1") == {"id": "c1", "etag": ETAG}
        assert server.requests[0].path == "/data/foundation/flowservice/connections/c1"

    @pytest.mark.parametrize("content", [{}, {"items": []}, {"items": [1]}, []])
    def test_a_list_without_it(self, content: Any) -> None:
        with HttpServer(Script(answer(content))) as server, pytest.raises(PlatformError, match="items"):
            FlowService(scripted(server)).flows.look_up("f1")

    def test_pages(self) -> None:
        link = {"_links": {"next": {"href": "/flows?limit=100&continuationToken=t"}}}
        with HttpServer(Script(answer({"items": [{"id": "a"}], **link}), answer({"items": [{"id": "b"}]}))) as server:
            assert [each["id"] for each in FlowService(scripted(server)).flows.list("name==x")] == ["a", "b"]
        path = "/data/foundation/flowservice/flows?"
        first, second = (each.path for each in server.requests)
        assert first == f"{path}limit=100&property=name%3D%3Dx"
        assert second == f"{path}limit=100&continuationToken=t&property=name%3D%3Dx"

    @pytest.mark.parametrize(
        ("reply", "etag"),
        [(answer({"id": "f1", "etag": '"2"'}), '"2"'), (answer(None, 202), ""), (answer({"items": []}), "")],
    )
    def test_a_patch(self, reply: Any, etag: str) -> None:
        with HttpServer(Script(reply)) as server:
            assert FlowService(scripted(server)).flows.patch("f1", ETAG, RENAME) == Stored("f1", etag)
        (request,) = server.requests
        assert request.line == "PATCH /data/foundation/flowservice/flows/f1 HTTP/1.1"
        assert request.headers["if-match"] == ETAG
        assert orjson.loads(request.body) == RENAME

    @pytest.mark.parametrize("status", [400, 409, 412])
    def test_a_stale_etag(self, status: int) -> None:
        words = f"Supplied version=[{ETAG}] does not match the current version on entity=[x]"
        with HttpServer(Script(answer({"errorMessage": words}, status))) as server, pytest.raises(ConflictError):
            FlowService(scripted(server)).flows.patch("f1", ETAG, RENAME)


class TestEmulator:
    def test_xdm_from_end_to_end(self, organisation: Organisation) -> None:
        streaming = organisation.create_streaming()
        organisation.post(streaming, organisation.member("m1"))
        (batch,) = organisation.catalog.batches()
        assert (batch.status, batch.dataset_id) == ("success", streaming.dataset_id)
        flow = organisation.flow_service.flows.look_up(streaming.flow_id)
        assert flow["options"]["inletUrl"] == streaming.inlet.url

    def test_raw_data_through_a_mapping(self, organisation: Organisation) -> None:
        flows = organisation.flow_service
        schema_id = organisation.create_schema()
        dataset_id = organisation.catalog.create_dataset("Raw", schema_id, CONTENT_TYPE)
        base = flows.connections.create(streaming_connection("Raw", "raw", "shop", authentication_required=True))
        source = flows.source_connections.create(streaming_source("Raw", base.id))
        target = flows.target_connections.create(data_lake_target("Raw", dataset_id, schema_id))
        mappings = [mapping("id", f"_{organisation.name}.member"), mapping("n", f"_{organisation.name}.points")]
        made = flows.mapping_sets.create(schema_id, mappings)
        assert flows.mapping_sets.look_up(made.id)["mappings"] == mappings
        flow = flows.flows.create(streaming_flow("Raw", source.id, target.id, made))

        inlet = inlet_of(flows.connections.look_up(base.id))
        assert inlet is not None
        assert inlet == Inlet(
            inlet.id, f"{organisation.emulator.url}/collection/{inlet.id}", "Raw", "shop", "raw", True
        )
        headers = {
            "Content-Type": "application/json",
            "x-adobe-flow-id": flow.id,
            "Authorization": f"Bearer {organisation.tokens.token()}",
        }
        assert organisation.transport.send(Request(inlet.url, b'{"id":"m1","n":3}', headers)).status == 200
        (batch,) = organisation.catalog.batches()
        assert (batch.status, batch.dataset_id) == ("success", dataset_id)

        flows.mapping_sets.delete(made.id)
        with pytest.raises(NotFoundError):
            flows.mapping_sets.look_up(made.id)

    def test_a_connection_through_its_life(self, organisation: Organisation) -> None:
        connections = organisation.flow_service.connections
        made = connections.create(streaming_connection("Shop"))
        assert [each["id"] for each in connections.list()] == [made.id]
        assert list(connections.list("name==Other")) == []
        found = connections.look_up(made.id)
        assert (found["etag"], found["name"], found["state"]) == (made.etag, "Shop", "enabled")

        changed = connections.patch(made.id, made.etag, RENAME)
        assert changed.id == made.id
        assert changed.etag not in ("", made.etag)
        assert connections.look_up(made.id)["name"] == "Renamed"
        with pytest.raises(ConflictError, match="does not match the current version"):
            connections.patch(made.id, made.etag, RENAME)

        connections.delete(made.id)
        with pytest.raises(NotFoundError):
            connections.look_up(made.id)

    def test_a_refusal(self, organisation: Organisation) -> None:
        flows = organisation.flow_service
        with pytest.raises(InvalidRequestError, match="baseConnectionId"):
            flows.source_connections.create(streaming_source("Lost", "nowhere"))
        base = flows.connections.create(streaming_connection("Raw", "raw"))
        schema_id = organisation.create_schema()
        dataset_id = organisation.catalog.create_dataset("Raw", schema_id, CONTENT_TYPE)
        source = flows.source_connections.create(streaming_source("Raw", base.id))
        target = flows.target_connections.create(data_lake_target("Raw", dataset_id, schema_id))
        with pytest.raises(InvalidRequestError, match="mappingId"):
            flows.flows.create(streaming_flow("Raw", source.id, target.id, MappingSet("nowhere", 0)))

    def test_an_inlet_of_the_older_api(self, organisation: Organisation) -> None:
        inlets = InletApi(organisation.client)
        made = inlets.create("Shop", "website", authentication_required=True)
        assert made.url == f"{organisation.emulator.url}/collection/{made.id}"
        assert (made.name, made.source_id, made.data_type) == ("Shop", "website", "xdm")
        assert made.authentication_required
        assert list(inlets.list()) == [made]


class TestInlet:
    @pytest.mark.parametrize(
        "fields",
        [
            {"inletId": "i", "inletUrl": "u"},
            {"dataInletId": "i", "dataInletUrl": "u"},
            {"inletId": "i", "streamingEndpointUrl": "u"},
        ],
    )
    def test_every_generation(self, fields: dict[str, Any]) -> None:
        about = {"name": "n", "sourceId": "s", "dataType": "xdm", "authenticationRequired": True}
        assert read_inlet({**fields, **about}) == Inlet("i", "u", "n", "s", "xdm", True)

    @pytest.mark.parametrize("fields", [{}, {"inletId": "i"}, {"inletUrl": "u"}, {"inletId": "", "inletUrl": "u"}])
    def test_no_inlet(self, fields: dict[str, Any]) -> None:
        assert read_inlet(fields) is None

    @pytest.mark.parametrize("connection", [{}, {"auth": None}, {"auth": {"params": {"accessKeyId": "a"}}}])
    def test_a_connection_that_is_not_streaming(self, connection: dict[str, Any]) -> None:
        assert inlet_of(connection) is None

    def test_a_creation_that_tells_no_address(self) -> None:
        with HttpServer(Script(answer({"inletId": "i"}))) as server, pytest.raises(PlatformError, match="address"):
            InletApi(scripted(server)).create("n", "s")
