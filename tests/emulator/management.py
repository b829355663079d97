"""A client of the management APIs, and the objects that most tests begin with."""

from __future__ import annotations

import itertools
from typing import Any

import orjson
import requests

from testing.services.emulator import CLIENT_ID, CLIENT_SECRET, Emulator
from testing.services.process import PATIENCE_SECONDS

PROFILE = "https://ns.adobe.com/xdm/context/profile"
EVENT = "https://ns.adobe.com/xdm/context/experienceevent"
XED = "application/vnd.adobe.xed+json"
FULL = "application/vnd.adobe.xed-full+json; version=1"
CONTENT_TYPE = "application/vnd.adobe.xed-full+json;version=1"
HTTP_STREAMING = "bc7b00d6-623a-4dfc-9fdb-f1240aeadaeb"
DATA_LAKE = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"
PLAIN_FLOW = "d8a6f005-7eaf-4153-983e-e8574508b877"
TRANSFORMING_FLOW = "c1a19761-d2c7-4702-b9fa-fe91f0613e81"
PROFILE_STORE = "8a9c3494-9708-43d7-ae3f-cda01e5030e1"
KINESIS = "86043421-563b-46ec-8e6c-e23184711bf6"
DESTINATION_FLOW = "71471eba-b620-49e4-90fd-23f1fa0174d8"

REGISTRY = "/data/foundation/schemaregistry"
CATALOG = "/data/foundation/catalog"
EXPORT = "/data/foundation/export"
FLOW_SERVICE = "/data/foundation/flowservice"
ENTITIES = "/data/core/ups/access/entities"
INLET = "/data/core/edge/inlet"

_numbers = itertools.count(1)


class Platform:
    """Calls the management APIs of an emulator as an organisation of its own, so that tests do not meet."""

    def __init__(self, emulator: Emulator, org_id: str | None = None) -> None:
        self.emulator = emulator
        self.org_id = org_id or f"T{next(_numbers)}@AdobeOrg"
        self.session = requests.Session()
        self.session.trust_env = False
        self.authorise()

    def authorise(self) -> None:
        """Get an access token."""
        form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        answer = self.session.post(
            f"{self.emulator.url}/ims/token/v3", data={**form, "scope": "openid,AdobeID"}, timeout=PATIENCE_SECONDS
        )
        self.headers = {
            "Authorization": f"Bearer {answer.json()['access_token']}",
            "x-api-key": CLIENT_ID,
            "x-gw-ims-org-id": self.org_id,
        }

    @property
    def tenant(self) -> str:
        """The field that holds what the organisation defines itself."""
        return "_" + self.org_id.partition("@")[0].lower()

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
        """Make a call; header names with `_` for `-`, an empty value leaves one out."""
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        sent = {**self.headers, **({"Content-Type": "application/json"} if body is not None else {}), **named}
        data = body if isinstance(body, bytes) else None if body is None else orjson.dumps(body)
        url = path if path.startswith("http") else self.emulator.url + path
        given = {key: value for key, value in sent.items() if value}
        return self.session.request(method, url, data=data, headers=given, timeout=PATIENCE_SECONDS)

    def make(self, path: str, body: Any) -> dict[str, Any]:
        """POST what must be created."""
        answer = self.call("POST", path, body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def get(self, path: str, **headers: str) -> Any:
        """GET what must exist."""
        answer = self.call("GET", path, **headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def field_group(self, class_id: str = PROFILE, title: str = "Loyalty", **fields: Any) -> str:
        """Create a field group with some fields of the tenant; return its `$id`."""
        own = {"type": "object", "properties": fields, "meta:xdmType": "object"}
        body = {
            "type": "object",
            "title": title,
            "meta:intendedToExtend": [class_id],
            "definitions": {"own": {"properties": {self.tenant: own}}},
            "allOf": [{"$ref": "#/definitions/own"}],
        }
        return str(self.make(f"{REGISTRY}/tenant/fieldgroups", body)["$id"])

    def schema(self, *references: str, title: str = "Loyalty members", union: bool = True) -> str:
        """Create a schema; return its `$id`."""
        body: dict[str, Any] = {"type": "object", "title": title, "allOf": [{"$ref": each} for each in references]}
        if union:
            body["meta:immutableTags"] = ["union"]
        return str(self.make(f"{REGISTRY}/tenant/schemas", body)["$id"])

    def identity(self, schema_id: str, path: str, namespace: str = "Email", *, primary: bool = True) -> str:
        """Describe a field as an identity; return the `@id` of the descriptor."""
        body = {
            "@type": "xdm:descriptorIdentity",
            "xdm:sourceSchema": schema_id,
            "xdm:sourceVersion": 1,
            "xdm:sourceProperty": path,
            "xdm:namespace": namespace,
            "xdm:property": "xdm:code",
            "xdm:isPrimary": primary,
        }
        return str(self.make(f"{REGISTRY}/tenant/descriptors", body)["@id"])

    def dataset(self, schema_id: str, *, profile: bool = True) -> str:
        """Create a dataset; return its id."""
        tags = {"unifiedIdentity": ["enabled:true"], "unifiedProfile": ["enabled: true"]} if profile else {}
        body = {"name": "loyalty", "schemaRef": {"id": schema_id, "contentType": CONTENT_TYPE}, "tags": tags}
        answer = self.call("POST", f"{CATALOG}/dataSets", body)
        assert answer.status_code == 201, answer.text
        (reference,) = answer.json()
        return str(reference).removeprefix("@/dataSets/")

    def connection(self, **parameters: Any) -> str:
        """Create a base connection to the HTTP API; return its id."""
        body = {
            "name": "events",
            "connectionSpec": {"id": HTTP_STREAMING, "version": "1.0"},
            "auth": {"specName": "Streaming Connection", "params": {"dataType": "xdm", **parameters}},
        }
        return str(self.make(f"{FLOW_SERVICE}/connections", body)["id"])

    def inlet_url(self, connection_id: str) -> str:
        """Return the address of a connection."""
        (item,) = self.get(f"{FLOW_SERVICE}/connections/{connection_id}")["items"]
        return str(item["auth"]["params"]["inletUrl"])

    def flow(self, connection_id: str, dataset_id: str, mapping_id: str | None = None) -> str:
        """Create a source connection, a target connection and the flow between them; return its id."""
        source = {
            "name": "source",
            "baseConnectionId": connection_id,
            "connectionSpec": {"id": HTTP_STREAMING, "version": "1.0"},
        }
        target = {
            "name": "target",
            "params": {"dataSetId": dataset_id},
            "connectionSpec": {"id": DATA_LAKE, "version": "1.0"},
        }
        body: dict[str, Any] = {
            "name": "flow",
            "flowSpec": {"id": TRANSFORMING_FLOW if mapping_id else PLAIN_FLOW, "version": "1.0"},
            "sourceConnectionIds": [self.make(f"{FLOW_SERVICE}/sourceConnections", source)["id"]],
            "targetConnectionIds": [self.make(f"{FLOW_SERVICE}/targetConnections", target)["id"]],
        }
        if mapping_id:
            parameters = {"mappingId": mapping_id, "mappingVersion": 0}
            body["transformations"] = [{"name": "Mapping", "params": parameters}]
        return str(self.make(f"{FLOW_SERVICE}/flows", body)["id"])

    def message(self, schema_id: str, dataset_id: str, entity: dict[str, Any]) -> dict[str, Any]:
        """Return an XDM message."""
        reference = {"id": schema_id, "contentType": CONTENT_TYPE}
        return {
            "header": {"schemaRef": reference, "imsOrgId": self.org_id, "datasetId": dataset_id},
            "body": {"xdmMeta": {"schemaRef": reference}, "xdmEntity": entity},
        }

    def batches(self, query: str = "") -> dict[str, Any]:
        """Return the batches of the organisation by id."""
        return dict(self.get(f"{CATALOG}/batches?{query}"))

    def lines(self, path: str) -> list[Any]:
        """Return the JSON lines of a file."""
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return [orjson.loads(line) for line in answer.content.splitlines()]

    def records(self, dataset_id: str) -> list[Any]:
        """Return the records of a dataset that passed, read back as files."""
        found = []
        for batch_id in self.batches(f"status=success&dataSet={dataset_id}&orderBy=asc:created"):
            for entry in self.get(f"{EXPORT}/batches/{batch_id}/files")["data"]:
                for file in self.get(entry["_links"]["self"]["href"])["data"]:
                    found += self.lines(file["_links"]["self"]["href"])
        return found

    def failures(self, dataset_id: str) -> list[Any]:
        """Return the records of a dataset that failed, with their errors."""
        found = []
        for batch_id in self.batches(f"status=failed&dataSet={dataset_id}&orderBy=asc:created"):
            for file in self.get(f"{EXPORT}/batches/{batch_id}/failed")["data"]:
                found += self.lines(file["_links"]["self"]["href"])
        return found
