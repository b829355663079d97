from __future__ import annotations

import re
from typing import Any

import orjson
import pytest

from testing.services.emulator import Emulator
from tests.emulator.conftest import SCHEMA, SCHEMA_ID, Client, make_message


def test_created_inlet(emulator: Emulator) -> None:
    inlet = emulator.create_inlet(name="mine", org_id="X@AdobeOrg", schema=SCHEMA)
    assert re.fullmatch("[0-9a-f]{64}", inlet["inletId"])
    assert inlet["inletUrl"] == f"{emulator.url}/collection/{inlet['inletId']}"
    assert re.fullmatch("[0-9a-f]{24}", inlet["datasetId"])
    assert (inlet["name"], inlet["orgId"], inlet["validation"]) == ("mine", "X@AdobeOrg", "async")
    assert inlet in emulator.local("GET", "inlets")["inlets"]


def test_inlet_with_two_datasets(emulator: Emulator, client: Client) -> None:
    other = {**SCHEMA, "$id": SCHEMA_ID + "-2"}
    inlet = emulator.create_inlet(schemas=[{"schema": SCHEMA}, {"dataset_id": "2" * 24, "schema": other}])
    assert inlet["datasetIds"] == [inlet["datasetId"], "2" * 24]
    for dataset_id, status in [(inlet["datasetId"], 200), ("2" * 24, 400)]:
        assert client.single(inlet, make_message({**inlet, "datasetId": dataset_id}, "a")).status_code == status


def test_fixed_id(emulator: Emulator) -> None:
    assert emulator.create_inlet(id="a" * 64, dataset_id="b" * 24)["inletId"] == "a" * 64
    again = emulator.create_inlet(id="a" * 64, dataset_id="c" * 24)
    assert (again["inletId"], again["datasetId"]) == ("a" * 64, "c" * 24)


@pytest.mark.parametrize(
    ("definition", "hint"),
    [
        ({"organisation": "x"}, "organisation: Extra inputs"),
        ({"validation": "later"}, "validation: "),
        ({"data_type": "csv"}, "data_type: "),
        ({"schema": SCHEMA, "schemas": [{"schema": SCHEMA}]}, "not both"),
        ({"schemas": [{"dataset_id": "a"}, {"dataset_id": "a"}]}, "dataset a is given twice"),
        ({"dataset_id": "a", "schema": {"type": "object"}}, "schema of dataset a"),
        ({"dataset_id": "a", "schema": {**SCHEMA, "allOf": [{"$ref": "x"}]}}, "schema of dataset a"),
    ],
)
def test_wrong_definitions_are_refused(emulator: Emulator, definition: dict[str, Any], hint: str) -> None:
    before = emulator.local("GET", "inlets")
    with pytest.raises(RuntimeError, match="400") as refused:
        emulator.create_inlet(**definition)
    assert hint in str(refused.value)
    assert emulator.local("GET", "inlets") == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "ids", None),
        ("GET", "ids?inlet=none", None),
        ("GET", "messages?inlet=none", None),
        ("POST", "faults", {"latency": 5}),
        ("POST", "faults", {"inlet": "none", "latency_ms": 5}),
        ("POST", "faults", {"inlet": ["none"]}),
        ("POST", "clients", {"client_id": "x"}),
    ],
)
def test_wrong_calls_are_refused(emulator: Emulator, method: str, path: str, body: dict[str, Any] | None) -> None:
    with pytest.raises(RuntimeError, match=r'400 \{"error":"'):
        emulator.local(method, path, body)


def test_stats_of_an_unused_inlet(emulator: Emulator, inlet: dict[str, Any]) -> None:
    stats = emulator.inlet_stats(inlet["inletId"])
    assert stats.pop("statuses") == {}
    assert stats == dict.fromkeys(stats, 0)
    assert {"requests", "messages", "accepted", "rejected", "bytes", "unique_ids", "duplicates", "invalid"} <= set(
        stats
    )


def test_faults_merge_and_clear(emulator: Emulator) -> None:
    emulator.faults(latency_ms=1)
    assert emulator.faults(jitter_ms=2) == {"latency_ms": 1, "jitter_ms": 2}
    assert emulator.local("GET", "faults") == {"latency_ms": 1, "jitter_ms": 2}
    emulator.clear_faults()
    assert emulator.local("GET", "faults") == {}


def test_reset_keeps_inlets(emulator: Emulator, inlet: dict[str, Any], client: Client) -> None:
    client.single(inlet, make_message(inlet, "a"))
    emulator.faults(latency_ms=1)
    emulator.reset()
    assert emulator.ids(inlet["inletId"]) == {}
    assert emulator.messages(inlet["inletId"]) == []
    assert emulator.inlet_stats(inlet["inletId"])["requests"] == 0
    assert emulator.local("GET", "faults") == {}
    assert client.single(inlet, make_message(inlet, "a")).status_code == 200


def test_messages_in_pages(emulator: Emulator, inlet: dict[str, Any], client: Client) -> None:
    client.batch(inlet, [make_message(inlet, str(number)) for number in range(5)])
    seen: list[str] = []
    after = 0
    while page := emulator.local("GET", f"messages?inlet={inlet['inletId']}&limit=2&after={after}")["messages"]:
        seen += [message["entity"]["_id"] for message in page]
        after = page[-1]["seq"]
    assert seen == ["0", "1", "2", "3", "4"]


class TestProfileEvents:
    """Event duplication: the Profile store drops an event whose _id it has."""

    def held(self, emulator: Emulator, inlet: dict[str, Any]) -> dict[str, int]:
        return dict(emulator.local("GET", f"profile_events?inlet={inlet['inletId']}")["ids"])

    def test_repeated_ids_are_held_once(self, emulator: Emulator, inlet: dict[str, Any], client: Client) -> None:
        client.batch(inlet, [make_message(inlet, each) for each in ("a", "b", "a")])
        assert self.held(emulator, inlet) == {"a": 1, "b": 1}
        client.batch(inlet, [make_message(inlet, each) for each in ("b", "c")])
        assert self.held(emulator, inlet) == {"a": 1, "b": 1, "c": 1}

    def test_one_store_for_an_organisation(self, emulator: Emulator, client: Client) -> None:
        inlets = [emulator.create_inlet(org_id=org) for org in ("P@AdobeOrg", "P@AdobeOrg", "Q@AdobeOrg")]
        for inlet, entity in zip(inlets, ("a", "a", "z"), strict=True):
            client.single(inlet, make_message(inlet, entity))
        assert self.held(emulator, inlets[1]) == {"a": 1}
        assert self.held(emulator, inlets[2]) == {"z": 1}

    def test_invalid_and_oversized_events_are_not_held(
        self, emulator: Emulator, inlet: dict[str, Any], client: Client
    ) -> None:
        schemaless = emulator.create_inlet(org_id=inlet["orgId"])
        client.batch(inlet, [make_message(inlet, {"_id": "bad"})])
        client.batch(schemaless, [make_message(schemaless, {"_id": "big", "text": "x" * 10_240})])
        assert self.held(emulator, inlet) == {}

    def test_reset_empties_the_store(self, emulator: Emulator, inlet: dict[str, Any], client: Client) -> None:
        client.single(inlet, make_message(inlet, "a"))
        assert self.held(emulator, inlet) == {"a": 1}
        emulator.reset()
        assert self.held(emulator, inlet) == {}
        client.single(inlet, make_message(inlet, "a"))
        assert self.held(emulator, inlet) == {"a": 1}


@pytest.mark.parametrize("levels", [250, 500])
def test_an_inlet_with_a_schema_too_deep_is_refused(emulator: Emulator, levels: int) -> None:
    deep = {**SCHEMA, "more": orjson.Fragment(b"[" * levels + b"]" * levels)}
    with pytest.raises(RuntimeError, match="nested too deeply"):
        emulator.create_inlet(schema=deep)
