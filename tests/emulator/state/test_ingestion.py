"""Asynchronous validation: accepted first, failed afterwards."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from emulator.state import ingestion as ingestion_module
from emulator.state.batches import Batches
from emulator.state.datasets import Datasets, OrgDatasets
from emulator.state.ingestion import CHUNK, Ingestion
from emulator.state.inlets import Inlet, Inlets
from emulator.state.profile_store import Source
from emulator.state.registry import Registry
from emulator.state.store import AcceptedMessage, Store
from testing.services.emulator import Emulator
from tests.emulator.conftest import SCHEMA, Client, make_message
from tests.emulator.management import PROFILE


def test_invalid_messages_are_accepted_and_fail_later(
    emulator: Emulator, inlet: dict[str, Any], client: Client
) -> None:
    bad = {"_id": "bad", "timestamp": "2018-00-23T22:07:01Z"}
    answer = client.batch(inlet, [make_message(inlet, "good"), make_message(inlet, bad)])
    assert [list(each) for each in answer.json()["responses"]] == [["xactionId"], ["xactionId"]]

    (failed,) = emulator.failed(inlet["inletId"])
    assert failed["entity"] == bad
    assert failed["xactionId"] == answer.json()["responses"][1]["xactionId"]
    (error,) = failed["_validationErrors"]
    assert (error["keyword"], error["pointerToViolation"]) == ("format", "#/timestamp")
    assert error["causingExceptions"] == []
    stats = emulator.inlet_stats(inlet["inletId"])
    assert (stats["accepted"], stats["rejected"], stats["invalid"]) == (2, 0, 1)


def test_many_messages(emulator: Emulator, inlet: dict[str, Any], client: Client) -> None:
    for start in range(0, 2000, 500):
        entities = [
            {"_id": str(number), **({} if number % 3 else {"extra": 1})} for number in range(start, start + 500)
        ]
        for entity in entities:
            entity["timestamp"] = "2026-01-02T03:04:05Z"
        client.batch(inlet, [make_message(inlet, entity) for entity in entities])
    failed = emulator.failed(inlet["inletId"])
    assert [message["entity"]["_id"] for message in failed] == [str(number) for number in range(0, 2000, 3)]
    assert emulator.inlet_stats(inlet["inletId"])["invalid"] == len(failed)


@pytest.mark.parametrize("definition", [{"schema": SCHEMA, "validation": "off"}, {"validation": "async"}])
def test_switched_off_or_without_schema(emulator: Emulator, client: Client, definition: dict[str, Any]) -> None:
    inlet = emulator.create_inlet(**definition)
    client.batch(inlet, [make_message(inlet, {"_id": 5})])
    assert emulator.failed(inlet["inletId"]) == []
    assert emulator.inlet_stats(inlet["inletId"])["accepted"] == 1


def nested(levels: int) -> Any:
    """Return JSON of so many levels, which may be more than can be written."""
    return orjson.Fragment(b'{"a":' * levels + b"1" + b"}" * levels)


def test_a_message_as_deep_as_can_be_written_fails_alone(
    emulator: Emulator, inlet: dict[str, Any], client: Client
) -> None:
    """In a failed batch it is deeper than it was sent, by its envelope."""
    deep = make_message(inlet, {"_id": "deep", "timestamp": "2026-01-02T03:04:05Z"})
    deep["body"]["xdmEntity"]["a"] = nested(253)
    client.batch(inlet, [make_message(inlet, "before"), deep, make_message(inlet, "after")])
    (failed,) = emulator.failed(inlet["inletId"])
    assert failed["_validationErrors"][0]["message"] == "extraneous key [a] is not permitted"
    assert emulator.inlet_stats(inlet["inletId"])["invalid"] == 1


def test_who_waits_for_the_validation_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is it made to wait for what comes while it waits."""
    monkeypatch.setattr(ingestion_module, "SLICE_S", 0)
    store = Store(None)
    inlets, datasets = Inlets(store), Datasets(store, Registry(store))
    inlet = inlets.create({"schema": SCHEMA})
    ingestion = Ingestion(inlets, store, datasets, Batches(store), Broken(store))
    entity = b'{"_id": "a", "timestamp": "2026-01-02T03:04:05Z"}'
    message = AcceptedMessage(inlet.id, next(iter(inlet.datasets)), None, "a", "x", 0, entity, True)
    store.record(inlet.id, [message] * 3 * CHUNK)
    seen = []

    async def send_more() -> None:
        while True:
            store.record(inlet.id, [message] * CHUNK)
            seen.append(store.pending_count())
            await asyncio.sleep(0)

    async def wait() -> None:
        others = asyncio.create_task(send_more())
        await ingestion.caught_up()
        others.cancel()

    asyncio.run(wait())
    assert len(seen) >= 2
    assert store.oldest_pending() == 3 * CHUNK + 1
    store.close()


class Broken:
    """A Profile store that fails on one record after it has taken it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def take_record(self, source: Source, identities: Any, entity: dict[str, Any], *_: object) -> None:
        self._store.define("taken", entity["identityMap"]["Email"][0]["id"], source.seq)
        if entity["identityMap"]["Email"][0]["id"] == "b":
            raise LookupError("a fault of the emulator")

    def take_event(self, *_: object) -> None:
        raise NotImplementedError


def test_a_message_that_the_emulator_fails_on_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    store, org_id = Store(None), "ACME@AdobeOrg"
    inlets, registry = Inlets(store), Registry(store)
    datasets = Datasets(store, registry)
    references = [{"$ref": each} for each in (PROFILE, "https://ns.adobe.com/xdm/context/identitymap")]
    body = {"title": "Members", "type": "object", "allOf": references, "meta:immutableTags": ["union"]}
    schema = registry.create(org_id, "client", "schemas", body)
    enabled = {"schemaRef": {"id": schema["$id"]}, "tags": {"unifiedProfile": ["enabled:true"]}}
    dataset_id = datasets.create(org_id, "client", "prod", enabled)
    inlet = Inlet("i", "inlet", org_id, False, "xdm", "async", OrgDatasets(datasets, org_id))
    inlets.add(inlet)
    entities = [{"identityMap": {"Email": [{"id": each, "primary": True}]}} for each in "abc"]
    store.record(
        inlet.id,
        [AcceptedMessage(inlet.id, dataset_id, None, None, "x", 0, orjson.dumps(each), True) for each in entities],
    )
    ingestion = Ingestion(inlets, store, datasets, Batches(store), Broken(store))
    ingestion.catch_up()

    assert store.pending_count() == 0
    assert dict(store.definitions("taken")) == {"a": 1, "c": 3}  # nothing is left of what b did
    (failed,) = store.messages(inlet.id, failed=True, after=0, limit=10)
    assert failed["seq"] == 2
    assert "the emulator failed on this message" in orjson.dumps(failed).decode()
    assert "a fault of the emulator" in caplog.text
    assert store.counts(inlet.id).invalid == 1
    store.close()
