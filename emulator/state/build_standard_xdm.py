"""`python -m emulator.state.build_standard_xdm COMPONENTS`: make `standard_xdm.json` anew. Run by hand only.

COMPONENTS is the `components` folder of a checkout of https://github.com/adobe/xdm (CC-BY-4.0). What is taken
over is names, types and structure, resolved and in compatibility notation, without any text.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from aep.xdm.compose import compose

TARGET = Path(__file__).with_name("standard_xdm.json")
NOTICE = "Names, types and structure from https://github.com/adobe/xdm, CC-BY-4.0, resolved, renamed, without texts"
_CONTEXT = "https://ns.adobe.com/xdm/context/"
COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "behaviors": ("https://ns.adobe.com/xdm/data/record", "https://ns.adobe.com/xdm/data/time-series"),
    "classes": (_CONTEXT + "profile", _CONTEXT + "experienceevent"),
    "fieldgroups": (
        _CONTEXT + "identitymap",
        _CONTEXT + "profile-person-details",
        _CONTEXT + "profile-personal-details",
        _CONTEXT + "profile-work-details",
        _CONTEXT + "profile-phones",
        _CONTEXT + "experienceevent-environment-details",
        _CONTEXT + "experienceevent-commerce",
        _CONTEXT + "experienceevent-web",
        _CONTEXT + "experienceevent-application",
        _CONTEXT + "experienceevent-channel",
        _CONTEXT + "experienceevent-enduserids",
        "https://ns.adobe.com/xdm/mixins/profile/profile-loyalty-details",
        "https://ns.adobe.com/xdm/common/external-source-system-audit-details",
    ),
    "datatypes": (
        _CONTEXT + "person",
        _CONTEXT + "person-name",
        _CONTEXT + "emailaddress",
        _CONTEXT + "phonenumber",
        _CONTEXT + "identityitem",
        _CONTEXT + "webinfo",
        _CONTEXT + "environment",
        _CONTEXT + "device",
        _CONTEXT + "browserdetails",
        "https://ns.adobe.com/xdm/common/address",
        "https://ns.adobe.com/xdm/common/geo",
        "https://ns.adobe.com/xdm/data/order",
        "https://ns.adobe.com/xdm/content/productlistitem",
        "https://ns.adobe.com/xdm/data/measure",
    ),
}
_KEPT = (
    "$id",
    "type",
    "format",
    "pattern",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "multipleOf",
    "required",
    "meta:extends",
    "meta:intendedToExtend",
    "meta:referencedFrom",
    "meta:xdmField",
    "meta:xdmType",
    "meta:xedConverted",
)


def structure(node: dict[str, Any]) -> dict[str, Any]:
    """Return a resolved schema or field without texts, samples and the other matters that validate nothing."""
    kept = {key: node[key] for key in _KEPT if key in node}
    for keyword in ("items", "additionalProperties"):
        if keyword in node:
            value = node[keyword]
            kept[keyword] = structure(value) if isinstance(value, dict) else value
    if "properties" in node:
        kept["properties"] = {name: structure(field) for name, field in node["properties"].items()}
    return kept


def build(folder: Path) -> dict[str, Any]:
    """Make the document of `standard_xdm.json`.

    Raises:
        ValueError: A component is not in the folder.
    """
    documents: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.rglob("*.schema.json")):
        document = orjson.loads(path.read_bytes())
        documents[document["$id"]] = document
    missing = [each for ids in COMPONENTS.values() for each in ids if each not in documents]
    if missing:
        raise ValueError(f"{folder}: no component {', '.join(missing)}")
    built = {
        kind: [structure(compose(documents[component_id], documents.get)) for component_id in ids]
        for kind, ids in COMPONENTS.items()
    }
    return {"notice": NOTICE, **built}


def main() -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m emulator.state.build_standard_xdm", description=__doc__)
    parser.add_argument("components", type=Path, help="the components folder of a checkout of adobe/xdm")
    try:
        document = build(parser.parse_args().components)
    except (OSError, ValueError) as error:
        print(f"build_standard_xdm: {error}", file=sys.stderr)  # noqa: T201
        return 2
    TARGET.write_bytes(orjson.dumps(document) + b"\n")
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
