"""Flow Service: connections and dataflows, `/data/foundation/flowservice`, and the mapping sets that flows refer to.

Sources: "Create an HTTP API streaming connection" (all bodies), Flow Service API (OpenAPI), "Experience Platform
troubleshooting guide" (stale etag).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from aep.errors import NotFoundError
from aep.platform.client import PlatformClient, segment
from aep.platform.inlets import Inlet, read_inlet

BASE = "/data/foundation/flowservice"
MAPPING_SETS = "/data/foundation/mappingSets"

# Adobe's ids of what a connection is to, and of what a flow does.
HTTP_STREAMING = "bc7b00d6-623a-4dfc-9fdb-f1240aeadaeb"
DATA_LAKE = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
PLAIN_FLOW = "d8a6f005-7eaf-4153-983e-e8574508b877"
MAPPING_FLOW = "c1a19761-d2c7-4702-b9fa-fe91f0613e81"

# A new or changed flow needs about so long before data may be sent ("HTTP API connector": a pause of 5 minutes).
FLOW_WARM_UP_SECONDS = 300


class Stored(NamedTuple):
    """What Flow Service answers to a change: the id and the new etag, which is empty if the reply has none."""

    id: str
    etag: str


class MappingSet(NamedTuple):
    """A mapping set by its id, and its version, which a flow names too."""

    id: str
    version: int


class Entities:
    """The objects of one kind. Each has an `etag`, which a change must supply.

    Args:
        client: Calls the gateway.
        kind: As in paths, such as `flows`.
    """

    def __init__(self, client: PlatformClient, kind: str):
        self._client = client
        self._path = f"{BASE}/{kind}"

    def list(self, where: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield all objects: `GET /{kind}` (Flow Service API), in pages.

        Args:
            where: The parameter `property`, such as `name==Loyalty`.
        """
        for page in self._client.pages(self._path, {"limit": 100, "property": where}):
            yield from self._client.listed(self._path, page, "items", ("id",))

    def look_up(self, entity_id: str) -> dict[str, Any]:
        """Return one object: `GET /{kind}/{id}`, which answers with a list of one.

        Raises:
            NotFoundError: There is none.
        """
        path = f"{self._path}/{segment(entity_id)}"
        reply = self._client.send("GET", path)
        found = self._client.parsed("GET", path, reply)
        items = found.get("items") if isinstance(found, dict) else None
        if not isinstance(items, list) or not items or not isinstance(items[0], dict):
            raise self._client.misfit("GET", path, reply, "without the object in its items")
        return items[0]

    def named(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield the objects of a name; several may have the same."""
        return (each for each in self.list(f"name=={name}") if each.get("name") == name)

    def find(self, entity_id: str) -> dict[str, Any]:
        """Return one object, or an empty one if there is none of this id, or the id is empty."""
        try:
            return self.look_up(entity_id) if entity_id else {}
        except NotFoundError:
            return {}

    def create(self, entity: Mapping[str, Any], secrets: Sequence[str] = ()) -> Stored:
        """Create an object: `POST /{kind}`; see the functions below for what to send, and `PlatformClient.send`."""
        found = self._client.json("POST", self._path, entity, needs=("id",), secrets=secrets)
        return Stored(str(found["id"]), str(found.get("etag", "")))

    def patch(
        self, entity_id: str, etag: str, operations: Sequence[Mapping[str, Any]], secrets: Sequence[str] = ()
    ) -> Stored:
        """Change an object by a JSON Patch: `PATCH /{kind}/{id}` with `If-Match` (Flow Service API).

        Args:
            entity_id: Entity id of the object.
            etag: As it was looked up, quotes and all.
            operations: RFC 6902.
            secrets: Values in the operations that no error may repeat.

        Raises:
            ConflictError: The object has been changed meanwhile: it has another etag.
        """
        path = f"{self._path}/{segment(entity_id)}"
        headers = {"If-Match": etag}
        reply = self._client.send("PATCH", path, list(operations), headers=headers, secrets=secrets)
        # The activation of a destination is documented to answer 202 without a body.
        found = self._client.parsed("PATCH", path, reply) if reply.body else None
        return Stored(entity_id, str(found.get("etag", "")) if isinstance(found, dict) else "")

    def change(
        self,
        entity_id: str,
        operations: Callable[[Mapping[str, Any]], Sequence[Mapping[str, Any]]],
        secrets: Sequence[str] = (),
    ) -> Stored:
        """Change an object from what it is now.

        Args:
            entity_id: Of the object.
            operations: Gets the object as it was looked up; returns RFC 6902, nothing if it is right.
            secrets: What the operations have that no error may repeat.

        Raises:
            ConflictError: Somebody else has changed it in between.
        """
        there = self.look_up(entity_id)
        etag, wanted = str(there.get("etag", "")), operations(there)
        return self.patch(entity_id, etag, wanted, secrets) if wanted else Stored(entity_id, etag)

    def act(self, entity_id: str, action: str) -> None:
        """Enable or disable a dataflow: `POST /flows/{id}/action?op=enable` or `disable` ("Edit destinations")."""
        self._client.send("POST", f"{self._path}/{segment(entity_id)}/action", query={"op": action})

    def delete(self, entity_id: str) -> None:
        """`DELETE /{kind}/{id}`."""
        self._client.send("DELETE", f"{self._path}/{segment(entity_id)}")


class MappingSets:
    """How raw data become XDM: `/data/foundation/mappingSets` (Create an HTTP API streaming connection)."""

    def __init__(self, client: PlatformClient):
        self._client = client

    def create(self, schema_id: str, mappings: Sequence[Mapping[str, Any]]) -> MappingSet:
        """Create a mapping set: `POST /mappingSets`.

        Args:
            schema_id: `$id` of the schema that the data are mapped to.
            mappings: Such as `mapping("firstName", "person.name.firstName")`.
        """
        content = {"version": 0, "xdmSchema": schema_id, "xdmVersion": "1.0", "mappings": list(mappings)}
        found = self._client.json("POST", MAPPING_SETS, content, needs=("id",))
        return MappingSet(str(found["id"]), int(found.get("version") or 0))

    def look_up(self, mapping_id: str) -> dict[str, Any]:
        """Return one mapping set: `GET /mappingSets/{id}` (Data Prep API)."""
        return self._client.json("GET", f"{MAPPING_SETS}/{segment(mapping_id)}")

    def delete(self, mapping_id: str) -> None:
        """`DELETE /mappingSets/{id}` (Data Prep API)."""
        self._client.send("DELETE", f"{MAPPING_SETS}/{segment(mapping_id)}")


class FlowService:
    """Flow Service of one organisation and sandbox.

    Attributes:
        connections: Base connections, which hold the credentials or the inlet.
        source_connections, target_connections: What a flow reads and writes.
        flows: Dataflows from sources to targets.
        mapping_sets: What flows with a mapping refer to.
    """

    def __init__(self, client: PlatformClient):
        self.connections = Entities(client, "connections")
        self.source_connections = Entities(client, "sourceConnections")
        self.target_connections = Entities(client, "targetConnections")
        self.flows = Entities(client, "flows")
        self.mapping_sets = MappingSets(client)


def inlet_of(connection: Mapping[str, Any]) -> Inlet | None:
    """Return the inlet of a base connection as it was looked up; None if it is not a streaming connection.

    Its id is the one to use in addresses: that of the connection is another.
    """
    auth = connection.get("auth")
    parameters = auth.get("params") if isinstance(auth, Mapping) else None
    return read_inlet(parameters) if isinstance(parameters, Mapping) else None


def streaming_connection(
    name: str, data_type: str = "xdm", source_id: str | None = None, *, authentication_required: bool = False
) -> dict[str, Any]:
    """Return a base connection to the HTTP API, which gets an inlet.

    Args:
        name: Display name.
        data_type: `xdm`, or `raw` for a flow with a mapping.
        source_id: Names the source in messages; the name if not given.
        authentication_required: Whether requests to the inlet need an access token.
    """
    parameters: dict[str, Any] = {
        "sourceId": source_id or name,
        "dataType": data_type,
        "name": name,
        "authenticationRequired": authentication_required,
    }
    return {
        "name": name,
        "connectionSpec": spec(HTTP_STREAMING),
        "auth": {"specName": "Streaming Connection", "params": parameters},
    }


def streaming_source(name: str, connection_id: str) -> dict[str, Any]:
    """Return a source connection over a base connection to the HTTP API."""
    return {"name": name, "baseConnectionId": connection_id, "connectionSpec": spec(HTTP_STREAMING)}


def data_lake_target(name: str, dataset_id: str, schema_id: str) -> dict[str, Any]:
    """Return a target connection into a dataset."""
    content_type = "application/vnd.adobe.xed-full+json;version=1.0"
    return {
        "name": name,
        "connectionSpec": spec(DATA_LAKE),
        "data": {"schema": {"id": schema_id, "version": content_type}},
        "params": {"dataSetId": dataset_id},
    }


def streaming_flow(name: str, source_id: str, target_id: str, mapping_set: MappingSet | None = None) -> dict[str, Any]:
    """Return a dataflow from the HTTP API into a dataset: of XDM messages, or of raw data through a mapping set."""
    flow = {
        "name": name,
        "flowSpec": spec(PLAIN_FLOW if mapping_set is None else MAPPING_FLOW),
        "sourceConnectionIds": [source_id],
        "targetConnectionIds": [target_id],
    }
    if mapping_set is None:
        return flow
    parameters = {"mappingId": mapping_set.id, "mappingVersion": mapping_set.version}
    return {**flow, "transformations": [{"name": "Mapping", "params": parameters}]}


def mapping(source: str, destination: str, *, identity: bool = False) -> dict[str, Any]:
    """Return one mapping of a mapping set: an attribute of the raw data to an XDM path, such as
    `person.name.firstName`.
    """
    return {"sourceAttribute": source, "destinationXdmPath": destination, "identity": identity, "version": 0}


def spec_of(entity: Mapping[str, Any], name: str) -> str:
    """Return the id of an object's `connectionSpec` or `flowSpec`; empty if it has none."""
    found = entity.get(name)
    return str(found.get("id", "")) if isinstance(found, Mapping) else ""


def first_id(flow: Mapping[str, Any], key: str) -> str:
    """Return the first of a dataflow's `sourceConnectionIds` or `targetConnectionIds`; empty if it has none."""
    ids = flow.get(key)
    return str(ids[0]) if isinstance(ids, list) and ids else ""


def spec(spec_id: str) -> dict[str, str]:
    """Return how an object names the specification of its connection or flow."""
    return {"id": spec_id, "version": "1.0"}
