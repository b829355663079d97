"""A running emulator, and messages to send to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import requests

from testing.services.emulator import Emulator
from testing.services.process import PATIENCE_SECONDS
from tests.emulator.management import Platform

SCHEMA_ID = "https://ns.adobe.com/acme/schemas/emulator-test"
SCHEMA: dict[str, Any] = {
    "$id": SCHEMA_ID,
    "title": "Emulator test",
    "version": "1.0",
    "type": "object",
    "meta:extends": ["https://ns.adobe.com/xdm/context/experienceevent"],
    "properties": {
        "_id": {"type": "string", "meta:xdmType": "string"},
        "timestamp": {"type": "string", "format": "date-time", "meta:xdmType": "date-time"},
        "points": {"type": "integer", "meta:xdmType": "int"},
    },
    "required": ["_id", "timestamp"],
}
SCHEMA_REF = {"id": SCHEMA_ID, "contentType": "application/vnd.adobe.xed-full+json;version=1"}


def make_message(inlet: dict[str, Any], entity: dict[str, Any] | str) -> dict[str, Any]:
    """Return an XDM message for an inlet; text stands for a good entity with that `_id`."""
    if isinstance(entity, str):
        entity = {"_id": entity, "timestamp": "2026-01-02T03:04:05Z", "points": 7}
    return {
        "header": {"schemaRef": SCHEMA_REF, "imsOrgId": inlet["orgId"], "datasetId": inlet["datasetId"]},
        "body": {"xdmMeta": {"schemaRef": SCHEMA_REF}, "xdmEntity": entity},
    }


class Client:
    """Sends to the collection service as a client without any cleverness."""

    def __init__(self) -> None:
        self.session = requests.Session()
        self.session.trust_env = False

    def post(self, url: str, content: object, **headers: str) -> requests.Response:
        """Send JSON (bytes as they are); header names with `_` for `-`, an empty value leaves one out."""
        data = content if isinstance(content, bytes) else orjson.dumps(content)
        named = {"Content-Type": "application/json", **{key.replace("_", "-"): text for key, text in headers.items()}}
        return self.session.post(
            url, data=data, headers={k: v for k, v in named.items() if v}, timeout=PATIENCE_SECONDS
        )

    def single(self, inlet: dict[str, Any], message: object, query: str = "", **headers: str) -> requests.Response:
        """Send one message."""
        return self.post(inlet["inletUrl"] + query, message, **headers)

    def batch(self, inlet: dict[str, Any], messages: list[Any], **headers: str) -> requests.Response:
        """Send a batch."""
        return self.post(batch_url(inlet), {"messages": messages}, **headers)


def batch_url(inlet: dict[str, Any]) -> str:
    """Return the batch endpoint of an inlet."""
    return str(inlet["inletUrl"]).replace("/collection/", "/collection/batch/")


@pytest.fixture(scope="session")
def running_emulator() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def emulator(running_emulator: Emulator) -> Emulator:
    """An emulator without faults, counts and messages."""
    running_emulator.reset()
    return running_emulator


@pytest.fixture
def inlet(emulator: Emulator) -> dict[str, Any]:
    """An inlet that validates asynchronously, as AEP does."""
    return emulator.create_inlet(schema=SCHEMA)


@pytest.fixture(scope="session")
def client() -> Client:
    return Client()


@pytest.fixture
def platform(running_emulator: Emulator) -> Platform:
    """The management APIs, as an organisation that has nothing yet."""
    return Platform(running_emulator)
