"""Clients of the management APIs for tests: of a scripted server, and of an organisation in the emulator."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from aep.http.auth import OAuthClient, OAuthTokens, TokenSource
from aep.http.network import Network
from aep.http.transport import Reply, Request, RequestsTransport, Timeouts, Transport
from aep.platform.catalog import PROFILE_TAGS, Catalog
from aep.platform.client import PlatformClient
from aep.platform.flow_service import (
    FlowService,
    data_lake_target,
    inlet_of,
    streaming_connection,
    streaming_flow,
    streaming_source,
)
from aep.platform.inlets import Inlet
from aep.platform.schema_registry import SchemaRegistry
from aep.xdm.identities import identity_descriptor
from testing.defaults import by_default
from testing.fakes.http_server import Exchange, HttpServer
from testing.services.emulator import CLIENT_ID, Emulator

TOKEN = "sesame-open-0451"
CONTENT_TYPE = "application/vnd.adobe.xed-full+json;version=1"

_numbers = itertools.count(1)


class Tokens:
    """Tokens in memory, a new one after each refusal."""

    def __init__(self) -> None:
        self.issued = 1

    def token(self) -> str:
        return f"{TOKEN}-{self.issued}"

    def reject(self, token: str) -> bool:
        newest = token == self.token()
        self.issued += newest
        return newest

    def take_renewals(self) -> int:
        return 0


class Script:
    """Answers of a server, one after the other; the last is repeated."""

    def __init__(self, *replies: Reply):
        self._replies = list(replies)

    def __call__(self, exchange: Exchange) -> None:
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        exchange.reply(
            reply.status, reply.body, **{name.replace("-", "_"): text for name, text in reply.headers.items()}
        )


class Waits:
    """Notes how long the client would have slept."""

    def __init__(self, *, ends: bool = False) -> None:
        self.seconds: list[float] = []
        self._ends = ends

    def __call__(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        return self._ends


def scripted(server: HttpServer | str, tokens: TokenSource | None = None, waits: Waits | None = None) -> PlatformClient:
    """Return a client of a server that follows a script; it waits for nothing."""
    return PlatformClient(
        server if isinstance(server, str) else server.url,
        tokens or Tokens(),
        "key-1",
        "ACME@AdobeOrg",
        "dev",
        RequestsTransport(by_default(Timeouts, connect=5, total=5), by_default(Network)),
        wall_clock=lambda: 1_000_000.0,
        wait=waits or Waits(),
        random_unit=lambda: 0.5,
    )


def answer(content: object = None, status: int = 200, **headers: str) -> Reply:
    """Return a reply with JSON; bytes as they are, nothing for None."""
    body = content if isinstance(content, bytes) else b"" if content is None else orjson.dumps(content)
    return Reply(status, body, {name.replace("_", "-"): text for name, text in headers.items()})


class Streaming(NamedTuple):
    """What it takes to send to a dataset."""

    schema_id: str
    dataset_id: str
    inlet: Inlet
    flow_id: str


class Organisation:
    """An organisation of its own in a running emulator, and the clients of its APIs."""

    def __init__(self, emulator: Emulator):
        self.emulator = emulator
        self.name = f"org{next(_numbers)}"
        self.id = f"{self.name}@AdobeOrg"
        self.transport = RequestsTransport(by_default(Timeouts, connect=5, total=30), by_default(Network))
        oauth = OAuthClient(emulator.url, CLIENT_ID, "env:EMULATOR_SECRET", "openid")
        self.tokens = OAuthTokens(oauth, self.transport)
        self.client = self.client_by(self.transport)
        self.registry = SchemaRegistry(self.client)
        self.catalog = Catalog(self.client)
        self.flow_service = FlowService(self.client)

    def client_by(self, transport: Transport, wait: Callable[[float], bool] | None = None) -> PlatformClient:
        """Return a client of its own; `wait` is called where it would sleep."""
        return PlatformClient(self.emulator.url, self.tokens, CLIENT_ID, self.id, "dev", transport, wait=wait)

    def field_group(self, title: str = "Loyalty", class_name: str = "profile") -> dict[str, Any]:
        """Return a field group with fields of the organisation."""
        fields = {
            "member": {"type": "string", "meta:xdmType": "string"},
            "points": {"type": "integer", "meta:xdmType": "int"},
        }
        own = {f"_{self.name}": {"type": "object", "meta:xdmType": "object", "properties": fields}}
        return {
            "type": "object",
            "title": title,
            "meta:intendedToExtend": [f"https://ns.adobe.com/xdm/context/{class_name}"],
            "definitions": {"own": {"type": "object", "properties": own}},
            "allOf": [{"$ref": "#/definitions/own"}],
        }

    def schema(self, field_group_id: str, title: str = "Member", class_name: str = "profile") -> dict[str, Any]:
        """Return a schema of a class with a field group."""
        references = [f"https://ns.adobe.com/xdm/context/{class_name}", field_group_id]
        return {"type": "object", "title": title, "allOf": [{"$ref": reference} for reference in references]}

    def create_schema(self, title: str = "Member", class_name: str = "profile") -> str:
        """Return a schema with a primary identity; returns its `$id`."""
        group = self.registry.field_groups.create(self.field_group(f"Fields of {title}", class_name))
        schema = self.registry.schemas.create(self.schema(group["$id"], title, class_name))
        schema_id = str(schema["$id"])
        self.registry.descriptors.create(
            identity_descriptor(schema_id, f"/_{self.name}/member", "Loyalty", primary=True)
        )
        self.registry.schemas.patch(schema_id, [{"op": "add", "path": "/meta:immutableTags", "value": ["union"]}])
        return schema_id

    def create_streaming(self, class_name: str = "profile") -> Streaming:
        """Schema, dataset, connection and flow."""
        flows = self.flow_service
        title = f"Streamed {class_name}"
        schema_id = self.create_schema(title, class_name)
        dataset_id = self.catalog.create_dataset(title, schema_id, CONTENT_TYPE, tags=PROFILE_TAGS)
        base = flows.connections.create(streaming_connection(title))
        source = flows.source_connections.create(streaming_source(title, base.id))
        target = flows.target_connections.create(data_lake_target(title, dataset_id, schema_id))
        flow = flows.flows.create(streaming_flow(title, source.id, target.id))
        inlet = inlet_of(flows.connections.look_up(base.id))
        assert inlet is not None
        return Streaming(schema_id, dataset_id, inlet, flow.id)

    def post(self, streaming: Streaming, *entities: dict[str, Any]) -> None:
        """Send records, each as a message of its own."""
        reference = {"id": streaming.schema_id, "contentType": CONTENT_TYPE}
        header = {
            "schemaRef": reference,
            "imsOrgId": self.id,
            "datasetId": streaming.dataset_id,
            "flowId": streaming.flow_id,
        }
        for entity in entities:
            message = {"header": header, "body": {"xdmMeta": {"schemaRef": reference}, "xdmEntity": entity}}
            body = orjson.dumps(message)
            reply = self.transport.send(Request(streaming.inlet.url, body, {"Content-Type": "application/json"}))
            assert reply.status == 200, reply.body

    def member(self, member: str, points: object = 7, **more: Any) -> dict[str, Any]:
        """Return a record of `create_streaming`'s schema."""
        return {f"_{self.name}": {"member": member, "points": points}, **more}

    def event(self, event_id: str, member: str, second: int) -> dict[str, Any]:
        """Return an event of this second of a past minute."""
        return self.member(member, _id=event_id, timestamp=f"2026-01-02T03:04:{second:02d}Z")


class FakeClock:
    """Monotonic seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        return self.now
