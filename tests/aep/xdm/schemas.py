"""Schemas for the tests of this folder."""

from pathlib import Path
from typing import Any

import orjson

from aep.xdm.schema import FileSchemaSource, ResolvedSchema, parse_schema

FOLDER = Path(__file__).parents[3] / "configs" / "schemas"
EVENT = FileSchemaSource(str(FOLDER / "loyalty-event.schema.json")).load()
PROFILE = FileSchemaSource(str(FOLDER / "loyalty-profile.schema.json")).load()


def document(properties: dict[str, Any], **more: Any) -> bytes:
    """Return a small resolved schema."""
    base = {"$id": "https://ns.adobe.com/acme/schemas/test", "version": "1.4", "type": "object"}
    return orjson.dumps({**base, "properties": properties, **more})


def schema(properties: dict[str, Any], **more: Any) -> ResolvedSchema:
    return parse_schema(document(properties, **more), "test.json")
