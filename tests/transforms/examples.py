"""Records, chunks and routes for the tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from hypothesis import strategies as st

from aep.xdm.schema import FileSchemaSource, ResolvedSchema, parse_schema
from pipelines.options.declarations import BatchOptions
from transforms.aep.inlet import AepInlet
from transforms.batch import BatchLimits
from transforms.records.chunk import Chunk, Record
from transforms.records.route import Route, Routes, parse_json

EVENT_SCHEMA = FileSchemaSource(
    str(Path(__file__).parents[2] / "configs" / "schemas" / "loyalty-event.schema.json")
).load()


def record(offset: int, value: bytes | None = b"{}", key: bytes | None = None, **more: Any) -> Record:
    return Record(offset, 1_700_000_000_000 + offset, key, more.get("headers", ()), value)


def chunk(*values: bytes | None, topic: str = "events", partition: int = 0, start: int = 0) -> Chunk:
    """Return a chunk as it is read."""
    return Chunk(topic, partition, [record(start + at, value) for at, value in enumerate(values)])


def packed(*bodies: bytes, route: str = "events", topic: str = "events", partition: int = 0, start: int = 0) -> Chunk:
    """Return a chunk as it is after validation."""
    read = chunk(*bodies, topic=topic, partition=partition, start=start)
    return Chunk(topic, partition, read.records, route, bodies=list(bodies))


def route(
    name: str = "events",
    *topics: str,
    inlet_url: str = "https://dcs.adobedc.net/collection/abc",
    schema: ResolvedSchema | None = None,
    **destination: Any,
) -> Route:
    fields = {"schema_id": "https://ns.adobe.com/acme/schemas/x", "org_id": "ACME@AdobeOrg", "dataset_id": "d" * 24}
    inlet = AepInlet(inlet_url, **({"payload": "entity", "auth": "none"} | fields | destination))
    return Route(name, topics or (name,), inlet, parse_json, schema)


def routes(*all_routes: Route) -> Routes:
    return Routes(all_routes or (route(),))


def small_schema(**properties: Any) -> ResolvedSchema:
    """Return a schema of a few properties that refuses all others."""
    base = {"$id": "https://ns.adobe.com/acme/schemas/small", "version": "1.2", "type": "object"}
    return parse_schema(orjson.dumps({**base, "properties": properties}), "small.json")


headers = st.lists(st.tuples(st.text(max_size=8), st.none() | st.binary(max_size=20)), max_size=3).map(tuple)
records = st.builds(
    Record,
    offset=st.integers(0, 2**63 - 1),
    timestamp=st.integers(-1, 2**62),
    key=st.none() | st.binary(max_size=20),
    headers=headers,
    value=st.none() | st.binary(max_size=50) | st.text(max_size=50).map(str.encode),
)
json_bodies = st.dictionaries(st.text(max_size=5), st.text(max_size=30) | st.integers(-(2**53), 2**53), max_size=4).map(
    orjson.dumps
)


def batch_limits(**own: float) -> BatchLimits:
    """Return the limits of the options' defaults, but those given."""
    options = BatchOptions(**own)  # type: ignore[arg-type]
    return BatchLimits(options.max_messages, options.max_bytes, options.max_seconds)
