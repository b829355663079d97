"""Members of a loyalty programme in the emulator, their audiences, and a stream that they are exported to."""

from __future__ import annotations

import itertools
import time
from typing import Any

import orjson

from testing.services.kinesis import Kinesis
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.emulator.conftest import Client
from tests.emulator.destination import Destination
from tests.emulator.management import EVENT, PROFILE, Platform

SEGMENTS = "/data/core/ups/segment/definitions"
IDENTITY_MAP = "https://ns.adobe.com/xdm/context/identitymap"
TEXT = {"type": "string"}
STREAMING = {"continuous": {"enabled": True}}
READS_APART_S = 0.25  # Kinesis takes 5 a second and shard

_event_numbers = itertools.count()


class Members:
    """Profile records with an email address as primary identity, and events for them by identityMap."""

    def __init__(self, kinesis: Kinesis) -> None:
        self.kinesis = kinesis
        self.platform = Platform(kinesis)
        self.client = Client()
        platform = self.platform
        group = platform.field_group(email=TEXT, phone=TEXT, tier=TEXT, city=TEXT)
        self.schema_id = platform.schema(PROFILE, group, IDENTITY_MAP)
        platform.identity(self.schema_id, f"/{platform.tenant}/email")
        platform.identity(self.schema_id, f"/{platform.tenant}/phone", "Phone", primary=False)
        self.dataset_id = platform.dataset(self.schema_id)
        event_group = platform.field_group(EVENT, "Purchases", total={"type": "integer"})
        self.event_schema_id = platform.schema(EVENT, event_group, IDENTITY_MAP, title="Events")
        self.event_dataset_id = platform.dataset(self.event_schema_id)
        self.url = platform.inlet_url(platform.connection())

    @property
    def tenant(self) -> str:
        return self.platform.tenant

    def audience(self, rule: str, name: str = "Gold members", **more: Any) -> str:
        """Create an audience, evaluated on arrival unless told otherwise; return its id."""
        body = {
            "name": name,
            "expression": {"type": "PQL", "format": "pql/text", "value": rule.replace("TENANT", self.tenant)},
            "evaluationInfo": STREAMING,
            **more,
        }
        answer = self.platform.call("POST", SEGMENTS, body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def record(self, email: str, identity_map: dict[str, Any] | None = None, **own: Any) -> None:
        extra = {"identityMap": identity_map} if identity_map else {}
        entity = {self.tenant: {"email": email, **own}, **extra}
        message = self.platform.message(self.schema_id, self.dataset_id, entity)
        assert self.client.post(self.url, message).status_code == 200

    def gold(self, numbers: range, **own: Any) -> None:
        """Send a record for each of these numbers, in one batch: gold members 0@x.de, 1@x.de, ..."""
        entities = [{self.tenant: {"email": f"{number}@x.de", "tier": "gold", **own}} for number in numbers]
        messages = [self.platform.message(self.schema_id, self.dataset_id, each) for each in entities]
        url = self.url.replace("/collection/", "/collection/batch/")
        assert self.client.post(url, {"messages": messages}).status_code == 207

    def event(self, identity_map: dict[str, Any] | str, **own: Any) -> None:
        """Send an event for an email address, or for an identity map."""
        if isinstance(identity_map, str):
            identity_map = {"Email": [{"id": identity_map, "primary": True}]}
        entity = {
            "_id": f"event-{next(_event_numbers)}",
            "timestamp": "2026-01-02T03:04:05Z",
            "identityMap": identity_map,
            self.tenant: own,
        }
        message = self.platform.message(self.event_schema_id, self.event_dataset_id, entity)
        assert self.client.post(self.url, message).status_code == 200

    def destination(
        self, stream: str, *audiences: str, attributes: tuple[str, ...] = (), **options: Any
    ) -> Destination:
        """Create a destination and activate audiences."""
        made = Destination(self.platform, stream, **options)
        answer = made.activate(*audiences, attributes=tuple(f"{self.tenant}.{each}" for each in attributes))
        assert answer.status_code in (200, 202), answer.text
        return made

    def settle(self) -> None:
        """Wait until all that was sent is evaluated, and all exports are written or given up."""

        def settled() -> bool:
            if self.kinesis.stats()["pending_validation"]:
                return False
            waiting = self.kinesis.local("GET", "exports")  # after what comes before it
            return not (waiting["waiting"] or waiting["backfills"])

        wait_for(settled, PATIENCE_SECONDS, "exports to be written")

    def exported(self, stream: str) -> list[dict[str, Any]]:
        """Return what is on a stream, once everything is settled."""
        self.settle()
        return [orjson.loads(data) for _, data in read(self.kinesis, stream)]

    def statuses(self, stream: str) -> list[dict[str, str]]:
        """Return the statuses of memberships on a stream, record by record."""
        return [
            {key: each["status"] for key, each in record["segmentMembership"]["ups"].items()}
            for record in self.exported(stream)
        ]

    def run(self, destination: Destination) -> dict[str, Any]:
        """Return the counts of the one run of a destination."""
        path = f"/data/foundation/flowservice/runs?property=flowId=={destination.flow_id}"
        runs = self.platform.get(path)["items"]
        return {
            key: sum(run["metrics"]["recordSummary"][key] for run in runs)
            for key in ("inputRecordCount", "outputRecordCount", "failedRecordCount")
        }


def read(kinesis: Kinesis, stream: str) -> list[tuple[str, bytes]]:
    """Read all that is on a stream with boto3, as (partition key, data)."""
    client = kinesis.client()
    found = []
    for shard in client.list_shards(StreamName=stream)["Shards"]:
        iterator = client.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        behind = 1
        while behind:
            time.sleep(READS_APART_S)
            reply = client.get_records(ShardIterator=iterator)
            found += [(each["PartitionKey"], each["Data"]) for each in reply["Records"]]
            iterator, behind = reply["NextShardIterator"], reply["MillisBehindLatest"]
    return found
