"""The data file of standard components, and the script that makes it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from aep.xdm.schema import parse_schema
from emulator.state.build_standard_xdm import COMPONENTS as WANTED
from emulator.state.build_standard_xdm import TARGET, build
from emulator.state.standard_xdm import COMPONENTS
from testing.services.process import PATIENCE_SECONDS


def nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from nodes(schema[keyword])
    for field in schema.get("properties", {}).values():
        yield from nodes(field)


@pytest.mark.parametrize("component_id", [each for ids in WANTED.values() for each in ids])
def test_component(component_id: str) -> None:
    """Resolved, in compatibility notation, and without texts."""
    component = COMPONENTS[component_id]
    parse_schema(orjson.dumps(component), component_id)
    for node in nodes({key: value for key, value in component.items() if key != "title"}):
        assert not {"title", "description", "meta:enum", "$ref", "allOf"} & set(node)


def test_notice() -> None:
    """CC-BY-4.0 wants its source named."""
    notice = orjson.loads(TARGET.read_bytes())["notice"]
    assert "https://github.com/adobe/xdm" in notice
    assert "CC-BY-4.0" in notice


def test_build_names_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "record.schema.json").write_bytes(
        orjson.dumps({"$id": "https://ns.adobe.com/xdm/data/record", "type": "object"})
    )
    with pytest.raises(ValueError, match=r"no component https://ns\.adobe\.com/xdm/data/time-series"):
        build(tmp_path)
    command = [sys.executable, "-m", "emulator.state.build_standard_xdm", str(tmp_path)]
    failed = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert (failed.returncode, "Traceback" in failed.stderr) == (2, False)
