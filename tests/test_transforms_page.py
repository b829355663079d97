"""The example of docs/transforms.md does what the page says, on the sample's events."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from aep.mapping.conditions import compile_conditions
from aep.mapping.transform import RecordTransform
from aep.xdm.rules import XdmRules
from samples.loyalty import generate
from testing.defaults import by_default
from tests.transforms.examples import EVENT_SCHEMA, record, route
from transforms.records.outcome import Dropped, Prepared, Refusal
from transforms.records.prepare import Preparation

PAGE = (Path(__file__).parents[1] / "docs" / "transforms.md").read_text()


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


def test_the_example_drops_refuses_and_changes_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = yaml.safe_load(block("yaml"))
    module, _, _ = keys["transform"].partition(":")
    (tmp_path / f"{module}.py").write_text(block("python"))
    monkeypatch.syspath_prepend(tmp_path)
    only = replace(
        route("events", schema=EVENT_SCHEMA),
        drop=compile_conditions(keys["drop"]),
        transform=RecordTransform(keys["transform"]),
    )
    prepare = Preparation((only,), by_default(XdmRules), "skip")
    event = orjson.loads(next(generate(1, kind="events")).value)

    def outcome(event_type: str = event["eventType"], **loyalty: Any) -> Prepared | Refusal | Dropped:
        mine = {**event, "eventType": event_type, "_acme": {"loyalty": {**event["_acme"]["loyalty"], **loyalty}}}
        return prepare("events", 0, record(1, orjson.dumps(mine)))

    assert isinstance(outcome(), Prepared)
    assert outcome("test") == Dropped("drop", "events")
    assert outcome(memberId="TEST-1") == Dropped("transform", "events")
    assert outcome(pointsEarned=-1) == Refusal("transform", "events", "transform", "ValueError: negative points")
