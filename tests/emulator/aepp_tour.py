"""`python aepp_tour.py TOLD`: what a user of aepp does, from a schema to a profile and its events, and to what failed.

Run as a program of its own, with aepp as published: it knows Adobe's hosts by heart, and nothing of the emulator.
What AEP answered is written to the file TOLD as JSON, for the test that started this.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aepp  # type: ignore[import-not-found]
from aepp import catalog, customerprofile, dataaccess, dataprep, flowservice, ingestion, policy, schema, segmentation

ORG = "AEPP@AdobeOrg"
TENANT = "_aepp"
PERSON = "jane@example.com"
PROFILE = "https://ns.adobe.com/xdm/context/profile"
EVENT = "https://ns.adobe.com/xdm/context/experienceevent"
EVENTS = 25
STREAM = "members-of-aepp"
DEADLINE_SECONDS = 240

Told = dict[str, Any]


def main(target: Path) -> None:
    """Take the tour; what was told until a step failed is written as well."""
    scopes = "openid,AdobeID,read_organizations,additional_info.projectedProductContext,session"
    secret = "emulator-secret"
    aepp.configure(org_id=ORG, client_id="emulator-client", secret=secret, scopes=scopes, retry=0)
    told: Told = {}
    with _written(told, target):
        _schemas(told)
        _datasets(told)
        _connections(told)
        _destination(told)
        _stream(told)
        _stream_raw(told)
        _look_up(told)
        _batches(told)


@contextmanager
def _written(told: Told, target: Path) -> Iterator[None]:
    try:
        yield
    finally:
        target.write_text(json.dumps(told))


def _schemas(told: Told) -> None:
    registry = schema.Schema()
    told["tenant"] = registry.getTenantId()
    fields = {
        "loyaltyID": {"type": "string", "title": "Loyalty id", "meta:xdmType": "string"},
        "points": {"type": "integer", "title": "Points", "meta:xdmType": "int"},
    }
    told["field group"] = registry.createFieldGroup(
        {
            "type": "object",
            "title": "Loyalty",
            "meta:intendedToExtend": [PROFILE, EVENT],
            "definitions": {"loyalty": {"properties": {TENANT: {"type": "object", "properties": fields}}}},
            "allOf": [{"$ref": "#/definitions/loyalty"}],
        }
    )
    group = told["field group"]["$id"]
    told["profile schema"] = registry.createProfileSchema("Members", fieldGroupIds=[group, f"{PROFILE}-person-details"])
    told["event schema"] = registry.createExperienceEventSchema("Visits", fieldGroupIds=[group])
    told["second of the same title"] = registry.createProfileSchema("Members", fieldGroupIds=[group])
    for kind in ("profile schema", "event schema"):
        schema_id = told[kind]["$id"]
        identity = {"namespace": "Email", "primary": True, "xdm:property": "xdm:code"}
        told[f"descriptor of {kind}"] = registry.createDescriptor(
            sourceSchema=schema_id, sourceProperty=f"/{TENANT}/loyaltyID", **identity
        )
        told[f"enabled {kind}"] = registry.enableSchemaForRealTime(schema_id)
    profile_schema = told["profile schema"]["$id"]
    told["schemas"] = registry.getSchemas()
    told["schemas of profiles"] = registry.getSchemas(classFilter=PROFILE)
    told["schema"] = registry.getSchema(profile_schema, schema_type="xed")
    told["schema in standard notation"] = registry.getSchema(told["event schema"]["meta:altId"])
    told["descriptors"] = registry.getDescriptors(
        type_desc="xdm:descriptorIdentity", prop=f"xdm:sourceSchema=={profile_schema}"
    )
    told["unions"] = registry.getUnions()
    told["global field groups"] = registry.getFieldGroupsGlobal()
    told["no schema"] = registry.getSchema("_aepp.schemas.none")


def _datasets(told: Told) -> None:
    store = catalog.Catalog()
    profiles = store.createDataSet(
        name="members", schemaId=told["profile schema"]["$id"], profileEnabled=True, identityEnabled=True
    )
    events = store.createDataSet(name="visits", schemaId=told["event schema"]["$id"])
    told["created datasets"] = [profiles, events]
    told["profile dataset"], told["event dataset"] = (created[0].split("/")[-1] for created in (profiles, events))
    told["enabled dataset"] = [
        store.enableDatasetProfile(told["event dataset"]),
        store.enableDatasetIdentity(told["event dataset"]),
    ]
    told["dataset"] = store.getDataSet(told["event dataset"])


def _connections(told: Told) -> None:
    flows = flowservice.FlowService()
    for name, kind in (("web", "xdm"), ("raw", "raw"), ("spare", "xdm")):
        base = flows.createConnectionStreaming(name=name, sourceId=name, dataType=kind, paramName=name)
        told[f"created connection {name}"] = base
        (told[f"connection {name}"],) = _items(flows.getConnection(base["id"]))
    told["connections"] = flows.getConnections(limit=2)
    told["flow"] = _flow(flows, told, "web", {"flow_spec_id": "d8a6f005-7eaf-4153-983e-e8574508b877"})
    mapping = {"sourceType": "ATTRIBUTE", "source": "id", "destination": f"{TENANT}.loyaltyID"}
    mapping_set = dataprep.DataPrep().createMappingSet(told["profile schema"]["$id"], [mapping])
    specification = {"flow_spec_id": "c1a19761-d2c7-4702-b9fa-fe91f0613e81", "transformation_name": "Mapping"}
    told["raw flow"] = _flow(flows, told, "raw", {**specification, "transformation_mapping_id": mapping_set["id"]})
    told["flows"] = flows.getFlows(limit=1, onlySources=True)
    flow = told["flow"]
    changes = [{"op": "Replace", "path": "/name", "value": "renamed"}]
    told["changed flow"] = flows.updateFlow(flow["id"], flow["etag"], changes)
    told["changed again by the old etag"] = flows.updateFlow(flow["id"], flow["etag"], changes)
    told["deleted"] = flows.deleteConnection(told["created connection spare"]["id"])


def _destination(told: Told) -> None:
    """Export to a stream of Kinesis, as "Connect to streaming destinations" has it."""
    flows = flowservice.FlowService()
    kinesis = {"id": flows.getConnectionSpecIdFromName("Amazon Kinesis"), "version": "1.0"}
    store = flows.createConnectionToUPS("profiles")
    of_store = {"id": "8a9c3494-9708-43d7-ae3f-cda01e5030e1", "version": "1.0"}
    source = flows.createSourceConnection(
        {"name": "profiles", "baseConnectionId": store["id"], "connectionSpec": of_store, "params": {}}
    )
    access = {"accessKeyId": "AKIDEXAMPLE", "secretKey": "any", "region": "us-east-1"}
    auth = {"specName": "Aws Kinesis authentication credentials", "params": access}
    base = flows.createConnection(name="stream", auth=auth, connectionSpec=kinesis)
    told["tested connection"] = flows.connectionTest(base["id"])
    where = {"stream": STREAM, "region": "us-east-1"}
    target = {"name": "stream", "baseConnectionId": base["id"], "connectionSpec": kinesis, "params": where}
    target["data"] = {"format": "json"}
    none: dict[str, Any] = {"profileSelectors": {"selectors": []}, "segmentSelectors": {"selectors": []}}
    body = {
        "name": "members to a stream",
        "flowSpec": {"id": "71471eba-b620-49e4-90fd-23f1fa0174d8", "version": "1.0"},
        "sourceConnectionIds": [source["id"]],
        "targetConnectionIds": [flows.createTargetConnection(data=target)["id"]],
        "transformations": [{"name": "GeneralTransform", "params": none}],
    }
    created = flows.createFlow("71471eba-b620-49e4-90fd-23f1fa0174d8", obj=body)
    told["segment"] = segmentation.Segmentation().createSegment(
        {
            "name": "Members with points",
            "description": "more than one",
            "expression": {"type": "PQL", "format": "pql/text", "value": f"{TENANT}.points > 1"},
            "schema": {"name": "_xdm.context.profile"},
            "ttlInDays": 30,
        }
    )
    audience = {"id": told["segment"]["id"], "name": "Members with points", "description": ""}
    selectors = "/transformations/0/params/segmentSelectors/selectors/-"
    activation = {"op": "add", "path": selectors, "value": {"type": "PLATFORM_SEGMENT", "value": audience}}
    told["activated"] = flows.updateFlow(created["id"], created["etag"], [activation])
    policy.Policy().createOrupdateCustomMarketingAction("sell", "to others")
    told["marketing action"] = policy.Policy().getCustomMarketingAction("sell")
    references = {"enforcementRefs": ["/dulepolicy/marketingActions/custom/sell"]}
    change = [{"op": "Replace", "path": "/policy", "value": references}]
    flows.updateFlow(created["id"], told["activated"]["etag"], change)
    told["new credentials"] = flows.patchConnection(
        base["id"], [{"op": "add", "path": "/auth/params", "value": access}]
    )
    told["disabled"] = flows.postFlowAction(created["id"], "disable")
    told["destination"] = flows.getFlow(created["id"])


def _flow(flows: Any, told: Told, name: str, specification: dict[str, str]) -> Any:
    source = flows.createSourceConnectionStreaming(told[f"created connection {name}"]["id"], name, format="json")
    target = flows.createTargetConnectionDataLake(
        name, told["profile dataset"], told["profile schema"]["$id"], format="json"
    )
    return flows.createFlow(
        name=name, source_connection_id=source["id"], target_connection_id=target["id"], **specification
    )


def _items(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the objects of a lookup; aepp takes some out of their list."""
    return list(answer.get("items", [answer]))


def _stream(told: Told) -> None:
    sender = ingestion.DataIngestion()
    inlet = told["connection web"]["auth"]["params"]["inletId"]

    def member(**fields: Any) -> dict[str, Any]:
        return _message(told["profile schema"]["$id"], told["profile dataset"], {TENANT: fields})

    told["streamed"] = sender.streamMessage(inlet, member(loyaltyID=PERSON, points=1))
    told["streamed and validated"] = sender.streamMessage(
        inlet, member(loyaltyID=PERSON, points=2), syncValidation=True
    )
    told["refused"] = sender.streamMessage(inlet, member(points="many"), syncValidation=True)
    told["accepted, fails later"] = sender.streamMessage(inlet, member(loyaltyID=PERSON, points="many"))
    told["no such inlet"] = sender.streamMessage("0" * 64, member(loyaltyID=PERSON))
    events = [
        {"_id": f"visit-{n}", "timestamp": f"2026-01-01T00:00:{n:02}Z", TENANT: {"loyaltyID": PERSON, "points": n}}
        for n in range(EVENTS)
    ]
    messages = [_message(told["event schema"]["$id"], told["event dataset"], event) for event in events]
    told["batch"] = sender.streamMessages(inlet, [*messages, {"no": "header"}, messages[0]])


def _stream_raw(told: Told) -> None:
    sender = ingestion.DataIngestion()
    inlet = told["connection raw"]["auth"]["params"]["inletId"]
    told["raw"] = sender.streamMessage(inlet, {"id": "raw@example.com"}, flowId=told["raw flow"]["id"])


def _message(schema_id: str, dataset_id: str, entity: dict[str, Any]) -> dict[str, Any]:
    reference = {"id": schema_id, "contentType": "application/vnd.adobe.xed-full+json;version=1"}
    header = {"schemaRef": reference, "imsOrgId": ORG, "datasetId": dataset_id, "source": {"name": "web"}}
    return {"header": header, "body": {"xdmMeta": {"schemaRef": reference}, "xdmEntity": entity}}


def _look_up(told: Told) -> None:
    profiles = customerprofile.Profile()
    for person in (PERSON, "raw@example.com"):
        ask = partial(profiles.getEntity, entityId=person, entityIdNS="email")
        told[f"profile {person}"] = _await(ask, lambda answer: "statusCode" not in answer)
    told["events"] = _await(
        lambda: profiles.getEntity("_xdm.context.experienceevent", PERSON, "email", limit=10),
        lambda found: len(found) >= EVENTS,
    )
    told["nobody"] = profiles.getEntity(entityId="nobody@example.com", entityIdNS="email")
    identities = [{"entityId": one, "entityIdNS": {"code": "Email"}} for one in (PERSON, "nobody@example.com")]
    told["several"] = profiles.getEntities({"schema": {"name": "_xdm.context.profile"}, "identities": identities})


def _batches(told: Told) -> None:
    store, access = catalog.Catalog(), dataaccess.DataAccess()
    told["failed"] = _await(lambda: store.getBatches(status="failed", orderBy="desc:created"), bool)
    told["failed as a table"] = json.loads(store.getFailedBatchesDF().to_json(orient="records"))
    (failed,) = told["failed"]
    told["failed files"] = access.getBatchFailed(failed)
    told["failed record"] = access.getBatchFailed(failed, path=told["failed files"][-1]["name"])
    told["batches one by one"] = store.getBatches(limit=1, n_results="inf", status="success")
    told["records"] = []
    for batch in told["batches one by one"]:
        for entry in access.getBatchFiles(batch):
            for file in access.getFiles(entry["dataSetFileId"])["data"]:
                lines = access.getFiles(entry["dataSetFileId"], path=file["name"]).splitlines()
                told["records"] += [json.loads(line) for line in lines]


def _await(ask: Callable[[], Any], enough: Callable[[Any], bool]) -> Any:
    """Ask until the answer is what is waited for, or too long."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not enough(answer := ask()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return answer


if __name__ == "__main__":
    main(Path(sys.argv[1]))
