"""Inlets, the endpoints of streaming connections, and the older API that creates them: `/data/core/edge/inlet`.

Source: "Getting started with streaming ingestion" (2019). Flow Service has taken the API's place
(`aep.platform.flow_service`); Adobe's Postman collection still uses it. Three generations of its replies name things
differently.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from aep.platform.client import PlatformClient

PATH = "/data/core/edge/inlet"

_ID = ("inletId", "dataInletId")
_URL = ("inletUrl", "dataInletUrl", "streamingEndpointUrl")


class Inlet(NamedTuple):
    """The endpoint of a streaming connection.

    Attributes:
        id: 64 hexadecimal characters, the last part of its address.
        url: Where to send messages.
        name: Display name.
        source_id: Names the source in messages.
        data_type: `xdm` or `raw`.
        authentication_required: Whether requests need an access token.
    """

    id: str
    url: str
    name: str
    source_id: str
    data_type: str
    authentication_required: bool


class InletApi:
    """The older inlets of one organisation."""

    def __init__(self, client: PlatformClient):
        self._client = client

    def create(
        self, name: str, source_id: str, description: str = "", *, authentication_required: bool = False
    ) -> Inlet:
        """Create an inlet for XDM messages: `POST /data/core/edge/inlet`."""
        content = {
            "name": name,
            "description": description,
            "sourceId": source_id,
            "dataType": "xdm",
            "authenticationRequired": authentication_required,
        }
        reply = self._client.send("POST", PATH, content)
        found = self._client.parsed("POST", PATH, reply)
        inlet = read_inlet(found) if isinstance(found, dict) else None
        if inlet is None:
            raise self._client.misfit("POST", PATH, reply, "without the id and the address of an inlet")
        return inlet

    def list(self) -> Iterator[Inlet]:
        """Yield all inlets: `GET /data/core/edge/inlet`."""
        for each in self._client.listed(PATH, self._client.json("GET", PATH, needs=("items",)), "items"):
            inlet = read_inlet(each)
            if inlet is not None:
                yield inlet


def read_inlet(fields: Mapping[str, Any]) -> Inlet | None:
    """Read the description of an inlet, in any generation's names; None without its id or address."""
    inlet_id = next((fields[name] for name in _ID if fields.get(name)), None)
    url = next((fields[name] for name in _URL if fields.get(name)), None)
    if inlet_id is None or url is None:
        return None
    return Inlet(
        str(inlet_id),
        str(url),
        str(fields.get("name", "")),
        str(fields.get("sourceId", "")),
        str(fields.get("dataType", "xdm")),
        fields.get("authenticationRequired") is True,
    )
