"""The standard XDM components that the Schema Registry has built in: its `global` container.

Read from `standard_xdm.json`, which `build_standard_xdm` makes. Titles are derived from the ids.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

_FILE = Path(__file__).with_name("standard_xdm.json")
_RESOURCE_TYPES = {"behaviors": "behaviors", "classes": "classes", "fieldgroups": "mixins", "datatypes": "datatypes"}


def alternate_id(resource_id: str) -> str:
    """Return the `meta:altId` of a resource: `https://ns.adobe.com/xdm/context/profile` -> `_xdm.context.profile`."""
    return "_" + resource_id.removeprefix("https://ns.adobe.com/").replace("/", ".")


def _title(resource_id: str) -> str:
    words = re.split("[-_]", resource_id.rsplit("/", 1)[1])
    return " ".join(word[:1].upper() + word[1:] for word in words)


def _load() -> dict[str, dict[str, Any]]:
    found = orjson.loads(_FILE.read_bytes())
    components = {}
    for kind, resource_type in _RESOURCE_TYPES.items():
        for structure in found[kind]:
            component_id = structure["$id"]
            components[component_id] = {
                "$id": component_id,
                "meta:altId": alternate_id(component_id),
                "meta:resourceType": resource_type,
                "version": "1",
                "title": _title(component_id),
                **structure,
                "meta:containerId": "global",
            }
    return components


COMPONENTS: Mapping[str, dict[str, Any]] = _load()
"""Each standard component by its `$id`."""
