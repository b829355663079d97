"""The tutorial "Profile integration for ISVs", in the order of its Postman collection, from schema to lookup."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from testing.services.emulator import Emulator
from testing.services.process import PATIENCE_SECONDS
from tests.emulator.management import CATALOG, ENTITIES, EVENT, INLET, PROFILE, REGISTRY, XED, Platform

MEMBER = "jdoe@testprofile.com"
LEVELS = ["Silver", "Gold", "Platinum", "Diamond"]
PERSON_DETAILS = "https://ns.adobe.com/xdm/context/profile-person-details"
PERSONAL_DETAILS = "https://ns.adobe.com/xdm/context/profile-personal-details"


class Walk:
    """What the collection keeps from call to call."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        # step 0: the collection writes "bearer" in small letters and the Accept of lists on every call
        platform.headers["Authorization"] = platform.headers["Authorization"].replace("Bearer", "bearer")
        platform.headers["Accept"] = XED
        self.tenant = "_" + str(platform.get(f"{REGISTRY}/stats")["tenantId"])
        inlet = platform.call(
            "POST", INLET, {"name": "ISV", "sourceId": "isv", "dataType": "xdm", "authenticationRequired": False}
        ).json()
        self.inlet_url, self.source_id = str(inlet["inletUrl"]), str(inlet["sourceId"])

    def create_schema(self, title: str, class_id: str, fields: dict[str, Any], groups: list[str]) -> str:
        """Steps 1a and 1b: mixin, schema and descriptor, each posted to an address with a trailing slash."""
        own = {"type": "object", "properties": fields, "meta:xdmType": "object", "required": ["loyaltyID"]}
        mixin = self.platform.make(
            f"{REGISTRY}/tenant/mixins/",
            {
                "type": "object",
                "title": f"{title} Details",
                "meta:intendedToExtend": [class_id],
                "definitions": {"loyalty": {"properties": {self.tenant: own}}},
                "allOf": [{"$ref": "#/definitions/loyalty"}],
            },
        )
        schema = self.platform.make(
            f"{REGISTRY}/tenant/schemas/",
            {
                "type": "object",
                "title": title,
                "allOf": [{"$ref": each} for each in [class_id, *groups, mixin["$id"]]],
                "meta:immutableTags": ["union"],
            },
        )
        self.platform.identity(schema["$id"], f"/{self.tenant}/loyaltyID")
        return str(schema["$id"])

    def create_dataset(self, schema_id: str) -> str:
        """Steps 2a and 2b."""
        body = {
            "name": "loyalty",
            "schemaRef": {"id": schema_id, "contentType": "application/vnd.adobe.xed-full+json;version=1"},
            "tags": {"unifiedIdentity": ["enabled:true"], "unifiedProfile": ["enabled:true"]},
        }
        answer = self.platform.call("POST", f"{CATALOG}/datasets", body)
        assert answer.status_code == 201
        return str(answer.json()[0]).removeprefix("@/dataSets/")

    def send(self, schema_id: str, dataset_id: str, entity: dict[str, Any]) -> requests.Response:
        """Steps 3a and 3b: no Authorization, the older name of synchronous validation."""
        message = self.platform.message(schema_id, dataset_id, entity)
        message["header"]["source"] = {"name": self.source_id}
        return self.platform.session.post(
            f"{self.inlet_url}?synchronousValidation=true",
            json=message,
            headers={"Cache-Control": "no-cache"},
            timeout=PATIENCE_SECONDS,
        )


def test_from_schema_to_profile_and_events_also_after_a_restart(tmp_path: Path) -> None:
    with Emulator(state=tmp_path / "state.db") as emulator:
        platform = Platform(emulator)
        walk = Walk(platform)
        level = {"type": "string", "enum": LEVELS, "meta:xdmType": "string"}
        member = {"type": "string", "format": "email", "isRequired": True}
        points = {"type": "integer", "meta:xdmType": "int"}
        profiles = walk.create_schema(
            "Loyalty Profile",
            PROFILE,
            {"totalLoyaltyPoints": points, "loyaltyLevel": level, "loyaltyID": member},
            [PERSON_DETAILS, PERSONAL_DETAILS],
        )
        events = walk.create_schema(
            "Loyalty Event",
            EVENT,
            {
                "loyaltyLevel": level,
                "totalPoints": points,
                "pointsEarned": points,
                "transactionID": {"type": "string"},
                "loyaltyID": member,
            },
            [],
        )
        profile_dataset, event_dataset = walk.create_dataset(profiles), walk.create_dataset(events)

        person = {
            walk.tenant: {"loyaltyID": MEMBER, "loyaltyLevel": "Silver", "totalLoyaltyPoints": 12000},
            "person": {
                "name": {"firstName": "Jane", "middleName": "B", "lastName": "Doe"},
                "birthDate": "1980-05-10",
                "gender": "female",
            },
            "personalEmail": {"primary": False, "address": MEMBER, "type": "personal", "status": "active"},
        }
        sent = walk.send(profiles, profile_dataset, person)
        assert (sent.status_code, sent.json()["synchronousValidation"]) == (200, {"status": "pass"})
        purchase = {
            walk.tenant: {
                "loyaltyID": MEMBER,
                "pointsEarned": 2000,
                "totalPoints": 16500,
                "loyaltyLevel": "Silver",
                "transactionID": "purchase_12345",
            },
            "_id": "evnt-1",
            "eventType": "loyaltyBalanceUpdate",
            "timestamp": "2020-03-03T06:34:55Z",
        }
        assert walk.send(events, event_dataset, purchase).status_code == 200
        # the collection's data file has _id as a number: "expected type: String, found: Long"
        refused = walk.send(events, event_dataset, {**purchase, "_id": 12345})
        assert refused.status_code == 400
        (report,) = refused.json()["report"]["cause"]["_streamingValidation"]
        assert report["message"] == "expected type: String, found: Long"

        def look_up() -> tuple[Any, Any]:
            """Steps 5a and 5b."""
            who = f"entityId={quote(MEMBER)}&entityIdNS=email"
            found = platform.get(f"{ENTITIES}?schema.name=_xdm.context.profile&{who}")
            happened = platform.get(
                f"{ENTITIES}?schema.name=_xdm.context.experienceevent&relatedSchema.name=_xdm.context.profile&{who}"
            )
            return found, happened

        found, happened = look_up()
        ((xid, profile),) = found.items()
        assert profile["entityId"] == xid
        assert profile["sources"] == [profile_dataset]
        assert profile["tags"] == [sent.json()["xactionId"]]
        assert profile["identityGraph"] == [xid]
        assert profile["entity"] == {**person, "identityMap": {"email": [{"id": MEMBER}]}}
        (child,) = happened["children"]
        assert (child["relatedEntityId"], child["entityId"], child["entity"]) == (xid, "evnt-1", purchase)
        assert child["timestamp"] == 1583217295000

        # step X: lists
        assert len(platform.get(f"{REGISTRY}/tenant/schemas")["results"]) == 2
        assert set(platform.get(f"{CATALOG}/dataSets")) == {profile_dataset, event_dataset}
        assert platform.get(INLET)["total"] == 1

        emulator.kill()
        emulator.start()

        assert look_up() == (found, happened)
        assert platform.records(event_dataset) == [purchase]
        later = {**purchase, "_id": "evnt-2", "timestamp": "2020-03-04T06:34:55Z"}
        assert walk.send(events, event_dataset, later).status_code == 200
        assert [each["entityId"] for each in look_up()[1]["children"]] == ["evnt-1", "evnt-2"]
