"""Topics in Avro and in JSON in one run, mapped to XDM, and shared among routes by a field of the record."""

from __future__ import annotations

import io
from datetime import datetime
from decimal import Decimal
from typing import Any

import fastavro
import orjson
import pytest

from samples.loyalty import generate, sequence_of
from testing.services.process import PATIENCE_SECONDS, wait_for
from testing.services.schema_registry import SchemaRegistryServer, guid_of
from tests.e2e.scenario import ORG_ID, SCHEMAS, Scenario

pytestmark = pytest.mark.kafka

MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 15, "scale": 2}
PURCHASE = {
    "type": "record",
    "name": "Purchase",
    "fields": [
        {"name": "orderId", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "member", "type": ["null", "string"]},
        {"name": "total", "type": MONEY},
    ],
}
MAP = {
    "/_id": {"from": "/orderId"},
    "/timestamp": {"from": "/at"},
    "/eventType": {"value": "commerce.purchases"},
    "/identityMap/LoyaltyId/0/id": {"from": "/member"},
    "/identityMap/LoyaltyId/0/primary": {"value": True},
    "/commerce/order/priceTotal": {"from": "/total"},
    "/commerce/order/purchaseID": {"kafka": "header:purchase"},
}


def purchase(event: dict[str, Any], **more: Any) -> bytes:
    """Return an event as a shop's order, in Avro."""
    order = {
        "orderId": event["_id"],
        "at": datetime.fromisoformat(event["timestamp"].replace("Z", "+00:00")),
        "member": event["identityMap"]["LoyaltyId"][0]["id"],
        "total": Decimal("299.93"),
        **more,
    }
    data = io.BytesIO()
    fastavro.schemaless_writer(data, fastavro.parse_schema(PURCHASE), order)
    return data.getvalue()


def test_avro_and_json_to_their_data_sets_in_one_run(scenario: Scenario) -> None:
    events = [orjson.loads(sample.value) for sample in generate(300, kind="events")]
    scenario.produce(generate(200, kind="profiles", broken_share=0.1))
    headers = [("purchase", b"P-1")]
    with SchemaRegistryServer(user="me:hunter2") as registry:
        number = registry.register(PURCHASE, "purchases-value")
        prefix = b"\x00" + number.to_bytes(4, "big")
        by_guid = [*headers, ("__value_schema_id", b"\x01" + guid_of(number).bytes)]
        values = [(prefix + purchase(event), headers) for event in events[::2]]
        values += [(purchase(event), by_guid) for event in events[1::2]]
        broken = {
            (b'{"orderId":"json"}', "parse", "avro"),
            (b"\x00\x00\x00\x00\x63" + purchase(events[0]), "parse", "avro"),
            (prefix + purchase(events[0])[:-1], "parse", "avro"),
            (prefix + purchase(events[0], member=None), "map", "map"),
            (prefix + purchase(events[0], total=Decimal("-1")) + b"\x00", "parse", "avro"),
        }
        values += [(value, headers) for value, _, _ in broken]
        values.append((prefix + purchase(events[0]), []))
        broken.add((prefix + purchase(events[0]), "map", "map"))
        scenario.broker.produce(scenario.topics["events"], [(None, value, headers, None) for value, headers in values])
        routes = scenario.routes()
        routes["events"] |= {"format": "avro", "map": MAP}
        secret = scenario.folder / "registry"
        secret.write_text("me:hunter2\n")
        registry.answer = (503, b"{}")
        pipeline = scenario.start(
            routes_file=str(scenario.write_routes(routes, "formats.yaml")),
            kafka_schema_registry_url=registry.url,
            kafka_schema_registry_config={"basic.auth.user.info": f"file:{secret}"},
        )
        wait_for(lambda: len(registry.requests) >= 2, PATIENCE_SECONDS, "a second try at the registry")
        assert scenario.accepted("events") == {}
        registry.answer = None
        wait_for(lambda: not pipeline.running, PATIENCE_SECONDS, "the end of the run")
        assert pipeline.exit_code == 0, pipeline.log()
        assert "hunter2" not in pipeline.log()
    assert set(scenario.accepted("events")) == {sequence_of(event["_id"]) for event in events}
    assert set(scenario.accepted("profiles")) == scenario.oracle.good(events=False)
    received = [message["entity"] for message in scenario.emulator.messages(scenario.inlets["events"]["inletId"])]
    expected = events[0]
    (entity,) = [one for one in received if one["_id"] == expected["_id"]]
    assert entity == {
        "_id": expected["_id"],
        "timestamp": expected["timestamp"],
        "eventType": "commerce.purchases",
        "identityMap": {"LoyaltyId": [{"id": expected["identityMap"]["LoyaltyId"][0]["id"], "primary": True}]},
        "commerce": {"order": {"priceTotal": 299.93, "purchaseID": "P-1"}},
    }
    dead = [one for one in scenario.dead_lettered() if one.route == "events"]
    assert {(one.record.value, one.stage, one.code) for one in dead} == broken
    assert scenario.summary()["unaccounted"] == 0


VIEWS = "commerce.productViews"


def _wanted(event: dict[str, Any]) -> str:
    """Return the route that an event should take, "" for none."""
    if event["eventType"] == "commerce.purchases":
        return "purchases"
    return "events" if event["eventType"] == VIEWS and event["_acme"]["loyalty"]["tier"] in ("gold", "silver") else ""


def test_records_of_one_topic_go_where_a_field_says(scenario: Scenario) -> None:
    samples = list(generate(400, kind="events"))
    scenario.produce(samples)
    schema = orjson.loads((SCHEMAS / "loyalty-event.schema.json").read_bytes())
    other = scenario.emulator.create_inlet(name=f"{scenario.name}-purchases", org_id=ORG_ID, schema=schema)
    routes = scenario.routes()
    purchases = {
        **routes["events"],
        "name": "purchases",
        "inlet_url": other["inletUrl"],
        "dataset_id": other["datasetId"],
        "when": {"/eventType": "commerce.purchases"},
        "map": [
            {"op": "replace", "path": "/eventType", "value": "commerce.purchases"},
            {"op": "remove", "path": "/web"},
        ],
    }
    routes = {"purchases": purchases, **routes}
    routes["events"]["when"] = {"/_acme/loyalty/tier": ["gold", "silver"], "/eventType": VIEWS}
    finished = scenario.run(routes_file=str(scenario.write_routes(routes, "shared.yaml")))
    assert finished.code == 0, finished.output
    sorted_out = {
        "purchases": {sequence_of(one) for one in scenario.emulator.ids(other["inletId"])},
        "events": set(scenario.accepted("events")),
        "": {int(dict(one.record.headers)["sequence"] or b"") for one in scenario.dead_lettered()},
    }
    wanted = {sample.sequence: _wanted(orjson.loads(sample.value)) for sample in samples}
    assert sorted_out == {
        name: {number for number, route in wanted.items() if route == name} for name in ("purchases", "events", "")
    }
    assert all(sorted_out.values())  # or one of the three ways would not have been shown
    assert {(one.stage, one.code, one.route) for one in scenario.dead_lettered()} == {("map", "no_route", "")}
    assert finished.summary["dead_lettered"] == {"no_route": len(sorted_out[""])}
    assert set(finished.summary["routes"]) == {"purchases", "events"}
    assert not any("web" in message["entity"] for message in scenario.emulator.messages(other["inletId"]))
